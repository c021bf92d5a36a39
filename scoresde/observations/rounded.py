"""Quantised measurements."""

import math
from abc import abstractmethod

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import UsageError
from ..core.random import Generators
from .base import OrthogonalObservation
from .listed import NamedObservation, observations

UNIFORM = 1 / math.sqrt(12)
"""Standard deviation of what is uniform in [-1/2, 1/2]."""
CELL = 0.5 - 1e-4
"""How far a number lies from the middle of its cell at most, once it is written: not on the edge itself."""


class Rounded(NamedObservation):
    """Base of y = A x rounded to o + 0, ±1, ±2, ..., with an o for each number of y.

    Conditioners see an error of the standard deviation 1/√12, that of a uniform one in ±1/2. In the end numbers of A x
    that lie outside their cell are put on its edge, so that samples have y exactly. A is square and has an inverse.
    """

    noise: float = Field(UNIFORM, gt=0, description="Standard deviation of the error, in units of a step.")

    @abstractmethod
    def origin(self, y: Tensor) -> Tensor:
        """o, of a shape that goes with y.

        Args:
            y: (B, *m); only its shape and type matter.
        """

    def measure(self, x: Tensor, generator: Generators = None) -> Tensor:
        seen = self.forward(x)
        origin = self.origin(seen)
        return torch.round(seen - origin) + origin

    def check(self, y: Tensor, shape: tuple[int, ...]) -> None:
        super().check(y, shape)
        steps = y - self.origin(y)
        if self.noise == UNIFORM and not bool(((steps - steps.round()).abs() < 1e-3).all()):
            raise UsageError(f"y of {self} counts in whole steps, and this one does not: measure(picture) makes it")

    def read(self, picture: Tensor) -> Tensor:
        return self.measure(picture)  # rounding once more changes nothing

    def shown(self, y: Tensor) -> Tensor:
        return self.pinv(y)

    def write(self, x: Tensor, y: Tensor) -> Tensor:
        if self.noise != UNIFORM:
            return x
        missing = self.residual(x, y)
        return x + self.pinv(missing - missing.clamp(-CELL, CELL))


@observations("quantised")
class Quantised(Rounded, OrthogonalObservation):
    """Few grey levels: each number is rounded to one of `levels` from -1 to 1; y, (B, *), counts in steps from 0.

    `measure` makes y of a picture, and of one that has been rounded already.

    Example:
        >>> import scoresde, torch
        >>> seen = scoresde.observations.Quantised(levels=3)  # black, grey and white
        >>> seen.shown(seen.measure(torch.tensor([[-0.9, 0.1, 0.7]])))
        tensor([[-1.,  0.,  1.]])
    """

    levels: int = Field(8, ge=2, description="Grey levels: 2ⁿ for n bits.")

    @property
    def gain(self) -> float:
        return (self.levels - 1) / 2

    def origin(self, y: Tensor) -> Tensor:
        return y.new_tensor(self.gain)

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x

    def adjoint(self, y: Tensor) -> Tensor:
        return self.gain * y

    def measure(self, x: Tensor, generator: Generators = None) -> Tensor:
        if not bool(torch.isfinite(x).all()):
            raise UsageError("what is rounded must be finite")
        return super().measure(x).clamp(-self.gain, self.gain)
