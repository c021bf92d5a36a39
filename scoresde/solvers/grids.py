"""Time grids of solvers with a given number of steps."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import BeforeValidator, Field, PlainSerializer
from torch import Tensor

from ..core.errors import UsageError
from ..core.options import Registry, WrittenOptions
from ..core.sentences import many
from ..sde import SDE, Level

APART = 1e-9
"""Least length of a step in log-SNR, far below that of a million steps: shorter ones are rounding errors."""


class Grid(WrittenOptions, ABC):
    """A rule that turns two times and a number of steps into a grid. As text: "karras" or "karras:rho=5"."""

    @abstractmethod
    def times(self, sde: SDE, start: float, stop: float, steps: int) -> list[float]:
        """The steps + 1 times from start to stop, strictly monotone, both ends exact.

        Args:
            sde: The process.
            start: First time.
            stop: Last time.
            steps: Number of steps.

        Raises:
            UsageError: The rule has no grid of that many steps between these times.
        """

    def levels(self, sde: SDE, start: float, stop: float, steps: int) -> list[Level]:
        """The process at the steps + 1 times. Neighbours differ enough for solvers to divide by their difference.

        Args:
            sde: The process.
            start: First time.
            stop: Last time.
            steps: Number of steps.

        Raises:
            UsageError: As `times`; or neighbouring times differ by less than `APART` in log-SNR, or are no numbers.
        """
        levels = sde.levels(self.times(sde, start, stop, steps))
        sign = math.copysign(1.0, start - stop)
        if not all(sign * (s.log_snr - t.log_snr) > APART for t, s in pairwise(levels)):
            raise UsageError(
                f"the grid {self} with {many(steps, 'step')} from {start:g} to {stop:g} has times that are too close "
                "to each other: choose other options of the grid, or fewer steps"
            )
        return levels


grids: Registry[Grid] = Registry("grid", "scoresde.solvers.grids", "scoresde.grids")

Map = Callable[[Tensor], Tensor]


def between(start: float, stop: float, steps: int, there: Map, back: Map) -> list[float]:
    """The steps + 1 times of a grid that is uniform in there(t).

    Args:
        start: First time.
        stop: Last time.
        steps: Number of steps.
        there: A monotone function of time.
        back: Its inverse.
    """
    first, last = there(torch.tensor([start, stop], dtype=torch.float64)).tolist()
    times = back(torch.linspace(first, last, steps + 1, dtype=torch.float64))
    return [start, *times[1:-1].tolist(), stop]


@grids("time")
class UniformGrid(Grid):
    """Uniform in time, as in score_sde: the last step is long where the score grows as 1/σ."""

    def times(self, sde: SDE, start: float, stop: float, steps: int) -> list[float]:
        return between(start, stop, steps, lambda t: t, lambda t: t)


@grids("quadratic")
class QuadraticGrid(Grid):
    """Uniform in √t, so that steps shorten towards the data (Song et al. 2021, https://arxiv.org/abs/2010.02502)."""

    def times(self, sde: SDE, start: float, stop: float, steps: int) -> list[float]:
        return between(start, stop, steps, torch.sqrt, torch.square)


@grids("logsnr")
class LogSNRGrid(Grid):
    """Uniform in λ = log α/σ, the time in which exponential integrators work (Lu et al. 2022)."""

    def times(self, sde: SDE, start: float, stop: float, steps: int) -> list[float]:
        return between(start, stop, steps, sde.log_snr, sde.time)


@grids("karras")
class KarrasGrid(Grid):
    """Uniform in (σ/α)^(1/ρ) (Karras et al. 2022, https://arxiv.org/abs/2206.00364, equation 5)."""

    rho: float = Field(7.0, gt=0, description="The larger, the more steps near the data.")

    def times(self, sde: SDE, start: float, stop: float, steps: int) -> list[float]:
        return between(
            start,
            stop,
            steps,
            lambda t: torch.exp(-sde.log_snr(t) / self.rho),
            lambda u: sde.time(-self.rho * torch.log(u)),
        )


@grids("cosine")
class CosineGrid(Grid):
    """Uniform in the angle arctan(σ/α): even steps on the circle of a variance-preserving process."""

    def times(self, sde: SDE, start: float, stop: float, steps: int) -> list[float]:
        return between(
            start,
            stop,
            steps,
            lambda t: torch.atan(torch.exp(-sde.log_snr(t))),
            lambda angle: sde.time(-torch.log(torch.tan(angle))),
        )


@grids("chain")
class ChainGrid(Grid):
    """Levels of a discrete chain, evenly spaced along it, as in IDDPM; a continuous process gets "quadratic".

    With fewer steps than the chain has between the two times, every level but these is one that it was trained on.
    """

    def times(self, sde: SDE, start: float, stop: float, steps: int) -> list[float]:
        if sde.chain is None:
            return QuadraticGrid().times(sde, start, stop, steps)
        ends = sde.step(torch.tensor([start, stop], dtype=torch.float64))
        # A level is whole only to rounding, which would decide where the even spacing ends in a half.
        first, last = torch.where((ends - ends.round()).abs() < 1e-6, ends.round(), ends).tolist()
        index = torch.linspace(first, last, steps + 1, dtype=torch.float64)
        index = index.round() if steps <= abs(first - last) else index
        log_snr = sde.log_snr(sde.chain.times)
        before = index.long().clamp(max=len(log_snr) - 2)
        times = sde.time(torch.lerp(log_snr[before], log_snr[before + 1], index - before))
        return [start, *times[1:-1].tolist(), stop]


@grids("list")
class ListedGrid(Grid):
    """Given times between start and stop, as in "list:at=0.7/0.3/0.05": one fewer than there are steps."""

    at: tuple[float, ...] = Field((), description="The times between the ends, in order.")

    def times(self, sde: SDE, start: float, stop: float, steps: int) -> list[float]:
        times = [start, *self.at, stop]
        sign = math.copysign(1.0, stop - start)
        if len(times) != steps + 1:
            raise UsageError(f"a grid of {many(steps, 'step')} lists {steps - 1} between its ends, got {len(self.at)}")
        if any((b - a) * sign <= 0 for a, b in zip(times, times[1:], strict=False)):
            raise UsageError(f"the times of a grid must run from {start:g} to {stop:g}, got {times}")
        return times


GridOption = Annotated[
    Grid,
    BeforeValidator(lambda value: grids.make(value, Grid)),
    PlainSerializer(str),
    Field(
        validate_default=True,
        description="Grid of the steps: time, quadratic, logsnr, karras:rho=7, cosine, chain, list:at=0.5/0.1.",
    ),
]
