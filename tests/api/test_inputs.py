"""What is handed over has one meaning, whatever form it has, or is refused with what to write."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import scoresde
from scoresde.api.inputs import data_of, measured
from scoresde.conditioners import DPS
from scoresde.core.errors import UsageError
from scoresde.core.units import Units
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import Blur, LinearOperator, Luma, Noisy, NonLinear, Pixels
from scoresde.sde import VPSDE

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (2, 3, 4, 6), dtype=np.uint8)
TRUTH = COLOURS / 127.5 - 1
GREYS = COLOURS[:, :1]


def model(*shape, units=None):
    found = GaussianModel(torch.zeros(shape), torch.ones(shape), VPSDE())
    found.units = units
    return found


COLOUR, GREY, VECTOR = model(3, 4, 6), model(1, 4, 6), model(5)
SERIES = model(2, 7, units=Units(torch.tensor([[10.0], [-3.0]]), torch.tensor([[2.0], [0.5]])))
RGB = Image.fromarray(COLOURS[0].transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("x", "around", "truth"),
    [
        (COLOURS, COLOUR, TRUTH),
        (torch.from_numpy(COLOURS), COLOUR, TRUTH),
        (COLOURS[0], COLOUR, TRUTH[:1]),
        (COLOURS.transpose(0, 2, 3, 1), COLOUR, TRUTH),
        (COLOURS[0].transpose(1, 2, 0), COLOUR, TRUTH[:1]),
        (TRUTH, COLOUR, TRUTH),
        (TRUTH.transpose(0, 2, 3, 1), COLOUR, TRUTH),
        (RGB, COLOUR, TRUTH[:1]),
        ([RGB, RGB], COLOUR, TRUTH[[0, 0]]),
        (RGB.convert("L"), COLOUR, np.asarray(RGB.convert("L"))[None, None].repeat(3, 1) / 127.5 - 1),
        (RGB, GREY, np.asarray(RGB.convert("L"))[None, None] / 127.5 - 1),
        (GREYS[:, 0], GREY, TRUTH[:, :1]),
        (GREYS[0, 0], GREY, TRUTH[:1, :1]),
        (GREYS.transpose(0, 2, 3, 1), GREY, TRUTH[:, :1]),
        (GREYS[0, 0] > 99, GREY, np.where(GREYS[:1] > 99, 1.0, -1.0)),
        (np.broadcast_to(COLOURS[0], (3, 4, 6)), COLOUR, TRUTH[:1]),  # which cannot be written to
        ([1, 2, 3, 4, 5], VECTOR, [[1, 2, 3, 4, 5]]),
        (np.arange(10, dtype=np.uint8).reshape(2, 5), VECTOR, np.arange(10).reshape(2, 5)),
        (np.full((2, 7), [[10.0], [-3.5]]), SERIES, np.tile([[0.0], [-1.0]], (1, 1, 7))),
        (torch.full((1, 2, 7), 10, dtype=torch.int64), SERIES, np.tile([[0.0], [26.0]], (1, 1, 7))),
    ],
)
def test_data_are_taken_in_every_form_that_has_one_meaning(x, around, truth):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = data_of(x, around)
    assert found.is_floating_point() and np.allclose(found.numpy(), np.asarray(truth), atol=1e-6)
    assert found.shape[1:] == around.shape


@pytest.mark.parametrize(
    ("x", "around", "message"),
    [
        (
            COLOURS.astype(np.float32),
            COLOUR,
            "x goes from 0 to 2.., and pictures here from -1 to 1: give x / 127.5 - 1, or",
        ),
        (257.0 * COLOURS, COLOUR, r"give x / 32767.5 - 1"),
        (np.arange(24.0).reshape(1, 1, 4, 6).clip(0, 16), GREY, "from 0 to 16, .*: give x / 8 - 1 if 16 is white"),
        (COLOURS / 255.0, COLOUR, "in steps of 1/255, and pictures here from -1 to 1: give 2 . x - 1, or uint8"),
        ((COLOURS / 255).astype(np.float32), COLOUR, "in steps of 1/255"),
        (COLOURS - 128.0, COLOUR, "black is -1 and white 1, scale it so"),
        (COLOURS.astype(np.int64), COLOUR, "whole numbers of int64.* is not known to be grey levels: give uint8"),
        ((GREYS > 99).astype(np.uint8), GREY, "holds only 0 and 1, nearly black among 256 levels: give 255 . x"),
        (COLOURS[:, :, :, :5], COLOUR, r"x is \(B, 3, 4, 6\) for B rows, or \(3, 4, 6\) for one, got \(2, 3, 4, 5\)"),
        (COLOURS.transpose(0, 1, 3, 2), COLOUR, r"got \(2, 3, 6, 4\)"),
        (COLOURS[:, 0], COLOUR, r"got \(2, 4, 6\)"),
        (torch.zeros(4, 1), GREY, r"got \(4, 1\)"),
        (torch.zeros(6), GREY, r"got \(6,\)"),
        (RGB.resize((7, 7)), COLOUR, r"x is 7x7 and 6x4 is expected: picture.resize\(\(6, 4\)\)"),
        (RGB.convert("RGBA"), COLOUR, r"the mode RGBA: picture.convert"),
        (RGB, VECTOR, r"x is no picture here, but numbers of the shape \(5,\)"),
        (torch.zeros(3), model(1), r"got \(3,\): give x\[:, None\] for rows of one number"),
        (torch.zeros(5, 1), VECTOR, r"got \(5, 1\)"),
        (torch.zeros(7, 2), SERIES, r"got \(7, 2\)"),
        ("picture.png", COLOUR, "x: data must be"),
        (torch.zeros(5, dtype=torch.complex64), VECTOR, "x: data must be real numbers"),
        ([[1.0], [1.0, 2.0]], VECTOR, "x: data must be an array"),
    ],
)
def test_data_that_have_two_meanings_or_none_are_refused(x, around, message):
    with pytest.raises(UsageError, match=message):
        data_of(x, around)


def test_a_range_that_is_likely_wrong_is_a_warning_and_one_that_is_right_none():
    """Floats in [0, 1] that are not 256 levels may be right; far ones of a poor network are taken."""
    ramp = torch.linspace(0, 1, 24).reshape(1, 1, 4, 6)
    with pytest.warns(UserWarning, match=r"x goes from 0 to 1, and black is -1 here: give 2 \* x - 1 if 0 is black"):
        data_of(ramp, GREY)
    with pytest.warns(UserWarning, match="x goes from 0 to 16, nearly black among 256 levels: give x / 8 - 1 if 16"):
        data_of((16 * ramp).byte(), GREY)  # as of scikit-learn's digits
    for x in (2 * ramp - 1, 0.4 + 0.6 * ramp, 6 * (ramp - 0.5), torch.zeros(1, 1, 4, 6), TRUTH[:, :1]):
        assert data_of(x, GREY).shape[1:] == (1, 4, 6)
    for x in (1000 * ramp, ramp):  # no pictures
        assert data_of(x, model(1, 4, 6, units=Units(torch.zeros(1, 1, 1), torch.ones(1, 1, 1)))).shape == ramp.shape


MATRIX = torch.randn(20, 72, generator=torch.Generator().manual_seed(0))
RANDOM = LinearOperator(lambda x: x.flatten(1) @ MATRIX.to(x).T, lambda y: (y @ MATRIX.to(y)).reshape(-1, 3, 4, 6))
HOLE = np.ones((4, 6), bool)
HOLE[1:3, 2:4] = False


@pytest.mark.parametrize(
    ("y", "seen", "around", "truth"),
    [
        (COLOURS, Pixels(HOLE), COLOUR, TRUTH),
        (RGB, Pixels(HOLE), COLOUR, TRUTH[:1]),
        (COLOURS[0].transpose(1, 2, 0), Noisy(), COLOUR, TRUTH[:1]),
        (RGB, Luma(), COLOUR, np.asarray(RGB.convert("L"))[None, None] / 127.5 - 1),
        (GREYS[0, 0], Luma(), COLOUR, TRUTH[:1, :1]),
        (TRUTH[:, 0], Luma(), COLOUR, TRUTH[:, :1]),
        (
            TRUTH.reshape(2, 72) @ MATRIX.T.double().numpy(),
            RANDOM,
            COLOUR,
            TRUTH.reshape(2, 72) @ MATRIX.T.double().numpy(),
        ),
        (
            np.where(HOLE, TRUTH, 1e6),
            Pixels(HOLE),
            COLOUR,
            np.where(HOLE, TRUTH, 1e6),
        ),  # what is not read may be anything
        (255 * torch.ones(2), NonLinear(lambda x: x.sum((1, 2, 3))), COLOUR, [255, 255]),
        ([1.0, 2.0], NonLinear(lambda x: x[:, :2]), VECTOR, [[1.0, 2.0]]),
    ],
)
def test_measurements_are_taken_in_every_form_that_has_one_meaning(y, seen, around, truth):
    found = measured(y, seen.of_shape(around.shape), around)
    assert np.allclose(found.numpy(), np.asarray(truth), atol=1e-6)


@pytest.mark.parametrize(
    ("y", "seen", "message"),
    [
        (COLOURS.astype(np.float32), Pixels(HOLE), "y goes from 0 to 2.., .* give y / 127.5 - 1, or uint8"),
        (COLOURS / 255.0, Pixels(HOLE), "give 2 . y - 1, or uint8"),
        (COLOURS.astype(np.float32), Noisy(noise=0.5), "y goes from 0 to 2.."),
        (GREYS.astype(np.float32), Luma(), "y goes from 0 to 2.."),
        (COLOURS.astype(np.float32), Blur(torch.ones(3, 3) / 9), "y goes from"),
        (
            COLOURS.reshape(2, 72).astype(np.float32) @ MATRIX.T.numpy(),
            RANDOM,
            "no picture in .* has a measurement of mo",
        ),
        (np.zeros((2, 20), np.uint8), RANDOM, r"uint8, of which one row, \(20,\), has no 256 grey levels"),
        (COLOURS, Luma(), r"y is \(B, 1, 4, 6\) for B rows, or \(1, 4, 6\) for one, got \(2, 3, 4, 6\)"),
        (np.full((2, 3, 4, 6), np.nan), Pixels(HOLE), "must be finite"),
    ],
)
def test_measurements_that_cannot_be_are_refused(y, seen, message):
    with pytest.raises(UsageError, match=message):
        scoresde.condition(COLOUR, seen, y, DPS)


def test_one_measurement_is_that_of_all_samples():
    """Given as a row, without one, as a picture of bytes, and with the mask itself: the same samples."""
    whole = torch.from_numpy(COLOURS[:1])
    found = [
        scoresde.sample(scoresde.condition(COLOUR, seen, y), "ddim", 3, steps=3).x
        for seen, y in [
            (Pixels(HOLE), whole),
            (HOLE, whole[0]),
            (Image.fromarray(HOLE), RGB),
            (torch.from_numpy(HOLE).float(), TRUTH[0].astype(np.float32)),
            (np.broadcast_to(HOLE, (3, 4, 6)), COLOURS[0].transpose(1, 2, 0)),
            (255 * HOLE.astype(np.uint8), np.where(HOLE, TRUTH[0], np.nan).astype(np.float32)),
        ]
    ]
    assert all(torch.allclose(found[0], other, atol=1e-6) for other in found[1:])
    assert torch.allclose(found[0][:, :, HOLE], torch.from_numpy(TRUTH[0][:, HOLE]).float(), atol=1e-6)
    assert not torch.allclose(found[0][0], found[0][1])


@pytest.mark.parametrize("function", [torch.abs, torch.sin, lambda x: x.square().mean((2, 3)), lambda x: x.log()])
def test_what_is_not_linear_has_a_range_too(function):
    """A measurement of a picture in [0, 255] where no picture in [-1, 1] has one like it; a function of no range."""
    seen = NonLinear(function, noise=0.1)
    fine = seen.forward(torch.from_numpy(TRUTH[:1]).float().abs())
    assert torch.equal(measured(fine, seen, COLOUR), fine)
    far = torch.from_numpy(COLOURS[:1]).float() + (0 if function is not torch.sin else 200)
    if function(-torch.ones(1, 1, 1, 1)).isfinite().all():
        with pytest.raises(UsageError, match="no picture in .* has a measurement of more than"):
            measured(far if function is torch.sin else seen.forward(far), seen, COLOUR)
