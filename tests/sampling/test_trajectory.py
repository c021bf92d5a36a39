"""Drawings of samples on their way: every frame of an animation shows the same place at the same pixel."""

import numpy as np
import pytest
import torch

from scoresde.core.units import Units
from scoresde.sampling.trajectory import drawn_way


@pytest.mark.parametrize("units", [None, Units(torch.tensor([3.0, -7.0]), torch.tensor([2.0, 2.0]))])
def test_a_point_that_rests_is_drawn_at_one_pixel_while_the_others_move(units):
    rest = torch.tensor([[0.25, -0.5]])
    states = [torch.cat([rest, torch.full((4, 2), 3.0) * scale]) for scale in (1.0, -0.6, 0.3)]
    states = [state if units is None else units.to_data(state) for state in states]
    strip, frames = drawn_way(states, own_range=units is not None)
    assert len(frames) == 3 and strip.size == (sum(frame.width for frame in frames), frames[0].height)
    # Blue where the point is, in the colour of all points: what is blue in every frame is the point that rests.
    blue = [np.asarray(frame).astype(int)[..., 2] - np.asarray(frame).astype(int)[..., 0] > 100 for frame in frames]
    ys, xs = np.nonzero(blue[0] & blue[1] & blue[2])
    assert 4 <= len(xs) <= 40 and np.ptp(xs) < 8 and np.ptp(ys) < 8
    assert all(mask.sum() > len(xs) + 4 for mask in blue), "the others are seen too, elsewhere"


def test_pictures_are_sheets_of_the_levels_that_they_have():
    states = [torch.full((2, 1, 8, 8), level) for level in (-1.0, 0.2, 1.0)]
    strip, frames = drawn_way(states)
    found = [int(np.asarray(frame)[frame.height // 2, frame.width // 4, 0]) for frame in frames]
    assert found == [0, 153, 255] and strip.width > frames[0].width
