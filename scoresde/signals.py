"""Signals that ask a long run to end: remembered until the run has come to a place where it can."""

import signal
from types import FrameType, TracebackType

CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 143}
"""Exit codes. Schedulers send SIGUSR1 some time before the end, and mean the same by it as by SIGTERM."""


class Stopped(Exception):
    """A signal has come; raised where it is looked for."""


class Signals:
    """A context in which Ctrl-C, SIGTERM and SIGUSR1 are only noted. A second Ctrl-C ends the process at once."""

    def __init__(self) -> None:
        self.code = 0
        """Exit code of the first signal, or 0 if none has come."""
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Signals":
        for name in CODES:
            if number := getattr(signal, name, None):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.code = self.code or CODES[signal.Signals(number).name]
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)

    def check(self, *_: object) -> None:
        """Looks whether a signal has come; as an observer of a solver, between two evaluations.

        Raises:
            Stopped: One has.
        """
        if self.code:
            raise Stopped
