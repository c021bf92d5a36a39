"""Every process against 50-digit arithmetic, and against its own definition."""

import functools

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import process, sigmoid_levels

from scoresde.core.errors import UsageError
from scoresde.likelihood import chain as vlb_chain
from scoresde.sde import VESDE, VPSDE, Chain, sdes
from scoresde.solvers.grids import ChainGrid

mpmath.mp.dps = 50
TIMES = [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.25, 0.499, 0.5, 0.75, 0.9, 0.99, 0.9946]
M = mpmath.mpf


def vp_log_alpha(t):
    return -(M(t) ** 2) * (20 - M(0.1)) / 4 - M(0.1) * M(t) / 2


def cosine_log_alpha(t):
    s = M(0.008)
    angle = lambda t: mpmath.pi / 2 * (t + s) / (1 + s)
    return mpmath.log(mpmath.cos(angle(M(t))) / mpmath.cos(angle(0)))


@functools.cache
def ddpm_rate():
    """β at t = 1, so that -log ᾱ = ½ (0.1 + β) at the end is that of the thousand published steps."""
    betas = [M(1) / 10**4 + (M(2) / 100 - M(1) / 10**4) * n / 999 for n in range(1000)]
    return -2 * sum(mpmath.log1p(-b) for b in betas) - M(0.1)


def ddpm_log_alpha(t):
    return -(M(t) ** 2) * (ddpm_rate() - M(0.1)) / 4 - M(0.1) * M(t) / 2


def chain_log_alpha(t):
    rate = -2 * mpmath.log(M(sigmoid_levels()[-1])) - M(0.1)
    return -(M(t) ** 2) * (rate - M(0.1)) / 4 - M(0.1) * M(t) / 2


def root_of_rest(log_alpha):
    return lambda t: mpmath.sqrt(-mpmath.expm1(2 * log_alpha(t)))


TRUTH = {  # name: log α and σ from the papers' definitions, in 50 digits
    "vp": (vp_log_alpha, root_of_rest(vp_log_alpha)),
    "sub-vp": (vp_log_alpha, lambda t: -mpmath.expm1(2 * vp_log_alpha(t))),
    "vp-cosine": (cosine_log_alpha, root_of_rest(cosine_log_alpha)),
    "ddpm": (ddpm_log_alpha, root_of_rest(ddpm_log_alpha)),
    "chain": (chain_log_alpha, root_of_rest(chain_log_alpha)),
    "flow": (lambda t: mpmath.log(1 - M(t)), lambda t: M(t)),
    "ve": (lambda t: M(0), lambda t: M(0.01) * (M(50) / M(0.01)) ** M(t)),
}


def quantities(name):
    log_alpha, sigma = TRUTH[name]
    f = lambda t: mpmath.diff(log_alpha, t, h=M(10) ** -20)
    g = lambda t: mpmath.sqrt(mpmath.diff(lambda u: sigma(u) ** 2, t, h=M(10) ** -20) - 2 * f(t) * sigma(t) ** 2)
    return {"log_alpha": log_alpha, "sigma": sigma, "f": f, "g": g}


def test_every_process_has_a_truth():
    assert set(TRUTH) == set(sdes.all())


@pytest.mark.parametrize("quantity", ["log_alpha", "sigma", "f", "g"])
@pytest.mark.parametrize("name", TRUTH)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_relative_accuracy(name, quantity, dtype, bound):
    t = torch.tensor(TIMES, dtype=torch.float64).to(dtype)
    found = getattr(process(name), quantity)(t)
    assert found.dtype == dtype
    for time, value in zip(t.tolist(), found.tolist(), strict=True):
        truth = quantities(name)[quantity](M(time))
        assert abs(value - truth) <= bound * abs(truth), f"{name}.{quantity}({time}) = {value}, not {truth}"


@pytest.mark.parametrize("name", TRUTH)
def test_alpha_and_sigma_together_and_their_ratio_are_as_accurate(name):
    sde, (log_alpha, sigma) = process(name), TRUTH[name]
    t = torch.tensor(TIMES, dtype=torch.float64)
    rows = zip(TIMES, *(v.tolist() for v in (*sde.alpha_sigma(t), sde.log_snr(t), sde.scale(t))), strict=True)
    for time, *found in rows:
        a, s = mpmath.exp(log_alpha(M(time))), sigma(M(time))
        for value, truth in zip(found, (a, s, mpmath.log(a / s), mpmath.sqrt(a**2 + s**2)), strict=True):
            assert abs(value - truth) <= 1e-12 * max(abs(truth), 1e-3), f"{name} at {time}: {value}, not {truth}"


def test_what_follows_from_log_alpha_works_it_out_once(monkeypatch):
    asked, t = [], torch.full((1,), 0.3, dtype=torch.float64)
    monkeypatch.setattr(VPSDE, "log_alpha", lambda self, t: asked.append(t) or -t)
    for name in ("alpha_sigma", "log_snr", "scale"):
        asked.clear()
        getattr(VPSDE(), name)(t)
        assert len(asked) == 1, name


