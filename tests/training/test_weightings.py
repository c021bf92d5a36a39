"""Weightings and laws of times: each against its paper, and new ones that are no more than one class."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from pydantic import Field

from scoresde.core.errors import UsageError
from scoresde.sde import DDPM, VESDE, VPSDE, sdes
from scoresde.training import config as configuration
from scoresde.training.batches import Batch, Feed
from scoresde.training.loop import start, train
from scoresde.training.objective import losses, times
from scoresde.training.time_laws import TimeLaw, time_laws
from scoresde.training.weightings import Weighting, weightings

F = torch.float64
SMALL = ["network.channels=4", "network.multipliers=[1]", "network.blocks=1", "network.group_channels=4"]
SMALL += ["train.batch=16", "train.images=32"]


def options(*assignments):
    return configuration.load("digits", [*SMALL, *assignments]).train


def even(count):
    return (torch.arange(count, dtype=F) + 0.5) / count


def at(u):
    zero = torch.zeros(len(u), 1, 1, 1, dtype=F)
    return Batch(zero, None, zero.bool().flatten(), u, zero)


@pytest.mark.parametrize("name", ["vp", "sub-vp", "vp-cosine", "ve"])
def test_times_even_in_log_snr_have_the_density_of_the_likelihoods_weight(name):
    """Kolmogorov's distance of 4,000 times from the distribution function ∫ g²/σ² dt, by the trapezoid rule."""
    sde, chosen = sdes[name](), options("train.weighting=likelihood", "train.earliest=0.01")
    t = torch.linspace(0.01, sde.t_max, 200_001, dtype=F)
    density = ((sde.g(t) / sde.sigma(t)) ** 2).numpy()
    whole = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
    found = times(sde, at(even(4000)), chosen).numpy()
    law = scipy.stats.kstest(found, lambda x: np.interp(x, t.numpy(), whole / whole[-1]))
    assert law.statistic < 2 / 4000


def test_auto_takes_the_law_of_the_weighting_and_any_other_may_be_asked_for():
    assert options().law == time_laws["uniform"]() and options("train.weighting=likelihood").law.name == "logsnr"
    chosen = options("train.weighting=min-snr", "train.times=logsnr")
    t = times(VPSDE(), at(even(100)), chosen)
    assert VPSDE().log_snr(t).diff().std() < 1e-9 and chosen.weighting == weightings["min-snr"](cap=5)


def test_a_chain_is_trained_at_its_levels_whatever_the_law():
    chain = DDPM(steps=50)
    found = times(chain, at(even(1000)), options("train.times=logsnr"))
    assert torch.isin(found, chain.times).all() and len(found.unique()) == 50
    gaps = chain.log_snr(chain.times).diff().abs()  # a level is met as often as the gaps beside it are wide
    often = torch.bincount(chain.step(found).round().long())[1:-1]
    assert often.numpy() / 1000 == pytest.approx((gaps[1:] + gaps[:-1]).numpy() / 2 / gaps.sum().item(), abs=2e-3)


@pytest.mark.parametrize("cap", [1.0, 5.0])
def test_min_snr_counts_the_error_of_the_data_up_to_the_cap(cap):
    """Hang et al. 2023, section 3.4: min(SNR, γ) of the error of x_0, which is σ/α times as large."""
    sde, t = VPSDE(), torch.linspace(0.01, 1, 99, dtype=F)
    found = weightings.parse(f"min-snr:cap={cap}").weight(sde, t, sde.alpha(t) / sde.sigma(t))
    assert found.numpy() == pytest.approx(np.minimum((sde.alpha(t) / sde.sigma(t)).numpy() ** 2, cap), rel=1e-12)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["train.weighting=likelihood", "train.times=uniform"], "likelihood takes train.times = logsnr, its weight"),
        (["train.weighting=min-snr:cap=-1"], "cap must be greater than 0, got -1"),
        (["train.weighting=min_snr"], "no weighting is called 'min_snr'. Did you mean 'min-snr'?"),
        (["train.times=log-snr"], "no law of times is called 'log-snr'. Did you mean 'logsnr'?"),
    ],
)
def test_what_does_not_go_together_is_refused(assignments, message):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        options(*assignments)


@pytest.fixture
def edm():
    """EDM's training as two classes, filed as a file of the package would be."""

    @weightings("edm")
    class EDM(Weighting):
        """λ(σ) = (σ² + s²)/(σ s)² on the squared error of x_0, which is σ times that of ε where α = 1."""

        data_std: float = Field(0.5, gt=0, description="Standard deviation s of the data.")

        def weight(self, sde, t, scale):
            sigma = sde.sigma(t)
            return (sigma**2 + self.data_std**2) / self.data_std**2 * scale**2

    @time_laws("lognormal")
    class LogNormal(TimeLaw):
        """log σ/α ~ N(mean, std²)."""

        mean: float = Field(-1.2, description="Mean of log σ/α.")
        std: float = Field(1.2, gt=0, description="Standard deviation of log σ/α.")

        def times(self, sde, u, earliest):
            normal = math.sqrt(2) * torch.erfinv((2 * u - 1).clamp(-1 + 1e-12, 1 - 1e-12))
            return sde.time(-(self.mean + self.std * normal)).clamp(earliest, sde.t_max)

    yield
    del weightings._classes["edm"], time_laws._classes["lognormal"]


@pytest.mark.usefixtures("edm")
def test_a_new_weighting_and_a_new_law_are_one_class_each():
    """EDM's loss as Karras et al. 2022 publish it (equations 5 and 7, table 1), in NumPy, and two steps with it."""
    asked = ["sde.name=ve", "sde.sigma_max=80", "sde.sigma_min=0.002", "train.predicts=edm", "train.earliest=1e-6"]
    asked += ["train.weighting=edm", "train.times=lognormal:mean=-1.0"]
    chosen = configuration.load("digits", [*SMALL, *asked])
    images = chosen.data.load("train")
    state = start(chosen, images.shape, torch.device("cpu"))
    batch = Feed(images, chosen.train, torch.device("cpu"))
    batch = batch.batch(batch.draws(0))
    state.model.net.double()
    x0, z = batch.images.double(), batch.noise.double()
    batch = Batch(x0, None, batch.hidden, batch.uniform, z)
    sigma = np.exp(-1.0 + 1.2 * scipy.stats.norm.ppf(batch.uniform.numpy()))
    t = torch.from_numpy(np.log(sigma / 0.002) / math.log(80 / 0.002))
    assert times(chosen.sde, batch, chosen.train).numpy() == pytest.approx(t.numpy(), rel=1e-9)
    s, noise = 0.5, torch.from_numpy(sigma).reshape(-1, 1, 1, 1)
    root = (noise**2 + s**2).sqrt()
    x = x0 + noise * z
    with torch.no_grad():
        for weight in state.model.net.parameters():  # whose last layer begins with 0
            weight.add_(torch.linspace(-0.1, 0.1, weight.numel(), dtype=F).reshape(weight.shape))
        out = state.model.net(x / root, 999.0 * t)
        denoised = s**2 / root**2 * x + noise * s / root * out
        expected = (root**2 / (noise * s) ** 2 * (denoised - x0) ** 2).flatten(1).mean(1)
        assert losses(state.model, batch, chosen.train).numpy() == pytest.approx(expected.numpy(), rel=1e-6)
    state.model.net.float()
    assert [state.step for state in train(chosen, images, state)] == [1, 2]
    assert VESDE(sigma_max=80, sigma_min=0.002) == chosen.sde
    again = configuration.parse(chosen.tables(), "again")
    assert again == chosen and str(again.train.times) == "lognormal:mean=-1.0"
