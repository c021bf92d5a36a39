"""Output folders, written by one process at a time and completely or not at all."""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from . import files
from .errors import CheckpointError, ResourceError, UsageError

LOCK, UNFINISHED = ".lock", ".unfinished"


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


@contextlib.contextmanager
def only_writer(folder: Path, lock: str = LOCK) -> Iterator[None]:
    """A context in which no other process writes into a folder.

    The lock belongs to an open file, so the system releases it however the process ends. Where the system has no such
    locks (Windows, some network drives), there is no protection.

    Args:
        folder: The folder, which exists.
        lock: Name of the lock: processes that share the folder have one each.

    Raises:
        UsageError: Another process is at work there.
    """
    file = _locked(folder, lock)
    try:
        yield
    finally:
        (folder / lock).unlink(missing_ok=True)
        if file:
            file.close()


def _locked(folder: Path, lock: str) -> TextIO | None:
    """The open file that holds the lock of a folder, or None where there are no locks."""
    try:
        import fcntl
    except ImportError:
        return None
    path = folder / lock
    while True:
        file = open(path, "a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                file.truncate(0)
                file.write(f"process {os.getpid()}\n")
                file.flush()
                return file
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            file.close()
            raise UsageError(f"{folder} is in use by {owner}; wait for its end, or choose another folder") from None
        except FileNotFoundError:
            pass  # the process that held it has just taken it away
        except OSError:
            return file  # a drive without locks
        file.close()


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[Path]:
    """A context that gives a folder into which no other process writes meanwhile.

    Args:
        folder: The folder. It is made if need be, and taken away again if it stays empty.

    Raises:
        UsageError: The folder cannot be written to, or another process is at work there.
    """
    made = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        with only_writer(writable(folder)):
            yield folder
    finally:
        for place in made:
            with contextlib.suppress(OSError):
                place.rmdir()  # if it is empty


@contextlib.contextmanager
def result(folder: Path, record: str, names: Iterable[str] = ()) -> Iterator[Path]:
    """A context that gives an empty folder, whose files become the result in `folder` in place of the earlier one.

    One of the files is the record, a JSON object, to which the names of all are added as "files". Of what `folder`
    holds, only the files that the record of the earlier result names are written over or removed, and not before the
    new ones are complete: after an error or an interruption the earlier result stands. What there was of the new one
    then lies in FOLDER/.unfinished, until the next result begins.

    Args:
        folder: Where the result will be; it is made if need be.
        record: Name of the record, such as "samples.json".
        names: Files that the result will have, so far as they are known: a file of such a name that belongs to
            somebody else is then noticed at the beginning.

    Raises:
        UsageError: The folder cannot be written to, another process is at work there, or it holds a file of the same
            name that does not belong to an earlier result.
        ResourceError: The disk is full.
    """
    with claimed(folder):
        _owned(folder, record, {*names, record})
        place = folder / UNFINISHED
        try:
            shutil.rmtree(place, ignore_errors=True)  # of a process that was killed
            place.mkdir()
        except OSError as error:
            raise UsageError(f"cannot write into {place}: {error.strerror}; remove it") from None
        try:
            yield place
            _replace(place, folder, record)
        finally:
            with contextlib.suppress(OSError):
                place.rmdir()
            if place.exists():
                logging.getLogger("scoresde").warning("what was done is in %s until the next run there", place)


def _replace(place: Path, folder: Path, record: str) -> None:
    """Moves the files of a new result into its folder, and removes those of the earlier one that it does not have."""
    content = files.read_json(place / record, "result")
    new = {path.name for path in place.iterdir()}
    old = _owned(folder, record, new)
    # Until the last line the record names the files of both, so that after a kill the next result finds all of them.
    files.write_json(folder / record, {**content, "files": sorted(old | new)})
    try:
        for name in new - {record}:
            os.replace(place / name, folder / name)
        for name in old - new:
            (folder / name).unlink(missing_ok=True)
        (place / record).unlink()
    except OSError as error:
        raise ResourceError(f"cannot write into {folder}: {error}") from None
    files.write_json(folder / record, {**content, "files": sorted(new)})


def _owned(folder: Path, record: str, new: set[str]) -> set[str]:
    """The files of the earlier result in a folder, after a check that the new ones will take the place of no others."""
    before: dict[str, Any] = {}
    if (folder / record).exists():
        with contextlib.suppress(CheckpointError):  # somebody else's
            before = files.read_json(folder / record)
    named = before.get("files")
    if not isinstance(named, list):  # as in version 0.1.0: what is called like a new file is taken for an old one
        named = sorted(new)
    mine = [record, *named] if "versions" in before else []
    owned = {name for name in mine if name not in ("", "..") and Path(str(name)).name == name}
    if theirs := sorted(name for name in new - owned if os.path.lexists(folder / name)):
        raise UsageError(
            f"{folder} holds a file {theirs[0]} that is not of an earlier result of the same command, and nothing else "
            "is written over: choose another folder, or move the file away"
        )
    return owned
