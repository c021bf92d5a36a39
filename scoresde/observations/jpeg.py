"""JPEG compression as a measurement."""

import functools
import io

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from ..core.devices import like
from ..core.errors import UsageError
from .base import Precision
from .cosine import SIDE, blockwise, cosines
from .listed import observations
from .rounded import Rounded

COLOURS = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=torch.float64
)
"""R, G, B to Y, Cb, Cr, without the offset of the last two."""


@functools.cache
def steps(quality: int) -> Tensor:
    """The steps to which libjpeg rounds the cosines of a block of luma, of Cb and of Cr, (3, 8, 8).

    Args:
        quality: From 1 to 100.
    """
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE)).save(file, "JPEG", quality=quality)
    tables = Image.open(file).quantization  # type: ignore[attr-defined]
    found = np.array([tables[0], tables[1], tables[1]], dtype=np.float64)
    return torch.from_numpy(found).reshape(3, SIDE, SIDE)


@observations("jpeg")
class JPEG(Rounded):
    """JPEG: the cosines of blocks of 8x8 pixels are known to a step that grows with frequency, y (B, C, H, W).

    y counts in steps, at the place of the block. Grey pictures have the steps of luma; of colours, Y, Cb and Cr are
    taken, all at full resolution, as with `subsampling=0` of Pillow, and without rounding them to 256 levels before.
    `measure` makes y of a picture, and of one that has been in a JPEG file of this quality.

    Reference: Wallace 1992, https://doi.org/10.1109/30.125072.

    Example:
        >>> import scoresde, torch
        >>> scoresde.observations.JPEG(quality=10).measure(torch.ones(1, 3, 16, 8)).shape
        torch.Size([1, 3, 16, 8])
    """

    pixels = False
    quality: int = Field(50, ge=1, le=100, description="JPEG quality, as in Pillow and libjpeg.")

    def _gains(self, y: Tensor) -> Tensor:
        """127.5/q, grey levels by steps, at every place of y, (C, H, W)."""
        repeats = (1, y.shape[2] // SIDE, y.shape[3] // SIDE)
        return like(127.5 / steps(self.quality)[: y.shape[1]], y).repeat(repeats)

    def origin(self, y: Tensor) -> Tensor:
        found = torch.zeros_like(y[:1])  # grey is 127.5 for us, and 128 for JPEG: 8 times as far in a block's mean
        found[:, 0, ::SIDE, ::SIDE] = SIDE * 0.5 / 127.5 * self._gains(y)[0, 0, 0]
        return found

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] not in (1, 3) or x.shape[2] % SIDE or x.shape[3] % SIDE:
            raise UsageError(f"jpeg sees pictures (B, 1|3, H, W) with sides that 8 divides, got {tuple(x.shape)}")
        return self._gains(x) * blockwise(coloured(x, COLOURS), cosines(SIDE).T)

    def read(self, picture: Tensor) -> Tensor:
        beyond = (0, -picture.shape[3] % SIDE, 0, -picture.shape[2] % SIDE)
        # as libjpeg fills blocks up; what it rounds there is not in the picture, so some of their steps are off by one
        return self.measure(torch.nn.functional.pad(picture, beyond, "replicate"))

    def adjoint(self, y: Tensor) -> Tensor:
        return coloured(blockwise(self._gains(y) * y, cosines(SIDE)), COLOURS.T)

    def pinv(self, y: Tensor) -> Tensor:
        return coloured(blockwise(y / self._gains(y), cosines(SIDE)), torch.linalg.inv(COLOURS))

    def near_inverse(self, b: Tensor, precision: Precision) -> Tensor:
        # A⁻ᵀ (V + σ²/g² I)⁻¹ A⁻¹ with one g for all: a third of the mean saves products at every level of noise
        gain = float(self._gains(b).mean()) / 3
        near = gain**2 * precision(self.pinv(b), gain)
        return blockwise(coloured(near, torch.linalg.inv(COLOURS).T), cosines(SIDE).T) / self._gains(b)


def coloured(x: Tensor, matrix: Tensor) -> Tensor:
    """Pictures of three channels multiplied by a matrix, and grey ones as they are, (B, C, H, W).

    Args:
        x: (B, C, H, W).
        matrix: (3, 3).
    """
    return torch.einsum("ij,bjhw->bihw", like(matrix, x), x) if x.shape[1] == 3 else x
