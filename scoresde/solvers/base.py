"""Base classes of solvers. `Solver.solve` is the public call; a method implements the hook of its base class."""

import math
from abc import ABC, abstractmethod
from collections.abc import MutableMapping
from itertools import pairwise
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ..core.errors import NumericalError, UsageError
from ..core.finite import all_finite, non_finite
from ..core.options import Registry, remembered
from ..core.random import Generators, randn_like
from ..models.base import ObservedModel, ScoreModel
from ..models.border import checked
from ..sde import SDE, Level
from .brownian import BrownianNoise
from .grids import Grid, GridOption, LogSNRGrid, QuadraticGrid
from .guard import Guard, rows
from .langevin import Ending

Info = MutableMapping[str, float]
"""What a solver reports besides its result, such as the number of rejected steps."""

Steps = Annotated[int, Field(ge=1, le=1_000_000, description="Number of steps.")]
Order = Annotated[int, Field(ge=1, le=4, description="Order of the method.")]


class Solver(Ending, ABC):
    """A method that maps samples at one time to samples at another. Fields are options, without other state.

    Example:
        >>> import scoresde
        >>> solver = scoresde.solvers.DPMSolver(tol=0.01)
        >>> isinstance(solver, scoresde.Solver), str(solver)
        (True, 'dpm:tol=0.01')
    """

    stochastic: ClassVar[bool] = False
    """Whether it adds noise by default; otherwise it integrates the probability-flow ODE."""
    adaptive: ClassVar[bool] = False
    """Whether it chooses its own steps."""
    retries: ClassVar[bool] = False
    """Whether it takes a shorter step where a prediction is not finite, instead of stopping with an error."""
    batch_independent: ClassVar[bool] = True
    """Whether, with its default options, row i of the result depends on row i alone."""
    examples: ClassVar[tuple[dict[str, object], ...]] = ()
    """Options, beyond the defaults, that the contract tests also run."""

    @property
    def noisy(self) -> bool:
        """Whether it adds noise with the options it has; only without can it also run towards noise."""
        return self.stochastic or self.final_corrector > 0

    @property
    @abstractmethod
    def claimed_order(self) -> float:
        """The order of convergence that the tests measure: of the law for stochastic solvers, else of the path."""

    def solve(
        self,
        model: ScoreModel,
        x: Tensor,
        *,
        start: float,
        stop: float,
        generator: Generators = None,
        info: Info | None = None,
    ) -> Tensor:
        """Integrates x, (B, *), from time `start` to time `stop`.

        A gradient of the result takes the steps that an adaptive solver chose for constants, as in torchdiffeq.

        Args:
            model: The score model.
            x: The state at time `start`, (B, *).
            start: Time of x.
            stop: Time of the result: below `start` towards data, above it towards noise.
            generator: Source of the noise; one per row makes each sample depend on its own seed alone.
            info: Filled with reports of the solver, such as the numbers of steps and of rejected steps.

        Raises:
            UsageError: The times are not in (0, end], are equal, or run upwards for a stochastic solver.
            NumericalError: A value is not finite, a step vanishes, or the evaluations exceed their budget.
        """
        guard = self._checked(model, x, start, stop)
        guarded = ObservedModel(model, guard)
        # Sixteen bits would round each of many small steps to nothing: the state has at least thirty-two.
        state = x.to(torch.promote_types(x.dtype, torch.float32))
        try:
            end = self._solve(guarded, state, start, stop, generator, {} if info is None else info)
            end = self._ended(guarded, end, stop, generator)
        finally:  # a prediction that was not finite is the cause of whatever error came after it
            guard.settle()
        return end if state is x else end.to(x.dtype)

    def _checked(self, model: ScoreModel, x: Tensor, start: float, stop: float) -> Guard:
        """Checks the arguments, and returns the guard of this run."""
        low, high, end = min(start, stop), max(start, stop), model.sde.t_max
        if not (math.isfinite(start) and math.isfinite(stop) and 0 < low < high <= end):
            raise UsageError(f"start and stop must differ and lie in (0, {end:g}], got {start:g} and {stop:g}")
        if self.noisy and stop > start:
            raise UsageError(f"{self.name} only runs from noise to data, got start {start:g} and stop {stop:g}")
        checked(x, model.shape)
        if not all_finite(x):
            raise NumericalError(f"the starting noise of {rows(non_finite(x))} is not finite")
        return Guard(self.name, finite=not self.retries, budget=self._budget())

    def _budget(self) -> float:
        return math.inf

    @abstractmethod
    def _solve(
        self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators, info: Info
    ) -> Tensor:
        """The method itself, on checked arguments."""


