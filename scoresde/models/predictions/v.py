"""The velocity on the circle of a variance-preserving process."""

from torch import Tensor

from .base import Coefficients, Prediction, predictions


@predictions("v")
class Velocity(Prediction):
    """v = α ε - σ x_0: a = σ/(α² + σ²), b = α/(α² + σ²), for any α and σ.

    Reference: Salimans and Ho 2022, https://arxiv.org/abs/2202.00512, section 4.
    """

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> Coefficients:
        square = alpha**2 + sigma**2
        return Coefficients(1.0, sigma / square, alpha / square)
