"""The report as files of text: Markdown in two layouts, CSV and JSON."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .facts import facts
from .grid import Grid, short
from .report import Report
from .store import Row
from .texts import NLL, NLL_ERROR, condition, flat

Layout = Literal["table", "tolerance"]
WIDTH = 120
"""Characters of a line that is printed."""


def _lines(heads: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    """Rows as a Markdown table whose columns are aligned; columns without any content are left out."""
    kept = [head for head in heads if any(row.get(head) for row in rows)]
    names = short(kept)
    text = [[names[head] for head in kept], *([row.get(head, "").replace("|", "\\|") for head in kept] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*text, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, cells, widths)) + " |" for cells in text]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def markdown(report: Report, layout: Layout = "table", width: int | None = None) -> str:
    """The report as Markdown.

    Args:
        report: The report.
        layout: One table for all rows ("table"), or one for each model and solver ("tolerance").
        width: Characters of a line, for which there is a table for each model, without the columns that matter least;
            None has all of them in one.
    """
    grid, notes = Grid.of(report), facts(report)
    if layout == "tolerance":
        body = _by_tolerance(report, grid)
    elif width is None:
        body = _lines(grid.heads, grid.all)
    else:
        shown = {model: part.within(width) for model, part in grid.by_model().items()}
        titles = {model: f"### {model}\n\n" if len(shown) > 1 else "" for model in shown}
        body = "\n\n".join(titles[model] + _lines(part.heads, part.all) for model, part in shown.items())
        if lacks := list(dict.fromkeys(head for part in shown.values() for head in part.lacks)):
            notes.append(f"No room for {', '.join(lacks)}, which the files have; ± is the larger half-width.")
    return "\n\n".join([body, "\n".join(f"- {line}" for line in notes)]) + "\n"


class PrintedReport(Report):
    """A report that prints as its table, which a notebook shows."""

    def __repr__(self) -> str:
        return markdown(self, width=WIDTH)

    def _repr_markdown_(self) -> str:
        return markdown(self)


def _by_tolerance(report: Report, grid: Grid) -> str:
    """One table per model and solver, with a row per tolerance or number of steps: the shape of printed tables."""
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row, full in zip(report.samples, grid.rows, strict=True):
        knob = next((name for name in ("tol", "steps", "nfe") if name in row["solver"]), "")
        others = " ".join(part for part in row["options"].split() if not part.startswith(f"{knob}="))
        size, batches = row.get("batch"), row.get("seconds", {}).get("batches")
        key, value = (knob.capitalize(), f"{row['solver'][knob]:g}") if knob else ("Options", row["options"])
        cells = {key: value} | {head: full.get(head, "") for head in ("NFE", *report.measured, NLL, NLL_ERROR)}
        if row["status"] == "done":
            cells[f"Speed (s per {size}, {batches} batches)"] = full["s per batch"]
        name = " ".join(filter(None, (condition(row), row["solver"]["name"], others)))
        groups.setdefault((full["model"], name), []).append(cells)
    tables = []
    for (model, name), rows in groups.items():
        heads = list(dict.fromkeys(head for row in rows for head in row))
        kept = [head for head in heads if any(row.get(head) for row in rows)]
        below = [{heads[0]: row["solver"], **row} for row in grid.below if row["model"] == model]
        held = [row for row in below if any(map(row.get, kept[1:]))]
        tables.append(f"### {model}, {name}\n\n{_lines(kept, [*rows, *held])}")
    return "\n\n".join(tables)


def as_csv(report: Report) -> str:
    """The rows of solvers as comma-separated values.

    Args:
        report: The report.
    """
    rows = [flat(report, row) for row in report.samples]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_json(report: Report, spec: Mapping[str, Any]) -> str:
    """The benchmark and its rows as JSON.

    Args:
        report: The report.
        spec: The benchmark's options.
    """

    def whole(row: Row) -> Row:
        if "bits_per_dim" not in row:
            return row
        value, error = report.nll(row)
        return {**row, "nll": {"value": value, "standard_error": error, "from_tolerance": report.nll_error(row)}}

    rows = [whole(row) for row in report.rows]
    return json.dumps({"benchmark": spec, "rows": rows}, indent=2) + "\n"
