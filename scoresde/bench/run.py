"""Running a benchmark: each cell is measured and stored at once, even if others fail."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import cast

import torch

from ..core.devices import machine
from ..core.errors import NumericalError, ResourceError, ScoreSDEError, out_of_memory
from ..core.options import table
from ..core.provenance import versions
from ..images import sheets
from ..models.network import NetworkModel
from ..solvers import Solver
from . import network
from .cells import Cell, changed, left
from .draws import Progress, draw
from .likelihood import bits, likelihoods
from .store import Row, Store
from .subject import ModelSubject
from .unfinished import Keep


def run(
    cells: Sequence[Cell],
    store: Store,
    *,
    world: int = 1,
    progress: Progress,
    begin: Callable[[str], object] = lambda title: None,
) -> Iterator[Row]:
    """Measures this process's cells that are not done yet, and yields their rows once they are stored.

    A cell that fails leaves a row with the reason, and is tried again in the next run. A cell that was interrupted goes
    on after its last finished batch.

    Args:
        cells: The cells of the benchmark.
        store: Where this process keeps its rows.
        world: How many processes share the cells.
        progress: Called with the work done, in evaluations times samples.
        begin: Called with the title of each cell before it is measured.

    Raises:
        ResourceError: A row cannot be written.
    """
    for cell in left(cells, store, world):
        begin(cell.title)
        row = _attempt(cell, store, progress)
        store.append(row)
        if row["status"] == "done":
            store.unfinished(cell.key).discard()
        yield row


def _attempt(cell: Cell, store: Store, progress: Progress) -> Row:
    """The row of a cell, done or failed."""
    row = head(cell)
    try:
        return {**row, **measure(cell, store, progress), "status": "done"}
    except ScoreSDEError as error:
        reason = str(error)
    except Exception as error:  # a solver or metric from elsewhere may raise anything; the other cells go on
        reason = f"{type(error).__name__}: {error}"
    return {**row, "status": "failed", "reason": reason}


def head(cell: Cell) -> Row:
    """The part of a row that is known before the measurement.

    Args:
        cell: The cell.
    """
    spec, subject = cell.spec, cell.subject
    row: Row = {
        "key": cell.key,
        "kind": "likelihood" if cell.solver is None else "samples",
        "model": subject.name,
        "sha256": subject.weights,
        "subject": subject.digest,
        "seeds": [spec.seed, spec.seed + subject.count - 1],
        "device": subject.device,
        "machine": machine(subject.model.device),
        **versions(),
    }
    if isinstance(subject.model, NetworkModel) and cell.solver is not None:
        row |= subject.model.inference.record
    if subject.conditioner:
        row |= {"conditioner": subject.conditioner}
    if cell.solver is not None:
        row |= {
            "solver": table(cell.solver),
            "options": changed(cell.solver),
            "stochastic": not isinstance(cell.solver, Solver) or cell.solver.noisy,
            "count": spec.count,
            "batch": spec.batch,
            "dtype": spec.dtype,
            "denoise": subject.denoise,
        }
    return row


def measure(cell: Cell, store: Store, progress: Progress) -> Row:
    """The numbers of a cell.

    Args:
        cell: The cell.
        store: Where its picture goes, and its batches until it is done.
        progress: As for `run`.

    Raises:
        NumericalError: A number is not finite, or the solver gives up.
        ResourceError: Not even one sample fits into the memory.
    """
    subject, keep = cell.subject, store.unfinished(cell.key).batch
    if isinstance(subject, network.NetworkSubject):
        subject.kept = store.paths(Cell(subject, network.CONVERGED, cell.spec).key).batch
    if cell.solver is None:
        return _density(cast(ModelSubject, subject), keep, progress)  # a `Spec`, which has such cells, is of models
    batch, found = cell.spec.batch, Row()
    while not found:
        try:
            found, x, first = draw(cell, cell.solver, batch, keep, progress)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if batch == 1:
                raise ResourceError("the memory does not hold a single sample") from None
            batch //= 2  # the same samples, since each has a seed of its own
    found["metrics"] = [asdict(estimate) for estimate in subject.measure(x, first, cell.solver)]
    if bad := [e["name"] for e in found["metrics"] if not math.isfinite(e["value"])]:
        raise NumericalError(f"{', '.join(bad)} of the samples is not a finite number")
    ends = {e["name"]: [e[end] for end in ("low", "high", "floor") if e[end] is not None] for e in found["metrics"]}
    told = ends | {name: [value] for name, value in found["info"].items()}
    if bad := [name for name, values in told.items() if not all(map(math.isfinite, values))]:
        raise NumericalError(
            f"{', '.join(bad)} has an interval, a floor or a value that is not finite: take more samples"
        )
    if isinstance(subject, ModelSubject) and isinstance(cell.solver, Solver) and cell.likelihood:
        found |= likelihoods(subject, cell.solver, keep, progress)
    if picture := subject.picture(x):
        sheets.save(picture, store.picture(cell.key))
    return found


def _density(subject: ModelSubject, keep: Keep, progress: Progress) -> Row:
    """The likelihood of a model's own data, and the truth where it is known."""
    found = likelihoods(subject, None, keep, progress)
    if (classes := subject.classes) is not None:
        found["classes"] = classes
    if (truth := subject.truth()) is not None:
        found["truth"] = bits(torch.tensor(truth, dtype=torch.float64), None, math.prod(subject.model.shape))
    return found
