"""Fillings without a seam."""

import numpy as np
import pytest
import torch
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from scoresde.core.random import randn, stream
from scoresde.images.seams import blended, membrane


def exact(values, known):
    """Δm = 0 on the pixels that are not known, by SciPy's direct solver; the border of the picture reflects."""
    height, width = known.shape
    number = {(int(r), int(c)): i for i, (r, c) in enumerate(np.argwhere(~known))}
    matrix, right = lil_matrix((len(number), len(number))), np.zeros(len(number))
    for (r, c), i in number.items():
        for a, b in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
            if 0 <= a < height and 0 <= b < width:
                matrix[i, i] += 1
                if known[a, b]:
                    right[i] += values[a, b]
                else:
                    matrix[i, number[a, b]] -= 1
    found = values.copy()
    found[~known] = spsolve(matrix.tocsr(), right)
    return found


def holes():
    for name, size, parts in (
        ("a square", (40, 40), [(8, 8, 32, 32)]),
        ("at the border", (33, 27), [(0, 5, 20, 27)]),
        ("two", (31, 50), [(2, 2, 9, 12), (15, 20, 29, 48)]),
        ("a pixel", (16, 16), [(7, 7, 8, 8)]),
    ):
        known = np.ones(size, bool)
        for top, left, bottom, right in parts:
            known[top:bottom, left:right] = False
        yield pytest.param(known, id=name)


@pytest.mark.parametrize("known", list(holes()))
def test_the_membrane_is_nearly_harmonic(known):
    """Smooth values at the edge: within a tenth of their spread of the exact solution; linear ones likewise."""
    rows, columns = np.mgrid[: known.shape[0], : known.shape[1]]
    for values in (np.sin(rows / 6.0) + np.cos(columns / 5.0), 0.1 * rows - 0.05 * columns):
        found = membrane(torch.from_numpy(values)[None, None], torch.from_numpy(known))[0, 0].numpy()
        assert np.array_equal(found[known], values[known])
        error = np.abs(found - exact(values, known))
        assert error.max() < 0.1 * np.ptp(values)


def test_a_filling_that_is_off_by_a_constant_is_mended_and_what_is_known_is_kept():
    picture, known = randn((1, 3, 24, 31), stream(0, "picture")), torch.ones(24, 31, dtype=torch.bool)
    known[5:20, 0:18] = False
    truth = picture - 0.25
    found = blended(truth.repeat(2, 1, 1, 1), picture, known)
    assert torch.equal(found[:, :, known], picture.expand(2, -1, -1, -1)[:, :, known])
    assert float((found - picture).abs().max()) < 1e-5


def test_nothing_known_is_the_filling_and_all_known_the_picture():
    filling, picture = (randn((1, 1, 9, 7), stream(0, name)) for name in "fp")
    none = torch.zeros(9, 7, dtype=torch.bool)
    assert torch.equal(blended(filling, picture, none), filling)
    assert torch.equal(blended(filling, picture, ~none), picture)
