"""The report as files of text: Markdown in two layouts, CSV and JSON."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

from .report import Report
from .texts import columns, evaluations, facts, flat, floor_rows, number, seconds

Layout = Literal["table", "tolerance"]


def _lines(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows as a Markdown table; columns without any content are left out."""
    heads = [h for h in dict.fromkeys(key for row in rows for key in row) if any(row.get(h) for row in rows)]
    text = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    body = [[row.get(head, "").replace("|", "\\|") for head in heads] for row in rows]
    return "\n".join([*text, *("| " + " | ".join(cells) + " |" for cells in body)])


def markdown(report: Report, layout: Layout = "table") -> str:
    """The report as Markdown.

    Args:
        report: The report.
        layout: One table for all rows ("table"), or one for each model and solver ("tolerance").
    """
    if layout == "tolerance":
        body = _by_tolerance(report)
    else:
        body = _lines([columns(report, row) for row in report.samples] + floor_rows(report))
    return "\n\n".join([body, "\n".join(f"- {line}" for line in facts(report))]) + "\n"


class PrintedReport(Report):
    """A report that prints as its table, which a notebook shows."""

    def __repr__(self) -> str:
        return markdown(self)

    def _repr_markdown_(self) -> str:
        return markdown(self)


def _by_tolerance(report: Report) -> str:
    """One table per model and solver, with a row per tolerance or number of steps: the shape of printed tables."""
    groups: dict[str, list[dict[str, str]]] = {}
    for row in report.samples:
        knob = next((name for name in ("tol", "steps", "nfe") if name in row["solver"]), "")
        others = " ".join(part for part in row["options"].split() if not part.startswith(f"{knob}="))
        size, batches = row.get("batch"), row.get("seconds", {}).get("batches")
        cells = {knob.capitalize(): f"{row['solver'][knob]:g}"} if knob else {"Options": row["options"]}
        if row["status"] != "done":
            cells["NFE"] = row["status"]
        else:
            cells["NFE"] = evaluations(row)
            cells |= {e["name"]: number(e["value"]) for e in row["metrics"]}
            converged, error = report.likelihoods.get(row["sha256"]), report.nll_error(row)
            if converged:
                mistake = f" (error {number(error['value'])})" if error else ""
                cells["NLL"] = f"{fmean(converged['bits_per_dim']):.3f}{mistake}"
            cells[f"Speed (s per {size}, {batches} batches)"] = seconds(row)
        name = " ".join(filter(None, (f"{row['model']},", row.get("conditioner"), row["solver"]["name"], others)))
        groups.setdefault(name, []).append(cells)
    return "\n\n".join(f"### {name}\n\n{_lines(rows)}" for name, rows in groups.items())


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
    return json.dumps({"benchmark": spec, "rows": report.rows}, indent=2) + "\n"
