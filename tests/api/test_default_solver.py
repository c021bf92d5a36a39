"""Which solver draws samples where none is named."""

import json
from pathlib import Path

import pytest
import torch
from tiny import tiny_model

import scoresde
from scoresde import models
from scoresde.api.default_solver import DEFAULT, method_of
from scoresde.bench.tune import store
from scoresde.core import files
from scoresde.core.errors import CheckpointError, UsageError
from scoresde.core.options import table
from scoresde.observations import Pixels
from scoresde.posterior.tasks import SOLVER
from scoresde.solvers import solvers
from scoresde.solvers.few_steps import of_steps
from scoresde.solvers.grids import ListedGrid

SMALL = "small network"


def chosen(model, solver=None, steps=None, tol=None, whole=True):
    return method_of(model, solver, whole, steps=steps, tol=tol)


@pytest.fixture(scope="module")
def digits():
    return scoresde.load("digits")


def left(folder, at=0.4, *, sha256=None, stop=1e-3):
    """A solver of two steps that `scoresde tune` has left in a model's folder."""
    own = files.read_json(folder / models.CONFIG)["sha256"]
    solver = solvers["linear"](steps=2, grid=ListedGrid(at=(at,)), weights=(1.0, 1.2, -0.2))
    known = {"default": "euler:steps=2", "seeds": (0, 1), "held_out": (2, 3), "reference": {}, "environment": {}}
    errors = {name: {"median": 1.0, "mean": 1.0} for name in ("default", "tuned")}
    entry = store.TunedSolver(solver=table(solver), stop=stop, sha256=sha256 or own, errors=errors, **known)
    store.save(folder, entry)
    return solver


@pytest.fixture
def folder(tmp_path, digits):
    models.save(digits, tmp_path / "model", {"recipe": {"data": {"name": "digits"}}})
    return tmp_path / "model"


def test_a_solver_that_is_named_is_taken_as_it_is(digits):
    assert chosen(digits, "unipc", 5) == solvers["unipc"](steps=5)
    assert chosen(digits, "euler:grid=time") == solvers["euler"](grid="time")


def test_none_that_is_named_is_adams_or_the_best_for_the_steps(digits, mixture):
    assert chosen(digits) == solvers[DEFAULT]() and chosen(digits, tol=0.1) == solvers[DEFAULT](tol=0.1)
    assert chosen(scoresde.ClippedModel(digits), steps=6) == of_steps(6, SMALL)
    assert chosen(mixture, steps=6) == of_steps(6, "closed form") != of_steps(6, SMALL)
    with pytest.raises(UsageError, match="tol"):
        chosen(digits, steps=6, tol=0.1)
    with pytest.raises(UsageError, match="steps must be at least 1"):
        chosen(digits, steps=0)


def test_samples_say_by_which_solver_they_were_drawn():
    out = scoresde.sample("digits", n=3, steps=4)
    assert out.solver == str(of_steps(4, SMALL)) and out.nfe == 5
    assert torch.equal(out.x, scoresde.sample("digits", str(of_steps(4, SMALL)), n=3).x)


def test_a_measurement_takes_the_solver_that_conditions_are_measured_with(digits):
    mask = torch.zeros(8, 8)
    mask[:4] = 1
    posed = scoresde.condition(digits, Pixels(mask), torch.zeros(1, 8, 8))
    assert chosen(posed, steps=7) == solvers[SOLVER](steps=7)


def test_a_solver_that_was_tuned_for_that_number_is_taken(folder, digits):
    model = scoresde.load(folder)
    assert chosen(model, steps=2) == of_steps(2, SMALL)
    left(folder, 0.6)
    best = left(folder, 0.4)
    assert chosen(model, steps=2) == best
    assert chosen(model, steps=4) == of_steps(4, SMALL)
    assert chosen(model, steps=2, whole=False) == of_steps(2, SMALL)  # it was learned between the ends of the process
    assert scoresde.sample(folder, n=1, steps=2).solver == str(best)
    x = torch.zeros(1, 8, 8)
    assert scoresde.sample(folder, n=1, steps=2, x=x, start=0.5).solver == str(of_steps(2, SMALL))


def test_samples_of_a_class_are_not_those_that_a_solver_was_tuned_for(tmp_path, run):
    folder = Path(tiny_model(tmp_path / "model", classes=3))
    best, usual = left(folder), of_steps(2, SMALL)
    assert scoresde.sample(folder, n=1, steps=2).solver == str(best)
    assert scoresde.sample(folder, n=1, steps=2, classes=1, guidance=3.0).solver == str(usual)
    assert f"by {best}:" in run("sample --model model --steps 2 -n 1 --quiet --out a")
    assert f"by {usual}:" in run("sample --model model --steps 2 -n 1 --class 1 --quiet --out b")


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"stop": 1e-2}])
def test_a_solver_of_other_weights_or_of_another_end_is_not_taken(folder, change):
    left(folder, **change)
    assert chosen(scoresde.load(folder), steps=2) == of_steps(2, SMALL)


def test_damaged_solvers_are_named(folder):
    (folder / store.FILE).write_text("[]")
    with pytest.raises(CheckpointError, match="tuned.json"):
        chosen(scoresde.load(folder), steps=3)


def test_the_command_says_and_records_what_it_took(run, tmp_path, folder):
    said = run("sample --steps 4 -n 2 --quiet --out a")
    assert f"2 samples by {of_steps(4, SMALL)}: 5 NFE" in said
    record = json.loads((tmp_path / "a" / "samples.json").read_text())
    assert solvers.build(record["solver"]) == of_steps(4, SMALL) and record["info"]["beyond"] < 0.5
    run("sample -n 1 --quiet")
    assert (tmp_path / "samples" / f"digits-{DEFAULT}" / "sheet.png").exists()
    run("sample --steps 4 --grid karras -n 1 --quiet --out b")
    record = json.loads((tmp_path / "b" / "samples.json").read_text())
    assert solvers.build(record["solver"]) == solvers.build({**record["solver"], "grid": "karras"})
    assert record["solver"]["name"] == of_steps(4, SMALL).name
    best = left(folder)
    assert f"by {best}: 3 NFE" in run("sample --model model --steps 2 -n 1 --quiet --out c")
    assert f"by {of_steps(2, SMALL)}:" in run("sample --model model --steps 2 -n 1 --start data:0 --quiet --out d")
    assert "steps must be at least 1, got 0" in run("sample --steps 0", 2)
    assert "--tol is not an option of" in run("sample --steps 4 --tol 1e-2", 2)
