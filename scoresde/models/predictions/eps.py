"""The noise."""

from torch import Tensor

from .base import Coefficients, Prediction, predictions


@predictions("eps")
class Noise(Prediction):
    """ε itself: a = 0, b = 1.

    Reference: Ho et al. 2020, https://arxiv.org/abs/2006.11239, equation 14.
    """

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> Coefficients:
        return Coefficients(1.0, 0.0, 1.0)
