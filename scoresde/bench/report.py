"""The report of a benchmark: its rows in order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from .cells import Cell
from .estimates import paired, standard_error
from .run import head
from .store import Row


@dataclass(frozen=True)
class Report:
    """The rows of a benchmark in its order.

    Example:
        >>> import scoresde
        >>> report = scoresde.benchmark("gaussian", "euler:steps=5", n=4)
        >>> len(report.done), report.failed, report.missing
        (1, [], 0)
    """

    rows: Sequence[Row]
    """One for each cell; a cell that is not measured yet has the status "missing"."""

    @classmethod
    def of(cls, cells: Iterable[Cell], found: Mapping[str, Row]) -> "Report":
        """The report of some cells.

        Args:
            cells: The cells of the benchmark.
            found: Rows by their keys.
        """
        rows = []
        for cell in cells:
            known = head(cell)
            # Rows of earlier versions say less of a model, and its folder may have moved since.
            named = {key: known[key] for key in ("model", "sha256", "subject")}
            rows.append({**(cell.row(found) or {**known, "status": "missing"}), **named})
        return cls(rows)

    @cached_property
    def samples(self) -> list[Row]:
        """The rows of solvers."""
        return [row for row in self.rows if row["kind"] == "samples"]

    @cached_property
    def done(self) -> list[Row]:
        """Those of them that were measured."""
        return [row for row in self.samples if row["status"] == "done"]

    @cached_property
    def failed(self) -> list[Row]:
        """The rows of cells that failed, likelihoods included."""
        return [row for row in self.rows if row["status"] == "failed"]

    @property
    def missing(self) -> int:
        """The number of cells that are not measured yet."""
        return sum(row["status"] == "missing" for row in self.rows)

    @cached_property
    def likelihoods(self) -> dict[str, Row]:
        """The likelihood of each model, by the digest of what its predictions and its data depend on."""
        rows = [row for row in self.rows if row["kind"] == "likelihood" and row["status"] == "done"]
        return {row["subject"]: row for row in rows}

    @cached_property
    def measured(self) -> list[str]:
        """Names of the estimates, in the order in which they are met."""
        return list(dict.fromkeys(e["name"] for row in self.done for e in row["metrics"]))

    @cached_property
    def marks(self) -> list[str]:
        """What has to be known before trusting a value, each once."""
        return list(dict.fromkeys(mark for row in self.done for e in row["metrics"] for mark in e["marks"]))

    def nll(self, row: Row) -> tuple[float, float]:
        """The negative log-likelihood of a row, in bits/dim, and its standard error.

        Args:
            row: A model's own likelihood, or a row of a solver that has one at its tolerance.
        """
        values = torch.tensor(row["bits_per_dim"], dtype=torch.float64)
        return float(values.mean()), standard_error(values)

    def nll_error(self, row: Row) -> dict[str, float] | None:
        """The error of the negative log-likelihood that a solver's tolerance causes, in bits/dim, on the same images.

        Args:
            row: A row of a solver.
        """
        converged = self.likelihoods.get(row["subject"])
        if "bits_per_dim" not in row or converged is None:
            return None
        value, half = paired(row["bits_per_dim"], converged["bits_per_dim"])
        return {"value": value, "low": value - half, "high": value + half}
