"""Grids tuned for a model in its folder: searched on some seeds, judged on others, and kept beside the weights."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from ... import models
from ...core import files
from ...core.options import table
from ...core.provenance import versions
from ...models.base import ScoreModel
from ...sampling.progress import progress_bar
from ...solvers import GridSolver
from . import search, store

SEED, HELD_OUT = 1_000_000, 1_000_000
"""The first training seed, far from those that one samples with, and how far after it come those that judge."""
STARTS, EVALUATIONS = 3, 150
"""Known grids from which the search begins, and grids tried from each."""


def tune_budgets(
    model: ScoreModel,
    folder: Path,
    tasks: Sequence[GridSolver],
    target: Path,
    *,
    seed: int = SEED,
    trajectories: int = 64,
    held_out: int = 256,
    progress: bool | None = None,
) -> list[store.TunedGrid]:
    """The tuned grids of some solvers for a model, each written into a folder as soon as it is found.

    Args:
        model: The model.
        folder: Its folder, whose digest the grids are kept with.
        tasks: Solvers with the steps that they are to take, as from `with_budget`.
        target: The model folder that gets the grids, as from `models.record.home`.
        seed: First seed of the search; those that judge come a million later.
        trajectories: Samples to search with.
        held_out: Samples to judge with.
        progress: Whether a bar is shown, or lines; None shows a bar in a terminal or notebook, else lines.

    Raises:
        UsageError, NumericalError: As `search.tune`.
    """
    training = range(seed, seed + trajectories)
    judging = range(seed + HELD_OUT, seed + HELD_OUT + held_out)
    each, found = STARTS * EVALUATIONS, list[store.TunedGrid]()
    with progress_bar(len(tasks) * each, progress, desc="tune", unit="grid", bar_format=None, smoothing=0) as bar:
        bar.set_postfix_str("reference")
        given, judge = search.paths(model, training), search.paths(model, judging)
        for i, task in enumerate(tasks, 1):
            bar.set_postfix_str(f"{task.name}, {task.steps} steps")
            best = search.ranked(task, given)[0]
            tuned = search.tune(task, given, starts=STARTS, evaluations=EVALUATIONS, progress=bar.update)
            bar.update(i * each - bar.n)  # the search may end before its limit
            entry = store.TunedGrid(
                solver=store.essential(task),
                nfe=search.spent(task, model.sde),
                stop=given.stop,
                sha256=files.read_json(folder / models.CONFIG)["sha256"],
                grid=str(tuned.grid),
                errors={
                    name: centre(judge.errors(solver))
                    for name, solver in (("default", task), ("best known", best), ("tuned", tuned))
                },
                best_known=str(best.grid),
                seeds=(training[0], training[-1]),
                held_out=(judging[0], judging[-1]),
                reference=table(search.reference()),
                environment={"device": str(given.noise.device), "dtype": str(given.noise.dtype), **versions()},
            )
            store.save(target, entry)
            found.append(entry)
    return found


def centre(errors: Tensor) -> dict[str, float]:
    """Median and mean of the samples' errors.

    Args:
        errors: One error for each sample, (N,).
    """
    return {"median": float(errors.median()), "mean": float(errors.mean())}
