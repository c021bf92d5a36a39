"""Solvers tuned for a model in its folder: learned on some seeds, judged on others, and kept beside the weights."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from ... import models
from ...core import files
from ...core.options import table
from ...core.provenance import versions
from ...models.base import ScoreModel
from ...sampling.progress import progress_bar
from ...solvers.few_steps import kind_of, of_steps
from . import flow, learning, store

SEED, HELD_OUT = 1_000_000, 1_000_000
"""The first training seed, far from those that one samples with, and how far after it come those that judge."""


def tune_budgets(
    model: ScoreModel,
    folder: Path,
    budgets: Sequence[int],
    target: Path,
    *,
    seed: int = SEED,
    trajectories: int = 256,
    held_out: int = 256,
    progress: bool | None = None,
) -> list[store.TunedSolver]:
    """The solvers that are learned for a model, each written into a folder as soon as it is found.

    What is kept is the solver that it started from if the learned one is no better on the noise that judges.

    Args:
        model: The model.
        folder: Its folder, whose digest the solvers are kept with.
        budgets: Numbers of evaluations, the final denoising left out.
        target: The model folder that gets the solvers, as from `models.record.home`.
        seed: First seed of the noise to learn on; those that judge come a million later.
        trajectories: Samples to learn with.
        held_out: Samples to judge with.
        progress: Whether a bar is shown, or lines; None shows a bar in a terminal or notebook, else lines.

    Raises:
        UsageError, NumericalError: As `learning.learn`.
    """
    training = range(seed, seed + trajectories)
    judging = range(seed + HELD_OUT, seed + HELD_OUT + held_out)
    starts, found = [of_steps(steps, kind_of(model)) for steps in budgets], list[store.TunedSolver]()
    steps, each = len(budgets), learning.ITERATIONS
    with progress_bar(steps * each, progress, desc="tune", unit="step", bar_format=None, smoothing=0) as bar:
        bar.set_postfix_str("reference")
        given, judge = flow.paths(model, training), flow.paths(model, judging)
        for start in starts:
            bar.set_postfix_str(f"{start.steps} evaluations")
            learned = learning.learn(given, start.steps, start=start, iterations=each, progress=bar.update)
            errors = {"default": judge.errors(start), "tuned": judge.errors(learned)}
            if errors["tuned"].median() >= errors["default"].median():
                learned, errors["tuned"] = learning.as_linear(start, model.sde, given.stop), errors["default"]
            entry = store.TunedSolver(
                solver=table(learned),
                stop=given.stop,
                sha256=files.read_json(folder / models.CONFIG)["sha256"],
                default=str(start),
                errors={name: centre(of) for name, of in errors.items()},
                seeds=(training[0], training[-1]),
                held_out=(judging[0], judging[-1]),
                reference=table(flow.reference()),
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
