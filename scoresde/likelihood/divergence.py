"""The trace of a Jacobian by vector-Jacobian products: exact, or estimated by random probes."""

import functools
from abc import ABC, abstractmethod
from itertools import product
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import UsageError
from ..core.options import Options
from ..core.random import Generators, randn


class Divergence(Options, ABC):
    """How tr ∂out/∂x is computed. `draw` is called once per trajectory, so the integrand is smooth in time."""

    @abstractmethod
    def draw(self, x: Tensor, generator: Generators) -> Tensor:
        """The random probes of one trajectory, (R, B, *), for R independent estimates of the trace.

        Args:
            x: The state, (B, *).
            generator: Source of the probes; one per row makes each sample depend on its own seed alone.
        """

    @abstractmethod
    def trace(self, out: Tensor, x: Tensor, probes: Tensor) -> Tensor:
        """R estimates of tr ∂out/∂x for each sample, (B, R).

        Args:
            out: A function of x, (B, *), with its graph.
            x: (B, *), with requires_grad.
            probes: What `draw` returned.
        """

    @abstractmethod
    def vjps(self, dims: int) -> int:
        """Vector-Jacobian products per evaluation.

        Args:
            dims: Values of one sample.
        """


class Exact(Divergence):
    """The sum of the diagonal: one vector-Jacobian product for each of the D values of a sample."""

    def draw(self, x: Tensor, generator: Generators) -> Tensor:
        return x.new_zeros((1, *x.shape))

    def trace(self, out: Tensor, x: Tensor, probes: Tensor) -> Tensor:
        total = x.new_zeros(len(x))
        for i, column in enumerate(out.flatten(1).sum(0)):  # rows do not mix, so a sum over the batch serves all
            total = total + torch.autograd.grad(column, x, retain_graph=True)[0].flatten(1)[:, i]
        return total[:, None]

    def vjps(self, dims: int) -> int:
        return dims


class Hutchinson(Divergence):
    """Σ_k (e m_k)ᵀ J (e m_k) with random e, E[e eᵀ] = I, and masks m_k that split the values into interleaved classes.

    It is unbiased. With one class this is Hutchinson's estimate, eᵀ J e, whose variance for symmetric J and Rademacher
    signs is 2 Σ_{i≠j} J_ij². With K classes, for K products, only the pairs within a class are left in that sum. They
    are as far apart in the image as K classes allow, and the Jacobian of a denoiser falls off with distance, so at
    equal cost classes lower the variance more than K independent probes do.

    References: Hutchinson 1990, https://doi.org/10.1080/03610919008812866; Tang and Saad 2012,
    https://doi.org/10.1002/nla.779, for probing by classes.
    """

    probes: int = Field(1, ge=1, description="Independent estimates; two or more give a standard error.")
    classes: int = Field(1, ge=1, description="Interleaved classes of values, each with a product of its own.")
    noise: Literal["rademacher", "gaussian"] = Field("rademacher", description="Law of the probes.")

    def draw(self, x: Tensor, generator: Generators) -> Tensor:
        if self.classes > x[0].numel():
            raise UsageError(f"classes must be at most the {x[0].numel()} values of a sample, got {self.classes}")
        z = randn((len(x), self.probes, *x.shape[1:]), generator, dtype=x.dtype).to(x.device)
        return (z if self.noise == "gaussian" else torch.where(z < 0, -1.0, 1.0).to(x)).transpose(0, 1)

    def trace(self, out: Tensor, x: Tensor, probes: Tensor) -> Tensor:
        parts = interleaved(tuple(x.shape[1:]), self.classes).to(x.device)
        totals = []
        for e in probes:
            total = x.new_zeros(len(x))
            for k in range(self.classes):
                masked = e * (parts == k)
                product = torch.autograd.grad(out, x, masked, retain_graph=True)[0]
                total = total + (product * masked).flatten(1).sum(1)
            totals.append(total)
        return torch.stack(totals, dim=1)

    def vjps(self, dims: int) -> int:
        return self.probes * self.classes


REACH = 8
"""Largest distance, in values, of the pairs of one class that `interleaved` counts."""


@functools.lru_cache(maxsize=32)
def interleaved(shape: tuple[int, ...], classes: int) -> Tensor:
    """The class of each value of a sample, int64 of the given shape: (Σ_j a_j i_j) mod K for the index i.

    The a_j are those for which Σ |d|⁻⁴ over all pairs of values of one class is least, d being their distance.

    Args:
        shape: Shape of one sample.
        classes: Number of classes K.
    """
    steps = [range(-min(n - 1, REACH), min(n - 1, REACH) + 1) for n in shape]
    d = torch.tensor([step for step in product(*steps) if any(step)] or [[0] * len(shape)])
    pairs = (torch.tensor(shape) - d.abs()).prod(1)
    repulsion = pairs / d.square().sum(1).clamp_min(1).double() ** 2
    *slow, fast = range(len(shape))
    best, least = [0] * len(slow), torch.inf
    for a in product(range(classes), repeat=len(slow)):
        same = (d[:, fast] + d[:, slow] @ torch.tensor(a, dtype=torch.int64)) % classes == 0
        energy = float(repulsion[same].sum())
        if energy < least:
            best, least = list(a), energy
    index = torch.meshgrid(*(torch.arange(n) for n in shape), indexing="ij")
    return torch.stack([step * i for step, i in zip([*best, 1], index, strict=True)]).sum(0) % classes
