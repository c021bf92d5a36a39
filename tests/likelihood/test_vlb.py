"""The variational bound of a discrete chain, against NumPy, SciPy, mpmath and the law that it bounds."""

import math

import mpmath
import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from scoresde.core.errors import DataError, UsageError
from scoresde.core.random import generators
from scoresde.likelihood import chain, vlb
from scoresde.likelihood.steps import log_mass
from scoresde.models.gaussian import GaussianModel
from scoresde.models.names import load
from scoresde.models.network import NetworkModel
from scoresde.sde import VESDE, VPSDE

F = torch.float64
STD = 0.4


def model(sde=None):
    return GaussianModel(torch.zeros(1, 2, 2, dtype=F), torch.full((1, 2, 2), STD**2, dtype=F), sde or VPSDE())


def pixels(levels, count=3):
    g = torch.Generator().manual_seed(0)
    return torch.randint(levels, (count, 1, 2, 2), generator=g, dtype=torch.uint8)


@pytest.mark.parametrize("levels", [17, 256])
@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=lambda sde: sde.name)
def test_every_term_is_that_of_the_formulas(levels, variance, sde):
    """Densities from SciPy, the posterior from Bayes' rule, for the exact model of a Gaussian and the same noise."""
    steps, images = 6, pixels(levels)
    abar = chain(sde, steps).numpy()
    found = vlb(
        model(sde), images, levels=levels, alphas_cumprod=torch.from_numpy(abar), variance=variance, clip=False,
        generator=generators(range(3)),
    )  # fmt: skip
    assert found.nfe == steps and found.diffusion.shape == (steps - 1, 3)
    for row in range(3):
        x0 = images[row].double().numpy() * 2 / (levels - 1) - 1
        source = torch.Generator().manual_seed(row)
        for n in range(steps):
            z = torch.randn(1, 2, 2, generator=source, dtype=F).numpy()
            x = np.sqrt(abar[n]) * x0 + np.sqrt(1 - abar[n]) * z
            guess = np.sqrt(abar[n]) * STD**2 / (abar[n] * STD**2 + 1 - abar[n]) * x  # E[x_0 | x_n]
            last = abar[n - 1] if n else 1.0
            beta = 1 - abar[n] / last
            if n:  # q(x_{n-1} | x_n, x_0) as a product of two normals in x_{n-1}
                precision = 1 / (1 - last) + (1 - beta) / beta
                means = [
                    (np.sqrt(last) * v / (1 - last) + np.sqrt(1 - beta) / beta * x) / precision for v in (x0, guess)
                ]
                v = beta if variance == "large" else 1 / precision
                kl = 0.5 * (np.log(v * precision) + 1 / (precision * v) - 1 + (means[0] - means[1]) ** 2 / v)
                assert found.diffusion[n - 1, row] == pytest.approx(kl.sum() / 4 / math.log(2), rel=1e-9)
            else:  # where q's variance is 0: that of the step above, and the mean is the prediction
                b = 1 - abar[1] / abar[0]
                law = scipy.stats.norm(guess, np.sqrt(b * (1 - abar[0]) / (1 - abar[1])))
                half = 1 / (levels - 1)
                high, low = np.where(x0 > 0.999, np.inf, x0 + half), np.where(x0 < -0.999, -np.inf, x0 - half)
                mass = np.maximum(law.cdf(high) - law.cdf(low), law.sf(low) - law.sf(high))
                assert found.decoder[row] == pytest.approx(-np.log2(mass).sum() / 4, rel=1e-7)
        end = scipy.stats.norm(np.sqrt(abar[-1]) * x0, np.sqrt(1 - abar[-1]))
        kl = (end.var() + end.mean() ** 2 - 1 - np.log(end.var())) / 2
        assert found.prior[row] == pytest.approx(kl.sum() / 4 / math.log(2), rel=1e-9)


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("std", [1e-3, 0.05, 3.0])
def test_the_decoder_is_a_law_over_the_levels(levels, std):
    x = (torch.arange(levels, dtype=F) * (2 / (levels - 1)) - 1)[:, None].expand(-1, 5)
    mean = torch.tensor([-1.4, -0.3, 0.0, 0.77, 1.2], dtype=F).expand(levels, -1)
    total = log_mass(x, mean, torch.tensor(std, dtype=F), levels).exp().sum(0)
    assert torch.allclose(total, torch.ones(5, dtype=F), atol=1e-12)


def test_the_decoder_far_in_the_tails():
    """Forty standard deviations away, where the mass itself is 0 in float64."""
    found = log_mass(*(torch.tensor([v], dtype=F) for v in (0.5, -0.3, 0.02)), 17)
    with mpmath.workdps(600):
        low, high = (mpmath.ncdf(mpmath.mpf(v), -0.3, 0.02) for v in (0.4375, 0.5625))
        truth = float(mpmath.log(high - low))
    assert float(found) == pytest.approx(truth, rel=1e-12) and truth < -600


