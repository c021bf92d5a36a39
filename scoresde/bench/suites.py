"""The suites of `scoresde bench`: the options of each, and the cells that it measures."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..core.errors import UsageError
from ..core.files import read_text
from ..core.options import hint
from ..core.sentences import many
from .cells import Cell, cells, distinct, subjects
from .conditional import spec as conditional
from .conditional.problems import problems
from .conditional.subject import JudgedMeasurements, PosteriorSubject
from .spec import DEFAULT, Settings, Spec

SUITES: dict[str, tuple[type[Settings], Path]] = {
    "solvers": (Spec, DEFAULT),
    "posterior": (conditional.PosteriorSpec, conditional.DEFAULT),
}
"""What a benchmark of each suite is, and the one that runs by default."""


def load(path: str | Path | None, changes: Mapping[str, Any] | None = None, suite: str | None = None) -> Settings:
    """The benchmark of a TOML file, or the default one of a suite.

    Args:
        path: The file, or None for the default.
        changes: Options that replace those of the file.
        suite: By default what the file says it is, with its key `suite`; without a file, or that key, `solvers`.

    Raises:
        UsageError: There is no such file, or anything in it is wrong; the message lists every mistake.
    """
    file = SUITES[suite or "solvers"][1] if path is None else Path(path)
    try:
        tables = tomllib.loads(read_text(file))
    except FileNotFoundError:
        raise UsageError(f"no benchmark file is called {str(path)!r}; without one the default runs") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} is not a benchmark: {error}") from None
    kind = str(tables.pop("suite", suite or "solvers"))
    if kind not in SUITES:
        raise UsageError(f"no suite is called {kind!r}. {hint(kind, SUITES)}")
    if suite not in (None, kind):
        raise UsageError(f"{file} is a benchmark of the suite {kind}, not of {suite}: leave out --suite")
    try:
        return SUITES[kind][0](**{**tables, **(changes or {})})
    except UsageError as error:
        mistakes = str(error).split("; ")
        where = "the default benchmark" if path is None else f"the benchmark {file}"
        where += " as the options change it" if changes else ""
        count = f"{many(len(mistakes), 'mistake')}"
        raise UsageError("\n  ".join([f"{count} in {where}:", *mistakes])) from None


def plan(spec: Settings, device: torch.device) -> list[Cell]:
    """Every cell of a benchmark.

    Args:
        spec: A benchmark of any suite.
        device: Device of the networks.

    Raises:
        UsageError, CheckpointError, DataError: As `subjects`.
    """
    if isinstance(spec, Spec):
        return cells(spec, subjects(spec, device))
    if not isinstance(spec, conditional.PosteriorSpec):
        raise UsageError(f"there are no cells for a {type(spec).__name__}")
    known = problems.all()
    for name in (name for method in spec.method for name in method.on):
        if (word := name.partition(":")[0].partition(" ")[0]) not in known:
            raise UsageError(f"a method is for the problem {name!r}, which does not exist. {hint(word, known)}")
    found: list[Cell] = []
    for problem in spec.problem:
        shared = JudgedMeasurements(problem, spec)
        methods = [method for method in spec.method if method.meant_for(problem)]
        found += [Cell(PosteriorSubject(shared, method), method.solver, spec) for method in methods]
    if not found:
        raise UsageError("no method is for one of the problems: change `on` of a method, or the problems")
    return distinct(found)
