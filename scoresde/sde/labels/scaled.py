"""The time itself."""

from pydantic import Field
from torch import Tensor

from ..base import SDE
from .base import Label, labels


@labels("scaled")
class ScaledLabel(Label):
    """scale · t.

    score_sde's continuous networks take 999 t; those of a straight flow in diffusers 1000 t.
    """

    scale: float = Field(999.0, gt=0, description="The factor.")

    def of(self, sde: SDE, t: Tensor) -> Tensor:
        return self.scale * t
