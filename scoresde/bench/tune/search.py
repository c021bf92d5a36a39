"""The search for the grid on which a solver ends nearest to the exact probability flow of a model."""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from ...core.errors import NumericalError, UsageError
from ...core.random import generators
from ...models.base import ObservedModel, ScoreModel
from ...models.evaluations import Evaluations
from ...models.gaussian import GaussianModel
from ...sde import SDE
from ...solvers import GridSolver, Solver, solvers
from ...solvers.grids import Grid, KarrasGrid, ListedGrid, grids

BATCH = 64
"""Samples that are solved at a time."""
STEPS = 400
"""Steps of the reference. A network is not smooth in time near the data, so adaptive methods need many steps there: on
the digits these steps end 7e-5 from a solution in float64 with twice as many, and rk45 at tolerance 1e-5, for as many
evaluations, ends 6e-4 from it."""
WORST = 30.0
"""The loss of a grid on which the solver fails: that of an error 3e6 times that of the best known grid."""

S = TypeVar("S", bound=GridSolver)


def reference(steps: int = STEPS) -> Solver:
    """The solver that stands in for the exact flow: `eab` of order 3 on steps of equal length in log-SNR.

    Args:
        steps: Number of steps.
    """
    return solvers.build({"name": "eab", "steps": steps})


class Paths(NamedTuple):
    """Noise, and where the exact probability flow carries it."""

    model: ScoreModel
    """The score model."""
    noise: Tensor
    """(B, *), at the end of the process."""
    truth: Tensor
    """The end of its paths at time `stop`, (B, *)."""
    stop: float
    """Time of the end."""

    @torch.no_grad()
    def errors(self, solver: Solver) -> Tensor:
        """Root mean square distance of each of the solver's results from the truth, (B,), float64.

        Args:
            solver: The solver.

        Raises:
            NumericalError: The solver leaves the finite numbers.
        """
        start = self.model.sde.t_max
        ends = [solver.solve(self.model, x, start=start, stop=self.stop) for x in torch.split(self.noise, BATCH)]
        return (torch.cat(ends) - self.truth).flatten(1).square().mean(1, dtype=torch.float64).sqrt()


@torch.no_grad()
def paths(model: ScoreModel, seeds: Iterable[int], *, stop: float | None = None, steps: int = STEPS) -> Paths:
    """Noise, and where `reference(steps)` carries it.

    Args:
        model: The score model.
        seeds: Seeds of the noise.
        stop: Time of the end; by default the process's `t_min`.
        steps: Steps of the reference.

    Raises:
        NumericalError: The model is not finite somewhere.
    """
    noise, exact = model.prior(generators(seeds)), reference(steps)
    end = model.sde.t_min if stop is None else stop
    ends = [exact.solve(model, x, start=model.sde.t_max, stop=end) for x in torch.split(noise, BATCH)]
    return Paths(model, noise, torch.cat(ends), end)


def changed(solver: S, **options: Any) -> S:
    """The solver with other values of some options.

    Args:
        solver: The solver.
        options: The new values, which are checked.
    """
    return type(solver)(**{**solver.model_dump(), **options})


def tunable(solver: Solver) -> GridSolver:
    """The solver, if it has a grid that can be tuned.

    Args:
        solver: The solver.

    Raises:
        UsageError: It adds noise, so that no path is the exact one, or does not walk a given number of steps.
    """
    if not isinstance(solver, GridSolver) or solver.noisy:
        raise UsageError(f"{solver.name} has no grid to tune: give a solver without noise that takes --steps")
    return solver


def spent(solver: Solver, sde: SDE) -> int:
    """The evaluations of a solver on its grid, without the final denoising.

    Args:
        solver: The solver.
        sde: The process.
    """
    one = torch.ones(1, dtype=torch.float64)
    count = Evaluations()
    model = ObservedModel(GaussianModel(0 * one, one, sde), count)
    solver.solve(model, one[None], start=sde.t_max, stop=sde.t_min)
    return count.calls


