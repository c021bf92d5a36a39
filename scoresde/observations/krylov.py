"""Krylov methods for S u = b, where S is given as a function; each row of a batch is a system of its own.

S is given in two halves, S p = gather(p, spread(p)), because the caller needs spread(u): it is summed up during the
iteration and costs no further product.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..sde import expand

Spread = Callable[[Tensor], Tensor]
"""Maps (B, *m) to (B, *), linear in each row."""
Gather = Callable[[Tensor, Tensor], Tensor]
"""Maps p, (B, *m), and spread(p) to S p, (B, *m)."""
Precondition = Callable[[Tensor], Tensor]
"""Maps b, (B, *m), to something near S⁻¹ b."""


class Solution(NamedTuple):
    """Where a method ended."""

    u: Tensor
    """(B, *m)."""
    spread: Tensor
    """spread(u), (B, *)."""
    missed: Tensor
    """Which rows have not reached the tolerance, (B,)."""


def dot(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of each row of a with that of b, (B,).

    Args:
        a: (B, *).
        b: (B, *).
    """
    return (a * b).reshape(len(a), -1).sum(1)


def conjugate_gradients(
    spread: Spread,
    gather: Gather,
    b: Tensor,
    *,
    products: int,
    precondition: Precondition = lambda b: b,
    tol: float = 0.0,
) -> Solution:
    """S u = b for a symmetric positive semi-definite S, u in the range of S.

    A row ends when |b - S u| <= tol |b|, or where S has no positive curvature; the others go on without it.

    Args:
        spread: Maps p, (B, *m), to (B, *).
        gather: Maps p and spread(p) to S p, (B, *m).
        b: The right-hand side, (B, *m).
        products: The largest number of products with S.
        precondition: Maps b to an approximation of S⁻¹ b.
        tol: Relative residual at which a row ends.

    Reference: Hestenes and Stiefel 1952, https://doi.org/10.6028/jres.049.044.
    """
    u, image, residual = torch.zeros_like(b), torch.zeros(()), b
    p = precondition(residual)
    limit, rho = tol**2 * dot(b, b), dot(residual, p)
    missed = dot(b, b) > limit
    for done in range(1, products + 1):
        wide = spread(p)
        narrow = gather(p, wide)
        curvature = dot(p, narrow)
        going = missed & (curvature > 0)
        step = torch.where(going, rho / torch.where(going, curvature, 1), 0)
        u, residual = u + expand(step, p) * p, residual - expand(step, p) * narrow
        moved = expand(step, wide) * wide
        image = moved if done == 1 else image + moved
        missed = missed & (dot(residual, residual) > limit)
        if done == products or (tol and not bool(missed.any())):
            break
        z = precondition(residual)
        before, rho = rho, dot(residual, z)
        p = z + expand(torch.where(going & missed, rho / torch.where(before > 0, before, 1), 0), p) * p
    return Solution(u, image, missed)


def gmres(spread: Spread, gather: Gather, b: Tensor, *, products: int, precondition: Precondition) -> Solution:
    """S u = b for any S: the u with the smallest |b - S u| in the Krylov space of S M⁻¹, with M⁻¹ the preconditioner.

    Args:
        spread: Maps p, (B, *m), to (B, *).
        gather: Maps p and spread(p) to S p, (B, *m).
        b: The right-hand side, (B, *m).
        products: Number of products with S.
        precondition: Maps b to an approximation of S⁻¹ b.

    Reference: Saad and Schultz 1986, https://doi.org/10.1137/0907058.
    """
    length = dot(b, b).sqrt()
    basis, directions, images = [expand(reciprocal(length), b) * b], [], []
    h = b.new_zeros(len(b), products + 1, products)
    for j in range(products):
        directions.append(precondition(basis[j]))
        images.append(spread(directions[j]))
        w = gather(directions[j], images[j])
        for i, v in enumerate(basis):
            h[:, i, j] = dot(w, v)
            w = w - expand(h[:, i, j], v) * v
        h[:, j + 1, j] = dot(w, w).sqrt()
        basis.append(expand(reciprocal(h[:, j + 1, j]), w) * w)
    # The pseudo-inverse, because the space of a row may end before the others do.
    weights = length[:, None] * torch.linalg.pinv(h)[:, :, 0]
    u = sum((expand(c, d) * d for c, d in zip(weights.T, directions, strict=True)), torch.zeros_like(b))
    image = sum((expand(c, v) * v for c, v in zip(weights.T, images, strict=True)), torch.zeros_like(images[0]))
    return Solution(u, image, length > 0)


def reciprocal(a: Tensor) -> Tensor:
    """1/a, and 0 where a is 0.

    Args:
        a: Numbers, of any shape.
    """
    return torch.where(a == 0, 0, 1 / torch.where(a == 0, 1, a))
