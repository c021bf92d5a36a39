"""Folders into which one process writes at a time."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..core.errors import UsageError


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """A context in which no other process writes into the folder of a run.

    The lock belongs to the open file, so the system releases it however the process ends. Where the system has no
    such locks (Windows), there is no protection.

    Args:
        folder: The run.

    Raises:
        UsageError: Another process is at work there.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(folder / "lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise UsageError(f"{folder} is in use by {owner}; wait for its end, or choose another folder") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        yield
