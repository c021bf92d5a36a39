"""Linear measurements as matrices, if they are small enough to be factorised."""

import math

import torch
from torch import Tensor

from ..core.devices import double, exact
from ..core.errors import NumericalError, UsageError
from ..observations import LinearObservation, OrthogonalObservation
from ..observations.covariance import Covariance

LARGEST = 4096
"""Numbers in a measurement up to which a matrix of that size is factorised."""
LEAST, ROUNDED = 1e-6, 1e-3
"""Share of A's norm below which a combination of its rows is 0; and that of y by which roundings contradict it."""


def dense(
    name: str, observation: LinearObservation, shape: tuple[int, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """The rows of A that are not all zeros, (m, D) in float64, and which of all rows these are, (M,), bool.

    Args:
        name: Of the method, for the error.
        observation: A, the same for all samples.
        shape: Shape of one sample, with D numbers.
        device: Where the matrix is made.

    Raises:
        UsageError: The observation is not the same for all rows of a batch.
    """
    if observation.bound is not None:
        raise UsageError(
            f"{name} takes one mask for all samples, got {observation.bound}: condition on them one by one"
        )
    unit = torch.eye(math.prod(shape), dtype=torch.float64, device=device).reshape(-1, *shape)
    a = observation.forward(unit).flatten(1).T
    seen = a.any(1)  # an unseen pixel is a row of zeros
    return a[seen], seen


def independent(a: Tensor, y: Tensor) -> tuple[Tensor, Tensor | None]:
    """The rows of an exact measurement that do not follow from the others, (r, D), and how those of y become theirs.

    A row that follows from others says nothing, and its rounding in y would be divided by nearly 0.

    Args:
        a: A, (m, D), float64.
        y: A x of each sample, (B, m).

    Returns:
        Qᵀ A and Q, (m, r), with orthonormal columns; A itself and None where all rows are independent.

    Raises:
        NumericalError: The rows of y contradict each other.
    """
    gram, size = a @ a.T, float(a.norm())
    _, failed = torch.linalg.cholesky_ex(gram - (LEAST * size) ** 2 * torch.eye(len(a)).to(a))
    if not failed:
        return a, None
    values, vectors = torch.linalg.eigh(gram)
    basis, rows = vectors[:, values > (LEAST * size) ** 2], y.to(a)
    if bool(((rows - rows @ basis @ basis.T).norm(dim=1) > ROUNDED * rows.norm(dim=1)).any()):
        raise NumericalError("the parts of an exact measurement contradict each other: give the observation some noise")
    return basis.T @ a, basis


class Gain:
    """G (y - A x̂_0) with G = V Aᵀ (σ_y² I + A V Aᵀ)⁻¹ as a matrix, (D, m), of one noise level; the last one is kept.

    With a full Σ the factorisation pays off from a few rows on, since conjugate gradients multiply by Σ about twenty
    times for each row.

    Args:
        covariance: Σ, that of the data.
        observation: What was measured, A and σ_y, the same for all samples.
        y: The measurements, (B, *m).
    """

    kept: tuple[float, Tensor | None] = -1.0, None
    """A σ²/α², and G there: one tuple, which threads that share this replace as a whole."""

    def __init__(self, covariance: Covariance, observation: LinearObservation, y: Tensor) -> None:
        self.covariance, self.noise, self.basis = covariance, observation.noise, None
        self.a, self.seen = dense("covariance", observation, covariance.shape, exact(y.device))
        if not self.noise and not isinstance(observation, OrthogonalObservation):
            seen = observation.residual(y.new_zeros(len(y), *covariance.shape), y)
            self.a, self.basis = independent(self.a, seen.flatten(1)[:, self.seen])

    def __call__(self, residual: Tensor, variance: Tensor) -> Tensor | None:
        """G residual, (B, *); None if the variances differ, or S is singular, as where a measured value does not vary.

        Args:
            residual: y - A x̂_0, (B, *m).
            variance: σ²/α² for each row, (B,).
        """
        if bool((variance != variance[0]).any()):
            return None
        (level, matrix), now = self.kept, float(variance[0])
        if level != now:
            matrix = self._at(now)
            self.kept = now, matrix
        if matrix is None:
            return None
        rows = double(residual).flatten(1)[:, self.seen]
        rows = rows if self.basis is None else rows @ self.basis
        return (rows @ matrix.T).reshape(-1, *self.covariance.shape)

    def _at(self, variance: float) -> Tensor | None:
        """G at one σ²/α², or None if S = σ_y² I + A V Aᵀ is singular."""
        rows = self.a.reshape(-1, *self.covariance.shape)
        each = torch.full((len(rows),), variance, dtype=torch.float64, device=rows.device)
        spread = self.covariance.posterior(rows, each).flatten(1)  # A V
        s = self.a @ spread.T + self.noise**2 * torch.eye(len(rows)).to(rows)
        factor, failed = torch.linalg.cholesky_ex(s)
        return None if failed else torch.cholesky_solve(spread, factor).T