class Ordered(Solver):
    """Base of solvers that have a choice of orders, which they list in `orders`."""

    orders: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)
    order: Order = 2

    @model_validator(mode="after")
    def _has_the_order(self) -> Self:
        if self.order not in self.orders:
            *others, last = self.orders
            allowed = f"{', '.join(map(str, others))} or {last}" if others else f"{last}"
            raise ValueError(f"order of {self.name} must be {allowed}, got {self.order}")
        return self


@remembered
def _levels_of(grid: Grid, sde: SDE, start: float, stop: float, steps: int) -> tuple[Level, ...]:
    """The levels of a grid, which are the same for every batch and therefore computed once."""
    return tuple(grid.levels(sde, start, stop, steps))


class GridSolver(Solver):
    """Base of solvers that walk a given grid of times; they implement `walk`."""

    steps: Steps = 50
    grid: GridOption = LogSNRGrid()

    def _solve(
        self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators, info: Info
    ) -> Tensor:
        return self.walk(model, x, list(_levels_of(self.grid, model.sde, start, stop, self.steps)), generator)

    @abstractmethod
    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        """x carried through all levels, (B, *).

        Args:
            model: The score model.
            x: The state at levels[0], (B, *).
            levels: The levels of the grid, in the order in which they are passed.
            generator: Source of the noise; one per row makes each sample depend on its own seed alone.
        """


class OneStepSolver(GridSolver):
    """Base of grid solvers whose step needs no memory; they implement `step`."""

    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        for t, s in pairwise(levels):
            x = self.step(model, x, t, s, generator)
        return x

    @abstractmethod
    def step(self, model: ScoreModel, x: Tensor, t: Level, s: Level, generator: Generators) -> Tensor:
        """x carried from level t to level s, (B, *).

        Args:
            model: The score model.
            x: The state at level t, (B, *).
            t: The level before the step.
            s: The level after the step.
            generator: Source of the noise; one per row makes each sample depend on its own seed alone.
        """


class MarkovSolver(OneStepSolver):
    """Base of stochastic solvers that draw from a normal transition; they implement `kernel`.

    Unless it says otherwise, such a method has order 1 in law and takes many steps, shorter towards the data.
    """

    stochastic: ClassVar[bool] = True
    steps: Steps = 1000
    grid: GridOption = QuadraticGrid()
    brownian: bool = Field(
        False, description="Use a Brownian path, so that the noise does not depend on the number of steps."
    )

    @property
    def claimed_order(self) -> float:
        return 1.0

    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        if not self.brownian:
            return super().walk(model, x, levels, generator)
        noise = BrownianNoise(x, generator, levels[0].time, levels[-1].time)
        for t, s in pairwise(levels):
            mean, std = self.kernel(model, x, t, s)
            x = mean + std * noise(t.time, s.time)
        return x

    def step(self, model: ScoreModel, x: Tensor, t: Level, s: Level, generator: Generators) -> Tensor:
        mean, std = self.kernel(model, x, t, s)
        return torch.add(mean, randn_like(x, generator), alpha=std) if std else mean

    @abstractmethod
    def kernel(self, model: ScoreModel, x: Tensor, t: Level, s: Level) -> tuple[Tensor, float]:
        """Mean, (B, *), and standard deviation of the transition from level t to level s.

        Args:
            model: The score model.
            x: The state at level t, (B, *).
            t: The level before the step.
            s: The level after the step.
        """


class AdaptiveSolver(Solver):
    """Base of solvers that choose their own steps within a tolerance."""

    adaptive: ClassVar[bool] = True
    tol: float = Field(1e-3, gt=0, lt=1, description="Relative error allowed per step.")
    atol: float | None = Field(
        None, gt=0, le=1e3, description="Absolute error allowed per step; by default tol (dpm, ggf: at most 0.0078)."
    )
    max_nfe: int = Field(10_000, ge=1, description="Number of evaluations after which the solver stops with an error.")
    largest_atol: ClassVar[float] = math.inf
    """What atol is by default where tol is larger."""

    def _budget(self) -> float:
        return self.max_nfe

    @property
    def absolute(self) -> float:
        """The absolute error allowed per step."""
        return min(self.tol, self.largest_atol) if self.atol is None else self.atol


solvers: Registry[Solver] = Registry("solver", "scoresde.solvers")
