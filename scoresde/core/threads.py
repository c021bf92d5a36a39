"""Number and waiting policy of torch's threads, set before torch is imported."""

import contextlib
import math
import os
from collections.abc import MutableMapping
from pathlib import Path

CHOSEN = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_DYNAMIC", "OMP_THREAD_LIMIT", "GOMP_SPINCOUNT")
"""Variables by which somebody else has chosen."""
SPINS = 10_000
"""Turns of the loop in which a thread waits for the others before it sleeps: some 0.1 to 0.5 ms."""


def share_threads(environment: MutableMapping[str, str], groups: Path = Path("/sys/fs/cgroup")) -> None:
    """Sets GOMP_SPINCOUNT, and OMP_NUM_THREADS where a quota gives fewer processors than the machine has.

    A thread of GNU's OpenMP, which torch brings, waits for the others of its process in a loop of 300,000 turns. Where
    another process has the processor that one of them needs, the rest burns milliseconds at each of the operations of
    a network, and two small networks that run at the same time slow each other by ten and more. Nothing is changed
    where one of the variables `CHOSEN` is set.

    Args:
        environment: The variables of this process, before torch is imported.
        groups: Where the control groups of Linux are mounted.
    """
    if any(name in environment for name in CHOSEN):
        return
    environment["GOMP_SPINCOUNT"] = str(SPINS)
    allowed, there = quota(groups), os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        there = len(os.sched_getaffinity(0))
    if allowed < there:
        environment["OMP_NUM_THREADS"] = str(max(1, math.ceil(allowed)))


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
