"""The samples of a cell, batch by batch, and what they cost."""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from ..core.devices import finished, machine
from ..core.provenance import versions
from ..models.evaluations import Evaluations
from .cells import Cell
from .store import Row
from .subject import Tool
from .unfinished import Batch, Keep

WARM = 3
"""Evaluations before the first batch that is timed."""
Progress = Callable[[float], object]
"""Called with the work done, in evaluations times samples, as the cell estimates it."""


def draw(cell: Cell, solver: Tool, batch: int, keep: Keep, progress: Progress) -> tuple[Row, Tensor, Tensor]:
    """Samples of every seed: their costs, what is kept of them, (N, *), and the first `paths`, (K, *) float64.

    Args:
        cell: The cell.
        solver: The solver or sampler.
        batch: Samples at a time.
        keep: Keeps each batch.
        progress: As for `run`.
    """
    subject, last, warm = cell.subject, cell.spec.seed + cell.subject.paths, False

    def make(seeds: range) -> Batch:
        nonlocal warm
        if not warm:
            _warm_up(cell, solver, seeds)
            warm = True
        finished(subject.model.device)
        part = subject.sample(solver, seeds)
        whole = part.x[: max(0, last - seeds.start)].double().cpu().clone()
        facts = {key: getattr(part, key) for key in ("nfe", "vjps", "work", "seconds")}
        place = {"machine": machine(subject.model.device), "threads": versions()["threads"]}
        return Batch({"kept": subject.keep(part.x), "whole": whole}, {**facts, "info": dict(part.info), "place": place})

    parts, sizes = list[Batch](), list[int]()
    for seeds in subject.batches(batch):
        parts.append(keep(f"samples-{seeds.start}-{seeds.stop - 1}", functools.partial(make, seeds)))
        sizes.append(len(seeds))
        progress(cell.cost * len(seeds))
    kept, whole = (torch.cat([part.tensors[name] for part in parts]) for name in ("kept", "whole"))
    return _costs([part.facts for part in parts], sizes), kept, whole


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


def _costs(parts: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> Row:
    """What samples cost, and how many were in the largest batch. Seconds are of batches as large, unless there is none;
    after an interruption that ended on another machine, or with other threads, of those drawn there alone.
    """
    batch = max(sizes)
    calls, count, place = [part["nfe"] for part in parts], sum(sizes), parts[-1]["place"]
    here = [(part, size) for part, size in zip(parts, sizes, strict=True) if part["place"] == place]
    seconds = [part["seconds"] for part, size in here if size == batch] or [part["seconds"] for part, _ in here]
    known = [part["info"] for part in parts]
    return {
        "batch": batch,
        "nfe": {"mean": mean(calls), "min": min(calls), "max": max(calls)},
        "vjps": mean(part["vjps"] for part in parts),
        "work": sum(part["work"] * size for part, size in zip(parts, sizes, strict=True)) / count,
        "seconds": {"mean": mean(seconds), "sd": stdev(seconds) if len(seconds) > 1 else None, "batches": len(seconds)},
        "seconds_per_nfe": sum(part["seconds"] for part, _ in here) / sum(part["nfe"] for part, _ in here),
        "info": {key: sum(i[key] * n for i, n in zip(known, sizes, strict=True)) / count for key in known[0]},
        **place,
    }
