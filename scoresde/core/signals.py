"""Signals that ask a long run to end: noted when they arrive, and handled where the run can end."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType

CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 143, "SIGHUP": 129}
"""Exit codes. Schedulers send SIGUSR1 some time before the end, and mean the same by it as by SIGTERM.

SIGHUP comes when the terminal is closed or the connection to it is lost; under nohup it is ignored, and stays so.
"""


def handled(name: str) -> signal.Signals | None:
    """A signal by its name, or None where the system has none or a program such as nohup has it ignored.

    Args:
        name: Such as "SIGHUP".
    """
    number: signal.Signals | None = getattr(signal, name, None)
    ignored = name == "SIGHUP" and number is not None and signal.getsignal(number) is signal.SIG_IGN
    return None if ignored else number


@contextlib.contextmanager
def ended_at_once() -> Iterator[None]:
    """A context of imports in which Ctrl-C, SIGTERM and SIGHUP end the process without an exception that could be lost.

    Python drops what is raised in the callback of a weak reference, and each import makes one.
    """

    def end(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            os.write(2, b"\nInterrupted.\n")
        os._exit(128 + number)

    known = [n for name in ("SIGINT", "SIGTERM", "SIGHUP") if (n := handled(name))]
    mine = [n for n in known if callable(signal.getsignal(n))]  # not where the system ends the process, or ignores it
    before = {n: signal.signal(n, end) for n in mine if threading.current_thread() is threading.main_thread()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Stopped(Exception):
    """A signal has asked the run to end. `Signals.check` raises it."""


class Signals:
    """A context in which Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP are only noted. A second Ctrl-C ends the process at once.

    Args:
        echo: Seconds within which a second Ctrl-C is taken for the first one, which torchrun passes on to processes
            that have received it from the terminal already.
    """

    def __init__(self, echo: float = 0.0) -> None:
        self.echo, self.first = echo, 0.0
        self.code = 0
        """Exit code of the first signal, or 0 if none has come."""
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Signals":
        for name in CODES:
            if number := handled(name):
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
            now = time.monotonic()
            self.first = self.first or now
            if now - self.first > self.echo:
                raise KeyboardInterrupt

    def check(self, *_: object) -> None:
        """Checks that no signal has come. It takes any arguments, so that it can be an observer of a model.

        Raises:
            Stopped: A signal has come.
        """
        if self.code:
            raise Stopped
