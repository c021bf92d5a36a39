"""Inpainting."""

from typing import ClassVar

import torch
from torch import Tensor

from ...core.errors import UsageError
from ...models.known import Known
from ..base import Observation
from ..pixels import Pixels
from .base import Task, tasks


@tasks("inpaint")
class Inpaint(Task):
    """The picture with 0 in the hole, and the mask, 1 where a pixel is known.

    The known pixels also take the place of those of x_t, and their error does not count.

    Reference: Saharia et al. 2022, https://arxiv.org/abs/2111.05826, section 3.
    """

    gives: ClassVar[str] = "exact pixels"
    masked: ClassVar[bool] = True

    def extra_channels(self, channels: int) -> int:
        return channels + 1

    def known(self, x0: Tensor, mask: Tensor | None) -> Known:
        if mask is None:
            raise UsageError("train.condition = inpaint needs where pixels are known: give a mask for each image")
        mask = mask.bool().expand(len(x0), -1, -1, -1)
        return Known(torch.cat([torch.where(mask, x0, 0), mask.to(x0)], 1), mask, x0)

    def answer(self, observation: Observation, y: Tensor) -> Known | None:
        if not isinstance(observation, Pixels) or observation.noise:
            return None
        mask = observation.known(y)
        return self.known(y, mask) if mask.shape[1] == 1 else None
