"""Samples that leave the range of pictures are named, and those that do not are not."""

import math

import pytest
import torch

import scoresde
from scoresde.models.gaussian import GaussianModel
from scoresde.models.network import network_of
from scoresde.sampling.samples import Samples
from scoresde.sampling.value_range import beyond, warn
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

GOOD = ["adams", "unipc:steps=10", "dpm++:steps=20", "euler:steps=30", "sde-dpm++:steps=30", "em:steps=150"]
BAD = ["unipc:steps=5,prediction=noise", "unipc:steps=10,prediction=noise", "unipc:steps=5"]


@pytest.fixture(scope="module")
def digits():
    return scoresde.load("digits")


def test_the_distance_is_that_of_the_nearest_point_of_the_range():
    x = torch.tensor([[0.5, -1.0, 1.0, 0.0], [1.5, -2.0, 0.0, 1.0]]).reshape(2, 1, 2, 2)
    nearest = x.clamp(-1, 1)
    assert torch.allclose(beyond(x), (x - nearest).flatten(1).square().mean(1).sqrt())
    assert beyond(x).tolist() == pytest.approx([0, math.sqrt(1.25 / 4)])


@pytest.mark.parametrize("solver", GOOD)
def test_good_samples_are_not_named(solver, caplog):
    out = scoresde.sample("digits", solver, n=8)
    assert out.info["beyond"] < 0.05 and not caplog.records


@pytest.mark.parametrize("solver", BAD)
def test_samples_that_left_the_range_are_named(solver, caplog):
    out = scoresde.sample("digits", solver, n=8)
    (record,) = caplog.records
    assert f"samples by {solvers.parse(solver)} leave the range [-1, 1]" in record.getMessage()
    assert out.info["beyond"] == pytest.approx(float(beyond(out.x).mean()), rel=1e-6) and out.info["beyond"] > 0.5
    assert "--steps" in record.getMessage() and record.levelname == "WARNING"


def test_one_of_many_that_strays_is_not_named(digits, caplog):
    """Half of them are the limit, so that a single sample of a short run decides for nobody else."""
    x = torch.zeros(4, *digits.shape)
    for strays, named in ((2, 0), (3, 1)):
        x[:strays] = 1.5
        warn(Samples(x, 1, 1, 0.0, {}, solver="euler"), digits)
        assert len(caplog.records) == named


def test_clipped_predictions_stay_inside(digits, caplog):
    out = scoresde.sample(scoresde.ClippedModel(digits), BAD[0], n=4)
    assert out.info["beyond"] < 1e-3 and not caplog.records


def test_what_has_no_range_is_not_judged(caplog):
    """A closed form, and a network whose data have units or are no pictures."""
    wide = GaussianModel(torch.zeros(1, 8, 8), 9 * torch.ones(1, 8, 8), VPSDE())
    assert "beyond" not in scoresde.sample(wide, "euler:steps=5", n=2).info and not caplog.records

    class Nothing(torch.nn.Module):
        def forward(self, x, label):
            return torch.zeros_like(x)

    far = scoresde.NetworkModel(Nothing(), VPSDE(), (2, 4, 4))  # noise that nothing removes, α times too large
    assert "beyond" not in scoresde.sample(far, "euler:steps=5", n=2).info and not caplog.records
    far = scoresde.NetworkModel(Nothing(), VPSDE(), (3, 4, 4))
    assert scoresde.sample(far, "euler:steps=5", n=2).info["beyond"] > 10 and len(caplog.records) == 1
    scoresde.sample(far, n=2)  # by `adams`, which no warning may recommend in its own place
    assert "take more steps" in caplog.messages[0] and "train the network longer" in caplog.messages[1]
    assert "adams, the default" not in caplog.messages[1]
    assert network_of(scoresde.ClippedModel(far)) is far and network_of(wide) is None
