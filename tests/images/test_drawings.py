"""Samples of any shape as a picture: what is drawn is where the numbers are."""

import numpy as np
import pytest
import torch

from scoresde.core.errors import UsageError
from scoresde.images.drawings import drawing
from scoresde.images.sheets import sheet

SHAPES = [(1,), (2,), (3,), (16,), (1, 40), (3, 64), (1, 8, 8), (2, 8, 8), (3, 8, 8), (1, 4, 8, 8), (2, 2, 2, 2, 2)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 70])
def test_samples_of_every_shape_can_be_drawn(shape, count):
    x = 100 + torch.randn(count, *shape)
    for reference in (x[:3] + 1, None) if count == 1 else (x[:3] + 1,):
        picture = drawing(x, reference, own_range=True)
        assert picture.mode == "RGB" and len(picture.getcolors(1 << 20)) > 1


def test_constant_samples_can_be_drawn():
    for shape in SHAPES:
        drawing(torch.full((2, *shape), 3.0), own_range=True)


def test_pictures_are_the_sheet():
    x = torch.rand(5, 3, 16, 16) * 2 - 1
    assert np.array_equal(drawing(x), sheet(x, zoom=4))


def blue(picture):
    """Where the ink of samples is."""
    r, _, b = (np.asarray(picture, dtype=int)[..., i] for i in range(3))
    return b - r > 80


def test_a_scatter_plot_shows_its_points_where_they_are():
    """Samples in the right upper corner of the data's square are in the right upper part of the picture."""
    data = torch.rand(500, 2)
    found = blue(drawing(torch.rand(200, 2) * 0.2 + 0.8, data))
    rows, columns = np.nonzero(found)
    assert np.median(rows) < found.shape[0] * 0.4 and np.median(columns) > found.shape[1] * 0.6


def test_a_curve_rises_where_the_series_rises():
    found = blue(drawing(torch.linspace(0, 5, 50)[None, None]))
    heights = [np.nonzero(column)[0].mean() for column in found.T if column.any()]
    assert all(a >= b for a, b in zip(heights, heights[1:], strict=False)) and heights[0] > heights[-1] + 20


def test_a_map_shows_the_middle_of_a_volume_in_its_own_range():
    x = torch.zeros(1, 1, 5, 8, 8)
    x[0, 0, 2, :4] = 700.0
    picture = np.asarray(drawing(x, own_range=True))
    assert set(np.unique(picture)) == {0, 64, 255} and (picture == 255).sum() == (picture == 0).sum()


def test_nothing_is_not_drawn():
    for x in (torch.zeros(0, 2), torch.zeros(5), torch.zeros(2, 0)):
        with pytest.raises(UsageError, match="can be drawn"):
            drawing(x)


def test_no_global_figure_is_left_behind():
    drawing(torch.rand(5, 2))
    import sys

    if "matplotlib.pyplot" in sys.modules:
        assert not sys.modules["matplotlib.pyplot"].get_fignums()
