"""Chains whose levels are given: those of diffusers' schedulers, and a last level without signal."""

import logging
import tomllib

import pytest
import torch
from processes import sigmoid_levels

from scoresde.core.errors import UsageError
from scoresde.core.options import table
from scoresde.sde import DDPM, GivenChain, sdes
from scoresde.training.config import to_toml

F = torch.float64


def test_given_the_levels_of_ddpm_it_is_ddpm():
    own = DDPM(steps=300, beta_first=1e-4, beta_last=0.05)
    given = GivenChain(alphas_cumprod=tuple(own.alphas_cumprod.tolist()))
    t = torch.linspace(own.t_min, 1, 1000, dtype=F)
    for quantity in ("log_alpha", "sigma", "f", "g", "log_snr", "step", "nearest", "share"):
        assert torch.allclose(getattr(given, quantity)(t), getattr(own, quantity)(t), rtol=1e-10, atol=1e-13), quantity
    assert given.t_min == pytest.approx(own.t_min) and given.t_max == 1


@pytest.mark.parametrize("levels", [sigmoid_levels(), (0.9999, 0.9, 0.3, 1e-4), (0.5, 6e-8)])
def test_the_levels_are_those_given(levels):
    sde = GivenChain(alphas_cumprod=levels)
    given, n = torch.tensor(levels, dtype=F), torch.arange(len(levels), dtype=F)
    assert torch.allclose(sde.alpha(sde.times).square(), given, rtol=1e-12)
    assert torch.allclose(sde.sigma(sde.times).square(), 1 - given, rtol=1e-9)
    assert torch.allclose(sde.chain.alphas_cumprod, given, rtol=1e-12)
    assert torch.allclose(sde.step(sde.times), n, atol=1e-6) and sde.times[-1] == 1


def test_a_last_level_without_signal_is_left_out_and_said(caplog):
    """A scheduler of diffusers whose betas were rescaled to end without signal, as Lin et al. do it."""
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.DDPMScheduler(1000, rescale_betas_zero_snr=True).alphas_cumprod
    assert theirs[-1] == 0
    with caplog.at_level(logging.WARNING, "scoresde"):
        sde = GivenChain(alphas_cumprod=theirs.tolist())
    assert caplog.messages == ["left out the last of 1000 levels, which has no signal"]
    assert len(sde.times) == 999 and torch.allclose(sde.alpha(sde.times).square(), theirs[:-1].double(), rtol=1e-9)
    caplog.clear()
    assert sdes.build(table(sde)) == sde and not caplog.messages  # what is kept has no such level


def test_it_survives_a_table_and_a_text():
    sde = GivenChain(alphas_cumprod=sigmoid_levels(20))
    assert sdes.build(tomllib.loads(to_toml({"sde": table(sde)}))["sde"]) == sde
    assert sdes.parse("chain:alphas_cumprod=0.9/0.4/0.1") == GivenChain(alphas_cumprod=(0.9, 0.4, 0.1))


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ((0.2,), "at least two levels with a signal, got 1"),
        ((0.2, 0.0), "at least two levels with a signal, got 1"),
        ((), "at least two levels with a signal, got 0"),
        ((0.5, 0.6, 0.1), "must fall from below 1 to above 0, got 0.6 after 0.5 at level 1"),
        ((1.0, 0.1), "must fall from below 1 to above 0, got 1 after 1 at level 0"),
        ((0.5, 0.0, 0.0), "must fall from below 1 to above 0, got 0 after 0.5 at level 1"),
        ((0.5, -0.1), "must fall from below 1 to above 0, got -0.1 after 0.5 at level 1"),
        ((0.5, float("nan")), "must be a finite number"),
        ((0.9, 0.5), "the chain must end in noise, ᾱ ≤ 0.25, got 0.5: give all of its levels"),
    ],
)
def test_bad_levels(levels, message):
    with pytest.raises(UsageError, match=message):
        GivenChain(alphas_cumprod=levels)


def test_its_repr_is_a_line():
    assert repr(GivenChain(alphas_cumprod=(0.99, 0.5, 0.01))) == "GivenChain(3 levels, ᾱ from 0.99 to 0.01)"
