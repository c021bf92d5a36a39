"""What a bar shows, as lines of text, for where no bar can be drawn: a file that stderr goes to, and a log.

A thread writes them, so that they also come while one step, a sheet or a checkpoint takes long.
"""

import logging
import math
import sys
import threading
from contextlib import suppress
from contextvars import ContextVar, Token
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

FIRST = (3.0, 10.0, 30.0)
"""Seconds after which the first lines are written. Work that is over sooner writes none."""
EVERY = 60.0
"""Seconds between the later lines."""
ROUNDING, SLOWEST = 1e-6, 1e-5
"""What a sum of shares may lack, in units, and a rate, per second, below which nothing is foretold."""
_speaking: ContextVar[bool] = ContextVar("_speaking", default=False)
"""Whether a bar that writes lines is open, so that those inside it are silent."""


def due(elapsed: float) -> float:
    """When the next line is to be written, in seconds since the beginning: those that were missed are left out.

    Args:
        elapsed: Seconds since the beginning.
    """
    return next((time for time in FIRST if time > elapsed), (elapsed // EVERY + 1) * EVERY)


class Lines:
    """A bar that also writes lines: to stderr after 3, 10 and 30 seconds, then each minute, and a last one at the end.

    A file gets the same lines with the date, and one at the beginning. What cannot be written ends no work: of the file
    it is warned once.

    Args:
        bar: A bar of tqdm, which moves along; one that is switched off shows nothing.
        what: What is being done.
        unit: What is counted.
        aloud: Whether stderr gets the lines, unless a bar around this one writes there.
        log: The file, to which lines are added, or None.
    """

    def __init__(self, bar: Any, what: str, unit: str, *, aloud: bool = True, log: Path | None = None) -> None:
        self.bar, self.what, self.unit, self.aloud, self.log = bar, what, unit, aloud, log
        self.total: float | None = bar.total
        self.initial: float = bar.n
        self.n, self.beside, self.said, self.began = self.initial, "", False, monotonic()
        self._over, self._thread = threading.Event(), threading.Thread(target=self._speak, daemon=True)
        self._token: Token[bool] | None = None

    def __enter__(self) -> "Lines":
        self.aloud = self.aloud and not _speaking.get()
        self._token = _speaking.set(self.aloud or _speaking.get())
        self.began = monotonic()
        self._note(self.line(0.0))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self.bar.close()
        if self._token:
            _speaking.reset(self._token)
        self._write(self.line(self.elapsed), aloud=self.said)
        if kind is not None:
            self._note(f"{self.what}: ended by {kind.__name__}: {error}".strip(": "))

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return monotonic() - self.began

    def update(self, n: float = 1) -> None:
        """Moves the bar.

        Args:
            n: How many more are done.
        """
        self.n += n
        self.bar.update(n)

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """Says what is shown beside the bar.

        Args:
            s: The text.
            refresh: Whether a bar is drawn anew at once.
        """
        self.beside = s
        self.bar.set_postfix_str(s, refresh=refresh)

    def line(self, elapsed: float) -> str:
        """A line such as "train: 1280/50000 images (2%), loss 0.1234, 427 images/s, 0:00:03 elapsed, 0:01:54 left".

        Rate and time left are means over this run, without what had been done before it.

        Args:
            elapsed: Seconds since the beginning.
        """
        n, total, unit, parts = self.n + ROUNDING, self.total, self.unit, list[str]()
        rate = (self.n - self.initial) / elapsed if elapsed > 0 else 0.0
        if total is not None:
            parts.append(f"{int(n)}/{math.ceil(total)} {unit}s ({int(100 * min(n / total, 1)) if total else 100}%)")
        elif self.n:
            parts.append(f"{int(n)} {unit}s")
        parts += [self.beside] if self.beside else []
        if rate > SLOWEST:
            parts.append(f"{1 / rate:.1f} s/{unit}" if rate < 1 else f"{rate:.{0 if rate >= 100 else 1}f} {unit}s/s")
        parts.append(f"{timedelta(seconds=int(elapsed))} elapsed")
        if rate > SLOWEST and total is not None and n < total and not self._over.is_set():
            parts.append(f"{timedelta(seconds=math.ceil(min((total - n) / rate, 1 / SLOWEST**2)))} left")
        return f"{self.what}: " * bool(self.what) + ", ".join(parts)

    def _speak(self) -> None:
        """Writes lines until the work is over."""
        elapsed = 0.0
        while not self._over.wait((time := due(elapsed)) - self.elapsed):
            elapsed = max(self.elapsed, time)  # a clock that lags behind must not bring the same line again
            self._write(self.line(elapsed), aloud=True)

    def _write(self, line: str, aloud: bool) -> None:
        if self.aloud and aloud:
            self.said = True
            with suppress(OSError, ValueError):  # stderr is full or closed, and there is nowhere to say so
                sys.stderr.write(_plain(line) + "\n")
                sys.stderr.flush()
        self._note(line)

    def _note(self, line: str) -> None:
        """Adds a line to the file."""
        if self.log is None:
            return
        try:
            with open(self.log, "a", encoding="ascii") as file:
                file.write(f"{datetime.now().astimezone().isoformat(' ', 'seconds')} {_plain(line)}\n")
        except OSError as error:
            logging.getLogger("scoresde").warning("cannot write %s: %s; the work goes on without it", self.log, error)
            self.log = None


def _plain(text: str) -> str:
    """A text as one line of ASCII."""
    return " ".join(text.split()).encode("ascii", "backslashreplace").decode("ascii")
