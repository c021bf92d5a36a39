"""Adaptive steps for each sample separately: what a method provides, and the loop that runs it."""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import NumericalError, UsageError
from ..core.finite import all_finite, non_finite
from ..core.random import Generators
from ..models.base import ObservedModel, ScoreModel
from .base import AdaptiveSolver, Info
from .controllers import Controller, ControllerOption, Integral
from .guard import not_finite
from .stepping import Control, Floats, Stepping, array, replace

SHRINK = 0.2
"""Factor of a step whose error could not be computed."""
PATIENCE = 10
"""Such steps in a row after which a sample is given up."""


class PerSampleSolver(AdaptiveSolver):
    """Base of adaptive solvers in which each sample can have its own steps; they implement `stepping`."""

    retries: ClassVar[bool] = True
    control: Control = "sample"
    controller: ControllerOption = Integral()
    first_step: float | None = Field(
        None,
        gt=0,
        description="First step size, in the variable of the solver; by default the solver chooses it.",
    )

    @abstractmethod
    def stepping(self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators) -> Stepping:
        """How the method advances x from `start` towards `stop`.

        Args:
            model: The score model.
            x: The state at time `start`, (B, *).
            start: Time of x.
            stop: Time of the result.
            generator: Source of the noise; one per row makes each sample depend on its own seed alone.
        """

    def path(
        self,
        model: ScoreModel,
        x: Tensor,
        times: Sequence[float],
        *,
        generator: Generators = None,
        info: Info | None = None,
    ) -> list[Tensor]:
        """The states at all the times, (B, *) each, beginning with x.

        A step that would pass a time ends there instead, so each state has the accuracy of the solver, without
        interpolation. A time costs at most one step more.

        Args:
            model: The score model.
            x: The state at times[0], (B, *).
            times: At least two times, rising or falling.
            generator: Source of the noise; one per row makes each sample depend on its own seed alone.
            info: Filled with the numbers of steps and of rejected steps.

        Raises:
            UsageError: There are fewer than two times, or they are not monotone and in (0, end].
            NumericalError: As `solve`.
        """
        times = [float(time) for time in times]
        rises, falls = ([b > a for a, b in pairwise(times)], [b < a for a, b in pairwise(times)])
        if len(times) < 2 or not (all(rises) or all(falls)):
            raise UsageError(f"the times of a path must be at least two, all rising or all falling, got {times}")
        guarded = ObservedModel(model, self._checked(model, x, times[0], times[-1]))
        state = x.to(torch.promote_types(x.dtype, torch.float32))  # as in `solve`
        *states, end = self._integrate(guarded, state, times, generator, {} if info is None else info)
        states.append(self._ended(guarded, end, times[-1], generator))
        return [x, *(state.to(x.dtype) for state in states)]

    def _solve(
        self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators, info: Info
    ) -> Tensor:
        return self._integrate(model, x, [start, stop], generator, info)[-1]

    def _integrate(
        self, model: ScoreModel, x: Tensor, times: list[float], generator: Generators, info: Info
    ) -> list[Tensor]:
        stepping = self.stepping(model, x, times[0], times[-1], generator)
        if self.first_step is not None:
            stepping = stepping._replace(first=self.first_step)
        return integrate(stepping, times, self.controller, self.name, info)


