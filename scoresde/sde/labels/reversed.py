"""The time from noise to data."""

from pydantic import Field
from torch import Tensor

from ..base import SDE
from .base import Label, labels


@labels("reversed")
class ReversedLabel(Label):
    """scale · (1 - t).

    SiT's networks take 1 - t; score_sde's on N discrete levels of exploding variance (N - 1) (1 - t).
    """

    scale: float = Field(1.0, gt=0, description="The factor.")

    def of(self, sde: SDE, t: Tensor) -> Tensor:
        return self.scale * (1 - t)
