"""What a prediction is: two coefficients that turn a network's output into ε."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor

from ...core.options import Registry, WrittenOptions


class Coefficients(NamedTuple):
    """ε = skip x_t + out net(scale x_t): a number, or one for each row, (B,)."""

    scale: Tensor | float
    skip: Tensor | float
    out: Tensor | float


class Prediction(WrittenOptions, ABC):
    """A parametrisation ε = a x_t + b net(c x_t). As text: "v", or "edm:data_std=0.25".

    The rest follows from it: a network that is right gives (z - a x_t)/b, which is the target of training, and an
    error of its output is one of ε, |b| times as large.
    """

    @abstractmethod
    def coefficients(self, alpha: Tensor, sigma: Tensor) -> Coefficients:
        """c, a and b for a process with x_t = α x_0 + σ z.

        Args:
            alpha: α(t), (B,), float64: in float32 they lose 2e-4 near t = 1e-3.
            sigma: σ(t), (B,), float64.
        """


predictions: Registry[Prediction] = Registry("prediction", "scoresde.models.predictions", "scoresde.predictions")
