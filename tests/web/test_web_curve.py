"""The curve of a race: errors against evaluations, measured here anew with NumPy."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_web import EM, events, serving
from tiny import tiny_model

from scoresde import models
from scoresde.core.random import generators
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers
from scoresde.web.curve import STEPS, TOLERANCES, curve, distance, ladder
from scoresde.web.jobs import JobCancelled

EULER = {"name": "euler", "steps": 7}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model whose samples are not all black and white, as those of the others are: they would have no errors."""
    return {1: tiny_model(tmp_path_factory.mktemp("models") / "grey", predicts="v", network="mlp")}


@pytest.fixture(scope="module")
def client(folders, tmp_path_factory):
    with serving(folders, tmp_path_factory.mktemp("kept") / "catalogue.sqlite") as made:
        yield made


def test_the_points_are_the_distances_of_each_solver_from_the_reference(client, folders):
    body = {"model": "grey", "count": 2, "seed": 3, "solvers": [EM, EULER, {"name": "heun", "steps": 2}]}
    found = events(client.post("/api/race", json=body).text)
    points = [data for name, data in found if name == "point"]
    assert found[-1][1]["points"] == points
    assert [(each["lane"], round(each["nfe"])) for each in points if each["lane"] == 2] == [(2, n + 1) for n in STEPS]
    assert {each["lane"] for each in points} == {2, 3}  # the first adds noise
    assert [each["lane"] for each in points] == [2, 3] * len(STEPS)
    model = models.load(folders[1])

    def drawn(solver):
        return sample(model, solver, model.prior(generators([3, 4]))).x.numpy().astype(np.float64).clip(-1, 1)

    truth = drawn(solvers["ipndm"](steps=200))
    for point, steps in zip([each for each in points if each["lane"] == 2], STEPS, strict=True):
        wanted = 127.5 * np.sqrt(np.mean((drawn(solvers["euler"](steps=steps)) - truth) ** 2))
        assert point["error"] == pytest.approx(wanted, rel=1e-3, abs=2e-3) and wanted > 0.1


def test_a_race_without_a_curve_ends_with_its_lanes(client):
    body = {"model": "grey", "count": 1, "solvers": [EULER, EULER], "curve": False}
    found = events(client.post("/api/race", json=body).text)
    assert found[-1][1]["points"] == [] and "point" not in [name for name, _ in found]


@pytest.mark.parametrize("name", solvers.all())
def test_every_solver_has_a_ladder_that_keeps_its_other_options(name):
    cls = solvers[name]
    field = next((each for each in ("steps", "nfe", "tol") if each in cls.model_fields), None)
    rungs = ladder(cls())
    assert [getattr(each, field) for each in rungs] == list(TOLERANCES if field == "tol" else STEPS) if rungs else True
    assert bool(rungs) or field is None or cls.stochastic or "weights" in cls.model_fields
    if name == "ddim":
        assert {each.eta for each in ladder(cls(eta=0.5))} == {0.5}


def test_a_curve_ends_when_its_reader_goes_away(folders):  # noqa: F811
    model, gone = models.load(folders[1]), threading.Event()

    def check():
        if gone.is_set():
            raise JobCancelled

    job = SimpleNamespace(check=check, emit=lambda *args, **data: gone.set())
    runners = [solvers.build(EULER)] * 2
    with pytest.raises(JobCancelled):
        curve(job, model, runners, range(1), torch.zeros(1, *model.shape))


def test_a_distance_is_a_root_mean_square_in_levels():
    x, truth = torch.full((2, 1, 2, 2), 3.0), torch.full((2, 1, 2, 2), 1.0)
    assert distance(x, truth) == 0  # beyond white there is nothing to be seen
    truth[0] = 0
    assert distance(x, truth) == pytest.approx(127.5 * np.sqrt(0.5), abs=1e-3)
