"""Number and waiting policy of torch's threads, chosen before torch is imported and once it is."""

import contextlib
import math
import os
import sys
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

CHOSEN = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_DYNAMIC", "OMP_THREAD_LIMIT", "GOMP_SPINCOUNT")
"""Variables by which somebody else has chosen."""
SPINS = 10_000
"""Turns of the loop in which a thread waits for the others before it sleeps: some 0.1 to 0.5 ms."""
LONG = 0.5
"""Seconds from which on a share of idle time is known well enough: the kernel counts in hundredths."""


@dataclass(frozen=True)
class Times:
    """What processors have done up to a moment, in seconds.

    Args:
        idle: Time in which the processors that this process may use had nothing to do, summed over them.
        own: Time of processors that this process has used.
        wall: The moment, by a clock that nobody sets.
    """

    idle: float
    own: float
    wall: float


def times(stat: Path = Path("/proc/stat")) -> Times | None:
    """The idle time of the processors that this process may use; None where the system does not say it.

    Args:
        stat: What the kernel says of all processors.
    """
    with contextlib.suppress(OSError, ValueError, IndexError, AttributeError):
        mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        rows = [row.split() for row in stat.read_text().splitlines()]
        ticks = sum(int(row[4]) + int(row[5]) for row in rows if row[0] in mine)  # idle, and waiting for a disk
        return Times(ticks / os.sysconf("SC_CLK_TCK"), time.process_time(), time.perf_counter())
    return None


def take_free(since: Times | None, now: Times | None) -> int | None:
    """Leaves torch as many threads as processors were free between two moments, and says how many if they are fewer.

    The threads of an operation wait for the slowest. Beside one busy process, two threads on two processors train a
    small network at less than half of the speed of one. A run that goes on takes the number with which it began
    (`torch_threads`), so that its last bits do not depend on what else the machine does.

    Args:
        since: The first moment.
        now: The second one; nothing is changed where one of them is None, they are near, or torch is not imported.
    """
    if since is None or now is None or now.wall - since.wall < LONG or "torch" not in sys.modules:
        return None
    import torch

    free = (now.idle - since.idle + now.own - since.own) / (now.wall - since.wall)
    wanted = max(1, min(torch.get_num_threads(), round(free)))
    _most.append(torch.get_num_threads())
    if wanted == torch.get_num_threads():
        return None
    torch.set_num_threads(wanted)
    return wanted


_most: list[int] = []
"""The threads that torch had before `take_free`."""


def torch_threads(count: int) -> None:
    """Gives torch a number of threads, where `take_free` and nobody else has chosen theirs and there are as many.

    Args:
        count: The number.
    """
    if _most and 1 <= count <= _most[-1]:
        sys.modules["torch"].set_num_threads(count)


def share_threads(environment: MutableMapping[str, str], groups: Path = Path("/sys/fs/cgroup")) -> Times | None:
    """Sets GOMP_SPINCOUNT, and OMP_NUM_THREADS where a quota gives fewer processors than the machine has.

    A thread of GNU's OpenMP, which torch brings, waits for the others of its process in a loop of 300,000 turns. Where
    another process has the processor that one of them needs, the rest burns milliseconds at each of the operations of
    a network, and two small networks that run at the same time slow each other by ten and more. Nothing is changed
    where one of the variables `CHOSEN` is set. Else it returns this moment, for `take_free`.

    Args:
        environment: The variables of this process, before torch is imported.
        groups: Where the control groups of Linux are mounted.
    """
    if any(name in environment for name in CHOSEN):
        return None
    environment["GOMP_SPINCOUNT"] = str(SPINS)
    allowed, there = quota(groups), os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        there = len(os.sched_getaffinity(0))
    if allowed < there:
        environment["OMP_NUM_THREADS"] = str(max(1, math.ceil(allowed)))
    return times()


def quota(groups: Path = Path("/sys/fs/cgroup")) -> float:
    """How many processors' time a container or service may use; infinity where that is not limited.

    Args:
        groups: Where the control groups are mounted: version 2, or version 1 with the controller `cpu`.

    Reference: https://docs.kernel.org/admin-guide/cgroup-v2.html, cpu.max.
    """
    found = [math.inf]
    for folder in (groups, groups / _own()):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            most, period = (folder / "cpu.max").read_text().split()
            found.append(int(most) / int(period) if most != "max" else math.inf)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        old = groups / "cpu"
        most, period = ((old / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        found.append(int(most) / int(period) if int(most) > 0 else math.inf)
    return min(found)


def _own() -> str:
    """The path of this process's group of version 2, below where groups are mounted."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::/"):
                return line.removeprefix("0::/")
    return ""
