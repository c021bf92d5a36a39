"""Base classes of observations."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..core.devices import double, like
from ..core.errors import Missing, NumericalError, UsageError
from ..core.random import Generators, randn_like, stream
from ..core.sentences import an
from .krylov import conjugate_gradients

PRODUCTS, TOL = 1000, 1e-10
"""Products and relative residual at which the pseudo-inverse of a given operator ends."""

Precision = Callable[[Tensor, float | Tensor], Tensor]


class Observation(ABC):
    """A measurement of samples x, (B, *); y is (B, *m), one row per sample.

    Example:
        >>> import scoresde
        >>> isinstance(scoresde.Luma(), scoresde.Observation), scoresde.Downsample().noise
        (True, 0.0)
    """

    noise: float
    """σ_y, the standard deviation of the measurement's error; 0 for what is known exactly."""

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            if name == "noise":
                raise Missing(f"{type(self).__name__} has no noise: set it to the deviation of its error, or to 0.0")
            return super().__getattribute__(name)

    def __str__(self) -> str:
        return type(self).__name__.lower()

    @property
    def bound(self) -> int | None:
        """Number of samples that are measured in ways of their own, as with a mask for each; None if all are alike."""
        return None

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """A x, (B, *m), differentiable.

        Args:
            x: Samples, (B, *).
        """

    def measure(self, x: Tensor, generator: Generators = None) -> Tensor:
        """A x with its error, (B, *m), as a measurement of x may be.

        Args:
            x: Samples, (B, *).
            generator: Source of the error, as for a solver.
        """
        clean = self.forward(x)
        return clean + self.noise * randn_like(clean, generator)

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        """y - A x, (B, *m).

        Args:
            x: Samples, (B, *).
            y: The measurement, (B, *m).
        """
        return y - self.forward(x)

    def write(self, x: Tensor, y: Tensor) -> Tensor:
        """x with what y determines exactly written into it, (B, *); in this base class x itself.

        Args:
            x: Samples, (B, *).
            y: The measurement, (B, *m).
        """
        return x

    def of_shape(self, shape: tuple[int, ...]) -> "Observation":
        """The measurement of samples of a shape. In this base class it is itself.

        Args:
            shape: Shape of one sample.

        Raises:
            UsageError: It is none of such samples.
        """
        return self

    def of_rows(self, rows: Sequence[int]) -> "Observation":
        """The measurement of some of the samples. In this base class it is the same for all of them.

        Args:
            rows: Indices of the samples.
        """
        return self

    def of(self, x: Tensor) -> Tensor:
        """A x with one row for each sample, (B, *m); `forward`, of a function that may return anything.

        Args:
            x: Samples, (B, *).

        Raises:
            UsageError: It returns something else.
        """
        found = self.forward(x)
        if not isinstance(found, Tensor) or not found.ndim or len(found) != len(x):
            got = tuple(found.shape) if isinstance(found, Tensor) else an(type(found).__name__)
            raise UsageError(
                f"{type(self).__name__} of {tuple(x.shape)} must be a tensor with one row for each sample, {len(x)}, "
                f"got {got}: keep the first axis"
            )
        return found

    def check(self, y: Tensor, shape: tuple[int, ...]) -> None:
        """Checks that y is a finite measurement of samples of the given shape.

        Args:
            y: The measurement, (B, *m).
            shape: Shape of one sample.

        Raises:
            UsageError: It is not.
        """
        blank = y.new_zeros(len(y), *shape)
        expected = tuple(self.of(blank).shape)
        if tuple(y.shape) != expected:
            raise UsageError(f"{type(self).__name__} of {len(y)} samples of shape {shape} is {expected}, got {y.shape}")
        if not bool(torch.isfinite(self.residual(blank, y)).all()):
            raise UsageError("the measurement y must be finite")


