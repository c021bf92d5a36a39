"""Inpainting."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from ...core.errors import UsageError
from ...core.random import randn, stream
from ...models.known import Known
from ..base import Observation
from ..pixels import Pixels
from .base import Task, tasks


@tasks("inpaint")
class Inpaint(Task):
    """The picture with 0 in the hole, and the mask, 1 where a pixel is known; or with noise in the hole, and no mask.

    The known pixels also take the place of those of x_t, and their error does not count. The noise is a function of the
    mask alone, so that a sample depends on its seed, and a training that is resumed sees what it would have seen.

    Reference: Saharia et al. 2022, https://arxiv.org/abs/2111.05826, section 3.
    """

    gives: ClassVar[str] = "exact pixels"
    masked: ClassVar[bool] = True
    fill: Literal["zero", "noise"] = Field(
        "zero", description="What the hole is filled with: 0 with the mask beside the picture, or noise without."
    )

    def extra_channels(self, channels: int) -> int:
        return channels + (self.fill == "zero")

    def known(self, x0: Tensor, mask: Tensor | None) -> Known:
        if mask is None:
            raise UsageError("train.condition = inpaint needs where pixels are known: give a mask for each image")
        mask = mask.bool().expand(len(x0), -1, -1, -1)
        if self.fill == "noise":
            sources = [stream(0, "hole", row.cpu().contiguous().numpy().tobytes()) for row in mask]
            return Known(torch.where(mask, x0, randn(x0.shape, sources).to(x0)), mask, x0)
        return Known(torch.cat([torch.where(mask, x0, 0), mask.to(x0)], 1), mask, x0)

    def answer(self, observation: Observation, y: Tensor) -> Known | None:
        if not isinstance(observation, Pixels) or observation.noise:
            return None
        mask = observation.known(y)
        return self.known(y, mask) if mask.shape[1] == 1 else None
