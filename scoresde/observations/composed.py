"""Observations applied one after the other."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.random import Generators, randn, stream
from .base import LinearObservation, Observation, OrthogonalObservation
from .listed import NamedObservation, WrittenObservation


class Composed(LinearObservation):
    """y = A_n ... A_1 x: observations applied one after the other, such as a grey photograph with scratches.

    The noise of all parts is combined to σ² = σ_n² + g_n² (σ_{n-1}² + ...). This is possible if it stays white: an
    observation without orthogonal rows of equal length g must come first, or after exact ones.

    Args:
        *observations: At least one, each linear and of what the one before it leaves.

    Raises:
        UsageError: There are none, one is not linear, the noise would not stay white, or one leaves no picture.

    Example:
        >>> import scoresde, torch
        >>> unharmed = torch.ones(8, 8)
        >>> unharmed[3] = 0  # a scratch
        >>> old = scoresde.Composed(scoresde.Luma(), scoresde.Pixels(unharmed))
        >>> old.forward(torch.ones(1, 3, 8, 8)).sum()
        tensor(56.)
    """

    shape: tuple[int, ...] | None = None
    """Shape of one sample, once it is known."""

    def __init__(self, *observations: Observation) -> None:
        parts = [part for part in observations if isinstance(part, LinearObservation)]
        if not observations or len(parts) < len(observations):
            raise UsageError("what is composed are linear observations, at least one: Composed(Luma(), Pixels(mask))")
        variance = 0.0
        for part in parts:
            if variance and not isinstance(part, OrthogonalObservation):
                raise UsageError(
                    f"{type(part).__name__} after a noisy observation leaves noise that is not white: let it come first"
                )
            done = last(part)
            if isinstance(done, NamedObservation) and not done.pixels and part is not parts[-1]:
                raise UsageError(f"{part} leaves no picture, of which something else could be done: let it come last")
            gain = part.gain if isinstance(part, OrthogonalObservation) else 1.0
            variance = part.noise**2 + gain**2 * variance
        self.parts, self.noise = tuple(parts), math.sqrt(variance)

    def __str__(self) -> str:
        return ", then ".join(map(str, self.parts))

    @property
    def bound(self) -> int | None:
        return max((part.bound for part in self.parts if part.bound is not None), default=None)

    def of_shape(self, shape: tuple[int, ...]) -> "Composed":
        if self.shape == tuple(shape):
            return self
        parts, x = list[LinearObservation](), torch.zeros(self.bound or 1, *shape)
        for part in self.parts:
            own = part.of_shape(tuple(x.shape[1:]))
            parts += [own] if isinstance(own, LinearObservation) else []
            x = own.forward(x)
        whole = Composed(*parts)
        found = OrthogonalComposed(*parts) if orthogonal(whole, shape) else whole
        found.shape = tuple(shape)
        return found

    def of_rows(self, rows: Sequence[int]) -> "Composed":
        found = copy.copy(self)  # whose noise may be in other units than that of its parts
        parts = [part.of_rows(rows) for part in self.parts]
        found.parts = tuple(part for part in parts if isinstance(part, LinearObservation))
        return found

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part.forward(x)
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        for part in reversed(self.parts):
            y = part.adjoint(y)
        return y

    def measure(self, x: Tensor, generator: Generators = None) -> Tensor:
        for part in self.parts:
            x = part.measure(x, generator)
        return x

    def read(self, picture: Tensor) -> Tensor:
        """y of a picture that is what is left, as what was done last reads it.

        Args:
            picture: (B, C, H, W) in [-1, 1].
        """
        return final.read(picture) if isinstance(final := last(self), WrittenObservation) else picture

    def shown(self, y: Tensor) -> Tensor:
        """The picture that is left, as what was done last shows it.

        Args:
            y: The measurement, (B, *m).
        """
        return final.shown(y) if isinstance(final := last(self), WrittenObservation) else y

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        for part in self.parts[:-1]:
            x = part.forward(x)
        return self.parts[-1].residual(x, y)  # which does not read what is in a hole

    def write(self, x: Tensor, y: Tensor) -> Tensor:
        *before, final = self.parts
        if before and self.noise == final.noise > 0:  # what it has of cells, such as those of a rounded luma
            first = Composed(*before).of_shape(tuple(x.shape[1:]))
            if isinstance(first, OrthogonalObservation):
                seen = first.forward(x)
                return x + first.pinv(final.write(seen, y) - seen)
        return super().write(x, y)


class OrthogonalComposed(OrthogonalObservation, Composed):
    """A composition with orthogonal rows of one length: what `Composed.of_shape` makes of one that has them."""

    @property
    def gain(self) -> float:
        return math.prod(part.gain for part in self.parts if isinstance(part, OrthogonalObservation))

    def consistent(self, y: Tensor) -> Tensor:
        return self.forward(self.pinv(y))  # not all of it where a hole came before the noise


def last(observation: Observation) -> Observation:
    """What was done last: the last part of a composition, or the observation itself.

    Args:
        observation: Any.
    """
    return last(observation.parts[-1]) if isinstance(observation, Composed) else observation


def orthogonal(whole: Composed, shape: tuple[int, ...]) -> bool:
    """Whether A Aᵀ A = g² A, with g the product of the parts' gains: for a random sample, so for all.

    Args:
        whole: The composition, A.
        shape: Of one sample.
    """
    gains = [part.gain for part in whole.parts if isinstance(part, OrthogonalObservation)]
    if len(gains) < len(whole.parts):
        return False
    seen = whole.forward(randn((whole.bound or 1, *shape), stream(0, "rows"), dtype=torch.float64))
    return torch.allclose(whole.forward(whole.adjoint(seen)), math.prod(gains) ** 2 * seen, rtol=1e-9, atol=1e-12)
