"""Measuring: solvers against each other, and a solver against its promises."""

import functools
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

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
from ..models import BUNDLED, ScoreModel
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
    """What samples cost and what they are worth, for every solver on every model, from the same seeds.

    Args:
        models: Names of models, loaded ones, or gaussian, gm2 and gm192, whose law is known.
        solvers: Texts, in which values separated by / are taken in turn, as in "dpm:tol=1e-1/1e-2"; or objects.
        metrics: What samples of networks are judged by, such as "fd:extractor=digits".
        n: Samples.
        seed: Sample i uses seed + i.
        likelihood: Real images whose likelihood is computed.
        batch: Samples at a time.
        folder: Where the results are kept, as tables and a page, so that the same call goes on where it was
            interrupted; by default nowhere.
        device: As for `load`.
        progress: Whether a bar is shown, or lines; None shows a bar in a terminal or notebook, else lines.

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
        own = [cell for i, cell in enumerate(cells) if i % world == rank]
        done = {key for key, row in store.rows().items() if row["status"] == "done"}
        left = sum(cell.effort for cell in own if cell.key not in done)
        with only_writer(writable(store.folder), f".lock-{rank}"):
            with progress_bar(math.ceil(left), progress, desc="benchmark", unit="evaluation", delay=DELAY) as bar:
                for _ in run(cells, store, rank=rank, world=world, progress=bar.update, begin=bar.set_postfix_str):
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
    if folder := source_of(model):
        return folder.name if folder.parent == BUNDLED else str(folder)
    raise UsageError(
        "a benchmark finds its models by name: save this one with scoresde.save(model, folder), and load it"
    )


def check(solver: Method, *, fast: bool = False) -> list[Verdict]:
    """What a solver has to promise, measured on problems with known answers: order, law, seeds, counting, faults.

    Args:
        solver: An object, a class or a text; it need not be registered.
        fast: Measures with less precision, in about two seconds instead of half a minute.

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