def test_the_bound_is_above_the_entropy_and_can_come_close():
    """On images drawn from a discretised N(0, 0.4²): no law needs fewer bits on average than that law itself."""
    z = torch.randn(256, 1, 2, 2, generator=torch.Generator().manual_seed(1), dtype=F)
    images = ((STD * z + 1) * 8).round().clamp(0, 16).to(torch.uint8)
    x0 = images.double().numpy() / 8 - 1
    high, low = np.where(x0 > 0.99, np.inf, x0 + 1 / 16), np.where(x0 < -0.99, -np.inf, x0 - 1 / 16)
    bits = -np.log2(scipy.stats.norm(0, STD).cdf(high) - scipy.stats.norm(0, STD).cdf(low)).reshape(256, -1).mean(1)
    for steps, variance, most in ((10, "small", 0.3), (50, "small", 1.4), (10, "large", 0.3), (50, "large", 0.1)):
        options = {"levels": 17, "alphas_cumprod": chain(VPSDE(), steps), "clip": False}
        found = vlb(model(), images, variance=variance, generator=generators(range(256)), **options)
        gap = found.total.numpy() - bits
        error = gap.std() / 16
        assert -3 * error < gap.mean() < most + 3 * error


def test_chain_is_ddpms():
    """N = 1000: the linear betas of DDPM, 1e-4 .. 0.02, to first order in 1/N."""
    betas = np.linspace(1e-4, 2e-2, 1000)
    ours = chain(VPSDE(), 1000).numpy()
    ratio = np.log(ours) / np.log(np.cumprod(1 - betas))
    assert (np.abs(ratio - 1) < 1 / np.arange(1, 1001) + 0.01).all()
    with pytest.raises(UsageError, match="at least 2 steps, got 1"):
        chain(VPSDE(), 1)


class TwoOutputs(nn.Module):
    """The exact noise of N(0, 0.4²), and a constant as its second output."""

    def __init__(self, second):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros((), dtype=F), requires_grad=False)
        self.second = second

    def forward(self, x, label):
        t = label.double()
        return torch.cat([model().eps(x, t), torch.full_like(x, self.second)], dim=1)


@pytest.mark.parametrize(("second", "like"), [(-1.0, "small"), (1.0, "large")])
def test_a_learned_variance_lies_between_the_fixed_ones(second, like):
    learned = NetworkModel(TwoOutputs(second), VPSDE(), (1, 2, 2), label=lambda t: t)
    options = {"levels": 17, "alphas_cumprod": chain(VPSDE(), 8), "clip": False}
    found = vlb(learned, pixels(17), variance="learned", generator=generators(range(3)), **options)
    fixed = vlb(model(), pixels(17), variance=like, generator=generators(range(3)), **options)
    assert torch.allclose(found.diffusion, fixed.diffusion, rtol=1e-9, atol=1e-12)
    half = vlb(
        NetworkModel(TwoOutputs(0.0), VPSDE(), (1, 2, 2), label=lambda t: t),
        pixels(17), variance="learned", generator=generators(range(3)), **options,
    )  # fmt: skip
    assert not torch.allclose(half.diffusion, fixed.diffusion, rtol=1e-3)


def test_an_image_depends_on_its_seed_and_clipping_changes_the_bound():
    network = load("digits")
    images = torch.randint(17, (3, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    options = {"levels": 17, "alphas_cumprod": chain(VPSDE(), 10)}
    whole = vlb(network, images, generator=generators(range(3)), **options)
    alone = vlb(network, images[1:2], generator=generators([1]), **options)
    assert torch.allclose(whole.total[1:2], alone.total, rtol=1e-4)
    free = vlb(network, images, clip=False, generator=generators(range(3)), **options)
    assert not torch.allclose(free.total, whole.total, rtol=1e-6)


def test_refusals():
    options = {"levels": 17, "alphas_cumprod": chain(VPSDE(), 4)}
    with pytest.raises(DataError, match="images of 16 grey levels hold the value 16"):
        vlb(model(), torch.full((1, 1, 2, 2), 16, dtype=torch.uint8), **{**options, "levels": 16})
    with pytest.raises(DataError, match="at least 2 grey levels, got 1"):
        vlb(model(), torch.zeros(1, 1, 2, 2, dtype=torch.uint8), **{**options, "levels": 1})
    with pytest.raises(UsageError, match="decreasing numbers between 0 and 1"):
        vlb(model(), pixels(17), **{**options, "alphas_cumprod": torch.tensor([0.1, 0.9])})
    with pytest.raises(UsageError, match=r"the chain needs times from .* to 1.41, the process has \(0, 1\]"):
        vlb(model(), pixels(17), **{**options, "alphas_cumprod": torch.tensor([0.9, 2e-9], dtype=F)})
    with pytest.raises(UsageError, match="the model has no learned variance: choose the variance small or large"):
        vlb(model(), pixels(17), **options, variance="learned")
    with pytest.raises(UsageError, match="the model has no learned variance"):
        vlb(load("digits"), torch.zeros(1, 1, 8, 8, dtype=torch.uint8), **options, variance="learned")
    with pytest.raises(UsageError, match="variance must be small, large or learned, got 'medium'"):
        vlb(model(), pixels(17), **options, variance="medium")
