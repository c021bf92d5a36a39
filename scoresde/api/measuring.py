"""Benchmarks of solvers, and tests of a single solver."""

import functools
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from ..bench.cells import left
from ..bench.check import Verdict
from ..bench.check import check as promises
from ..bench.publish import publish
from ..bench.report import Report
from ..bench.run import run
from ..bench.spec import Spec
from ..bench.store import Store
from ..bench.suites import plan
from ..bench.tables import PrintedReport
from ..core.devices import device as device_of
from ..core.errors import UsageError
from ..core.folders import only_writer, writable
from ..core.parallel import share
from ..core.sentences import an
from ..models import BUNDLED, NetworkModel, ScoreModel
from ..models.inference import Inference
from ..sampling.progress import progress_bar
from .arguments import DELAY, Method, Model, solver_of, source_of


def benchmark(
    models: Model | Sequence[Model],
    solvers: Method | Sequence[Method],
    *,
    metrics: Sequence[str] = (),
    n: int = 512,
    seed: int = 0,
    likelihood: int = 0,
    batch: int = 64,
    folder: str | Path | None = None,
    device: str | torch.device = "auto",
    progress: bool | None = None,
) -> Report:
    """Measures cost and sample quality of every solver on every model, with the same seeds.

    Args:
        models: Names of models, loaded models, or gaussian, gm2 and gm192, which have exact solutions.
        solvers: Strings, in which values separated by / give several runs, as in "dpm:tol=1e-1/1e-2"; or objects.
        metrics: Metrics for samples of networks, such as "fd:extractor=digits".
        n: Number of samples.
        seed: Sample i uses seed + i.
        likelihood: Number of real images whose likelihood is computed.
        batch: Samples at a time.
        folder: Folder for tables and a page, with which the same call continues after an interruption; by default
            nothing is kept.
        device: As for `load`.
        progress: True or False for a bar or lines; None shows a bar in a terminal or notebook, else lines.

    Raises:
        UsageError: A name or an option does not exist, or a model was not loaded from a folder.

    Example:
        >>> import scoresde
        >>> report = scoresde.benchmark("gaussian", ["euler:steps=5/10", "unipc:steps=5"], n=8)
        >>> [row["nfe"]["mean"] for row in report.done]
        [5, 10, 5]
    """
    several = [models] if isinstance(models, str | Path | ScoreModel) else models
    methods = solvers if isinstance(solvers, Sequence) and not isinstance(solvers, str) else [solvers]
    spec = Spec(
        model=tuple(_name(model) for model in several),
        solver=[method if isinstance(method, str) else solver_of(method) for method in methods],
        metric=metrics,
        count=n,
        seed=seed,
        batch=batch,
        likelihood=likelihood,
    )
    cells = plan(spec, device_of(device))
    rank, world = share() if folder else (0, 1)
    with tempfile.TemporaryDirectory() as nowhere:
        store = Store(Path(folder or nowhere), rank)
        effort = sum(cell.effort for cell in left(cells, store, world))
        with only_writer(writable(store.folder), f".lock-{rank}"):
            with progress_bar(math.ceil(effort), progress, desc="benchmark", unit="evaluation", delay=DELAY) as bar:
                for _ in run(cells, store, world=world, progress=bar.update, begin=bar.set_postfix_str):
                    pass
            report = publish(cells, store, spec) if folder else Report.of(cells, store.rows())
    return PrintedReport(report.rows)


def _name(model: str | Path | ScoreModel) -> str:
    """The name by which a benchmark finds a model again.

    Raises:
        UsageError: It has none.
    """
    if isinstance(model, str | Path):
        return str(model)
    folder = source_of(model)
    if folder is None:
        raise UsageError(
            "a benchmark finds its models by name: save this one with scoresde.save(model, folder), and load it"
        )
    if not isinstance(model, NetworkModel) or model.inference != Inference():
        got = f"one in {model.inference}" if isinstance(model, NetworkModel) else an(type(model).__name__)
        raise UsageError(f"a benchmark loads {folder.name} alone and in float32, got {got}: give its name")
    return folder.name if folder.parent == BUNDLED else str(folder)


def check(solver: Method, *, fast: bool = False) -> list[Verdict]:
    """Tests a solver on problems with exact solutions: order, distribution, seeds, counting, faults.

    Args:
        solver: An object, a class or a string; it need not be registered.
        fast: Tests with less precision, in about two seconds instead of half a minute.

    Raises:
        UsageError: There is no such solver.

    Example:
        >>> import scoresde
        >>> all(verdict.kept for verdict in scoresde.check("euler", fast=True))
        True
    """
    chosen = solver_of(solver)
    given = {name: getattr(chosen, name) for name in chosen.model_fields_set}
    return list(promises(functools.partial(type(chosen), **given), fast=fast))
