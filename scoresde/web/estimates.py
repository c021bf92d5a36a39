"""How long a drawing takes: from what an evaluation took when the model was loaded, and then from earlier drawings."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from statistics import median
from typing import Any

from ..core.errors import UsageError
from ..solvers import solvers
from .jobs import Job, Work

REMEMBERED = 8
"""Drawings of a kind from which the next is estimated."""
ADAPTIVE = 40.0
"""Evaluations of a solver that chooses them itself; after the first drawing, what it took counts."""


def evaluations(table: Mapping[str, Any]) -> float:
    """About how many evaluations a solver takes.

    Args:
        table: Its name and options.
    """
    try:
        solver = solvers.build(dict(table))
    except UsageError:  # which whoever draws with it says
        return ADAPTIVE
    found = getattr(solver, "steps", None) or getattr(solver, "nfe", None)
    return float(found) + 1 if found else ADAPTIVE


class Estimates:
    """Seconds of drawings: rate x effort, the rate being that of the last drawings of the kind, in the median."""

    def __init__(self) -> None:
        self._rates: dict[tuple[str, ...], deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self._lock = threading.Lock()

    def seconds(self, kind: tuple[str, ...], effort: float, pace: float) -> float:
        """How long a drawing will take.

        Args:
            kind: What sort of drawing it is, such as the tab, the model and the solver.
            effort: Evaluations of single pictures.
            pace: Seconds that one took alone, which counts where no drawing of the kind was done yet.
        """
        with self._lock:
            rates = self._rates.get(kind)
            return effort * (median(rates) if rates else pace)

    def learn(self, kind: tuple[str, ...], effort: float, seconds: float) -> None:
        """Remembers how long a drawing took.

        Args:
            kind: What sort of drawing it was.
            effort: Evaluations of single pictures.
            seconds: How long it took.
        """
        with self._lock:
            self._rates[kind].append(seconds / effort)

    def learning(self, kind: tuple[str, ...], effort: float, work: Work) -> Work:
        """The work, of which it is remembered how long it took, if it was done.

        Args:
            kind: What sort of drawing it is.
            effort: Evaluations of single pictures.
            work: The work.
        """

        def timed(job: Job) -> dict[str, Any]:
            began = time.monotonic()
            done = work(job)
            self.learn(kind, effort, time.monotonic() - began)
            return done

        return timed
