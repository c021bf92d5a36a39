"""The adaptive exponential multistep method: what it integrates exactly, and what it costs where peers cost more."""

import mpmath
import pytest
import torch
from processes import process

from scoresde.bench.problems import problem, reference
from scoresde.core.random import stream
from scoresde.models.base import ObservedModel
from scoresde.models.evaluations import Evaluations
from scoresde.models.gaussian import GaussianModel
from scoresde.models.output import Output
from scoresde.sde import VPSDE, sdes
from scoresde.solvers import solvers


@pytest.mark.parametrize("name", sdes.all())
def test_data_at_a_point_are_reached_exactly(name):
    """If x_0 is known, x̂_0 is constant, and the exponential integral makes no error at any step."""
    sde = process(name)
    point = torch.tensor([0.3, -0.8], dtype=torch.float64)
    model = GaussianModel(point, torch.zeros(2, dtype=torch.float64), sde)
    x = model.prior(stream(0, "x"), 5, dtype=torch.float64)
    count = Evaluations()
    found = solvers["adams"](tol=0.5).solve(ObservedModel(model, count), x, start=sde.t_max, stop=1e-3)
    assert torch.allclose(found, model.flow(x, sde.t_max, 1e-3), rtol=1e-10, atol=1e-12)
    assert count.calls <= 12


@pytest.mark.parametrize(("text", "noise"), [("flow:end=1e-4", lambda t: t / (1 - t)), ("ve:sigma_max=8000", None)])
def test_no_step_passes_over_all_that_changes(text, noise):
    """Far in the noise x̂_0 is constant and steps grow: one from there to the data would see the mean at both ends."""
    sde, std = sdes.parse(text), 0.2
    model = GaussianModel(torch.zeros(2), torch.full((2,), std**2), sde)
    x = model.prior(stream(0, "x"), 5, dtype=torch.float64)
    usual, long = (solvers["adams"](first_step=h).solve(model, x, start=sde.t_max, stop=1e-3) for h in (None, 20))
    first, last = (noise(t) if noise else 0.01 * 8e5**t for t in (sde.t_max, 1e-3))  # σ/α
    scale = (1 - 1e-3, 1 - sde.t_max) if noise else (1.0, 1.0)
    truth = x * scale[0] / scale[1] * ((std**2 + last**2) / (std**2 + first**2)) ** 0.5
    assert (usual - truth).abs().max() < 0.05 * std
    assert (long - truth).abs().max() < 0.05 * std


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_polynomial_of_the_log_snr_is_integrated_exactly(order):
    """x̂_0 a polynomial of degree k in λ alone: the corrector of order k + 1 has no error, on steps however uneven."""

    class Polynomial(GaussianModel):
        def evaluate(self, x, t, classes=None):
            log_snr = self.sde.log_snr(t)[:, None]
            x0 = sum((log_snr / 3) ** k / (k + 1) for k in range(order + 1)).expand_as(x)
            return Output((x - self.sde.alpha(t)[:, None] * x0) / self.sde.sigma(t)[:, None])

    sde = VPSDE()
    model = Polynomial(torch.zeros(2), torch.ones(2), sde)
    x = torch.zeros(1, 2, dtype=torch.float64)
    ends = sde.log_snr(torch.tensor([1.0, 1e-2], dtype=torch.float64)).tolist()
    polynomial = lambda u: sum((u / 3) ** k / (k + 1) for k in range(order + 1))
    integral = mpmath.quad(lambda u: mpmath.exp(u - ends[1]) * polynomial(u), ends)
    truth = sde.levels([1e-2])[0].alpha * float(integral)
    errors = []
    for tol in (1e-2, 1e-4):
        found = solvers["adams"](tol=tol, max_order=order).solve(model, x, start=1.0, stop=1e-2)
        errors.append(abs(found[0, 0].item() - truth))
    # What is left comes from the first steps, whose order is still lower; it falls with the tolerance.
    assert errors[0] < 1e-2 and errors[1] < 1e-4, errors


def test_it_meets_its_bars_on_a_mixture():
    """At most 30 evaluations of a sample's own for a median error of 1e-3, at most 50 for 1e-4 (peers: 45 and 74)."""
    model = problem("gm2")
    x = model.prior(stream(3, "gm2"), 32, dtype=torch.float64)
    truth = reference(model, x, start=1.0, stop=1e-3, tol=1e-10)
    for tol, bar, most in ((1e-3, 1e-3, 30), (1e-4, 1e-4, 50)):
        info, count = {}, Evaluations()
        found = solvers["adams"](tol=tol).solve(ObservedModel(model, count), x, start=1.0, stop=1e-3, info=info)
        error = (found - truth).square().mean(1).sqrt().median().item()
        own = info["steps"] + info["rejected"] + 1
        assert error <= bar and own <= most, f"error {error:.1e} for {own:.1f} evaluations at tol {tol}"
        assert own <= count.calls <= 2 * own
