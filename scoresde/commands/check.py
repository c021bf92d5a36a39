"""`scoresde check-solver`: measures what a solver promises."""

import functools
import importlib
import inspect
import sys

import click

from ..bench.check import applying
from ..core.errors import UsageError
from ..sampling.progress import progress_bar
from ..solvers import Solver, solvers
from .options import json_option, print_table, quiet_option


def find(name: str) -> type[Solver]:
    """The solver of a registered name, or of "module:Class", the module being importable from the current folder.

    Raises:
        UsageError: There is none, or it is not a solver.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        return solvers[name]
    sys.path.insert(0, "")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"cannot import {name!r}: {error}") from None
    if not (isinstance(cls, type) and issubclass(cls, Solver) and not inspect.isabstract(cls)):
        raise UsageError(f"{name!r} is not a class of solvers: it must derive from scoresde.solvers.Solver")
    return cls


@click.command(
    "check-solver",
    epilog="""\b
NAME is a solver of `scoresde solvers`, or module:Class for one that is not registered.
\b
Examples:
  scoresde check-solver dpm
  scoresde check-solver dpm order=2 --fast
  scoresde check-solver my_package.solvers:Midpoint --json""",
)
@click.argument("name")
@click.argument("options", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--fast", is_flag=True, help="Test with less precision, in about two seconds.")
@quiet_option
@json_option
def check_solver(name: str, options: tuple[str, ...], fast: bool, progress: bool | None, as_json: bool) -> None:
    """Test a solver: order, distribution, seeds, batches, counting, faults and gradients. Exit with 1 if one fails."""
    cls = find(name)
    if bad := [option for option in options if "=" not in option]:
        raise UsageError(f"an option is written as key=value, got {bad[0]!r}")
    given = dict(option.split("=", 1) for option in options)
    build, rows, failed = functools.partial(cls, **given), [], False
    promises = applying(build())
    with progress_bar(len(promises), progress, desc=f"check {name}", unit="promise") as bar:
        for promise in promises:
            bar.set_postfix_str(promise.name)
            verdict = promise.verdict(build, fast=fast)
            bar.update()
            failed = failed or not verdict.kept
            rows.append(
                {
                    "verdict": "ok" if verdict.kept else "FAILED",
                    "promise": verdict.promise,
                    "measured": verdict.measured,
                    "seconds": verdict.seconds,
                }
            )
    print_table(rows, as_json)
    if failed:
        sys.exit(1)