@pytest.mark.parametrize("name", TRUTH)
@settings(max_examples=200, deadline=None, derandomize=True)
@given(share=st.floats(0, 1))
def test_time_inverts_log_snr(name, share):
    sde = process(name)
    t = torch.tensor([1e-6 + share * (sde.t_max - 1e-6)], dtype=torch.float64)
    assert torch.allclose(sde.time(sde.log_snr(t)), t, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", TRUTH)
def test_log_snr_falls_and_the_prior_is_the_end(name):
    sde = process(name)
    t = torch.linspace(1e-6, sde.t_max, 1000, dtype=torch.float64)
    assert (sde.log_snr(t).diff() < 0).all()
    assert abs(float(sde.sigma(t[-1:])) / sde.prior_std - 1) < 1e-4


def test_published_table():
    """Values of the reference implementations at five times, to the digits given there."""
    sde = VPSDE()
    table = {
        1e-5: (0.999999499503, 0.001000497126, 6.907257776076),
        1e-3: (0.999945026511, 0.010485416335, 4.557714932730),
        0.1: (0.946721798821, 0.322052535525, 1.078290592942),
        0.5: (0.281182880797, 0.959654202068, -1.227567734411),
        1.0: (0.006571586495, 0.999978406892, -5.024978406659),
    }
    for level, row in zip(sde.levels(table), table.values(), strict=True):
        assert (level.alpha, level.sigma, level.log_snr) == pytest.approx(row, rel=1e-9)
    assert sdes["sub-vp"]().levels([0.5])[0].sigma == pytest.approx(0.920936187547, rel=1e-11)


def test_bad_options():
    with pytest.raises(UsageError, match="beta_max must be greater than beta_min = 0.1, got 0.05"):
        VPSDE(beta_max=0.05)
    for kind in (VPSDE, sdes["sub-vp"]):  # exp(-½ 2.7) = 0.259, and what the prior leaves out is a bias of every sample
        with pytest.raises(UsageError, match="the process must end in noise, ᾱ ≤ 0.25, got 0.259: raise beta_max"):
            kind(beta_max=2.6)
        kind(beta_max=2.7)
        with pytest.raises(UsageError, match="must end with α ≥ 1e-08, got 9.01e-09: lower beta_max"):  # exp(-¼ 74.1)
            kind(beta_max=74.0)
        kind(beta_max=73.0)
    with pytest.raises(UsageError, match="sigma_max must be greater"):
        VESDE(sigma_min=2.0, sigma_max=1.0)
    with pytest.raises(UsageError, match="beta_min must be greater than 0, got -1"):
        VPSDE(beta_min=-1)
    with pytest.raises(UsageError, match="Did you mean 'sub-vp'"):
        sdes["subvp"]


@pytest.mark.parametrize("name", TRUTH)
def test_a_process_says_at_which_times_a_network_is_trained_and_what_it_is_told(name):
    sde, u = process(name), torch.arange(10_000, dtype=torch.float64) / 10_000
    t = sde.training_times(u, 0.01)
    assert torch.equal(sde.nearest(t), t)
    if sde.chain is None:
        with pytest.raises(UsageError, match=f"a step is a level of a chain, such as ddpm, and {name} is none"):
            sde.step(t)
        assert t.numpy() == pytest.approx(0.01 + u.numpy() * (sde.t_max - 0.01))
        assert sde.share(t)[-1].item() == pytest.approx(t[-1].item() / sde.t_max)
    else:  # each of 1,000 levels ten times, by whole numbers
        levels = sde.step(t).numpy()
        assert levels == pytest.approx(np.repeat(np.arange(1000), 10), abs=1e-6)
        assert sde.share(t).numpy() == pytest.approx((np.repeat(np.arange(1000), 10) + 0.5) / 1000)
        first, second = sde.chain.times[:-1], sde.chain.times[1:]
        assert torch.equal(sde.nearest(0.9 * first + 0.1 * second), first)
        assert torch.equal(sde.nearest(0.1 * first + 0.9 * second), second)


def test_a_process_is_one_class_also_if_it_is_a_chain():
    """The levels of a chain with β = 0.02 for each step, in 50 digits: everything else follows from them."""

    class Even(VPSDE):
        @property
        def chain(self):
            a = torch.tensor([float(M("0.98") ** (n + 1)) for n in range(300)], dtype=torch.float64)
            return Chain(a, self.time(0.5 * (a.log() - torch.log1p(-a))))

    sde = Even()
    t = sde.training_times(torch.tensor([0, 0.5, 0.999], dtype=torch.float64), 1e-5)
    assert sde.alpha(t).square().numpy() == pytest.approx([0.98, 0.98**151, 0.98**300], rel=1e-12)
    assert sde.step(t).numpy() == pytest.approx([0, 150, 299], abs=1e-6)
    found = sde.step(torch.tensor(ChainGrid().times(sde, t[2].item(), t[0].item(), 13), dtype=torch.float64))
    assert found.numpy() == pytest.approx(np.linspace(299, 0, 14), abs=1e-6)
    assert vlb_chain(sde, 300).numpy() == pytest.approx(sde.chain.alphas_cumprod.numpy())
