"""Base class of labels: the number that a network gets for the time."""

from abc import ABC, abstractmethod

from torch import Tensor

from ...core.options import Registry, WrittenOptions
from ..base import SDE


class Label(WrittenOptions, ABC):
    """A convention for the time input of a network. As text: "step", or "scaled:scale=1000"."""

    @abstractmethod
    def of(self, sde: SDE, t: Tensor) -> Tensor:
        """What the network takes for the time t, (B,).

        Args:
            sde: The process.
            t: Times, (B,), float64.

        Raises:
            UsageError: The process has no such number.
        """


labels: Registry[Label] = Registry("label", "scoresde.sde.labels", "scoresde.labels")
