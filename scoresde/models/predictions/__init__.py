"""What a network's output means. One file per parametrisation; adding a file adds a word for `predicts`."""

from .base import Coefficients, Prediction, predictions

__all__ = ["Coefficients", "Prediction", "predictions"]
