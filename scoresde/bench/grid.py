"""The table of a report before it is Markdown, HTML or LaTeX: which columns it has, and what all rows share."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from .report import Report
from .texts import CONVERGED, FLOOR, NLL, NLL_ERROR, columns, floors, model_names, number, plus_minus, with_error

SPARED = ("model", "conditioner", "rejected", "work", "VJPs", "control", "batch")
"""Columns that are left out where they say the same of all rows."""
LEAST = ("versions", "machine", "ms per NFE", "rejected", "work", "VJPs", "batch", "control", "denoise", "rms error")
"""What a narrow table goes without, in this order."""
WORDS = ("model", "conditioner", "solver", "options", "control")
"""Columns of words; all others are of numbers."""


@dataclass(frozen=True)
class Grid:
    """Texts by the heads of their columns. A cell without text may be absent."""

    heads: list[str]
    """Of the columns that hold anything."""
    rows: list[dict[str, str]]
    """One for each row of the report."""
    below: list[dict[str, str]]
    """The models' own likelihoods, and the floors."""
    shared: dict[str, str]
    """What the columns left out say of all rows."""
    lacks: tuple[str, ...] = ()
    """Columns left out because there is no room."""

    @classmethod
    def of(cls, report: Report) -> "Grid":
        """The table of a report.

        Args:
            report: The report.
        """
        rows = [columns(report, row) for row in report.samples]
        done = [cells for cells, row in zip(rows, report.samples, strict=True) if row["status"] == "done"]
        below, shared = [*_converged(report), *_floors(report)], dict[str, str]()
        names = model_names(report.rows)
        for row in [*rows, *below]:
            row["model"] = names[row["model"]]
        heads = list(dict.fromkeys(head for row in [*rows, *below] for head in row))
        heads = [head for head in heads if any(row.get(head) for row in [*rows, *below])]
        for head in SPARED if done else ():
            told = rows if head in ("model", "conditioner") else done  # which a row without numbers has, too
            said = {row.get(head, "") for row in told if row.get(head) or head != "control"}
            if head == "work" and all(row["work"] == row["NFE"].partition(" ")[0] for row in done):
                said = {"as NFE"}
            if len(said) == 1 and head in heads:
                heads.remove(head)
                shared[head] = said.pop()
        return cls(heads, rows, below, shared)

    @property
    def all(self) -> list[dict[str, str]]:
        """The rows and those below."""
        return [*self.rows, *self.below]

    def widths(self) -> list[int]:
        """The number of characters of each column, with its head as it is shown."""
        shown = short(self.heads)
        return [max(len(shown[h]), *(len(row.get(h, "")) for row in self.all)) for h in self.heads]

    def within(self, width: int) -> "Grid":
        """A table for lines of so many characters, as far as that can be had.

        Solvers and options become one column; it goes without the columns that matter least; then it has the larger
        half-width of an interval, ±, then neither the spread of NFE nor that of the seconds, and at last no NLL error.

        Args:
            width: Characters of a line.
        """

        def fits(grid: "Grid") -> bool:
            return sum(grid.widths()) + 3 * len(grid.heads) + 1 <= width

        found = self
        if not fits(found):
            merged = [{**row, "solver": f"{row['solver']} {row.get('options', '')}".strip()} for row in self.rows]
            found = replace(self, heads=[head for head in self.heads if head != "options"], rows=merged)
        for head in LEAST:
            found = found if fits(found) else found.without(head)
        for shorten in (plus_minus, _means):
            if not fits(found):
                found = replace(found, rows=_each(shorten, found.rows), below=_each(shorten, found.below))
        return found if fits(found) else found.without(NLL_ERROR)

    def by_model(self) -> dict[str, "Grid"]:
        """A table for each model, with the columns that say something of it."""
        found = {}
        for model in dict.fromkeys(row["model"] for row in self.all):
            rows, below = ([row for row in part if row["model"] == model] for part in (self.rows, self.below))
            heads = [head for head in self.heads if head != "model" and any(row.get(head) for row in [*rows, *below])]
            found[model] = replace(self, heads=heads, rows=rows, below=below)
        return found

    def without(self, head: str) -> "Grid":
        """A table without a column, if it is there.

        Args:
            head: The head of the column.
        """
        if head not in self.heads:
            return self
        return replace(self, heads=[h for h in self.heads if h != head], lacks=(*self.lacks, head))


def short(heads: list[str]) -> dict[str, str]:
    """What the heads are shown as: FD[digits@1a2b3c4d] is FD, unless another FD is in the table.

    Args:
        heads: The heads.
    """
    names = {head: re.sub(r"\[.*\]", "", head) for head in heads}
    return {head: name if list(names.values()).count(name) == 1 else head for head, name in names.items()}


def _each(change: Callable[[str, str], str], rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """All cells changed by a function of head and text."""
    return [{head: change(head, text) for head, text in row.items()} for row in rows]


def _means(head: str, text: str) -> str:
    """A number of evaluations or of seconds without its spread."""
    mark = {"NFE": " (", "s per batch": " ±"}.get(head)
    return text.partition(mark)[0] if mark else text


def _converged(report: Report) -> list[dict[str, str]]:
    """A row with the likelihood of each model, which its converged flow gives."""
    return [
        {"model": row["model"], "solver": CONVERGED, NLL: with_error(*report.nll(row))}
        for row in report.likelihoods.values()
    ]


def _floors(report: Report) -> list[dict[str, str]]:
    """A row with the floors of each model: the values that as many real images, or exact samples, would get."""
    rows = []
    for model in dict.fromkeys(row["model"] for row in report.done):
        if found := floors(report, model):
            rows.append({"model": model, "solver": FLOOR, **{name: number(value) for name, value in found.items()}})
    return rows
