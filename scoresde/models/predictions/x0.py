"""The data."""

from torch import Tensor

from .base import Coefficients, Prediction, predictions


@predictions("x0")
class Data(Prediction):
    """x_0 = (x_t - σ ε)/α: a = 1/σ, b = -α/σ.

    Reference: Salimans and Ho 2022, https://arxiv.org/abs/2202.00512, section 4.
    """

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> Coefficients:
        return Coefficients(1.0, 1 / sigma, -alpha / sigma)
