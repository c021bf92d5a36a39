"""Published runs of the reference implementations, and SciPy itself, reproduced.

The data are N(m, diag s²) with m = (0.3, -0.2), s = (0.5, 0.05); the process is VP with β 0.1..20; x_1 = (1, -0.7).
"""

import numpy as np
import pytest
import scipy.integrate
import torch

from scoresde.models.base import ObservedModel
from scoresde.models.evaluations import Evaluations
from scoresde.models.gaussian import GaussianModel
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

X = torch.tensor([[1.0, -0.7]], dtype=torch.float64)


@pytest.fixture
def model():
    mean, std = torch.tensor([0.3, -0.2], dtype=torch.float64), torch.tensor([0.5, 0.05], dtype=torch.float64)
    return GaussianModel(mean, std.square(), VPSDE())


@pytest.mark.parametrize(
    ("stop", "end"), [(1e-3, (0.7990881415, -0.2356820766)), (1e-5, (0.7990229427, -0.2349419123))]
)
def test_exact_flow(model, stop, end):
    assert torch.allclose(model.flow(X, 1.0, stop), torch.tensor([end], dtype=torch.float64), rtol=0, atol=1e-10)


GOLDEN = [
    ("euler", {"steps": 12}, 12, (0.7088018450, -0.2294588134)),
    # The reference spends 46 and 30: it evaluates the start of a step again after each rejection.
    ("dpm", {"order": 2, "tol": 0.05, "atol": 0.0078}, 37, (0.8248648585, -0.2397065079)),
    ("dpm", {"order": 3, "tol": 0.05, "atol": 0.0078}, 26, (0.8248921472, -0.2376731069)),
    ("scipy", {"method": "RK23", "tol": 1e-2}, 29, (0.7998311994, -0.2381181413)),
    ("scipy", {"method": "RK45", "tol": 1e-2}, 32, (0.7982514580, -0.2358869357)),
    ("scipy", {"method": "DOP853", "tol": 1e-2}, 26, (0.7976337724, -0.2674904103)),
    ("scipy", {"method": "RK23", "tol": 1e-5}, 140, (0.7990875491, -0.2356787650)),
    ("scipy", {"method": "RK45", "tol": 1e-5}, 92, (0.7990877982, -0.2356829575)),
    ("scipy", {"method": "DOP853", "tol": 1e-5}, 98, (0.7990877664, -0.2356839927)),
    ("rk23", {"tol": 1e-2}, 29, (0.7998311994, -0.2381181413)),
    ("rk45", {"tol": 1e-2}, 32, (0.7982514580, -0.2358869357)),
    ("dop853", {"tol": 1e-2}, 26, (0.7976337724, -0.2674904103)),
    ("rk23", {"tol": 1e-5}, 140, (0.7990875491, -0.2356787650)),
    ("rk45", {"tol": 1e-5}, 92, (0.7990877982, -0.2356829575)),
    ("dop853", {"tol": 1e-5}, 98, (0.7990877664, -0.2356839927)),
]


@pytest.mark.parametrize(("name", "options", "nfe", "end"), GOLDEN)
def test_published_run(model, name, options, nfe, end):
    count = Evaluations()
    found = solvers[name](**options).solve(ObservedModel(model, count), X, start=1.0, stop=1e-3)
    assert count.calls == nfe
    assert torch.allclose(found, torch.tensor([end], dtype=torch.float64), rtol=0, atol=1e-8), found.tolist()


@pytest.mark.parametrize("name", ["rk23", "rk45", "dop853"])
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("direction", [(1.0, 1e-3), (1e-3, 1.0)])
def test_batch_control_takes_scipys_steps(mixture, name, tol, direction):
    """On a batch of 32, with the batch's norm in control: SciPy's evaluations exactly, its result to 1e-9."""
    x = torch.randn(32, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start, stop = direction
    count = Evaluations()
    solver = solvers[name](tol=tol, control="batch")
    ours = solver.solve(ObservedModel(mixture, count), x, start=start, stop=stop)

    def velocity(t, y):
        y = torch.from_numpy(y).reshape(x.shape)
        return mixture.velocity(y, y.new_full((len(y),), t)).numpy().ravel()

    theirs = scipy.integrate.solve_ivp(
        velocity, (start, stop), x.numpy().ravel(), method=name.upper(), rtol=tol, atol=tol
    )
    assert count.calls == theirs.nfev
    assert np.abs(ours.numpy().ravel() - theirs.y[:, -1]).max() < 1e-9


def test_torchdiffeq_costs_what_scipy_does(mixture):
    """With its end as a forced step and our first step, dopri5 stays within a step or two of SciPy's RK45."""
    x = torch.randn(32, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    calls = {}
    for name, method in (("torchdiffeq", "dopri5"), ("scipy", "RK45")):
        count = Evaluations()
        solvers[name](method=method, tol=1e-4).solve(ObservedModel(mixture, count), x, start=1.0, stop=1e-3)
        calls[name] = count.calls
    assert abs(calls["torchdiffeq"] - calls["scipy"]) <= 13, calls