def integrate(stepping: Stepping, times: list[float], controller: Controller, solver: str, info: Info) -> list[Tensor]:
    """The states at the times after the first, (B, *) each; each row steps by itself and lands on every time.

    Every call evaluates the whole batch, so that row i of y stays row i of whatever else the model holds (an
    observation, a noise generator); rows that have arrived wait with a step of zero.

    Args:
        stepping: The method, and the state at the start.
        times: The times, of which the first is that of the state.
        controller: The rule for the next step.
        solver: Name of the solver, for error messages.
        info: Filled with the mean numbers of steps and of rejected steps.

    Raises:
        NumericalError: The function is not finite at the start, or stays so however short the step; or a step
            falls below the resolution of float64.
    """
    function, attempt, y, memory, f = stepping.function, stepping.attempt, stepping.y, stepping.memory, stepping.f

    tensor = torch.from_numpy  # times and errors stay on the CPU, whatever the device of the state

    def failed(bad: Floats) -> NumericalError:
        return not_finite(solver, tensor(bad), stepping.time(tensor(u)), 1 + int(steps.max() + refused.max()))

    # Positions of the times; a row that has arrived at the last one keeps it as its goal.
    places = array(stepping.position(torch.tensor(times, dtype=torch.float64)))
    sign = 1.0 if places[-1] > places[0] else -1.0
    goals = np.append(places[1:], places[-1:])
    count = y.shape[0]
    u, goal, states = np.full(count, places[0]), np.zeros(count, dtype=np.int64), [y for _ in times[1:]]
    broken, steps, refused = (np.zeros(count) for _ in range(3))
    if not all_finite(f):
        raise failed(array(non_finite(f)))
    h = np.minimum(np.full(count, stepping.first, dtype=np.float64), stepping.longest)
    rejected, past = np.zeros(count, dtype=bool), (np.ones(count), np.ones(count))
    while True:
        left = (goals[goal] - u) * sign
        active = left > 0
        length = np.minimum(h, left)
        step = sign * length
        trial = attempt(y, u, step, f, memory)
        error = trial.error
        unknown = active & ~np.isfinite(error)
        for value in (trial.y, trial.f):
            if value is not None and not all_finite(value):
                unknown |= active & array(non_finite(value))
        lost, accepted = unknown.any(), active & ~unknown & (error <= 1)
        refusals, stay = active & ~accepted, (~accepted).nonzero()[0]
        steps, refused = steps + accepted, refused + refusals
        y, retry = replace(trial.y, stay, y), memory if trial.retry is None else trial.retry
        memory = tuple(replace(new, stay, old) for new, old in zip(trial.memory, retry, strict=True))
        landed = accepted & (length == left)
        u = u + step * accepted
        if arrived := landed.any():
            u = np.where(landed, goals[goal], u)
            here = [(landed & (goal == i)).nonzero()[0] for i in range(len(states))]
            states = [replace(state, rows, y) for state, rows in zip(states, here, strict=True)]
            goal = goal + landed
            if (goal == len(states)).all():
                info["steps"], info["rejected"] = float(steps.mean()), float(refused.mean())
                return states
        forecast = error if trial.forecast is None else trial.forecast
        order = stepping.order if trial.order is None else trial.order
        factor = controller.factor(forecast, order, past, accepted, rejected)
        broken = (broken + 1) * unknown
        if lost:
            factor = np.where(unknown, SHRINK, factor)
            if (broken >= PATIENCE).any():
                raise failed(broken >= PATIENCE)
        # A step cut short to land says nothing against the length that was planned.
        planned = np.where(active, length, 1.0) * factor
        if arrived:
            planned = np.where(landed, np.maximum(h, planned), planned)
        h = np.where(active, np.minimum(planned, stepping.longest), h)
        if len(stay) and (vanishing := refusals & (h < 1e-15 * np.maximum(np.abs(u), 1e-3))).any():
            raise NumericalError(
                f"{solver}: the step vanishes at t = {stepping.time(tensor(u))[tensor(vanishing)].min():.3g}; "
                "raise tol, stop earlier, or use a solver with fixed steps"
            )
        past, rejected = (np.where(accepted, error, past[0]), np.where(accepted, *past)), refusals
        if trial.f is not None:
            f = replace(trial.f, stay, f)
        stale = accepted & (trial.f is None)
        if lost:  # where the function was not finite at the start of a step: the fault may have passed
            stale |= unknown & array(non_finite(f))
        if stale.any():
            f = replace(function(y, tensor(u)), (~stale).nonzero()[0], f)
