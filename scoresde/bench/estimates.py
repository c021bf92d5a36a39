"""Estimates with 95 % intervals of what the truth of an analytic model tells."""

import math
from collections.abc import Callable, Sequence

import torch
from scipy.special import stdtrit
from scipy.stats import binom
from torch import Tensor

from ..metrics.base import BLOCKS, Estimate

NORMAL = 1.96
"""Half-width of a 95 % interval in standard errors."""


def standard_error(values: Tensor) -> float:
    """Standard error of the mean of values, (N,)."""
    return float(values.std()) / math.sqrt(len(values))


def median(name: str, values: Tensor) -> Estimate:
    """The median of values, (N,), between two of them, by the binomial law of the number below the true median."""
    ordered, count = values.sort().values, len(values)
    below = max(0, int(binom.ppf(0.025, count, 0.5)) - 1)
    value = float(ordered.double().quantile(0.5))
    return estimate(name, value, float(ordered[below]), float(ordered[count - 1 - below]), count)


def root(name: str, squares: Tensor) -> Estimate:
    """The root of the mean of squares, (N,); a sample that ends in another mode dominates it and its interval."""
    value, half = float(squares.mean()), NORMAL * standard_error(squares)
    return estimate(name, math.sqrt(value), math.sqrt(max(0.0, value - half)), math.sqrt(value + half), len(squares))


def difference(name: str, a: Tensor, b: Tensor) -> Estimate:
    """The mean of a, (M,), minus that of b, (N,), which are independent."""
    value = float(a.mean() - b.mean())
    half = NORMAL * math.hypot(standard_error(a), standard_error(b))
    return estimate(name, value, value - half, value + half, len(b))


def jackknife(name: str, value: Callable[[Tensor], float], x: Tensor, floor: float) -> Estimate:
    """A function of all samples, (N, *), with the block jackknife's interval, as metrics have it (`Metric`)."""
    count = min(BLOCKS, len(x))
    block = torch.arange(len(x)) % count
    left = torch.tensor([value(x[block != g]) for g in range(count)], dtype=torch.float64)
    half = float(stdtrit(count - 1, 0.975)) * math.sqrt((count - 1) * float(left.var(correction=0)))
    found = value(x)
    return Estimate(name=name, value=found, low=found - half, high=found + half, floor=floor, n=len(x))


def paired(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """The mean of a - b for numbers of the same images, (N,) each, and the half-width of its interval."""
    gaps = torch.tensor(a, dtype=torch.float64) - torch.tensor(b, dtype=torch.float64)
    return float(gaps.mean()), NORMAL * standard_error(gaps)


def estimate(name: str, value: float, low: float, high: float, count: int) -> Estimate:
    """An estimate that has no floor and no marks."""
    return Estimate(name=name, value=value, low=low, high=high, floor=None, n=count, marks=())
