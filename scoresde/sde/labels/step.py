"""The step of a chain."""

from pydantic import Field
from torch import Tensor

from ..base import SDE
from .base import Label, labels


@labels("step")
class StepLabel(Label):
    """scale · n for the level n = 0 .. N - 1 of the process's chain, a fraction between two levels.

    With `rescale_timesteps`, guided-diffusion's networks take 1000 n/N.
    """

    scale: float = Field(1.0, gt=0, description="The factor.")

    def of(self, sde: SDE, t: Tensor) -> Tensor:
        return self.scale * sde.step(t)
