"""Every solver begins at any time: from the exact x_t it follows the exact flow, or ends at the exact law."""

import math

import pytest
import torch

from scoresde.core.errors import UsageError
from scoresde.core.random import generators, randn
from scoresde.models.gaussian import GaussianModel
from scoresde.sampling.sample import noised_to, sample
from scoresde.sde import sdes, time_at
from scoresde.solvers import solvers

ALL = {name: cls for name, cls in solvers.all().items() if name != "given"}
MEAN, DEVIATION = torch.tensor([0.6, -0.3]).double(), torch.tensor([0.5, 0.2]).double()
COUNT = 3000
OPTIONS = {"ggf": {"atol": 0.0078}, "pc": {"dynamics": "annealed"}}


def gaussian(process):
    return GaussianModel(MEAN, torch.diag(DEVIATION**2), sdes.parse(process))


def draws(count, seed):
    return randn((count, 2), torch.Generator().manual_seed(seed), dtype=torch.float64)


def accurate(name):
    """The solver with so small errors that what is left is that of another start."""
    cls = ALL[name]
    options = {"tol": 1e-4, "steps": 200}
    # The corrector that goes by the lengths of score and noise is biased in two dimensions.
    return cls(**{key: value for key, value in options.items() if key in cls.model_fields} | OPTIONS.get(name, {}))


@pytest.mark.parametrize(("process", "share"), [("vp", 0.3), ("ddpm:steps=200,schedule=cosine", 0.7)])
@pytest.mark.parametrize("name", ALL)
def test_a_solver_goes_on_from_the_exact_state(name, process, share):
    model, solver = gaussian(process), accurate(name)
    start, count = time_at(model.sde, share), COUNT if solver.noisy else 100
    x0 = MEAN + DEVIATION * draws(count, 1)
    state = noised_to(model, x0, start, torch.Generator().manual_seed(2))
    found = sample(model, solver, state, start=start, generator=torch.Generator().manual_seed(3), denoise=False).x
    if solver.noisy:
        times = torch.tensor([model.sde.t_min], dtype=torch.float64)
        alpha, sigma = float(model.sde.alpha(times)), float(model.sde.sigma(times))
        deviation = torch.sqrt(alpha**2 * DEVIATION**2 + sigma**2)
        error = 5 / math.sqrt(COUNT) + 0.01  # five standard errors of the draws, and a hundredth for the steps
        assert ((found.mean(0) - alpha * MEAN).abs() < error * deviation).all()
        assert ((found.std(0) / deviation - 1).abs() < error).all()
    else:
        assert (found - model.flow(state, start, model.sde.t_min)).abs().max() < 0.02


@pytest.mark.parametrize(("start", "stop"), [(0.999, 0.43), (0.43, 0.1), (0.777, 0.3)])
@pytest.mark.parametrize("name", [name for name in ALL if not accurate(name).noisy])
def test_a_solver_begins_at_times_that_float32_rounds_upwards(name, start, stop):
    model, solver = gaussian("flow"), accurate(name)
    state = noised_to(model, MEAN + DEVIATION * draws(100, 1), start, torch.Generator().manual_seed(2))
    found = sample(model, solver, state.float(), start=start, stop=stop, denoise=False).x
    assert found.dtype == torch.float32
    assert (found - model.flow(state, start, stop)).abs().max() < 0.03  # dpm-fast has but 20 evaluations


@pytest.mark.parametrize(("grid", "order"), [("quadratic", 4), ("time", 3), ("cosine", 2)])
def test_a_step_whose_stages_cancel_is_refused(grid, order):
    """Heun's, Kutta's and the classical steps in ρ from 10⁶ to a few: their errors were of 0.3 to 40."""
    model = gaussian("flow:end=1e-6")
    x, end = model.prior(range(4), dtype=torch.float64), model.sde.t_min
    with pytest.raises(UsageError, match="rho-rk lowers the ratio of noise to signal by a factor of at most 1000"):
        sample(model, f"deis:scheme=rho-rk,order={order},grid={grid}", x.float())
    found = sample(model, f"deis:scheme=rho-rk,order={order},grid=logsnr", x.float(), denoise=False).x
    assert (found - model.flow(x, model.sde.t_max, end)).abs().max() < 0.05


def test_the_state_is_the_definition_and_its_noise_is_that_of_the_seeds():
    model = gaussian("vp")
    x0 = draws(3, 1)
    state = noised_to(model, x0, 0.3, generators([4, 5, 6]))
    factor = math.exp(-0.25 * 0.09 * 19.9 - 0.5 * 0.3 * 0.1)
    z = model.prior([4, 5, 6], dtype=torch.float64)
    assert torch.allclose(state, factor * x0 + math.sqrt(1 - factor**2) * z, atol=1e-12)


def test_times_that_are_none_are_refused():
    model = gaussian("flow")
    for start in (0.0, 1.0, -1.0, math.nan):
        with pytest.raises(UsageError, match=r"lies in \(0, 0\.999\]"):
            noised_to(model, draws(2, 1), start)
    with pytest.raises(UsageError, match="from a later time to an earlier one, got start 0.1 and stop 0.3"):
        sample(model, "euler", draws(2, 1), start=0.1, stop=0.3)
    with pytest.raises(UsageError, match="must differ and lie in"):
        sample(model, "euler", draws(2, 1), start=2.0)
