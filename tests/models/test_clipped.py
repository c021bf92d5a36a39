"""Clipped predictions: the range holds, what lies inside is left alone, and everything else composes."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.random import generators
from scoresde.core.units import Units
from scoresde.models.clipped import ClippedModel
from scoresde.models.gaussian import GaussianModel
from scoresde.models.network import NetworkModel
from scoresde.observations import Pixels
from scoresde.sampling.sample import sample, transport
from scoresde.sde import DDPM, VPSDE
from scoresde.solvers import solvers

SHAPE = (1, 4, 4)
WIDE = GaussianModel(torch.zeros(SHAPE, dtype=torch.float64), torch.full(SHAPE, 4.0, dtype=torch.float64), VPSDE())
NARROW = GaussianModel(torch.zeros(SHAPE, dtype=torch.float64), torch.full(SHAPE, 1e-3, dtype=torch.float64), VPSDE())


GOLDEN = Path(__file__).parent.parent / "golden" / "foreign" / "diffusers-vp"


def noise(model):
    return model.prior(generators(range(8)), dtype=torch.float64)


@pytest.mark.parametrize("solver", ["dpm++", "heun", "adams", "ancestral"])
def test_samples_stay_in_the_range(solver):
    x, seeds = noise(WIDE), generators(range(8))
    free = sample(WIDE, solvers[solver](), x, generator=seeds)
    cut = sample(ClippedModel(WIDE, -0.5, 1.0), solvers[solver](), x, generator=generators(range(8)))
    assert free.x.min() < -0.5 and free.x.max() > 1 and cut.x.min() >= -0.5 - 1e-9 and cut.x.max() <= 1 + 1e-9


def test_what_lies_inside_is_left_alone_bit_for_bit():
    x = noise(NARROW)
    free, cut = (sample(m, solvers["dpm++"](steps=20), x) for m in (NARROW, ClippedModel(NARROW)))
    assert torch.equal(free.x, cut.x) and free.nfe == cut.nfe == 21


def test_a_condition_around_it_is_met():
    mask = torch.ones(1, 1, 4, 4)
    mask[..., 2:] = 0
    y = torch.full((8, *SHAPE), 0.7, dtype=torch.float64)
    around = conditioners["projection"]().condition(ClippedModel(WIDE), Pixels(mask), y)
    x = sample(around, solvers["dpm++"](steps=20), noise(WIDE)).x
    assert torch.equal(x[..., :2], y[..., :2]) and x.abs().max() <= 1 + 1e-9


def test_an_empty_range_is_refused():
    with pytest.raises(UsageError, match="a lower and a higher value, got 1 and -1"):
        ClippedModel(WIDE, 1.0, -1.0)


def test_the_command_line_clips(run, tmp_path):
    run("sample --clip -n 2 --solver dpm++ --steps 5 --out out --quiet")
    assert '"clip": true' in (tmp_path / "out" / "samples.json").read_text()


@pytest.mark.parametrize("clip", [False, True])
def test_ddim_clips_as_diffusers_does(clip):
    """Ten steps of DDIMScheduler by diffusers itself: with `clip_sample` it cuts x̂_0 off and keeps ε."""
    diffusers = pytest.importorskip("diffusers")
    golden = safetensors.torch.load_file(GOLDEN / "golden.safetensors")
    sde, net = DDPM(), diffusers.UNet2DModel.from_pretrained(GOLDEN / "unet").eval().requires_grad_(False)
    times = sde.times[golden["ddim10_timesteps"]].tolist()
    solver = solvers["ddim"](steps=9, grid={"name": "list", "at": tuple(times[1:-1])}, clip_x0=clip)
    model = NetworkModel(net, sde, (3, 16, 16))
    x = transport(model, solver, golden["x"], start=times[0], stop=times[-1], denoise=True).x
    if clip:
        kept, x = golden["ddim10_clip_sample"], x.clamp(-1, 1)  # its last step, to the data, clips too
        anew = transport(ClippedModel(model), "euler:steps=9", golden["x"], start=times[0], stop=times[-1]).x
        assert float((anew - kept).abs().max()) > 0.1
        torch.testing.assert_close(x, kept, rtol=0, atol=1e-4)  # float32, and x̂_0 has 65 times its rounding at first
    else:
        torch.testing.assert_close(x, golden["ddim10"], rtol=1e-4, atol=1e-4)


def test_keeping_the_noise_changes_nothing_where_nothing_is_cut_off():
    x = noise(NARROW)
    free, cut = (
        sample(NARROW, solvers["ddim"](steps=20, eta=0.5, clip_x0=c), x, generator=generators(range(8)))
        for c in (False, True)
    )
    assert torch.equal(free.x, cut.x)


def test_keeping_the_noise_is_refused_where_it_means_nothing(run):
    model = GaussianModel(torch.zeros(2), torch.eye(2), VPSDE())
    model.units = Units(torch.zeros(2), torch.full((2,), 9.0))
    with pytest.raises(UsageError, match="clip_x0 cuts off at -1 and 1"):
        sample(model, solvers["ddim"](steps=2, clip_x0=True), model.prior(range(2)))
    assert "--clip-x0 is not an option of dpm" in run("sample -n 1 --solver dpm --clip-x0 true --out out", 2)
