"""What differs between two benchmarks beyond their intervals."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..metrics.moments import student
from .store import Row
from .texts import number, title

SAME = ("model", "conditioner", "solver", "count", "batch", "seeds", "dtype", "denoise", "device")
"""What two rows must have in common to be compared. Versions, machines and weights may differ."""


def read_rows(path: Path) -> list[Row]:
    """The rows of solvers in the results of a benchmark.

    Args:
        path: A benchmark's folder, or its results.json.

    Raises:
        UsageError: There are none.
    """
    file = path / "results.json" if path.is_dir() else path
    try:
        rows = json.loads(file.read_bytes())["rows"]
        return [row for row in rows if row["kind"] == "samples" and row["status"] == "done"]
    except FileNotFoundError:
        raise UsageError(f"{path} holds no results: make some with `scoresde bench --out {path}`") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} does not hold the results of a benchmark: {error!r}") from None


def _quantities(row: Row) -> Iterator[tuple[str, float, float]]:
    """Name, value and half-width of the 95 % interval of everything measured."""
    for name in ("mean", "min", "max"):
        yield ("NFE" if name == "mean" else f"NFE, {name}"), row["nfe"][name], 0.0
    yield "work", row["work"], 0.0
    seconds = row["seconds"]
    if seconds["sd"] is not None:
        half = student(seconds["batches"]) * seconds["sd"] / math.sqrt(seconds["batches"])
        yield "s per batch", seconds["mean"], half
    for e in row["metrics"]:
        yield e["name"], e["value"], (e["high"] - e["low"]) / 2


def compare(a: list[Row], b: list[Row]) -> list[dict[str, Any]]:
    """Every quantity of every row that two benchmarks share, with the difference, and whether it exceeds the intervals.

    The intervals are taken as those of independent estimates, of half-widths u and v: a difference counts if it is
    larger than √(u² + v²), so one in twenty unchanged quantities is reported by chance. Evaluations have no interval.

    Args:
        a: Rows of the first benchmark.
        b: Rows of the second one.
    """

    def identity(row: Row) -> str:
        return json.dumps([row.get(name) for name in SAME], sort_keys=True)

    others, found = {identity(row): row for row in b}, []
    for row in a:
        other = others.get(identity(row))
        if other is None:
            continue
        theirs = {name: (value, half) for name, value, half in _quantities(other)}
        for name, value, half in _quantities(row):
            if name not in theirs:
                continue
            gap, allowed = theirs[name][0] - value, math.hypot(half, theirs[name][1])
            found.append(
                {
                    "model": row["model"],
                    "solver": title(row),
                    "quantity": name,
                    "A": number(value),
                    "B": number(theirs[name][0]),
                    "B - A": number(gap),
                    "interval": f"± {number(allowed)}" if allowed else "exact",
                    "differs": abs(gap) > allowed,
                }
            )
    return found
