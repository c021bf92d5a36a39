"""Memory: how many states a solver holds at once, and that the number does not grow with the steps."""

import gc

import pytest
import torch

from scoresde.core.random import generators, stream
from scoresde.models.base import ObservedModel
from scoresde.models.gaussian import GaussianModel
from scoresde.sde import VPSDE
from scoresde.solvers import GridSolver, solvers

MOST = {"adams": 22, "dop853": 19, "dpm": 12, "rk45": 13, "torchdiffeq": 20}
"""States alive at an evaluation, as documented: the caller's noise, the model's input and copies on the way among them.
Other adaptive solvers hold at most 11, and those on a grid at most 9."""
CASES = [(name, options) for name, cls in solvers.all().items() for options in ({}, *cls.examples)]


@pytest.fixture(scope="module", autouse=True)
def unfrozen():
    yield
    gc.unfreeze()


def peak(solver, model, x):
    """The largest number of state-sized storages alive at an evaluation."""
    counts = []

    def count(x, t, eps):
        live = (o for o in gc.get_objects() if type(o) is torch.Tensor and o.numel() == x.numel())
        counts.append(len({o.untyped_storage().data_ptr() for o in live}))

    gc.freeze()  # what is older, modules above all, need not be looked through
    solver.solve(ObservedModel(model, count), x, start=1.0, stop=1e-3, generator=generators(range(len(x))))
    return max(counts)


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda v: str(v))
def test_states_held_do_not_grow_with_the_steps(name, options):
    one = torch.ones(7, 11, dtype=torch.float64)
    model = GaussianModel(0 * one, 0.1 * one, VPSDE())
    x = model.prior(stream(0, "x"), 3, dtype=torch.float64)
    grid = issubclass(solvers[name], GridSolver)
    budget = "nfe" if name == "dpm-fast" else "steps"
    least = 1e-2 if name == "ggf" else 1e-5  # a stochastic method takes 1/tol steps and more
    few, many = ({budget: 6}, {budget: 24}) if grid or name == "dpm-fast" else ({"tol": 30 * least}, {"tol": least})
    short, long = (peak(solvers[name](**{**options, **own}), model, x) for own in (few, many))
    assert long <= MOST.get(name, 9 if budget in many else 11), f"{long} states"
    assert long <= short + 2, f"{short} states at first, {long} with more steps"