def with_budget(solver: S, nfe: int, sde: SDE) -> S:
    """The solver with the number of steps that spends nfe evaluations, without the final denoising.

    Args:
        solver: The solver.
        nfe: Number of evaluations.
        sde: The process.

    Raises:
        UsageError: No number of steps does, or it is one step, which has no times to choose.
    """
    costs: list[int] = []
    while not costs or costs[-1] < nfe:
        costs.append(spent(changed(solver, steps=len(costs) + 1), sde))
    if costs[-1] != nfe:
        near = " or ".join(str(cost) for cost in costs[-2:])
        raise UsageError(f"{solver.name} cannot spend {nfe} evaluations, its steps cost several: tune for {near}")
    if len(costs) == 1:
        raise UsageError(f"{solver.name} spends {nfe} evaluations on one step, which leaves no times to tune")
    return changed(solver, steps=len(costs))


def ranked(solver: S, given: Paths) -> list[S]:
    """The solver on its own grid and on every registered one, by rising median error.

    Args:
        solver: The solver.
        given: Noise, and where the exact flow carries it.
    """
    known: list[Grid] = [solver.grid, *(cls() for cls in grids.all().values() if cls is not ListedGrid)]
    known += [KarrasGrid(rho=rho) for rho in (3.0, 5.0, 10.0)]
    choices = [changed(solver, grid=grid) for grid in dict.fromkeys(known)]
    return sorted(choices, key=lambda choice: _or_worst(lambda: float(given.errors(choice).median()), math.inf))


def tune(
    solver: S, given: Paths, *, starts: int = 3, evaluations: int = 150, progress: Callable[[], object] = lambda: None
) -> S:
    """The solver on the grid of its number of steps that minimises mean log(1 + (e/c)²), e the samples' errors.

    c is the median error on the best known grid. The loss grows like e² for samples within it and like log e beyond,
    so that the few that end in another mode do not decide. The parameters are the logarithms of the steps in log-SNR,
    relative to the last step, so every value is a grid. COBYQA, which needs no derivatives, searches from the best
    `starts` of the known grids.

    Args:
        solver: The solver, with the number of steps that the grid shall have.
        given: Noise, and where the exact flow carries it.
        starts: Known grids from which the search begins.
        evaluations: Grids tried from each start, at most.
        progress: Called after each of them.

    Reference: Ragonneau and Zhang 2023, https://www.cobyqa.com, for COBYQA.

    Raises:
        UsageError: The solver has no grid to tune, or one step.
        NumericalError: The solver fails on every known grid.
    """
    tunable(solver)
    if solver.steps < 2:
        raise UsageError(f"a grid of {solver.steps} step has no times to tune")
    sde, best = given.model.sde, ranked(solver, given)
    ends = (sde.t_max, given.stop)
    scale = float(given.errors(best[0]).median())
    if scale == 0:
        return best[0]

    def place(parameters: np.ndarray) -> S:
        return changed(solver, grid=ListedGrid(at=_times(parameters, sde, ends)))

    def loss(parameters: np.ndarray) -> float:
        return float(torch.log1p((given.errors(place(parameters)) / scale) ** 2).mean())

    def objective(parameters: np.ndarray) -> float:
        progress()
        return _or_worst(lambda: loss(parameters), WORST)

    # Parameters of order one: the first radius changes a step by a factor of 2, the last by half a percent.
    options = {"maxfev": evaluations, "initial_tr_radius": 0.7, "final_tr_radius": 5e-3}
    begun = [_parameters(choice, sde, ends) for choice in best[:starts]]
    found = [minimize(objective, start, method="COBYQA", options=options) for start in begun]
    return place(min(found, key=lambda result: result.fun).x)


def _or_worst(value: Callable[[], float], worst: float) -> float:
    """The value, or the worst if the solver fails on the grid or its times coincide."""
    try:
        return value()
    except (NumericalError, UsageError):
        return worst


def _parameters(solver: GridSolver, sde: SDE, ends: tuple[float, float]) -> np.ndarray:
    """log of each step but the last over the last, in log-SNR, (steps - 1,)."""
    times = torch.tensor(solver.grid.times(sde, *ends, solver.steps), dtype=torch.float64)
    gaps = sde.log_snr(times).diff().log()
    return np.asarray((gaps[:-1] - gaps[-1]).numpy())


def _times(parameters: np.ndarray, sde: SDE, ends: tuple[float, float]) -> tuple[float, ...]:
    """The times between the ends that these parameters mean."""
    first, last = sde.log_snr(torch.tensor(ends, dtype=torch.float64)).tolist()
    shares = torch.softmax(torch.tensor([*parameters, 0.0], dtype=torch.float64), 0).cumsum(0)[:-1]
    return tuple(sde.time(first + (last - first) * shares).tolist())
