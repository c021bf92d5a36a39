"""Writing the report of a folder."""

import re
from collections.abc import Sequence
from contextlib import suppress

from ..core.errors import UsageError
from .cells import Cell
from .compare import read_rows
from .figures import render
from .latex import latex
from .page import drawing, page
from .report import Report
from .spec import Settings
from .store import Row, Store
from .tables import Layout, as_csv, as_json, markdown
from .texts import model_names


def publish(cells: Sequence[Cell], store: Store, spec: Settings, layout: Layout = "table") -> Report:
    """Writes table.md, table.csv, table.tex, results.json, index.html and a plot per model, and returns the report.

    They are made from the rows of all processes. Each process reads the rows again after writing, and repeats if new
    ones have come, so the last report contains all rows. Plots of models of the report before, which this one is not
    about, are removed.

    Args:
        cells: The cells of the benchmark.
        store: Where the rows are, and where the files go.
        spec: The benchmark.
        layout: Layout of table.md.
    """
    options = spec.model_dump(mode="json")
    while True:
        found, before = store.rows(), list[Row]()
        with suppress(UsageError):  # there is none
            before = read_rows(store.folder)
        report = Report.of(cells, found)
        pictures = _pictures(report)
        store.write(
            {
                **pictures,
                "table.md": markdown(report, layout),
                "table.csv": as_csv(report),
                "table.tex": latex(report),
                "results.json": as_json(report, options),
                "index.html": page(report, store, options),
            }
        )
        for name in set(_files(before).values()) - set(pictures):
            (store.folder / name).unlink(missing_ok=True)
        if store.rows() == found:
            return report


def _pictures(report: Report) -> dict[str, str]:
    """The first estimate against NFE for each model, as SVG files by their names."""
    found, files = {}, _files(report.rows)
    for model in dict.fromkeys(row["model"] for row in report.done):
        figures = (drawing(report, model, name) for name in report.measured)
        if figure := next(filter(None, figures), None):
            found[files[model]] = render(figure).decode()
    return found


def _files(rows: Sequence[Row]) -> dict[str, str]:
    """The names of the models' plots."""
    return {model: f"{re.sub('[^A-Za-z0-9._-]+', '-', name)}.svg" for model, name in model_names(rows).items()}
