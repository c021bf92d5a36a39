"""Convolution of images with a mirrored or zero border, with its adjoint."""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

from ..core.devices import like

Border = Literal["reflect", "zero"]
"""What is beyond the edge: the picture mirrored, the outermost pixels first, or 0."""


def convolved(x: Tensor, kernel: Tensor, border: Border) -> Tensor:
    """Σ_j k_j x_{i-j} for every pixel i, (B, C, H, W).

    Args:
        x: (B, C, H, W).
        kernel: k, (h, w), both odd, centred.
        border: What x is beyond its edge.
    """
    h, w = (n // 2 for n in kernel.shape)
    if border == "zero":
        wide = pad(x, (w, w, h, h))
    else:
        wide = x[:, :, mirrored(x, 2, h)][..., mirrored(x, 3, w)]
    found = conv2d(wide.flatten(0, 1)[:, None], like(kernel.flip(0, 1), x)[None, None])
    return found.reshape(x.shape)


def correlated(y: Tensor, kernel: Tensor, border: Border) -> Tensor:
    """The adjoint of `convolved`, (B, C, H, W).

    Args:
        y: (B, C, H, W).
        kernel: As of `convolved`.
        border: As of `convolved`.
    """
    h, w = (n // 2 for n in kernel.shape)
    wide = conv_transpose2d(y.flatten(0, 1)[:, None], like(kernel.flip(0, 1), y)[None, None])
    wide = wide.reshape(*y.shape[:2], *wide.shape[2:])
    if border == "zero":
        return wide[..., h : h + y.shape[2], w : w + y.shape[3]]
    rows = torch.zeros(*wide.shape[:2], y.shape[2], wide.shape[3]).to(wide).index_add(2, mirrored(y, 2, h), wide)
    return torch.zeros_like(y).index_add(3, mirrored(y, 3, w), rows)


def mirrored(x: Tensor, axis: int, reach: int) -> Tensor:
    """The pixel that stands at each place from `reach` before the first to `reach` beyond the last one, (n + 2 reach,).

    Args:
        x: (B, C, H, W).
        axis: Along which.
        reach: Pixels beyond the edge, as many as one likes.
    """
    return torch.from_numpy(np.pad(np.arange(x.shape[axis]), reach, mode="symmetric")).to(x.device)


def cosine_gains(kernel: Tensor, x: Tensor) -> Tensor:
    """About what a kernel leaves of each cosine frequency of pictures, (H, W): exact for a mirrored symmetric one.

    A cosine has waves of two directions, of which it is the root mean square.

    Args:
        kernel: (h, w), both odd, centred.
        x: (B, C, H, W); only its size matters.
    """
    waves = list[Tensor]()
    for size, n in zip(kernel.shape, x.shape[2:], strict=True):
        at = torch.arange(size, dtype=torch.float64, device=kernel.device) - size // 2
        frequencies = math.pi / n * torch.arange(n, dtype=torch.float64, device=kernel.device)
        waves.append(torch.exp(1j * frequencies[:, None] * at))
    rows, columns = waves
    both = [(rows @ kernel.to(rows) @ part.T).abs().square() for part in (columns, columns.conj())]
    return torch.sqrt((both[0] + both[1]) / 2)
