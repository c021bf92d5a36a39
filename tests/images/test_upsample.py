"""Colours brought up along the edges of a luma, and luma that is kept."""

import numpy as np
import pytest
import torch
from PIL import Image

from scoresde.core.random import randn, stream
from scoresde.images import pictures, sheets
from scoresde.images.upsample import guided, resized, with_luma
from scoresde.observations import Luma


def noise(*shape, name="x"):
    return randn(shape, stream(0, name))


@pytest.mark.parametrize("size", [(7, 5), (16, 12), (50, 41)])
def test_pictures_are_resized_as_by_pillow(size):
    """Pillow's own bicubic filter on 32-bit floats is the truth, for smaller and for larger sizes."""
    x = noise(2, 3, 16, 12)
    found = resized(x, size)
    for image, ours in zip(x.reshape(-1, 16, 12), found.reshape(-1, *size), strict=True):
        theirs = np.asarray(Image.fromarray(image.numpy()).resize(size[::-1], Image.Resampling.BICUBIC))
        assert np.abs(ours.numpy() - theirs).max() < 1e-5
    assert resized(x, (16, 12)) is x


@pytest.mark.parametrize("dark", [-0.5, 0.0])
def test_an_edge_of_the_luma_is_one_of_the_colours(dark):
    """Two flat halves, whose edge lies within a small pixel: bicubic enlargement blurs it, the guide does not."""
    guide = torch.full((1, 1, 64, 64), dark)
    guide[..., 36:] = dark + 1
    truth = torch.cat([0.3 * guide, -0.6 * guide, 0.1 * guide], 1)
    small, low = resized(guide, (8, 8)), resized(truth, (8, 8))
    errors = [float((x - truth).square().mean().sqrt()) for x in (guided(low, small, guide), resized(low, (64, 64)))]
    assert errors[0] < 0.5 * errors[1]


def test_the_reduction_of_the_result_is_what_was_given():
    guide = noise(1, 1, 64, 48, name="guide").cumsum(2).div(8).tanh()
    low = resized(noise(2, 3, 64, 48).cumsum(3).div(8).tanh(), (8, 6))
    missed = [
        float((resized(guided(low, resized(guide, (8, 6)), guide, rounds), (8, 6)) - low).abs().max())
        for rounds in (0, 3, 12)
    ]
    assert missed[2] < 0.2 * missed[1] < 0.2 * missed[0]


def test_the_luma_is_that_of_pillow_at_every_level_for_any_colours():
    """Every level, with colours that mostly leave the range: what Pillow measures of the result is the level."""
    levels = np.arange(256, dtype=np.uint8).repeat(64).reshape(128, 128)
    luma = pictures.scaled(Image.fromarray(levels))[None]
    found = with_luma(luma, 0.7 * noise(4, 3, 128, 128), Luma.weights)
    assert float(found.min()) >= -1 and float(found.max()) <= 1
    for image in found:
        assert np.array_equal(np.asarray(sheets.single(image).convert("L")), levels)
    spread = found.std(0).mean((0, 1)).reshape(-1)
    assert float(spread.mean()) > 0.02  # the colours are kept as far as there is room


def test_colours_that_fit_stay_what_they_are():
    luma, chroma = torch.zeros(1, 1, 8, 8), 0.2 * noise(1, 3, 8, 8).tanh()
    inside = chroma - (chroma * torch.tensor(Luma.weights)[:, None, None]).sum(1, keepdim=True)
    assert float((with_luma(luma, chroma, Luma.weights) - inside).abs().max()) < 1.6 / 127.5
