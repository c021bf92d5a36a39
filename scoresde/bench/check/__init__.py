"""Whether a solver keeps its promises, measured on problems whose answer is known.

Every solver has to keep the promises, also one from another distribution. The tests measure those of every registered
solver quickly, and `scoresde check-solver` those of one solver thoroughly.
"""

from collections.abc import Iterator

from ...solvers import Solver
from . import accuracy, conduct, processes
from .base import Build, Promise, Verdict

PROMISES: tuple[Promise, ...] = (*accuracy.promises, *processes.promises, *conduct.promises)


def applying(solver: Solver) -> list[Promise]:
    """The promises that apply to a solver.

    Args:
        solver: The solver.
    """
    return [promise for promise in PROMISES if promise.applies(solver)]


def check(build: Build, *, fast: bool = False) -> Iterator[Verdict]:
    """Every promise that applies to a solver, as it is measured.

    Args:
        build: The solver's class, or a function that makes one from options.
        fast: Measures with less precision, in about two seconds instead of half a minute.
    """
    for promise in applying(build()):
        yield promise.verdict(build, fast=fast)


__all__ = ["PROMISES", "Build", "Promise", "Verdict", "applying", "check"]
