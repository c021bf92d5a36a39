"""Folders that results are written into."""

from collections.abc import Sequence
from pathlib import Path

from .errors import UsageError


def writable(folder: Path) -> Path:
    """The folder, made if need be, after a check that files can be written there.

    Args:
        folder: The folder.

    Raises:
        UsageError: They cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".scoresde-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror or error}; choose another folder") from None
    return folder


def apart(folder: Path, inputs: Sequence[Path]) -> Path:
    """The folder, after a check that it is not the one of a file that was read, so that none is overwritten.

    Args:
        folder: The folder that is written into.
        inputs: Files that were read.

    Raises:
        UsageError: It is.
    """
    for file in inputs:
        if folder.resolve() in (file.resolve().parent, file.parent.resolve()):
            raise UsageError(
                f"{folder} is the folder of {file}, beside which nothing is written: choose another folder"
            )
    return folder
