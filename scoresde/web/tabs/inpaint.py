"""Samples of the content of a hole."""

from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ...core.errors import UsageError
from ...images import pictures
from ...models.network import NetworkModel
from ...observations.tasks import trained_task
from ...posterior.tasks import hole
from ..jobs import Work
from ..reading import decoded
from .base import Served, tabs
from .restore import Restore


@tabs("inpaint")
class Inpaint(Restore):
    """Fillings of a hole."""

    label: ClassVar[str] = "Inpaint"
    order: ClassVar[int] = 20
    mask: str = Field(description="A bit for each pixel, set in the hole, row by row, in base64.")

    @classmethod
    def serves(cls, model: NetworkModel) -> bool:
        return trained_task(model).name in ("none", "inpaint")

    def work(self, served: Served) -> Work:
        channels, height, width = served.shape
        known = self.known(height, width)
        if bool(known.all()):
            raise UsageError("nothing is painted yet: paint over what is to be drawn anew")
        picture = self.opened(served, "L" if channels == 1 else "RGB")
        return self.restored(served, hole(pictures.scaled(picture)[None], known, f"{width}x{height}"))

    def known(self, height: int, width: int) -> Tensor:
        """Which pixels are known, (H, W).

        Args:
            height: Height of the model's images.
            width: Width of the model's images.

        Raises:
            UsageError: The mask is not one of that size.
        """
        bits = np.unpackbits(np.frombuffer(decoded("mask", self.mask), np.uint8))
        if len(bits) != -(height * width // -8) * 8:
            raise UsageError(f"the mask of a picture of {width}x{height} has {height * width} bits, got {len(bits)}")
        return torch.from_numpy(bits[: height * width] == 0).reshape(height, width)
