"""The velocity of a straight line from data to noise."""

from pydantic import Field
from torch import Tensor

from .base import Coefficients, Prediction, predictions


@predictions("flow")
class Flow(Prediction):
    """z - x_0 = ((α + σ) ε - x_t)/α: a = 1/(α + σ), b = α/(α + σ).

    Reference: Lipman et al. 2023, https://arxiv.org/abs/2210.02747, equation 23, from data to noise.
    """

    reversed: bool = Field(False, description="Whether it gives x_0 - z, as where time runs from noise to data.")

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> Coefficients:
        sign = -1 if self.reversed else 1
        return Coefficients(1.0, 1 / (alpha + sigma), sign * alpha / (alpha + sigma))
