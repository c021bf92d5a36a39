"""Enlarging of colours to the size of a photograph, guided by the edges of its luma."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

EPSILON = 0.03
"""Variance of the luma in a window, in [-1, 1], below which the colours do not follow it."""
ROUNDS = 3
"""Times that what a reduction of the result misses of the small picture is added."""


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Images at another size, (B, C, *size), by Pillow's bicubic filter, without rounding.

    Args:
        x: (B, C, h, w).
        size: Height and width.
    """
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return interpolate(x, size=size, mode="bicubic", antialias=True)


def guided(x: Tensor, small: Tensor, guide: Tensor, rounds: int = ROUNDS) -> Tensor:
    """Images at the size of a guide, (B, C, H, W): in each window of 3x3 small pixels a linear function of the guide.

    a = cov(small, x)/(var(small) + ε), b = mean(x) - a mean(small), each averaged over 3x3 and brought up; the result
    is a guide + b. The averages blur it, so what its reduction misses of x is brought up and added, `rounds` times.

    References: He and Sun 2015, https://arxiv.org/abs/1505.00996, algorithm 2; Irani and Peleg 1991,
    https://doi.org/10.1016/1049-9652(91)90045-L, for the rounds.

    Args:
        x: (B, C, h, w).
        small: The guide at the size of x, (1 or B, 1, h, w).
        guide: The guide, (1 or B, 1, H, W).
        rounds: Number of corrections.
    """
    size, low = (guide.shape[2], guide.shape[3]), (x.shape[2], x.shape[3])

    def mean(v: Tensor) -> Tensor:
        return avg_pool2d(v, 3, 1, 1, count_include_pad=False)

    centre = mean(small)
    a = (mean(small * x) - centre * mean(x)) / (mean(small**2) - centre**2 + EPSILON)
    b = mean(x) - a * centre
    found = resized(mean(a), size) * guide + resized(mean(b), size)
    for _ in range(rounds):
        found = found + resized(x - resized(found, low), size)
    return found


def with_luma(luma: Tensor, chroma: Tensor, weights: Sequence[float]) -> Tensor:
    """Colours of 8 bits whose luma is the given one, (B, 3, H, W) in [-1, 1].

    They are luma + s chroma, s the largest share up to 1 that stays in the range. Two channels are rounded, and the one
    with the largest weight takes up what that changed of the luma, so that the luma of the result, rounded to a level
    as in Pillow's convert("L"), is the given level at every pixel.

    Args:
        luma: Of 8 bits, in [-1, 1], (1 or B, 1, H, W).
        chroma: Any colours, (B, 3, H, W): what their own luma is does not matter.
        weights: Of the channels in the luma; they sum to 1.
    """
    w = chroma.new_tensor(weights)[:, None, None]
    chroma = chroma - (w * chroma).sum(1, keepdim=True)
    room = torch.where(chroma > 0, 1 - luma, 1 + luma) / chroma.abs().clamp_min(1e-12)
    share = room.amin(1, keepdim=True).clamp(0, 1)
    levels, wanted = (127.5 * (luma + share * chroma + 1)).round(), (127.5 * (luma + 1)).round()
    last = max(range(len(weights)), key=weights.__getitem__)
    rest = wanted[:, 0] - (w * levels).sum(1) + weights[last] * levels[:, last]
    levels[:, last] = (rest / weights[last]).round()
    return levels.clamp(0, 255) / 127.5 - 1
