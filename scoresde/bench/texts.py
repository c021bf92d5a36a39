"""The text in the cells of a benchmark's tables."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .report import Report
from .store import Row

FLOOR = "(floor)"
"""Name of the row with the values that as many real images, or exact samples, would get."""
CONVERGED = "(converged)"
"""Name of the row with the model's own likelihood."""
NLL, NLL_ERROR = "NLL, bits/dim", "NLL error"
SHARED = ("model", "denoise", "dtype", "count", "seeds", "device", "machine", "threads", "versions")
"""What is printed only once if it is the same in all rows."""


def model_names(rows: Iterable[Row]) -> dict[str, str]:
    """The names of models as they are shown: without the folders that they are in, unless two would be called alike.

    Args:
        rows: The rows of a benchmark.
    """
    names = {row["model"]: Path(row["model"]).name for row in rows}
    return names if len(set(names.values())) == len(names) else {name: name for name in names}


def condition(row: Row) -> str:
    """A row's conditioner in words, if it has one, and whether its samples stay as noisy as the solver leaves them.

    Args:
        row: A row of a solver.
    """
    said = str(row.get("conditioner", ""))
    return f"{said}, not denoised," if said and not row["denoise"] else said


def title(row: Row) -> str:
    """A row's conditioner, if it has one, and its solver and options.

    Args:
        row: A row of a solver.
    """
    return " ".join(filter(None, (condition(row), row["solver"]["name"], row["options"])))


def number(value: float | None) -> str:
    """A number with three digits; empty for None.

    Args:
        value: The number.
    """
    if value is None:
        return ""
    if value == 0:
        return "0"
    return f"{value:.1e}" if abs(value) < 1e-3 else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _interval(estimate: Mapping[str, Any]) -> str:
    """A value with the ends of its 95 % interval."""
    return f"{number(estimate['value'])} [{number(estimate['low'])}, {number(estimate['high'])}]"


def plus_minus(head: str, text: str) -> str:
    """A cell with the larger half-width of its interval in place of the ends.

    Args:
        head: The head of its column.
        text: The cell.
    """

    def half(found: re.Match[str]) -> str:
        value, low, high = map(float, found.groups())
        return f"{found[1]} ± {number(float(f'{max(high - value, value - low):.2g}'))}"

    return re.sub(r"(\S+) \[(\S+), (\S+)\]", half, text)


def with_error(value: float, error: float) -> str:
    """A value ± its standard error, with two digits of the error.

    Args:
        value: The value.
        error: Its standard error.
    """
    digits = max(0, 1 - math.floor(math.log10(error))) if error > 0 and math.isfinite(error) else 3
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def evaluations(row: Row) -> str:
    """The evaluations of a batch, with the smallest and largest number if batches differ.

    Args:
        row: A measured row.
    """
    nfe = row["nfe"]
    mean = f"{nfe['mean']:.4g}"
    return mean if nfe["min"] == nfe["max"] else f"{mean} ({nfe['min']} to {nfe['max']})"


def seconds(row: Row) -> str:
    """The seconds of a batch, mean and standard deviation.

    Args:
        row: A measured row.
    """
    found = row["seconds"]
    return number(found["mean"]) + ("" if found["sd"] is None else f" ± {number(found['sd'])}")


def columns(report: Report, row: Row) -> dict[str, str]:
    """A row's cells in the table, by the heads of their columns; what all rows share is left out.

    Args:
        report: The report.
        row: A row of a solver.
    """
    cells = {"model": row["model"], "conditioner": row.get("conditioner", "")}
    cells |= {"solver": row["solver"]["name"], "options": row["options"]}
    if row["status"] != "done":
        return {**cells, "NFE": row["status"]}
    cells |= {"NFE": evaluations(row), **dict.fromkeys([*report.measured, NLL, NLL_ERROR], "")}
    for estimate in row["metrics"]:
        noted = [str(report.marks.index(mark) + 1) for mark in estimate["marks"]]
        cells[estimate["name"]] = _interval(estimate) + (f" ({', '.join(noted)})" if noted else "")
    if "bits_per_dim" in row:
        cells[NLL] = with_error(*report.nll(row))
    if error := report.nll_error(row):
        cells[NLL_ERROR] = _interval(error)
    cells |= {
        "s per batch": seconds(row),
        "ms per NFE": number(1000 * row["seconds_per_nfe"]),
        "work": f"{row['work']:.4g}",
        "VJPs": f"{row['vjps']:g}",
        "rejected": number(row["info"].get("rejected")),
        "control": row["solver"].get("control", ""),
        "batch": str(row["batch"]),
    }
    varied = [name for name in SHARED if name in row and len({json.dumps(r[name]) for r in report.done}) > 1]
    return cells | {name: in_words(name, row[name]) for name in varied if name != "model"}


def in_words(name: str, value: Any) -> str:
    """What all rows share, or a row's own value of it, in words.

    Args:
        name: One of `SHARED`.
        value: The value.
    """
    if name == "versions":
        return ", ".join(f"{key} {version}" for key, version in value.items())
    if name == "seeds":
        return f"{value[0]} to {value[1]}"
    return str(value)


def floors(report: Report, model: str) -> dict[str, float]:
    """The floors of a model's estimates: the values that as many real images or exact samples would get.

    Args:
        report: The report.
        model: Name of the model.
    """
    rows = [row for row in report.done if row["model"] == model]
    return {e["name"]: e["floor"] for row in rows for e in row["metrics"] if e["floor"] is not None}


def flat(report: Report, row: Row) -> dict[str, Any]:
    """A row as plain numbers and texts, one per column.

    Args:
        report: The report.
        row: A row of a solver.
    """
    low, high = row["seeds"]
    cells: dict[str, Any] = {
        **{
            key: row.get(key)
            for key in ("model", "sha256", "subject", "status", "options", "count", "batch", "dtype", "denoise")
        },
        "conditioner": row.get("conditioner"),
        "solver": row["solver"]["name"],
        "control": row["solver"].get("control"),
        "first_seed": low,
        "last_seed": high,
        **{key: row[key] for key in ("device", "machine", "threads")},
        **{f"version_{name}": version for name, version in row["versions"].items()},
        "key": row["key"],
        "reason": row.get("reason"),
    }
    if row["status"] == "done":
        cells |= {f"nfe_{name}": value for name, value in row["nfe"].items()}
        cells |= {"work": row["work"], "vjps": row["vjps"], "seconds_per_nfe": row["seconds_per_nfe"]}
        cells |= {f"seconds_{name}": value for name, value in row["seconds"].items()} | row["info"]
        for name, found in (("nll", row), ("model_nll", report.likelihoods.get(row["subject"], {}))):
            if "bits_per_dim" in found:
                cells[name], cells[f"{name}_standard_error"] = report.nll(found)
        for e in [*row["metrics"], *([{"name": "nll_error", **error}] if (error := report.nll_error(row)) else [])]:
            cells |= {f"{e['name']}{' ' * bool(end)}{end}": e[end or "value"] for end in ("", "low", "high")}
    return cells
