"""The integrals of exponential integrators: weights of predictions, of Newton polynomials, and φ_k."""

import functools
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .stepping import Floats

Target = Literal["noise", "data"]
Map = Callable[[Tensor], Tensor]


@functools.cache
def quadrature(points: int) -> tuple[Floats, Floats]:
    """Nodes and weights of the Gauss-Legendre rule on (0, 1), (points,) each.

    Args:
        points: Number of points.
    """
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return (nodes + 1) / 2, weights / 2


def weights(
    nodes: Tensor,
    start: Tensor,
    end: Tensor,
    target: Target = "noise",
    variable: Map | None = None,
    points: int = 24,
) -> Tensor:
    """Weights w_j = ∫ exp(±(end - λ)) L_j(λ) dλ from start to end, + for noise and - for data, (B, k).

    L_j is the Lagrange polynomial that is 1 at node j and 0 at the row's other nodes, so Σ w_j m(λ_j) is exact
    where m is a polynomial of degree below the number of nodes. The rule of 24 points leaves nothing but rounding
    for steps up to |end - start| = 20, and, unlike closed forms, cancels nothing when the step is short.

    Args:
        nodes: log-SNR of the history, (B, k), float64; an infinite node does not exist and has weight 0.
        start: log-SNR at the start of the step, (B,).
        end: log-SNR at its end, (B,).
        target: "noise" or "data".
        variable: The polynomials are in variable(λ), such as the time; in λ itself by default.
        points: Points of the quadrature; a variable other than λ needs more of them.
    """
    u, share = (torch.from_numpy(v).to(nodes) for v in quadrature(points))
    h = (end - start)[:, None]
    known = torch.isfinite(nodes)
    place = torch.where(known, nodes - start[:, None], 0.0)
    at = h * u
    if variable is not None:
        place, at = variable(place + start[:, None]), variable(at + start[:, None])
    kernel = h * share * torch.exp((h if target == "noise" else -h) * (1 - u))
    own = torch.eye(nodes.shape[1], dtype=torch.bool, device=nodes.device)
    absent = (own | ~known[:, None, :])[..., None]
    distance = torch.where(absent, 1.0, (place[:, :, None] - place[:, None, :])[..., None])
    factors = torch.where(absent, 1.0, (at[:, None, None, :] - place[:, None, :, None]) / distance)
    return torch.where(known, (factors.prod(2) * kernel[:, None, :]).sum(-1), 0.0)


def newton(end: Floats, h: Floats, nodes: Floats) -> Floats:
    """∫ exp(λ - end) Π_{j<k} (λ - n_j) dλ over the last h before `end`, for k = 0 to K, (K + 1, B).

    The rule of 16 points leaves nothing but rounding at the lengths of adaptive steps.

    Args:
        end: log-SNR at the end, (B,).
        h: Length, (B,), below 0 where the end lies before the start.
        nodes: n_j, (K, B).
    """
    points, share = quadrature(16)
    back = h * (1 - points[:, None])
    basis = np.empty((len(nodes) + 1, *back.shape))
    basis[0], basis[1:] = h * share[:, None] * np.exp(-back), end - back - nodes[:, None]
    found: Floats = np.multiply.accumulate(basis).sum(1)
    return found


def phi(k: int, z: float) -> float:
    """φ_k(z) = Σ zⁱ/(i + k)! for k >= 1: the weight of u^(k-1)/(k-1)! in ∫ exp(z (1 - u)) ... du over (0, 1).

    Args:
        k: Index, from 1.
        z: Argument; near 0 the series is used, which cancels nothing.
    """
    if abs(z) < 1:
        value = 1.0
        for i in range(18, 0, -1):
            value = 1 + value * z / (i + k)
        return value / math.factorial(k)
    value = math.expm1(z) / z
    for i in range(1, k):
        value = (value - 1 / math.factorial(i)) / z
    return value
