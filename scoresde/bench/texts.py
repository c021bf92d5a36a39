"""The text in the cells of a benchmark's tables, and the lines under them."""

import json
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import torch

from .estimates import standard_error
from .report import Report
from .store import Row

FLOOR = "(floor)"
"""Name of the row with the values that as many real images, or exact samples, would get."""
CLASSES = 20
"""Classes up to which the likelihood of each is said."""
SHARED = ("model", "denoise", "dtype", "count", "seeds", "device", "machine", "threads", "versions", "sha256")
"""What is printed only once if it is the same in all rows."""


def title(row: Row) -> str:
    """A row's conditioner, if it has one, and its solver and options.

    Args:
        row: A row of a solver.
    """
    return " ".join(filter(None, (row.get("conditioner"), row["solver"]["name"], row["options"])))


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
    cells |= {"NFE": evaluations(row), **dict.fromkeys([*report.measured, "NLL error"], "")}
    for estimate in row["metrics"]:
        noted = [str(report.marks.index(mark) + 1) for mark in estimate["marks"]]
        cells[estimate["name"]] = _interval(estimate) + (f" ({', '.join(noted)})" if noted else "")
    if error := report.nll_error(row):
        cells["NLL error"] = _interval(error)
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
    return cells | {name: _short(name, row[name]) for name in varied if name != "model"}


def _short(name: str, value: Any) -> str:
    """A shared value in words."""
    if name == "versions":
        return ", ".join(f"{key} {version}" for key, version in value.items())
    if name == "seeds":
        return f"{value[0]} to {value[1]}"
    return str(value)[:12] if name == "sha256" else str(value)


def _likelihood(row: Row) -> str:
    """The negative log-likelihood of a model, with its standard error and what it cost."""
    values = row["bits_per_dim"]
    error = standard_error(torch.tensor(values, dtype=torch.float64))
    cost = row["likelihood"]
    work = f"{cost['nfe']:.4g} NFE and {cost['vjps']:.4g} VJPs"
    said = f"{fmean(values):.4f} ± {error:.4f} bits/dim (standard error), by rk45 at 1e-5 in {work}"
    if "truth" in row:
        return f"{said}; the truth is {fmean(row['truth']):.4f}, for {len(values)} exact samples"
    return f"{said}, for {len(values)} held-out images{_by_class(row)}"


def _by_class(row: Row) -> str:
    """The mean likelihood of each class of a few, with its standard error."""
    groups: dict[int, list[float]] = {}
    for label, value in zip(row.get("classes", ()), row["bits_per_dim"], strict=False):
        groups.setdefault(label, []).append(value)
    if not 2 <= len(groups) <= CLASSES or min(map(len, groups.values())) < 2:
        return ""
    means = [(k, torch.tensor(groups[k], dtype=torch.float64)) for k in sorted(groups)]
    return "; by class " + ", ".join(f"{k}: {float(x.mean()):.2f} ± {standard_error(x):.2f}" for k, x in means)


def floors(report: Report, model: str) -> dict[str, float]:
    """The floors of a model's estimates: the values that as many real images or exact samples would get.

    Args:
        report: The report.
        model: Name of the model.
    """
    rows = [row for row in report.done if row["model"] == model]
    return {e["name"]: e["floor"] for row in rows for e in row["metrics"] if e["floor"] is not None}


def facts(report: Report) -> list[str]:
    """The lines under the table: likelihoods, what all rows share, marks, failures and the number of missing cells.

    Args:
        report: The report.
    """
    lines = []
    for row in report.likelihoods.values():
        lines.append(f"NLL of {row['model']}: {_likelihood(row)}.")
    if report.done:
        shared = [name for name in SHARED if len({json.dumps(row[name]) for row in report.done}) == 1]
        lines.append("All rows: " + "; ".join(f"{name} {_short(name, report.done[0][name])}" for name in shared) + ".")
    lines += [f"({i}) {mark}." for i, mark in enumerate(report.marks, 1)]
    for row in report.failed:
        name = title(row) if "solver" in row else "likelihood"
        lines.append(f"Failed: {row['model']}, {name}: {row['reason']}.")
    if report.missing:
        lines.append(f"{report.missing} of {len(report.rows)} cells are not measured yet.")
    return lines


def floor_rows(report: Report) -> list[dict[str, str]]:
    """A row with the floors for each model, to be shown under the others.

    Args:
        report: The report.
    """
    rows = []
    for model in dict.fromkeys(row["model"] for row in report.done):
        if found := floors(report, model):
            rows.append({"model": model, "solver": FLOOR, **{name: number(value) for name, value in found.items()}})
    return rows


def flat(report: Report, row: Row) -> dict[str, Any]:
    """A row as plain numbers and texts, one per column.

    Args:
        report: The report.
        row: A row of a solver.
    """
    low, high = row["seeds"]
    cells: dict[str, Any] = {
        **{key: row.get(key) for key in ("model", "sha256", "status", "options", "count", "batch", "dtype", "denoise")},
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
        for e in [*row["metrics"], *([{"name": "nll_error", **error}] if (error := report.nll_error(row)) else [])]:
            cells |= {f"{e['name']}{' ' * bool(end)}{end}": e[end or "value"] for end in ("", "low", "high")}
    return cells
