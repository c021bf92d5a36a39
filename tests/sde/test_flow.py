"""The straight process near both of its ends, against 50-digit arithmetic, and as a flow of known Gaussians."""

import mpmath
import pytest
import torch

from scoresde.core.errors import UsageError
from scoresde.likelihood import Exact, log_likelihood
from scoresde.models.gaussian import GaussianModel
from scoresde.sde import FlowSDE, sdes

F = torch.float64
mpmath.mp.dps = 50


@pytest.mark.parametrize("t", [1e-300, 1e-12, 1e-5, 0.3, 1 - 1e-3, 1 - 1e-6])
def test_it_is_exact_near_both_ends(t):
    """Of the time as it is, in float64: the log-SNR, its inverse, and the coefficients of the equation."""
    sde, time, m = FlowSDE(end=1e-6), torch.tensor([t], dtype=F), mpmath.mpf(t)
    truth = {
        "alpha": 1 - m,
        "log_alpha": mpmath.log1p(-m),
        "sigma": m,
        "log_snr": mpmath.log((1 - m) / m),
        "f": -1 / (1 - m),
        "g": mpmath.sqrt(2 * m / (1 - m)),
    }
    for quantity, value in truth.items():
        assert abs(getattr(sde, quantity)(time).item() - value) <= 1e-15 * abs(value) * 4, quantity
    assert sde.time(sde.log_snr(time)).item() == pytest.approx(t, rel=1e-13)
    assert 1 - sde.time(sde.log_snr(time)).item() == pytest.approx(1 - t, rel=1e-9)  # as far as t holds it


def test_its_probability_flow_is_the_mean_of_z_minus_x0():
    """f x - ½ g² ∇log p = E[z - x_0 | x_t], which flow matching trains; for N(m, s²) both are closed forms."""
    mean, variance = 0.7, 0.3
    sde, t = FlowSDE(), torch.linspace(1e-3, 0.999, 50, dtype=F)
    model = GaussianModel(torch.tensor([mean], dtype=F), torch.tensor([variance], dtype=F), sde)
    x = torch.linspace(-2, 2, 50, dtype=F)[:, None]
    alpha, sigma = 1 - t[:, None], t[:, None]
    at = alpha**2 * variance + sigma**2
    velocity = -mean + (sigma - alpha * variance) / at * (x - alpha * mean)  # Cov(z - x_0, x_t) / Var(x_t)
    eps = model.eps(x, t)
    field = sde.f(t)[:, None] * x + 0.5 * sde.g(t)[:, None] ** 2 * eps / sde.sigma(t)[:, None]
    assert torch.allclose(field, velocity, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("end", "bound"), [(1e-3, 1e-3), (1e-6, 1e-6)])
def test_its_likelihood_is_the_density(end, bound):
    """Of two values with the means 0.3 and -0.2, which have not quite gone where the process ends."""
    mean, variance = torch.tensor([0.3, -0.2], dtype=F), torch.tensor([0.25, 0.09], dtype=F)
    model = GaussianModel(mean, variance, FlowSDE(end=end))
    x = mean + variance.sqrt() * torch.linspace(-1.5, 1.5, 5, dtype=F)[:, None]
    found = log_likelihood(model, x, divergence=Exact(), eps=1e-5).at_zero
    truth = torch.distributions.Normal(mean, variance.sqrt()).log_prob(x).sum(1)
    assert (found - truth).abs().max() < bound


def test_where_it_ends():
    sde = FlowSDE()
    assert (sde.t_max, sde.prior_std, sde.t_min) == (0.999, 0.999, 1e-3)
    assert sdes.build({"name": "flow", "end": 1e-6}).prior_std == 1 - 1e-6
    with pytest.raises(UsageError, match="end must be at least 1e-06, got 1e-07"):
        FlowSDE(end=1e-7)
    with pytest.raises(UsageError, match=r"end must be at most 0.1, got 0.5"):
        FlowSDE(end=0.5)
