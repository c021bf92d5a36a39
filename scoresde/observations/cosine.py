"""The cosine basis, in which stationary images have uncorrelated values."""

import numpy as np
import torch
from torch import Tensor

from ..core.devices import like

SIDE = 8
"""Pixels along a block of JPEG."""


def cosines(n: int) -> Tensor:
    """The orthonormal cosines of n pixels, (n, n), frequency k in column k, in float64.

    Args:
        n: Number of pixels along the axis.

    Reference: Ahmed, Natarajan and Rao 1974, https://doi.org/10.1109/T-C.1974.223784.
    """
    import scipy.fft  # it takes longer to import than all that most commands do with this module

    return torch.from_numpy(scipy.fft.dct(np.eye(n), norm="ortho", axis=0)).T


def filtered(x: Tensor, factors: Tensor) -> Tensor:
    """x with each cosine frequency multiplied by a factor, (B, C, H, W).

    Args:
        x: (B, C, H, W).
        factors: (H, W), or of a shape that broadcasts with that of x.
    """
    rows, columns = (like(cosines(n), x) for n in x.shape[2:])
    return rows @ (like(factors, x) * (rows.T @ x @ columns)) @ columns.T


def blockwise(x: Tensor, matrix: Tensor) -> Tensor:
    """M X Mᵀ for every block X of 8x8 pixels, (B, C, H, W).

    Args:
        x: (B, C, H, W).
        matrix: M, (8, 8).
    """
    b, c, height, width = x.shape
    blocks, m = x.reshape(b, c, height // SIDE, SIDE, width // SIDE, SIDE), like(matrix, x)
    return torch.einsum("ki,bcviuj,lj->bcvkul", m, blocks, m).reshape(x.shape)