class LinearObservation(Observation):
    """A measurement with a matrix A, the same for all samples or one for each; `check` looks whether it is one."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y, (B, *).

        Args:
            y: The measurement, (B, *m).
        """

    def check(self, y: Tensor, shape: tuple[int, ...]) -> None:
        super().check(y, shape)
        if (back := tuple(self.adjoint(torch.zeros_like(y)).shape)) != (len(y), *shape):
            raise UsageError(f"{type(self).__name__}: its adjoint must return {(len(y), *shape)}, got {back}: reshape")
        self._check_adjoint(y.new_zeros(self.bound or 1, *shape))

    @torch.no_grad()
    def _check_adjoint(self, zero: Tensor) -> None:
        """<A u, v> = <u, Aᵀ v> and A (-2 u) = -2 A u: they hold for all u and v if they do for random ones."""
        u = randn_like(zero, stream(0, "adjoint"))
        seen = self.forward(u)
        v = seen + seen.std(correction=0) * randn_like(seen, stream(1, "adjoint"))
        back, near = self.adjoint(v), 1e3 * torch.finfo(seen.dtype).eps
        size = near * max(float(seen.norm() * v.norm()), float(u.norm() * back.norm()))
        if not bool(((seen * v).sum() - (u * back).sum()).abs() <= size):
            raise NumericalError(
                f"{type(self).__name__}: its adjoint is not the transpose of its forward, as <A u, v> = <u, Aᵀ v> fails"
            )
        if not bool((self.forward(-2 * u) + 2 * seen).norm() <= near * seen.norm()):
            raise UsageError(f"{type(self).__name__} is not linear, as A (-2 u) = -2 A u fails: use NonLinear")

    def pinv(self, y: Tensor) -> Tensor:
        """A⁺ y, (B, *): among all x with the smallest |A x - y|, the shortest; found in float64.

        Args:
            y: The measurement, (B, *m).

        Raises:
            NumericalError: The iteration does not converge, as when `adjoint` is not the transpose of `forward`.
        """
        found = conjugate_gradients(
            self.forward, lambda p, seen: self.adjoint(seen), self.adjoint(double(y)), products=PRODUCTS, tol=TOL
        )
        if bool(found.missed.any()):
            raise NumericalError(
                f"the pseudo-inverse of {type(self).__name__} is not found to {TOL:g} in {PRODUCTS} products: "
                "give it a noise above 0, and check that its adjoint is the transpose of its forward"
            )
        return like(found.u, y)

    def project(self, x: Tensor) -> Tensor:
        """A⁺ A x, (B, *): the component of x that the measurement determines.

        Args:
            x: Samples, (B, *).
        """
        return self.pinv(self.forward(x))

    def consistent(self, y: Tensor) -> Tensor:
        """A A⁺ y, (B, *m): the part of y that some x has, if rows depend on each other; in this base class y itself.

        The rest says nothing of x, and would be all that conjugate gradients have to do.

        Args:
            y: (B, *m).
        """
        return y

    def near_inverse(self, b: Tensor, precision: Precision) -> Tensor:
        """Approximately (A V Aᵀ + noise² I)⁻¹ b, (B, *m): a preconditioner. In this base class b is returned.

        Args:
            b: A right-hand side, (B, *m).
            precision: Maps v, (B, *), and a gain g, a number or one for each cosine frequency, to (g² V + noise² I)⁻¹
                v.
        """
        return b

    def write(self, x: Tensor, y: Tensor) -> Tensor:
        """The point nearest to x that has the measurement y, (B, *); x itself if the measurement is noisy.

        Args:
            x: Samples, (B, *).
            y: The measurement, (B, *m).
        """
        return x if self.noise else x + self.pinv(self.residual(x, y))


class OrthogonalObservation(LinearObservation):
    """A measurement whose rows are orthogonal and of one length g, so that A⁺ = Aᵀ/g².

    The rows of A/g are an orthonormal basis of what is seen: white noise is white in it, so that the coordinates
    of x_t there are α y/g + σ z, z ~ N(0, I), whatever the unseen ones are.
    """

    @property
    @abstractmethod
    def gain(self) -> float:
        """g, the one singular value of A that is not 0."""

    def pinv(self, y: Tensor) -> Tensor:
        return self.adjoint(y) / self.gain**2

    def near_inverse(self, b: Tensor, precision: Precision) -> Tensor:
        return self.forward(precision(self.adjoint(b), self.gain)) / self.gain**2
