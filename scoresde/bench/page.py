"""The report as one HTML page that needs nothing else: table, plots, samples and provenance."""

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from .facts import facts
from .figures import Point, curves, inline
from .grid import WORDS, Grid, short
from .report import Report
from .store import Row, Store
from .texts import FLOOR, NLL, NLL_ERROR, condition, flat, floors, number, title
from .words import explained, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = {
    "time": "wall-clock time (ms per sample)",
    "NFE": "NFE (evaluations, one after the other)",
    "work": "NFE + 2 VJPs (evaluations)",
}
"""The labels of horizontal axes."""
TEMPLATE = Path(__file__).with_name("page.html")
KNOBS = {"tol", "atol", "steps", "nfe"}
"""Options that say how much work is done: along them a line is drawn."""
SORTED = {
    "NFE": "nfe_mean",
    "work": "work",
    "VJPs": "vjps",
    "s per batch": "seconds_mean",
    "ms per NFE": "seconds_per_nfe",
    "rejected": "rejected",
    NLL: "nll",
    NLL_ERROR: "nll_error",
}
"""Where the number is that a column is sorted by, if it is not the column's own name."""


def page(report: Report, store: Store, spec: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        report: The report.
        store: Where the pictures of the samples are.
        spec: The benchmark's options.
    """
    models = list(dict.fromkeys(row["model"] for row in report.rows))
    done = f"{len(report.done)} of {len(report.samples)} rows measured"
    grid = Grid.of(report)
    lead = f"{done}; intervals are at 95 %; NFE are evaluations counted at the model."
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"Benchmark of {', '.join(models)}"),
        lead=escape(lead),
        table=_table(report, grid),
        columns=_explanations(grid),
        facts="\n".join(f"<li>{escape(fact)}</li>" for fact in facts(report)),
        plots=_section("Quality against work", "plots", drawings(report)),
        sheets=_section("Samples", "sheets", _sheets(report, store)),
        provenance=escape(json.dumps(_provenance(report, spec), indent=2)),
    )


def _table(report: Report, grid: Grid) -> str:
    """The table, each cell with the number or text that it is sorted by."""
    names, lines = short(grid.heads), ["<table>", "<thead><tr>"]
    for head in grid.heads:
        kind = ' class="text"' if head in WORDS else ""
        said = escape(explained(head))
        lines.append(f'<th scope="col"{kind} title="{said}"><button type="button">{escape(names[head])}</button></th>')
    lines += ["</tr></thead>", "<tbody>"]
    named = [(row["status"], flat(report, row), shown) for row, shown in zip(report.samples, grid.rows, strict=True)]
    named += [("below", dict(shown), shown) for shown in grid.below]
    for status, numbers, shown in named:
        lines.append(f'<tr class="{status}">')
        for head in grid.heads:
            text = shown.get(head, "")
            value = numbers.get(SORTED.get(head, head), text.partition(" ")[0] if status == "below" else text)
            main, bracket, rest = escape(text).partition(" [")
            cell = main + (f' <span class="range">[{rest}</span>' if bracket else "")
            kind = ' class="text"' if head in WORDS else ""
            lines.append(f'<td{kind} data-value="{escape("" if value is None else str(value))}">{cell}</td>')
        lines.append("</tr>")
    return "\n".join([*lines, "</tbody>", "</table>"])


def _explanations(grid: Grid) -> str:
    """What each column is, and the rows below the others."""
    names = short(grid.heads) | {row["solver"]: row["solver"] for row in grid.below}
    said = [(name, explained(head)) for head, name in names.items()]
    return "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in said if text)


def _section(name: str, kind: str, figures: Sequence[str]) -> str:
    """A heading with figures under it, if there are any."""
    return "\n".join([f"<h2>{name}</h2>", f'<div class="{kind}">', *figures, "</div>"]) if figures else ""


def _points(report: Report, model: str, name: str, axis: str) -> dict[str, list[Point]]:
    """An estimate against the work, a line for each solver of a model whose options differ in the work alone."""
    found: dict[str, list[Point]] = {}  # a solver without points keeps its place, and so the others their colours
    for row in report.done:
        if row["model"] != model:
            continue
        others = [part for part in row["options"].split() if part.partition("=")[0] not in KNOBS]
        label = " ".join(filter(None, [condition(row), row["solver"]["name"], *others]))
        work = row["nfe"]["mean"] + 2 * row["vjps"]  # a backward pass costs about two evaluations
        x = work if axis == "nfe" else 1000 * row["seconds"]["mean"] / row["batch"]
        line = found.setdefault(label, [])
        line += [Point(x, e["value"], e["low"], e["high"]) for e in row["metrics"] if e["name"] == name]
    return found


def drawing(report: Report, model: str, name: str, axis: str = "nfe") -> "Figure | None":
    """A plot of an estimate against evaluations or time; None if the model has no such estimate.

    Args:
        report: The report.
        model: Name of the model.
        name: Name of the estimate.
        axis: "nfe" or "time".
    """
    series, floor = _points(report, model, name, axis), floors(report, model)
    values = [p.y for line in series.values() for p in line]
    if not values:
        return None
    wide = min(values) > 0 and max(values) > 8 * min(values)
    level = (FLOOR, floor[name]) if name in floor else None
    return curves(series, AXES[_axis(report, model, axis)], label(name), log_y=wide, level=level)


def _axis(report: Report, model: str, axis: str) -> str:
    """What a plot's horizontal axis is, in a word."""
    if axis == "time":
        return "time"
    return "work" if any(row["vjps"] for row in report.done if row["model"] == model) else "NFE"


def drawings(report: Report) -> list[str]:
    """Plots of each estimate against NFE, and of the first also against time, for each model, as HTML.

    Args:
        report: The report.
    """
    figures = []
    for model in dict.fromkeys(row["model"] for row in report.done):
        for name in report.measured:
            for axis in ("nfe", "time")[: 2 if name == report.measured[0] else 1]:
                if figure := drawing(report, model, name, axis):
                    words = f"{model}: {name} against {_axis(report, model, axis)}"
                    picture, caption = inline(figure, words), " ".join(filter(None, (f"{words}.", explained(name))))
                    figures.append(f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>")
    return figures


def _sheets(report: Report, store: Store) -> list[str]:
    """The first samples of each row, the same seeds in each."""
    figures = []
    for row in report.done:
        path = store.picture(row["key"])
        if path.is_file():
            data = base64.b64encode(path.read_bytes()).decode()
            words = f"{row['model']}: {title(row)}"
            caption = f"<figcaption>{escape(words)}, {number(row['nfe']['mean'])} NFE</figcaption>"
            picture = f'<img src="data:image/png;base64,{data}" alt="Samples by {escape(words)}">'
            figures.append(f"<figure>{picture}{caption}</figure>")
    return figures


def _provenance(report: Report, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The benchmark, and every environment that a row was measured in."""
    environments: list[Row] = []
    for row in report.done:
        environment = {key: row[key] for key in ("device", "machine", "threads", "versions")}
        if environment not in environments:
            environments.append(environment)
    models = {row["model"]: row["sha256"] for row in report.rows}
    return {"benchmark": spec, "environments": environments, "models": models}
