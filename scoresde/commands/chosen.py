"""The solver that the options of a command ask for, named or not."""

from collections.abc import Mapping
from typing import Any

from ..api.chosen import DEFAULT, best_of
from ..models.base import ScoreModel
from ..solvers import Solver, solvers
from .options import build


def solver_for(model: ScoreModel, solver: str | None, options: Mapping[str, Any], whole: bool) -> Solver:
    """The solver that is named, with its options; else `adams`, or the best in the number of steps that is given.

    Args:
        model: What samples are drawn from.
        solver: Name of a solver, if one is given.
        options: Options of solvers by their names; those that are None were not given.
        whole: Whether the samples go the whole way from noise, for which solvers are tuned.

    Raises:
        UsageError: There is no such solver, or it does not take one of the options.
        CheckpointError: The file with the tuned solvers is damaged.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if solver is None and "steps" in given:
        best = best_of(model, given["steps"], tuned=whole and len(given) == 1)
        solver, given = best.name, {name: getattr(best, name) for name in best.model_fields_set} | given
    return build(solvers, solver or DEFAULT, given)
