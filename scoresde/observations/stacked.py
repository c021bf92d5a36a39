"""Several measurements of the same samples, taken together."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.devices import double, like
from ..core.errors import UsageError
from ..core.random import Generators, randn, randn_like, stream
from ..core.sentences import many
from .base import TOL, LinearObservation, Observation, OrthogonalObservation, Precision
from .krylov import Solution, conjugate_gradients
from .named import ROUNDING, Crop
from .pixels import Pixels

PRODUCTS = 60
"""Products at which the search for what is consistent ends."""
ROUNDS = 100
"""How often exact and rounded parts are written in turn at most, until both hold."""


class Stacked(Observation):
    """Several measurements of the same samples at once: (A_1 x, A_2 x, ...), each with its own noise.

    y is (B, M), the concatenated measurements: `join` makes it from the parts, and `split` reverses this. Part i is
    multiplied by σ/σ_i, so that all numbers of y have the same standard deviation σ, the smallest of the parts. Beside
    noisy parts an exact one gets the noise of rounding, 0.00226, or σ if that is less; at the end it is written into
    the samples, which also end in the cells of rounded parts. If all parts are exact, each is divided by the norm of
    its rows, if they have equal norms.

    Args:
        *observations: The parts; those that are stacks themselves are taken apart.

    Raises:
        UsageError: There are none.

    Example:
        >>> import scoresde, torch
        >>> known = torch.zeros(8, 8)
        >>> known[:2] = 1  # the colours of two rows are known, and the luma of all
        >>> both = scoresde.Stacked(scoresde.Luma(), scoresde.Pixels(known))
        >>> both.join(torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 8, 8)).shape
        torch.Size([1, 256])
    """

    parts: tuple[Observation, ...]
    """The observations, none of which is a stack."""
    shape: tuple[int, ...] | None = None
    """Shape of one sample, once it is known."""
    _shapes: list[torch.Size] | None = None  # of each part's measurement, once they are known
    _few: bool | None = None  # whether A Aᵀ has few eigenvalues, once that is known

    def __init__(self, *observations: Observation) -> None:
        parts = list[Observation]()
        for one in observations:
            parts += one.parts if isinstance(one, Stacked) else [one]
        self.parts = tuple(parts)
        if not self.parts:
            raise UsageError("a stack has at least one observation: give them as in Stacked(Luma(), Pixels(mask))")
        noises = [part.noise for part in self.parts]
        self.noise = min(n or ROUNDING for n in noises) if any(noises) else 0.0
        self.weights = tuple(self.noise / (p.noise or self.noise) if self.noise else 1 / length(p) for p in self.parts)
        """What the measurement of each part is multiplied by in y."""

    def __str__(self) -> str:
        return " and ".join(map(str, self.parts))

    @property
    def bound(self) -> int | None:
        return max((part.bound for part in self.parts if part.bound is not None), default=None)

    def of_shape(self, shape: tuple[int, ...]) -> "Stacked":
        return self if self.shape == tuple(shape) else placed([part.of_shape(shape) for part in self.parts], shape)

    def of_rows(self, rows: Sequence[int]) -> "Stacked":
        if self.bound is None:
            return self
        parts = [part.of_rows(rows) for part in self.parts]
        return Stacked(*parts) if self.shape is None else placed(parts, self.shape)

    def join(self, *measurements: Tensor) -> Tensor:
        """y of the measurements of the parts, (B, M).

        Args:
            *measurements: One for each part, (B, *m), in its own units; or (1, *m), which then is that of all rows.

        Raises:
            UsageError: There is another number of them than of parts.
        """
        if len(measurements) != len(self.parts):
            raise UsageError(
                f"{self} takes {many(len(self.parts), 'measurement')}, one a part, got {len(measurements)}"
            )
        flat = [weight * y.reshape(len(y), -1) for weight, y in zip(self.weights, measurements, strict=True)]
        return torch.cat([y.expand(max(map(len, flat)), -1) for y in flat], 1)

    def split(self, y: Tensor) -> list[Tensor]:
        """The measurement of each part, (B, *m), in its own units: the inverse of `join`.

        Args:
            y: The measurement, (B, M).

        Raises:
            UsageError: The shape of the samples is not known yet, or y has another length.
        """
        return [own / weight for own, weight in zip(self._sections(y), self.weights, strict=True)]

    def _sections(self, y: Tensor) -> list[Tensor]:
        """The part of y that each observation has, (B, *m)."""
        if self._shapes is None:
            if self.shape is None:
                raise UsageError("how y is split depends on the shape of the samples: say stack.of_shape((C, H, W))")
            blank = y.new_zeros(self.bound or 1, *self.shape)
            self._shapes = [part.of(blank).shape[1:] for part in self.parts]
        sizes = [shape.numel() for shape in self._shapes]
        if y.ndim != 2 or y.shape[1] != sum(sizes):
            raise UsageError(
                f"y of {self} is (B, {sum(sizes)}) for samples of shape {self.shape}, got {tuple(y.shape)}: make it of "
                "the measurements of the parts with `join`"
            )
        return [own.reshape(-1, *shape) for own, shape in zip(torch.split(y, sizes, 1), self._shapes, strict=True)]

    def forward(self, x: Tensor) -> Tensor:
        return self.join(*(part.of(x) for part in self.parts))

    def measure(self, x: Tensor, generator: Generators = None) -> Tensor:
        return self.join(*(part.measure(x, generator) for part in self.parts))

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        seen = self.of_shape(tuple(x.shape[1:]))
        return seen.join(*(part.residual(x, own) for part, own in zip(seen.parts, seen.split(y), strict=True)))

    def write(self, x: Tensor, y: Tensor) -> Tensor:
        # In turn, what is exact and the cells of what is rounded: projections onto convex sets, whose limit is in all.
        seen = self.of_shape(tuple(x.shape[1:]))
        parts = list(zip(seen.parts, seen.split(y), strict=True))

        def inside(x: Tensor) -> Tensor:
            for part, own in parts:
                x = part.write(x, own) if part.noise else x
            return x

        for _ in range(ROUNDS):
            x = seen._exactly(inside(x), [one for one in parts if not one[0].noise])
            if torch.equal(inside(x), x):
                break
        return x

    def _exactly(self, x: Tensor, exact: Sequence[tuple[Observation, Tensor]]) -> Tensor:
        """x with the measurements of exact parts written into it."""
        shape = tuple(x.shape[1:])
        linear = [one for one in exact if isinstance(one[0], LinearObservation)]
        if len(linear) > 1:
            together = placed([part for part, _ in linear], shape)
            missing = together.residual(double(x), together.join(*(double(own) for _, own in linear)))
            x = x + like(together.pinv(missing), x) if isinstance(together, LinearStack) else x
            linear = [one for one in linear if isinstance(one[0], Pixels | Crop)]  # bit for bit
        for part, own in linear:
            x = part.write(x, own)
        return x

    def check(self, y: Tensor, shape: tuple[int, ...]) -> None:
        seen = self.of_shape(shape)
        for part, own in zip(seen.parts, seen.split(y), strict=True):
            part.check(own, shape)


class LinearStack(Stacked, LinearObservation):
    """A stack of linear observations, of samples of a shape that is known: what `Stacked.of_shape` makes of them."""

    def adjoint(self, y: Tensor) -> Tensor:
        parts = zip(self.parts, self.weights, self._sections(y), strict=True)
        found = [weight * part.adjoint(own) for part, weight, own in parts if isinstance(part, LinearObservation)]
        return torch.stack(found).sum(0)

    def consistent(self, y: Tensor) -> Tensor:
        def nearest(y: Tensor) -> Solution:
            b = self.adjoint(y)
            return conjugate_gradients(self.forward, lambda _, seen: self.adjoint(seen), b, products=PRODUCTS, tol=TOL)

        if self._few is None:  # where A Aᵀ has more, what is found would not be linear in y
            self._few = not bool(nearest(randn_like(y, stream(0, "rows"))).missed.any())
        return self.forward(nearest(y).u) if self._few or not self.noise else y

    def near_inverse(self, b: Tensor, precision: Precision) -> Tensor:
        # Each part by itself: what they have in common, conjugate gradients find.
        found = list[Tensor]()
        for part, weight, own in zip(self.parts, self.weights, self._sections(b), strict=True):

            def weighted(v: Tensor, gain: float | Tensor, weight: float = weight) -> Tensor:
                return precision(v, weight * gain)

            near = part.near_inverse(own, weighted) if isinstance(part, LinearObservation) else own
            if near is own:  # of no scale that goes with the others
                return b
            found.append(near.flatten(1))
        return torch.cat(found, 1)


class OrthogonalStack(OrthogonalObservation, LinearStack):
    """A stack whose rows are all orthogonal and of one length, such as masks of different pixels."""

    @property
    def gain(self) -> float:
        return self.weights[0] * length(self.parts[0])


def length(part: Observation) -> float:
    """The length of the rows of an observation, if they have one; else 1.

    Args:
        part: The observation.
    """
    return part.gain if isinstance(part, OrthogonalObservation) else 1.0


def placed(parts: Sequence[Observation], shape: tuple[int, ...]) -> Stacked:
    """The stack of observations of samples of a shape, as what it is: linear, or with orthogonal rows.

    Args:
        parts: The observations, for samples of this shape.
        shape: Of one sample.
    """
    kind: type[Stacked] = Stacked
    if all(isinstance(part, LinearObservation) for part in parts):
        kind = OrthogonalStack if orthogonal(Stacked(*parts), shape) else LinearStack
    found = kind(*parts)
    found.shape = tuple(shape)
    return found


def orthogonal(stack: Stacked, shape: tuple[int, ...]) -> bool:
    """Whether the rows of all parts together are orthogonal and of one length.

    Args:
        stack: Of linear observations.
        shape: Of one sample.
    """
    parts = [part for part in stack.parts if isinstance(part, OrthogonalObservation)]
    lengths = [weight * part.gain for weight, part in zip(stack.weights, parts, strict=False)]
    if len(parts) < len(stack.parts) or max(lengths) > (1 + 1e-12) * min(lengths):
        return False
    x = randn((stack.bound or 1, *shape), stream(0, "rows"), dtype=torch.float64)
    own = [part.project(x) for part in parts]  # each row in a random combination with the others of its part
    return not any(bool(other.forward(seen).abs().max() > 1e-9) for k, seen in enumerate(own) for other in parts[:k])
