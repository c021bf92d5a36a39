"""Weightings and laws of times: each against its paper."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch

from scoresde.core.errors import UsageError
from scoresde.models.predictions import predictions
from scoresde.sde import DDPM, VESDE, VPSDE, FlowSDE, sdes
from scoresde.training import config as configuration
from scoresde.training.batches import Batch, Feed
from scoresde.training.loop import start, train
from scoresde.training.objective import losses, times
from scoresde.training.time_laws import time_laws
from scoresde.training.weightings import weightings

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


@pytest.mark.parametrize("name", ["vp", "sub-vp", "vp-cosine", "ve", "flow"])
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


LAWS = [
    ("log-normal", -1.2, 1.2, VESDE(sigma_min=0.002, sigma_max=80)),
    ("log-normal:mean=0.5,std=3.0", 0.5, 3.0, VESDE(sigma_min=0.002, sigma_max=80)),
    ("logit-normal", 0.0, 1.0, FlowSDE()),
    ("logit-normal:mean=-1.0,std=2.0", -1.0, 2.0, FlowSDE(end=1e-6)),
    ("log-normal", -1.2, 1.2, VPSDE()),
]


@pytest.mark.parametrize(("text", "mean", "std", "sde"), LAWS)
def test_normal_laws_are_scipys_at_every_place(text, mean, std, sde):
    """ln σ/α has the quantiles of SciPy's normal law, and Kolmogorov's distance to it is that of even places."""
    earliest = 1e-4
    u = torch.cat([torch.tensor([0.0, 1e-9, 1e-4], dtype=F), even(4000), torch.tensor([1 - 1e-9, 1 - 2**-53], dtype=F)])
    t = time_laws.parse(text).times(sde, u, earliest)
    assert t.dtype == F and (t >= earliest).all() and (t <= sde.t_max).all() and (t.diff() >= 0).all()
    ends = -sde.log_snr(torch.tensor([earliest, sde.t_max], dtype=F)).numpy()
    law, found = scipy.stats.norm(mean, std), (sde.sigma(t).log() - sde.log_alpha(t)).numpy()
    assert found == pytest.approx(law.ppf(u.numpy()).clip(*ends), rel=1e-7, abs=1e-7)
    beyond = law.cdf(ends[0]) + law.sf(ends[1])
    assert scipy.stats.kstest(found[3:-2], law.cdf).statistic < 1.01 / 8000 + beyond


def test_a_law_is_one_of_its_own_on_flow_only_by_name():
    """On `flow` the logit of t is ln σ/α, so that t itself has SciPy's logit-normal quantiles."""
    t = time_laws["logit-normal"](mean=0.3, std=0.7).times(FlowSDE(end=1e-6), even(999), 1e-9)
    assert t.numpy() == pytest.approx(scipy.special.expit(scipy.stats.norm(0.3, 0.7).ppf(even(999))), rel=1e-9)
    same = time_laws["log-normal"](mean=0.3, std=0.7).times(FlowSDE(end=1e-6), even(999), 1e-9)
    assert torch.equal(t, same)


def test_a_law_beyond_the_process_is_its_end():
    for mean, place in ((-20.0, 1e-3), (20.0, 0.999)):
        t = time_laws["log-normal"](mean=mean, std=0.1).times(FlowSDE(), even(10), 1e-3)
        assert t.numpy() == pytest.approx(place)


@pytest.mark.parametrize("name", ["ve", "vp", "flow"])
def test_edms_weight_is_one_on_edms_output(name):
    """Karras et al. 2022, table 1: λ c_out² = 1 for data of the same deviation, whatever the process."""
    sde, s, t = sdes[name](), 0.7, torch.linspace(0.01, 0.99, 99, dtype=F)
    _, _, out = predictions["edm"](data_std=s).coefficients(sde.alpha(t), sde.sigma(t))
    assert weightings["edm"](data_std=s).weight(sde, t, out.abs()).numpy() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("name", ["uniform", "logit-normal"])
def test_the_loss_of_a_flow_is_the_squared_error_of_z_minus_x0(name):
    """Lipman et al. 2023, equation 23, in NumPy."""
    asked = ["sde.name=flow", "train.predicts=flow", f"train.times={name}", "train.label=scaled:scale=1000"]
    chosen = configuration.load("digits", [*SMALL, *asked])
    state = start(chosen, (1, 8, 8), torch.device("cpu"))
    state.model.net.double()
    x0, z = (torch.from_numpy(np.random.default_rng(i).normal(size=(16, 1, 8, 8))) for i in (0, 1))
    batch = Batch(x0, None, torch.zeros(16, dtype=torch.bool), even(16), z)
    u = (np.arange(16) + 0.5) / 16
    t = scipy.special.expit(scipy.stats.norm.ppf(u)) if name == "logit-normal" else 1e-5 + u * (0.999 - 1e-5)
    assert times(chosen.sde, batch, chosen.train).numpy() == pytest.approx(t, rel=1e-6)
    at = torch.from_numpy(t).reshape(-1, 1, 1, 1)
    with torch.no_grad():
        for weight in state.model.net.parameters():  # whose last layer begins with 0
            weight.add_(torch.linspace(-0.1, 0.1, weight.numel(), dtype=F).reshape(weight.shape))
        out = state.model.net((1 - at) * x0 + at * z, torch.from_numpy(1000 * t)).numpy()
        expected = ((z - x0).numpy() - out) ** 2
        found = losses(state.model, batch, chosen.train).numpy()
    assert found == pytest.approx(expected.reshape(16, -1).mean(1), rel=1e-5)


def test_edms_loss():
    """EDM's loss as Karras et al. 2022 publish it (equations 5 and 7, table 1), in NumPy, and two steps with it."""
    asked = ["sde.name=ve", "sde.sigma_max=80", "sde.sigma_min=0.002", "train.predicts=edm", "train.earliest=1e-6"]
    asked += ["train.weighting=edm", "train.times=log-normal:mean=-1.0", "train.label=log-sigma"]
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
        out = state.model.net(x / root, torch.from_numpy(np.log(sigma) / 4))
        denoised = s**2 / root**2 * x + noise * s / root * out
        expected = (root**2 / (noise * s) ** 2 * (denoised - x0) ** 2).flatten(1).mean(1)
        assert losses(state.model, batch, chosen.train).numpy() == pytest.approx(expected.numpy(), rel=1e-6)
    state.model.net.float()
    assert [state.step for state in train(chosen, images, state)] == [1, 2]
    assert VESDE(sigma_max=80, sigma_min=0.002) == chosen.sde
    again = configuration.parse(chosen.tables(), "again")
    assert again == chosen and str(again.train.times) == "log-normal:mean=-1.0"
