"""The checkpoints of a run: written whole or not at all, by one process, and never used when they are damaged.

A checkpoint is a folder such as step_000000100 with two files: state.safetensors, whose header also holds what is no
tensor, and its digest in the form that `sha256sum --check` reads. Both are written in a folder with another name,
synchronised to disk, and the folder is renamed at the end; so what bears the name of a checkpoint is a whole one.
"""

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .checkpoint import digest, read_tensors, sync, write_tensors, write_text
from .errors import CheckpointError, ResourceError, UsageError

STATE, DIGEST = "state.safetensors", "state.sha256"
FORMAT = 2
"""Version of what a checkpoint holds. A reader refuses any other."""
LAST = 2
"""Newest checkpoints that are always kept."""


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    path: Path
    content: dict[str, Any]
    """What is no tensor: numbers, the configuration, versions."""
    tensors: dict[str, Tensor]


class Checkpoints:
    """The folder of a run's checkpoints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Path]:
        """Their folders, oldest first, whole or not."""
        found = {int(p.name[5:]): p for p in self.folder.glob("step_*") if p.name[5:].isdecimal()}
        return [found[step] for step in sorted(found)]

    def any(self) -> bool:
        """Whether there are checkpoints, damaged ones too."""
        return any(path.suffix != ".tmp" for path in self.folder.glob("step_*"))

    def save(self, step: int, tensors: Mapping[str, Tensor], content: Mapping[str, Any]) -> None:
        """Writes a checkpoint. Until its last moment, the older ones are untouched.

        Raises:
            ResourceError: The disk is full, or the folder not writable; nothing is left of the attempt.
        """
        target = self.folder / f"step_{step:09d}"
        temporary = target.with_name(target.name + ".tmp")
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            sha256 = write_tensors(temporary / STATE, tensors, {"content": json.dumps(content)})
            write_text(temporary / DIGEST, _line(sha256))
            if target.exists():
                set_aside(target)
            os.rename(temporary, target)
            sync(self.folder)
        except (OSError, ResourceError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            if isinstance(error, OSError):
                raise ResourceError(f"cannot write {target}: {error}") from None
            raise

    def prune(self, batch: int, every: int) -> None:
        """Removes the checkpoints that `superseded` names, for steps of `batch` images."""
        found = self.all()
        gone = set(superseded([int(path.name[5:]) * batch for path in found], every))
        for path in found:
            if int(path.name[5:]) * batch in gone:
                remove(path)

    def forget(self, step: int) -> None:
        """Removes those that are later than a step, which a run that goes on from there will write again."""
        for path in self.all():
            if int(path.name[5:]) > step:
                remove(path)

    def tidy(self) -> None:
        """Removes what a process that was killed while it wrote has left behind."""
        for path in self.folder.glob("*.tmp"):
            shutil.rmtree(path, ignore_errors=True)

    def newest(self) -> Checkpoint:
        """The newest checkpoint that is whole. Newer ones, which are damaged, are set aside with a warning.

        Raises:
            UsageError: There is none at all.
            CheckpointError: Every one is damaged.
        """
        found, problems = self.all(), list[tuple[Path, str]]()
        if not found:
            raise UsageError(f"{self.folder.parent} holds no checkpoint to resume from; leave out --resume to begin")
        for path in reversed(found):
            try:
                whole = read(path)
            except CheckpointError as error:
                problems.append((path, str(error)))
                continue
            for damaged, problem in problems:
                message = "%s; the run goes on from %s, and the damaged one is kept as %s"
                logging.getLogger("scoresde").warning(message, problem, path.name, set_aside(damaged).name)
            return whole
        reasons = "; ".join(problem for _, problem in problems)
        raise CheckpointError(
            f"no checkpoint is whole, so the run cannot go on; begin anew with another --out: {reasons}"
        )


def superseded(images: Sequence[int], every: int) -> list[int]:
    """Those of the checkpoints, named by their images in rising order, that need not be kept.

    The last two are kept, and with every > 0 the first one at or after each multiple of `every` images.
    """
    gone, mark = [], 0
    for count in images[:-LAST]:
        if every and count // every > mark:
            mark = count // every
        else:
            gone.append(count)
    return gone


def read(path: Path) -> Checkpoint:
    """What a checkpoint holds.

    Raises:
        CheckpointError: A file is missing, cut short or changed, or holds a number that is not finite.
    """
    state = path / STATE
    try:
        recorded = (path / DIGEST).read_bytes()
        if recorded != _line(sha256 := digest(state)).encode():
            raise CheckpointError(f"{state} is damaged: its sha256 is not the one in {DIGEST}")
        tensors = read_tensors(state, sha256)
        with safe_open(str(state), "pt") as file:
            content = json.loads(file.metadata()["content"])
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is incomplete: {Path(str(error.filename)).name} is missing") from None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{state} is unreadable: {error}") from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{state} is of no use: {name} holds numbers that are not finite")
    return Checkpoint(path, content, tensors)


def remove(path: Path) -> None:
    """Removes a checkpoint, which even half removed does not look like a damaged one."""
    doomed = path.with_name(path.name + ".tmp")
    shutil.rmtree(doomed, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def set_aside(path: Path) -> Path:
    """Renames a damaged checkpoint, so that it is kept for a look and never tried again."""
    aside = path.with_name(path.name + ".bad")
    shutil.rmtree(aside, ignore_errors=True)
    return path.rename(aside)


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """A context in which no other process writes into the folder of a run.

    The lock belongs to the open file, so the system releases it however the process ends. Where the system has no
    such locks (Windows), there is no protection.

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
            raise UsageError(f"{folder} is in use by {owner}; wait for its end, or choose another --out") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        yield


def _line(sha256: str) -> str:
    return f"{sha256}  {STATE}\n"
