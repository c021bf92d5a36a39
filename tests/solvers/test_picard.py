"""Steps that are computed side by side, against the solver that takes them one after the other."""

import pytest
import torch

import scoresde
from scoresde.bench.problems import problem
from scoresde.core.errors import UsageError
from scoresde.core.random import generators
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import Pixels
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers
from scoresde.solvers.picard import VARIANCE

MODEL = problem("gm2")


def both(inner, count=4, model=MODEL, **options):
    """Samples of picard and of its inner solver, on the same grid and from the same noise."""
    shared = {"steps": options.pop("steps", 50), "grid": "quadratic"}
    x = model.prior(range(count), dtype=torch.float64)
    ways = solvers["picard"](inner=inner, **shared, **options), solvers[inner](**shared)
    return [sample(model, way, x, generator=generators(range(count))) for way in ways]


@pytest.mark.parametrize(
    ("inner", "steps", "least"), [("ddim", 100, 6), ("ancestral", 250, 10), ("em", 100, 5), ("ddpm", 60, 4)]
)
def test_samples_are_those_of_the_sequential_solver_to_the_tolerance(inner, steps, least):
    side, alone = both(inner, steps=steps, change=1e-3)
    assert (side.x - alone.x).abs().max() < 1e-3
    assert alone.nfe == steps + 1 and side.nfe - 1 < steps / least
    assert alone.work == alone.nfe and side.work > 2 * side.nfe


def test_a_smaller_tolerance_ends_nearer_in_more_rounds():
    apart, rounds = zip(
        *((float((a.x - b.x).abs().max()), a.nfe) for a, b in (both("ddim", change=change) for change in (1e-1, 1e-6))),
        strict=True,
    )
    assert apart[1] < 1e-6 < apart[0] and rounds[1] > rounds[0]


@pytest.mark.parametrize("inner", ["ddim", "ancestral"])
def test_a_window_of_one_step_is_the_sequential_solver(inner):
    side, alone = both(inner, steps=20, window=1)
    assert side.nfe == alone.nfe == side.work
    torch.testing.assert_close(side.x, alone.x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("inner", ["ddim", "ancestral", "em"])
def test_the_slopes_are_exact_for_normal_data_so_that_rounds_are_one_per_window(inner):
    zero = torch.zeros(3, dtype=torch.float64)
    normal = GaussianModel(zero, zero + VARIANCE, MODEL.sde)
    side, alone = both(inner, model=normal, steps=40, window=20)
    assert side.nfe == 2 + 1 and side.work == 40 + 1
    torch.testing.assert_close(side.x, alone.x, rtol=0, atol=1e-10)


@pytest.mark.parametrize("inner", ["ddim", "ancestral"])
def test_a_sample_does_not_depend_on_its_batch(inner):
    """Each has a window of its own."""
    together, _ = both(inner, count=5, steps=60, window=15)
    solver = solvers["picard"](inner=inner, steps=60, window=15, grid="quadratic")
    x = MODEL.prior(range(5), dtype=torch.float64)
    for i in range(5):
        one = sample(MODEL, solver, x[i : i + 1], generator=generators([i]))
        torch.testing.assert_close(one.x, together.x[i : i + 1], rtol=0, atol=1e-12)


def test_evaluations_one_after_the_other_and_in_all_are_recorded(tmp_path):
    found = scoresde.sample("digits", "picard:window=10", n=1, steps=20)
    assert found.nfe < 21 < found.work
    torch.testing.assert_close(found.x, scoresde.sample("digits", "ddim", n=1, steps=20).x, rtol=0, atol=1 / 127.5)


def test_what_it_cannot_do_is_one_clear_sentence():
    posed = scoresde.condition(scoresde.load("digits"), Pixels(torch.ones(8, 8)), torch.zeros(1, 8, 8))
    if posed.bound is not None:
        with pytest.raises(UsageError, match="this model is bound to"):
            scoresde.sample(posed, "picard", n=1, steps=3)
    for inner in ("unipc", "adams", "ddimm"):
        with pytest.raises(UsageError, match=f"inner must be a solver with normal steps.*got '{inner}'"):
            solvers["picard"](inner=inner)
