"""Colourisation."""

from typing import ClassVar

from torch import Tensor

from ...models.known import Known
from ..base import Observation
from ..named import Luma
from .base import Task, tasks


@tasks("colour")
class Colour(Task):
    """The luma 0.299 R + 0.587 G + 0.114 B, once for each of the three channels.

    Reference: Saharia et al. 2022, https://arxiv.org/abs/2111.05826, section 3.
    """

    gives: ClassVar[str] = "the luma"

    def extra_channels(self, channels: int) -> int:
        return channels

    def known(self, x0: Tensor, mask: Tensor | None) -> Known:
        return _given(Luma().forward(x0))

    def answer(self, observation: Observation, y: Tensor) -> Known | None:
        return _given(y) if isinstance(observation, Luma) else None

    def mistakes(self, shape: tuple[int, ...]) -> list[str]:
        return [] if shape[0] == 3 else [f"train.condition = colour takes images of 3 channels, got {shape[0]}"]


def _given(luma: Tensor) -> Known:
    return Known(luma.expand(-1, 3, -1, -1))
