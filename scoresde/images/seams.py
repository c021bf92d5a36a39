"""Blending of a filled hole with the surrounding image."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

SWEEPS = 12
"""Relaxations at each resolution."""


def blended(filling: Tensor, picture: Tensor, known: Tensor) -> Tensor:
    """The picture where it is known, bit for bit, and in the hole filling + m, Δm = 0, m = picture - filling around it.

    What the filling misses of the picture along the edge of the hole is taken off smoothly across it.

    Reference: Pérez, Gangnet and Blake 2003, https://doi.org/10.1145/882262.882269, equation 5.

    Args:
        filling: (B, C, H, W).
        picture: (1 or B, C, H, W).
        known: Which pixels of the picture are known, (H, W), bool.
    """
    if not bool(known.any()):
        return filling
    return torch.where(known, picture, filling + membrane(picture - filling, known))


def membrane(values: Tensor, known: Tensor) -> Tensor:
    """The values where they are known, and elsewhere nearly the solution of Δm = 0 with these at its edge.

    The result is (B, C, H, W). A solution for the means of 2x2 pixels is brought up and relaxed,
    at the cost of a few filters.

    Args:
        values: (B, C, H, W); where they are not known they are not read.
        known: Where they are, (H, W), bool, somewhere at least.
    """
    if bool(known.all()):
        return values
    here = known.to(values)[None, None]
    padded = (0, values.shape[3] % 2, 0, values.shape[2] % 2)
    share = avg_pool2d(pad(here, padded), 2)
    coarse = avg_pool2d(pad(values * here, padded), 2) / share.clamp_min(1e-12)
    below = membrane(coarse, share[0, 0] > 0)
    found = torch.where(known, values, interpolate(below, size=values.shape[2:], mode="bilinear"))
    for _ in range(SWEEPS):
        around = pad(found, (1, 1, 1, 1), mode="replicate")
        mean = around[:, :, :-2, 1:-1] + around[:, :, 2:, 1:-1] + around[:, :, 1:-1, :-2] + around[:, :, 1:-1, 2:]
        found = torch.where(known, values, mean / 4)
    return found
