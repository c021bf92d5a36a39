"""Running a benchmark: each cell is measured and stored at once, even if others fail."""

import contextlib
import math
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from statistics import mean, stdev

import torch
from torch import Tensor

from ..core.errors import NumericalError, ResourceError, ScoreSDEError, UsageError
from ..core.options import table
from ..core.provenance import versions
from ..images import sheets
from ..models.evaluations import Evaluations
from ..sampling.sample import Samples
from ..solvers import Solver
from .cells import Cell, changed
from .likelihood import bits, likelihoods
from .store import Row, Store
from .subject import ModelSubject, Subject, Tool

WARM = 3
"""Evaluations before the first batch that is timed."""
Progress = Callable[[float], object]
"""Called with the work done, in evaluations times samples, as the cell estimates it."""


def run(
    cells: Sequence[Cell],
    store: Store,
    *,
    rank: int = 0,
    world: int = 1,
    progress: Progress,
    begin: Callable[[str], object] = lambda title: None,
) -> Iterator[Row]:
    """Measures this process's cells that are not done yet, and yields their rows once they are stored.

    A cell that fails leaves a row with the reason, and is tried again in the next run.

    Args:
        cells: The cells of the benchmark.
        store: Where the rows are kept.
        rank: Number of this process.
        world: How many processes share the cells.
        progress: Called with the work done, in evaluations times samples.
        begin: Called with the title of each cell before it is measured.

    Raises:
        ResourceError: A row cannot be written.
    """
    done = {key for key, row in store.rows().items() if row["status"] == "done"}
    for index, cell in enumerate(cells):
        if index % world == rank and cell.key not in done:
            begin(cell.title)
            row = _attempt(cell, store, progress)
            store.append(row)
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
        "sha256": subject.sha256,
        "seeds": [spec.seed, spec.seed + subject.count - 1],
        "device": subject.device,
        "machine": machine(subject.model.device),
        **versions(),
    }
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


def machine(device: torch.device) -> str:
    """The name of the device.

    Args:
        device: The device.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {os.cpu_count()} cores"


def measure(cell: Cell, store: Store, progress: Progress) -> Row:
    """The numbers of a cell.

    Args:
        cell: The cell.
        store: Where its picture goes.
        progress: As for `run`.

    Raises:
        NumericalError: A number is not finite, or the solver gives up.
        ResourceError: Not even one sample fits into the memory.
    """
    subject = cell.subject
    if cell.solver is None:
        found = _density(subject)
        progress(cell.cost * subject.count)
        return found
    batch, parts = cell.spec.batch, list[Samples]()
    while not parts:
        try:
            parts, x, first = draw(cell, cell.solver, batch, progress)
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            if batch == 1:
                raise ResourceError("the memory does not hold a single sample") from None
            batch //= 2  # the same samples, since each has a seed of its own
    sizes = [len(seeds) for seeds in subject.batches(batch)]
    found = {"batch": batch, **_costs(parts, batch, sizes)}
    found["metrics"] = [asdict(estimate) for estimate in subject.measure(x, first, cell.solver)]
    if bad := [e["name"] for e in found["metrics"] if not math.isfinite(e["value"])]:
        raise NumericalError(f"{', '.join(bad)} of the samples is not a finite number")
    if isinstance(subject, ModelSubject) and isinstance(cell.solver, Solver) and cell.likelihood:
        found |= likelihoods(subject, subject.spec, cell.solver)
    if picture := subject.picture(x):
        sheets.save(picture, store.picture(cell.key))
    return found


def _density(subject: Subject) -> Row:
    """The likelihood of a model's own data, and the truth where it is known.

    Raises:
        UsageError: The subject is no model by itself.
        NumericalError: As `likelihoods`.
    """
    if not isinstance(subject, ModelSubject):
        raise UsageError(f"the likelihood of {subject.name} is not measured: it has no data of its own")
    found = likelihoods(subject, subject.spec, None)
    if (truth := subject.truth()) is not None:
        found["truth"] = bits(torch.tensor(truth, dtype=torch.float64), None, math.prod(subject.model.shape))
    return found


def draw(cell: Cell, solver: Tool, batch: int, progress: Progress) -> tuple[list[Samples], Tensor, Tensor]:
    """Samples of every seed, batch by batch: their costs, what is kept of them, (N, *), and the first `paths`, (K, *)
    float64.

    Args:
        cell: The cell.
        solver: The solver or sampler.
        batch: Samples at a time.
        progress: As for `run`.
    """
    subject, last = cell.subject, cell.spec.seed + cell.subject.paths
    parts, kept, whole = list[Samples](), list[Tensor](), list[Tensor]()
    for seeds in subject.batches(batch):
        if not parts:
            _warm_up(cell, solver, seeds)
        _synchronise(subject.model.device)
        part = subject.sample(solver, seeds)
        kept.append(subject.keep(part.x))
        whole.append(part.x[: max(0, last - seeds.start)].double().cpu())
        parts.append(replace(part, x=part.x[:0]))  # the samples themselves need not stay on the device
        progress(cell.cost * len(seeds))
    return parts, torch.cat(kept), torch.cat(whole)


class _Warm(Exception):
    """Ends a solver's run after its first evaluations."""


def _warm_up(cell: Cell, solver: Tool, seeds: range) -> None:
    """The first evaluations of a batch, in which libraries are loaded and kernels chosen."""
    count = Evaluations()

    def stop(x: Tensor, t: Tensor, eps: Tensor) -> None:
        count(x, t, eps)
        if count.calls >= WARM:
            raise _Warm

    with contextlib.suppress(_Warm):
        cell.subject.sample(solver, seeds, (stop,))


def _synchronise(device: torch.device) -> None:
    """Waits until the device is idle, so that earlier work is not timed."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of the machine or of the device is full."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "not enough memory" in str(error) or "can't allocate memory" in str(error)


def _costs(parts: Sequence[Samples], batch: int, sizes: Sequence[int]) -> Row:
    """What samples cost. Seconds are of whole batches, unless there is none."""
    calls, count = [part.nfe for part in parts], sum(sizes)
    whole = [part.seconds for part, size in zip(parts, sizes, strict=True) if size == batch]
    seconds = whole or [part.seconds for part in parts]
    known = [part.info for part in parts]
    return {
        "nfe": {"mean": mean(calls), "min": min(calls), "max": max(calls)},
        "vjps": mean(part.vjps for part in parts),
        "work": sum(part.work * size for part, size in zip(parts, sizes, strict=True)) / count,
        "seconds": {"mean": mean(seconds), "sd": stdev(seconds) if len(seconds) > 1 else None, "batches": len(seconds)},
        "seconds_per_nfe": sum(part.seconds for part in parts) / sum(calls),
        "info": {key: sum(i[key] * n for i, n in zip(known, sizes, strict=True)) / count for key in known[0]},
    }
