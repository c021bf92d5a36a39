"""The covariance of data, in a form that is cheap to multiply with and to invert."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..core.errors import DataError, UsageError
from ..core.units import Units
from ..sde import expand
from .cosine import cosines
from .krylov import reciprocal

Kind = Literal["channel", "dct", "diagonal", "full"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LARGEST = 4096
"""Values in a sample up to which a full covariance is made; its eigenvectors take the square of it."""
SHRINKAGE = 1e-4
"""Share of the mean variance that is added to every direction, so that no direction has the variance 0."""


@dataclass(frozen=True, eq=False)
class Covariance:
    """Σ = U diag(v) Uᵀ with U orthogonal: a product of one matrix for each of the first axes of a sample.

    `channel` has the same (C, C) covariance at every pixel and none between pixels: enough for colourisation.
    `dct` rotates the channels to their principal axes and has a variance for each cosine frequency of each: for
    measurements that know some places and not others, if images look alike everywhere. `diagonal` has a variance for
    each number and no covariance, and `full` all D² of them: these two are for samples of any shape.

    Reference: Ahmed, Natarajan and Rao 1974, https://doi.org/10.1109/T-C.1974.223784, for the cosine basis.
    """

    kind: Kind
    """channel, dct, diagonal or full."""
    shape: tuple[int, ...]
    """Shape of one sample."""
    variances: Tensor
    """v: (C, 1, 1), the shape of a sample, or (D,), float64."""
    factors: tuple[Tensor, ...]
    """Orthogonal matrices, their columns the axes of U, for axes 1, 2, ... of (B, C, H, W), or for (B, D); or none."""

    def __str__(self) -> str:
        return f"{self.kind} covariance of samples of shape {self.shape}"

    def check(self, shape: tuple[int, ...]) -> None:
        """Checks that the covariance is one of samples of the given shape.

        Args:
            shape: Shape of the model's samples.

        Raises:
            UsageError: It is not.
        """
        if tuple(self.shape) != tuple(shape):
            raise UsageError(f"this is the {self}, and the model's samples have the shape {tuple(shape)}")

    def to(self, device: torch.device) -> "Covariance":
        """The same on another device.

        Args:
            device: The device.
        """
        factors = tuple(factor.to(device) for factor in self.factors)
        return Covariance(self.kind, self.shape, self.variances.to(device), factors)

    def resized(self, shape: tuple[int, ...]) -> "Covariance":
        """The covariance of images of another height and width, cut from the same pictures.

        If the pictures look alike everywhere, the variance of cosine k of n is their spectrum at the frequency k/n. Its
        logarithm is interpolated. Below the lowest frequency of the smaller size it is extrapolated.

        Args:
            shape: Shape of the samples, (C, H, W).

        Raises:
            UsageError: A full or diagonal covariance belongs to its size; or the shape has other channels.
        """
        if self.shape == tuple(shape):
            return self
        fixed = self.kind in ("full", "diagonal")
        if fixed or len(shape) != 3 or shape[0] != self.shape[0]:
            advice = "take the kind dct or channel" if fixed else "only height and width may differ"
            raise UsageError(f"the {self} cannot be resized to {tuple(shape)}: {advice}")
        if self.kind == "channel":
            return Covariance(self.kind, tuple(shape), self.variances, self.factors)
        logs = self.variances.clamp_min(torch.finfo(torch.float64).tiny).log()
        for axis, size in enumerate(shape[1:], 1):
            logs = interpolated(logs.movedim(axis, -1), size).movedim(-1, axis)
        factors = (self.factors[0], *(cosines(n).to(logs) for n in shape[1:]))
        return Covariance(self.kind, tuple(shape), logs.exp(), factors)

    def of_units(self, units: Units | None) -> "Covariance":
        """The covariance of u, where this one is that of data x = centre + spread u.

        Args:
            units: What u means in the units of x; None if they are the same.

        Raises:
            UsageError: The spreads differ, and the kind is one of pictures.
        """
        if units is None:
            return self
        spread = units.spread.expand(self.shape).to(self.variances)
        if bool((spread == spread.flatten()[0]).all()):
            return Covariance(self.kind, self.shape, self.variances / float(spread.flatten()[0]) ** 2, self.factors)
        if self.kind == "diagonal":
            return Covariance(self.kind, self.shape, self.variances / spread**2, ())
        if self.kind != "full":
            raise UsageError(f"the {self} goes with one scale for all channels: estimate a full or a diagonal one")
        (axes,), flat = self.factors, spread.flatten()
        return full((axes * self.variances) @ axes.T / (flat[:, None] * flat), self.shape)

    def posterior(self, v: Tensor, variance: Tensor) -> Tensor:
        """V v, V = (Σ⁻¹ + I/variance)⁻¹, (B, *).

        V is the covariance of x_0 given x_t for normal x_0, where variance is σ²/α².

        Args:
            v: (B, *).
            variance: One for each row, (B,).
        """
        return self._multiplied(v, self._posterior(v, variance))

    def precision(self, v: Tensor, variance: Tensor, gain: float | Tensor, noise: Tensor) -> Tensor:
        """(G V G + noise² I)⁻¹ v, (B, *), with V as in `posterior`; directions without variance are left out.

        Args:
            v: (B, *).
            variance: One for each row, (B,).
            gain: G, one factor for all directions; or one for each cosine frequency, (H, W), which commutes with V in
                the kind `dct` alone: for another kind v is returned as it is.
            noise: Standard deviation of the measurement's error, (B,).
        """
        if isinstance(gain, Tensor) and self.kind != "dct":
            return v
        spread = gain**2 * self._posterior(v, variance)
        spread = spread + expand(noise.to(v) ** 2, spread)
        return self._multiplied(v, reciprocal(spread))

    def _posterior(self, v: Tensor, variance: Tensor) -> Tensor:
        """The eigenvalues of V, (B, ...)."""
        own = self.variances.to(v)
        noise = variance.to(v).reshape(-1, *[1] * own.ndim)
        return own * noise / (own + noise)

    def _multiplied(self, v: Tensor, eigenvalues: Tensor) -> Tensor:
        """U diag(eigenvalues) Uᵀ v, (B, *)."""
        c = v.flatten(1) if self.kind == "full" else v
        for axis, factor in enumerate(self.factors, 1):
            c = torch.tensordot(c, factor.to(c), dims=([axis], [0])).movedim(-1, axis)
        c = c * eigenvalues
        for axis, factor in enumerate(self.factors, 1):
            c = torch.tensordot(c, factor.to(c), dims=([axis], [1])).movedim(-1, axis)
        return c.reshape(v.shape)


def full(matrix: Tensor, shape: tuple[int, ...]) -> Covariance:
    """A covariance from a symmetric matrix.

    Args:
        matrix: The covariance matrix, (D, D).
        shape: Shape of one sample, of D values.

    Raises:
        UsageError: The matrix does not fit the shape or has a negative eigenvalue.
    """
    size = int(np.prod(shape))
    if matrix.shape != (size, size):
        raise UsageError(f"samples of shape {shape} have a covariance of shape {(size, size)}, got {matrix.shape}")
    variances, axes = torch.linalg.eigh(matrix.double())
    if variances.min() < -1e-9 * variances.max():
        raise UsageError(f"a covariance has no negative eigenvalue, got {variances.min():g}")
    return Covariance("full", shape, variances.clamp_min(0), (axes,))


def usual(shape: tuple[int, ...]) -> Kind:
    """The kind that is estimated of samples of a shape: dct of pictures, else full, or diagonal of very large ones.

    Args:
        shape: Shape of one sample.
    """
    if len(shape) == 3:
        return "dct"
    return "full" if math.prod(shape) <= LARGEST else "diagonal"


def estimate(samples: Tensor, kind: Kind | None = None) -> Covariance:
    """The covariance of samples about their mean.

    Args:
        samples: (N, C, H, W), or for the kinds full and diagonal (N, *), at least two.
        kind: "channel", "dct", "diagonal" or "full"; by default `usual`.

    Raises:
        UsageError: There is no such kind, or `full` would be too large.
        DataError: There are fewer than two samples, or the kind is one of pictures, and these are none.
    """
    shape = tuple(samples.shape[1:])
    kind = usual(shape) if kind is None else kind
    if kind not in KINDS:
        raise UsageError(f"the kind of a covariance must be one of {', '.join(KINDS)}, got {kind!r}")
    if len(samples) < 2 or not shape:
        raise DataError(f"a covariance takes at least two samples, (N, *), got {tuple(samples.shape)}")
    if len(shape) != 3 and kind in ("channel", "dct"):
        raise DataError(f"a {kind} covariance is one of pictures, (N, C, H, W), got {tuple(samples.shape)}: use full")
    offset, size = samples.double() - samples.double().mean(0), math.prod(shape)
    if kind == "diagonal":
        return Covariance(kind, shape, shrunk(offset.square().mean(0)), ())
    if kind == "full":
        if size > LARGEST:
            other = "dct" if len(shape) == 3 else "diagonal"
            raise UsageError(f"a full covariance is made of at most {LARGEST} values, got {size}; use {other}")
        flat = offset.flatten(1)
        whole = full(flat.T @ flat / len(flat), shape)
        return Covariance(kind, shape, shrunk(whole.variances), whole.factors)
    variances, colours = torch.linalg.eigh(torch.einsum("nihw,njhw->ij", offset, offset) / offset[:, 0].numel())
    if kind == "channel":
        return Covariance(kind, shape, shrunk(variances.clamp_min(0))[:, None, None], (colours,))
    rows, columns = (cosines(n) for n in shape[1:])
    c = torch.einsum("nchw,ck,hi,wj->nkij", offset, colours, rows, columns)
    return Covariance(kind, shape, shrunk(c.square().mean(0)), (colours, rows, columns))


def interpolated(values: Tensor, size: int) -> Tensor:
    """Values at the frequencies k/n, interpolated to k/size, (..., size); the highest value is kept beyond the highest
    frequency.

    Args:
        values: (..., n).
        size: Number of frequencies of the result.
    """
    n = values.shape[-1]
    at = (torch.arange(size, dtype=torch.float64, device=values.device) * n / size).clamp_max(n - 1)
    below = at.long().clamp_max(max(n - 2, 0))
    share = at - below
    return (1 - share) * values[..., below] + share * values[..., (below + 1).clamp_max(n - 1)]


def shrunk(variances: Tensor) -> Tensor:
    """The variances, moved by `SHRINKAGE` towards their mean.

    Args:
        variances: Of any shape.
    """
    return (1 - SHRINKAGE) * variances + SHRINKAGE * variances.mean()
