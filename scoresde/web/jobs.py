"""A queue of jobs for a device: one runs at a time, a few wait, and each sends events about its progress."""

import asyncio
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from statistics import mean
from typing import Any

from ..core.errors import ResourceError, ScoreSDEError

Work = Callable[["Job"], dict[str, Any]]
"""What a job does; returns what its last event says."""
LAST = ("done", "failed")
BACKLOG = 8
"""Events that may wait for a slow reader; if there are more, events of progress are dropped."""
BEAT = 10.0
"""Seconds without an event after which the reader is told that the job is still there; proxies cut silent answers."""
REMEMBERED = 8
"""Jobs from whose durations a waiting time is estimated."""


class JobCancelled(Exception):
    """The reader of the job's events has disconnected."""


class Full(ResourceError):
    """The queue is full."""


class Job:
    """One piece of work and its events: queued, begun, progress, and done or failed.

    Args:
        work: Called with the job; returns the data of the last event.
        seconds: How long the job may take.
        visitor: Who asked for it.
        expected: About how many seconds it will take; None if that is not known.
    """

    def __init__(self, work: Work, seconds: float, visitor: str, expected: float | None = None) -> None:
        self.work, self.seconds, self.visitor, self.expected = work, seconds, visitor, expected
        self.loop = asyncio.get_running_loop()
        self.stopped, self.began, self.ends = threading.Event(), float("inf"), float("inf")
        self._events: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    def emit(self, event: str, **data: Any) -> None:
        """Sends an event, from any thread.

        Args:
            event: Name of the event.
            data: Its data, for JSON.
        """
        if event == "progress" and self._events.qsize() >= BACKLOG:
            return
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._events.put_nowait, (event, data))

    def check(self) -> None:
        """Checks that the job may go on; the work calls it at each step.

        Raises:
            JobCancelled: The reader of its events has disconnected.
            ResourceError: It has taken too long.
        """
        if self.stopped.is_set():
            raise JobCancelled
        if time.monotonic() > self.ends:
            raise ResourceError(
                f"this took more than {self.seconds:g} s and was ended: ask for fewer steps or pictures"
            )

    async def events(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """The events, up to the last, with a "beat" where none comes for a while."""
        event = ""
        while event not in LAST:
            coming = asyncio.ensure_future(self._events.get())
            try:
                while not (await asyncio.wait({coming}, timeout=BEAT))[0]:
                    yield "beat", {}
            finally:
                coming.cancel()
            event, data = coming.result()
            yield event, data

    def run(self) -> None:
        """Does the work, and reports how it ends."""
        self.began = time.monotonic()
        self.ends = self.began + self.seconds
        try:
            self.check()
            self.emit("begun", **({} if self.expected is None else {"seconds": rounded(self.expected)}))
            self.emit("done", **self.work(self))
        except JobCancelled:
            self.emit("failed", error="this was cancelled")
        except ScoreSDEError as error:
            self.emit("failed", error=str(error))
        except Exception:
            self.emit("failed", error=unexpected())


class JobQueue:
    """A thread that does one job after the other, and the jobs that wait for it. Visitors take turns.

    Args:
        places: Jobs that may wait while one is worked on.
        seconds: How long a job may work.
        share: Of them, those that may wait for one visitor; by default, all.
    """

    def __init__(self, places: int = 4, seconds: float = 300.0, share: int | None = None) -> None:
        self.places, self.seconds, self.share = places, seconds, places if share is None else share
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._turn, self._turns = 0, dict[str, int]()
        self._took = deque[float](maxlen=REMEMBERED)
        self._changed, self._closed = threading.Condition(), False
        self._thread = threading.Thread(target=self._work, name="scoresde-web", daemon=True)
        self._thread.start()

    def submit(self, work: Work, visitor: str = "", expected: float | None = None) -> Job:
        """Adds work to the queue.

        Args:
            work: Called with its job.
            visitor: Who asks for it.
            expected: About how many seconds it will take; None if that is not known.

        Raises:
            Full: There is no place, or the queue is closed.
        """
        job = Job(work, self.seconds, visitor, expected)
        with self._changed:
            if self._closed:
                raise Full("scoresde web is being ended: ask again once it has been started anew")
            if len(self._waiting) + (self._running is not None) > self.places:
                raise Full(f"one picture is being drawn and {self.places} are waiting: try again in a few seconds")
            own = sum(each.visitor == visitor for each in [*self._waiting, *([self._running] if self._running else [])])
            if own > self.share:
                raise Full(f"{own} drawings of yours are not done yet: wait for one of them, or cancel it")
            self._waiting.append(job)
            self._tell()
            self._changed.notify()
        return job

    def leave(self, job: Job) -> None:
        """Removes a job from the queue, or stops it at its next step.

        Args:
            job: The job.
        """
        job.stopped.set()
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)
                self._tell()

    def close(self) -> None:
        """Stops all work and the thread."""
        with self._changed:
            self._closed = True
            for job in [*self._waiting, *([self._running] if self._running else [])]:
                job.stopped.set()
            self._changed.notify()
        self._thread.join(timeout=10)

    def _line(self) -> list[Job]:
        """Those that wait, in the order in which they will be served: next is who was served longest ago."""
        turns, left, line = dict(self._turns), list(self._waiting), list[Job]()
        while left:
            line.append(min(left, key=lambda job: turns.get(job.visitor, 0)))
            left.remove(line[-1])
            turns[line[-1].visitor] = self._turn + len(line)
        return line

    def _tell(self) -> None:
        """Sends to each that waits its place, and if it can be said, the seconds until its turn."""
        typical = mean(self._took) if self._took else None
        running = [] if self._running is None else [self._running]
        until: float | None = 0.0
        for job in running:
            until = typical if job.expected is None else max(0.0, job.expected - max(0.0, time.monotonic() - job.began))
        for ahead, job in enumerate(self._line(), len(running)):
            job.emit("queued", ahead=ahead, **({} if until is None else {"seconds": rounded(until)}))
            own = typical if job.expected is None else job.expected
            until = None if until is None or own is None else until + own

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    for job in self._waiting:
                        job.run()  # which says that it was cancelled
                    return
                self._running = self._line()[0]
                self._waiting.remove(self._running)
                self._turn += 1
                present = {job.visitor for job in self._waiting}
                self._turns = {visitor: turn for visitor, turn in self._turns.items() if visitor in present}
                self._turns[self._running.visitor] = self._turn
                self._tell()
            began = time.monotonic()
            self._running.run()
            with self._changed:
                self._took.append(time.monotonic() - began)
                self._running = None


def rounded(seconds: float) -> float:
    """Seconds as they are said of an estimate: whole ones from 2 on, tenths below.

    Args:
        seconds: Any number of them.
    """
    return round(seconds) if seconds >= 2 else round(seconds, 1)


def unexpected() -> str:
    """Logs the error that is being handled, and returns a sentence for the user that does not reveal it."""
    number = secrets.token_hex(4)
    logging.getLogger("scoresde.web").exception("error %s", number)
    return f"something went wrong here; the log of scoresde web says more under {number}"
