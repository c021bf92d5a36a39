"""Base class of the distributions of training times."""

from abc import ABC, abstractmethod

from torch import Tensor

from ...core.options import Registry, WrittenOptions
from ...sde import SDE


class TimeLaw(WrittenOptions, ABC):
    """A law of training times. As text: "uniform", or with options "name:key=value"."""

    @abstractmethod
    def times(self, sde: SDE, u: Tensor, earliest: float) -> Tensor:
        """The times t = F⁻¹(u) for a distribution function F on the process, (B,) in float64.

        A chain is trained at the levels nearest to them, which is no concern of the law.

        Args:
            sde: The process.
            u: Places, (B,), even in [0, 1), float64.
            earliest: The earliest time that is trained: `train.earliest`, or the first level of a chain.
        """


time_laws: Registry[TimeLaw] = Registry("law of times", "scoresde.training.time_laws", "scoresde.time_laws")
