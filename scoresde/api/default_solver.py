"""The solver that is used if none is named."""

from collections.abc import Mapping
from typing import Any

from ..bench.tune.store import found
from ..models.base import ScoreModel
from ..posterior.tasks import SOLVER
from ..sampling.misfit import measured
from ..solvers import GridSolver, Solver
from ..solvers.few_steps import kind_of, of_steps
from .arguments import Method, solver_of, source_of

DEFAULT = "adams"


def method_of(model: ScoreModel, solver: Method | None, whole: bool, *, steps: int | None, tol: float | None) -> Solver:
    """The solver that is named; else `adams`, or the one that was measured to be best in a number of steps.

    Args:
        model: What samples are drawn from; `dpm++` takes the steps where it is conditioned on a measurement.
        solver: A solver, if one is named.
        whole: Whether they go the whole way from noise without a class, for which solvers are tuned.
        steps: Number of steps.
        tol: Tolerance.

    Raises:
        UsageError: There is no such solver, or it does not take one of the options.
    """
    if solver is not None or steps is None:
        return solver_of(DEFAULT if solver is None else solver, steps=steps, tol=tol)
    if measured(model):
        return solver_of(SOLVER, steps=steps, tol=tol)
    return solver_of(best_of(model, steps, tuned=whole), tol=tol)


def best_of(model: ScoreModel, steps: int, *, tuned: bool) -> GridSolver:
    """The solver that is best for a model in a number of steps of one evaluation each.

    Args:
        model: What samples are drawn from.
        steps: Number of steps.
        tuned: Whether it is the one that was tuned for the model, if there is one in its folder.

    Raises:
        UsageError: The number is not allowed.
        CheckpointError: The file with the tuned solvers is damaged.
    """
    folder = source_of(model) if tuned else None
    return (found(folder, steps) if folder else None) or of_steps(steps, kind_of(model))


def named(model: ScoreModel, solver: str | None, options: Mapping[str, Any], whole: bool) -> tuple[str, dict[str, Any]]:
    """The name of a command's solver and its options; of the best one, where only the number of steps is given.

    Args:
        model: What samples are drawn from.
        solver: Name of a solver, if one is given.
        options: Options of solvers by their names; those that are None were not given.
        whole: As for `method_of`.

    Raises:
        UsageError: The number of steps is not allowed.
        CheckpointError: The file with the tuned solvers is damaged.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if solver is not None or "steps" not in given:
        return solver or DEFAULT, given
    best = best_of(model, given["steps"], tuned=whole and len(given) == 1)
    return best.name, {name: getattr(best, name) for name in best.model_fields_set} | given
