"""The score."""

from torch import Tensor

from .base import Coefficients, Prediction, predictions


@predictions("score")
class Score(Prediction):
    """∇ log p_t = -ε/σ: a = 0, b = -σ.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, equation 7.
    """

    def coefficients(self, alpha: Tensor, sigma: Tensor) -> Coefficients:
        return Coefficients(1.0, 0.0, -sigma)
