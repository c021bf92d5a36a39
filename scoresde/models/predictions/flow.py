"""The velocity of a straight line from data to noise."""

from torch import Tensor

from .base import Coefficients, Prediction, predictions


@predictions("flow")
class Flow(Prediction):
    """z - x_0 = ((α + σ) ε - x_t)/α: a = 1/(α + σ), b = α/(α + σ).

    Reference: Lipman et al. 2023, https://arxiv.org/abs/2210.02747, equation 23, from data to noise.
    """

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> Coefficients:
        return Coefficients(1.0, 1 / (alpha + sigma), alpha / (alpha + sigma))
