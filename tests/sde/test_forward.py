"""Data on their way to noise: mean and variance at each time, by other libraries' chains and by the definitions."""

import math

import pytest
import torch

from scoresde.core.errors import UsageError
from scoresde.core.random import generators, randn
from scoresde.sde import noised, sdes, share_of, time_at

DIFFUSERS = {"linear": "linear", "cosine": "squaredcos_cap_v2", "quadratic": "scaled_linear", "sigmoid": "sigmoid"}
CLOSED = {  # the mean's factor and the variance at the share u, from the definitions
    "vp": lambda u: (math.exp(-0.25 * u**2 * 19.9 - 0.05 * u), 1 - math.exp(-0.5 * u**2 * 19.9 - 0.1 * u)),
    "ve": lambda u: (1.0, (0.01 * 5000**u) ** 2),
    "flow": lambda u: (1 - 0.999 * u, (0.999 * u) ** 2),
}


def truth(name, share):
    """The mean's factor and the variance of x_t."""
    if name in CLOSED:
        return CLOSED[name](share)
    schedulers = pytest.importorskip("diffusers.schedulers")
    n = round(share * 1000)
    kept = schedulers.DDPMScheduler(1000, beta_schedule=DIFFUSERS[name.split("=")[1]]).alphas_cumprod.double()[n - 1]
    return (math.sqrt(kept), 1 - float(kept)) if n else (1.0, 0.0)


@pytest.mark.parametrize("share", [0, 0.1, 0.4, 1])
@pytest.mark.parametrize("name", [*CLOSED, *(f"ddpm:schedule={schedule}" for schedule in DIFFUSERS)])
def test_mean_and_variance_at_each_time(name, share):
    sde, count = sdes.parse(name), 100_000
    t = torch.tensor([time_at(sde, share)], dtype=torch.float64)
    x0, z = torch.full((1, count), 0.7).double(), randn((1, count), generators([3]), dtype=torch.float64)
    x = noised(sde, x0, t, z)
    factor, variance = truth(name, share)
    # Without noise the mean is exact, to the single precision of diffusers' tables.
    assert float(noised(sde, x0, t, 0 * z).mean()) == pytest.approx(0.7 * factor, rel=2e-5, abs=1e-8)
    assert float(x.mean()) == pytest.approx(0.7 * factor, abs=5 * math.sqrt(variance / count) + 1e-6)
    assert float(x.var()) == pytest.approx(variance, rel=5 * math.sqrt(2 / count), abs=1e-9)


@pytest.mark.parametrize("name", ["vp", "flow", "ddpm:steps=300", "ddpm:steps=4000,schedule=cosine"])
def test_a_share_of_the_process_is_what_the_process_says_it_is(name):
    sde = sdes.parse(name)
    steps = 1000 if sde.chain is None else len(sde.chain.times)
    for share in (1 / steps, 0.25, 0.5, 1.0):
        found = float(sde.share(torch.tensor([time_at(sde, share)], dtype=torch.float64)))
        assert found == pytest.approx(share, abs=0.51 / steps)  # that of a step is of its middle


def test_a_time_is_read_as_a_share():
    assert [share_of(text) for text in ("0", "0.25", " 75/300", "1")] == [0, 0.25, 0.25, 1]
    chain = sdes.parse("ddpm:steps=300")
    assert time_at(chain, share_of("75/300")) == float(chain.times[74]) and time_at(chain, 0.0) == 0
    for text in ("", "x", "75", "301/300", "-0.1", "1/0", "nan", "inf", "1e999"):
        with pytest.raises(UsageError, match="share of the process, such as"):
            share_of(text)
    with pytest.raises(UsageError, match=r"from 0 for data to 1 for noise, got 1\.5"):
        time_at(chain, 1.5)
