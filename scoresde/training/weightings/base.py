"""Base class of weightings of the loss over time."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from ...core.options import Registry, WrittenOptions
from ...sde import SDE
from ..time_laws import TimeLaw


class Weighting(WrittenOptions, ABC):
    """A weight for each time. As text: "simple" or "min-snr:cap=3"."""

    law: ClassVar[str] = "uniform"
    """The law of times that goes with it, which `train.times = "auto"` takes."""
    squares: ClassVar[bool] = True
    """Whether it is a weight of squared errors alone."""

    @abstractmethod
    def weight(self, sde: SDE, t: Tensor, scale: Tensor) -> Tensor:
        """The weight of the squared error of what the network predicts, (B,) in float64.

        Args:
            sde: The process.
            t: Times, (B,), float64.
            scale: Error of ε for an error of 1 in what the network predicts, (B,): a weight w of the squared error of
                ε is scale² w.
        """

    def mistakes(self, sde: SDE, law: TimeLaw) -> list[str]:
        """Why it cannot be used on the process with this law of times, a sentence each; in this base class none.

        Args:
            sde: The process.
            law: The law of times.
        """
        return []


weightings: Registry[Weighting] = Registry("weighting", "scoresde.training.weightings", "scoresde.weightings")
