"""Samples of the content of a hole in a photograph, at its own size."""

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from ...core.errors import UsageError
from ...core.sentences import many
from ...models.network import NetworkModel
from ...observations.tasks import trained_task
from ...posterior.photograph import filled
from ..jobs import Work
from ..reading import from_base64
from .base import Served, tabs
from .restore import Restore


@tabs("inpaint")
class Inpaint(Restore):
    """Fillings of a hole."""

    label: ClassVar[str] = "Inpaint"
    order: ClassVar[int] = 20
    mask: str = Field(description="A bit for each pixel of the picture, set in the hole, row by row, in base64.")

    @classmethod
    def serves(cls, model: NetworkModel) -> bool:
        return trained_task(model).name in ("none", "inpaint")

    def work(self, served: Served) -> Work:
        bits = np.unpackbits(np.frombuffer(from_base64("mask", self.mask), np.uint8))
        picture = self.opened("L" if served.shape[0] == 1 else "RGB")
        known = known_pixels(bits, *picture.size)
        if bool(known.all()):
            raise UsageError("nothing is painted yet: paint over what is to be drawn anew")
        return self.restored(served, filled(picture, known, served.shape))


def known_pixels(bits: NDArray[np.uint8], width: int, height: int) -> Tensor:
    """Which pixels of a picture are known, (H, W).

    Args:
        bits: One for each pixel, row by row, 1 in the hole, and zeros up to the next byte.
        width: Width of the picture.
        height: Height of the picture.

    Raises:
        UsageError: There are more or fewer.
    """
    if len(bits) != -(height * width // -8) * 8:
        count = many(height * width, "bit")
        raise UsageError(f"the mask of a picture of {width}x{height} has {count}, got {len(bits)}")
    return torch.from_numpy(bits[: height * width] == 0).reshape(height, width)
