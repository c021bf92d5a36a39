"""Clipped predictions: the range holds, what lies inside is left alone, and everything else composes."""

import pytest
import torch

from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.random import generators
from scoresde.models.clipped import ClippedModel
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import Pixels
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

SHAPE = (1, 4, 4)
WIDE = GaussianModel(torch.zeros(SHAPE, dtype=torch.float64), torch.full(SHAPE, 4.0, dtype=torch.float64), VPSDE())
NARROW = GaussianModel(torch.zeros(SHAPE, dtype=torch.float64), torch.full(SHAPE, 1e-3, dtype=torch.float64), VPSDE())


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
