"""The cells of a benchmark: one per model and solver, and one for each model's likelihood, each with its key."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from .. import models
from ..core.errors import UsageError
from ..core.options import Options, hint, table
from ..core.provenance import versions
from ..metrics import Metric
from ..solvers.runge_kutta import RungeKutta
from .analytic import ANALYTIC, AnalyticSubject
from .likelihood import LIKELIHOOD
from .network import NetworkSubject
from .spec import CONVERGED, Settings, Spec
from .store import Row, Store
from .subject import ModelSubject, Subject, Tool, foreign, sha256

FORMAT = 1
"""Version of a row's layout; another one is another key."""
TYPICAL = 60
"""Evaluations assumed of an adaptive solver, for the progress bar alone."""


@dataclass(frozen=True)
class Cell:
    """One measurement of a benchmark."""

    subject: Subject
    """The model."""
    solver: Tool | None
    """The solver or sampler; None for the likelihood of the model."""
    spec: Settings
    """The benchmark."""

    @property
    def likelihood(self) -> bool:
        """Whether a likelihood is computed: of the model itself, or with a Runge-Kutta method at its tolerance."""
        wanted = isinstance(self.spec, Spec) and self.spec.likelihood > 0
        return wanted and (self.solver is None or isinstance(self.solver, RungeKutta))

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the numbers depend on, except the machine. Another version makes another row."""
        return self._identity(by_path=False)

    def _identity(self, by_path: bool) -> dict[str, Any]:
        """The identity, with data and networks of metrics by their content, or by where they are as it was before."""
        spec, current = self.spec, versions()["versions"]
        found: dict[str, Any] = {
            "format": FORMAT,
            "model": (by_path and self.subject.former) or self.subject.identity,
            "device": self.subject.device,
            "versions": {name: current[name] for name in ("scoresde", "torch")},
            "seed": spec.seed,
        }
        if self.subject.around:
            found["around"] = self.subject.around
        if self.solver is not None:
            sampled = {"count": spec.count, "batch": spec.batch, "dtype": spec.dtype, "denoise": self.subject.denoise}
            found |= {"solver": table(self.solver), **sampled}
        if isinstance(spec, Spec):
            if self.likelihood and isinstance(self.subject, ModelSubject):
                how = "drawn" if self.subject.classes is None else "by class"  # rows of other images are not these
                found["likelihood"] = {how: spec.likelihood, **({} if by_path else self.subject.own_content)}
                if self.solver is None and spec.likelihood_tol != CONVERGED:
                    found["likelihood"]["tol"] = spec.likelihood_tol
            if self.solver is not None:
                metrics = [] if "analytic" in self.subject.identity else spec.metric
                found["metric"] = [(table if by_path else metric_identity)(metric) for metric in metrics]
                found["paths"] = spec.paths
        return found | foreign(self.solver, *(spec.metric if isinstance(spec, Spec) else []))

    @cached_property
    def key(self) -> str:
        """The sha256 of the identity as JSON with sorted keys."""
        return sha256(self.identity)

    @cached_property
    def former(self) -> str:
        """The key of rows that were measured when the path of data was in the key, not their content."""
        return sha256(self._identity(by_path=True))

    def row(self, found: Mapping[str, Row]) -> Row | None:
        """The cell's row, a measured one if there is one.

        Args:
            found: Rows by their keys.
        """
        rows = [found[key] for key in (self.key, self.former) if key in found]
        return next((row for row in rows if row["status"] == "done"), rows[0] if rows else None)

    @property
    def cost(self) -> float:
        """A guess at the evaluations of a sample, for the progress bar."""
        options = {} if self.solver is None else self.solver.model_dump()
        return float(options.get("steps") or options.get("nfe") or TYPICAL)

    @property
    def effort(self) -> float:
        """A guess at the evaluations of the whole cell, for the progress bar."""
        drawn = 0 if self.solver is None else self.cost * self.subject.count
        return drawn + (LIKELIHOOD * self.spec.likelihood if isinstance(self.spec, Spec) and self.likelihood else 0)

    @property
    def title(self) -> str:
        """The cell in a few words."""
        if self.solver is None:
            return f"{self.subject.name}: likelihood"
        words = (self.subject.conditioner, self.solver.name, changed(self.solver))
        return f"{self.subject.name}: {' '.join(filter(None, words))}"


def metric_identity(metric: Metric) -> dict[str, Any]:
    """The options of a metric, with the digest of its network in place of the path.

    Args:
        metric: The metric.
    """
    options = {name: value for name, value in table(metric).items() if name not in ("weights", "extractor")}
    return {**options, "source": metric.source()}


def left(cells: Sequence[Cell], store: Store, world: int = 1) -> list[Cell]:
    """The cells that a process has still to measure.

    Args:
        cells: The cells of the benchmark.
        store: Where the process keeps its rows.
        world: How many processes share the cells.
    """
    found, rank = store.rows(), store.rank
    return [cell for cell in cells[rank::world] if (cell.row(found) or {}).get("status") != "done"]


def changed(options: Options) -> str:
    """The options that differ from the defaults, as text. Those that set the cost, such as steps and tol, are always
    there.

    Args:
        options: A solver, or other options.
    """
    defaults = {name: info.default for name, info in type(options).model_fields.items()}
    values = {name: value for name, value in table(options).items() if name != "name"}
    shown = {k: v for k, v in values.items() if k in ("steps", "tol", "nfe", "particles") or v != _text(defaults[k])}
    return " ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in shown.items())


def _text(default: Any) -> Any:
    return default if isinstance(default, bool | int | float | str | None) else str(default)


def cells(spec: Spec, subjects: Sequence[Subject]) -> list[Cell]:
    """Every cell of a benchmark, in the order of the tables.

    Args:
        spec: The benchmark.
        subjects: Its models.
    """
    solvers = [*([None] if spec.likelihood else []), *spec.solver]
    return distinct(Cell(subject, solver, spec) for subject in subjects for solver in solvers)


def distinct(cells: Iterable[Cell]) -> list[Cell]:
    """The cells without repetitions.

    Args:
        cells: The cells.
    """
    found: dict[str, Cell] = {}
    for cell in cells:
        found.setdefault(cell.key, cell)
    return list(found.values())


def subjects(spec: Spec, device: torch.device) -> list[Subject]:
    """Every model of a benchmark, ready to be sampled from.

    Args:
        spec: The benchmark.
        device: Device of the networks; analytic models are on the CPU.

    Raises:
        UsageError: A model does not exist, or cannot be judged as the benchmark asks.
        CheckpointError: A model folder is damaged.
        DataError: The real images cannot be loaded, or do not fit.
    """
    found: list[Subject] = []
    if (spec.precision != "float32" or spec.compile) and all(name in ANALYTIC for name in spec.model):
        what = "compile" if spec.compile else f"precision = {spec.precision}"
        raise UsageError(f"{what} is for networks, and {', '.join(spec.model)} is a law in closed form: leave it out")
    for name in spec.model:
        if name in ANALYTIC:
            found.append(AnalyticSubject(name, spec))
            continue
        try:
            models.locate(name)
        except UsageError:
            known = [*ANALYTIC, *models.bundled()]
            raise UsageError(f"no run, bundled or analytic model is called {name!r}. {hint(name, known)}") from None
        found.append(NetworkSubject(name, spec, device))
    return found
