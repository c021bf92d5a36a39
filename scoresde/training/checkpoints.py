"""The checkpoints of a run: written whole or not at all, and never used when they are damaged.

A checkpoint is a folder such as step_000000100 with two files: state.safetensors, whose header holds all that is not
a tensor, and its digest in the format of `sha256sum --check`. It is written under another name, synchronised to disk
and renamed at the end. If the training is sharded, each process writes its own file, and content.json holds the rest.
"""

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from ..core.errors import CheckpointError, ResourceError, UsageError
from ..core.files import digest, read_json, sync, write_tensors, write_text
from ..core.parallel import processes
from . import shards
from .sharding import is_share

STATE, DIGEST, CONTENT = "state.safetensors", "state.sha256", "content.json"
FORMAT = 2
"""Version of what a checkpoint holds. A reader refuses any other."""
LAST = 2
"""Newest checkpoints that are always kept."""


@dataclass
class Checkpoint:
    """A checkpoint whose digests were checked."""

    path: Path
    """Its folder."""
    content: dict[str, Any]
    """Everything but tensors: numbers, the configuration, versions."""

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors, in main memory."""
        if (self.path / STATE).exists():
            return load_file(str(self.path / STATE))
        found = {name: torch.empty_like(x, device="cpu") for name, x in shards.shapes(self.path).items()}
        shards.read_shards(self.path, found)
        return found


class Checkpoints:
    """The folder of a run's checkpoints.

    Args:
        folder: The folder, which need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Path]:
        """The folders of the checkpoints, oldest first, damaged ones too."""
        found = {int(p.name[5:]): p for p in self.folder.glob("step_*") if p.name[5:].isdecimal()}
        return [found[step] for step in sorted(found)]

    def any(self) -> bool:
        """Whether there are checkpoints, damaged ones too, but for those that were set aside as .bad."""
        return bool(self.all())

    def save(self, step: int, tensors: Mapping[str, Tensor], content: Mapping[str, Any]) -> None:
        """Writes a checkpoint. All processes have to call it if tensors are sharded; otherwise process 0 writes alone.

        Args:
            step: Number of the training step.
            tensors: What it holds, by name.
            content: What it holds besides tensors, for JSON.

        Raises:
            ResourceError: The disk is full, or the folder not writable; nothing is left of the attempt.
        """
        target, together = self.folder / f"step_{step:09d}", processes()
        text = json.dumps(content)

        def alone(temporary: Path) -> str:
            shutil.rmtree(temporary, ignore_errors=True)
            return f"{write_tensors(temporary / STATE, tensors, {'content': text})}  {STATE}\n"

        def rest(temporary: Path) -> str:
            if problem:
                raise OSError(problem)
            write_text(temporary / CONTENT, text)
            return _lines(temporary)

        if any(map(is_share, tensors.values())):
            together.only_first(lambda: shutil.rmtree(_beside(target), ignore_errors=True))
            problem = shards.write_shards(_beside(target), tensors)
            together.only_first(lambda: self._complete(target, rest))
        elif together.first:
            self._complete(target, alone)

    def _complete(self, target: Path, write: Callable[[Path], str]) -> None:
        """Moves a checkpoint to its place once `write` has written it and returned the digests of its files."""
        temporary = _beside(target)
        try:
            write_text(temporary / DIGEST, write(temporary))
            if target.exists():
                _set_aside(target)
            os.rename(temporary, target)
            sync(self.folder)
        except (OSError, ResourceError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            if isinstance(error, OSError):
                raise ResourceError(f"cannot write {target}: {error}") from None
            raise

    def prune(self, batch: int, every: int) -> None:
        """Removes the checkpoints that `superseded` names.

        Args:
            batch: Images of a step.
            every: As for `superseded`.
        """
        found = self.all()
        gone = set(superseded([int(path.name[5:]) * batch for path in found], every))
        for path in found:
            if int(path.name[5:]) * batch in gone:
                _remove(path)

    def forget(self, step: int) -> None:
        """Removes the checkpoints after a step. A run that is resumed there writes them again.

        Args:
            step: The step.
        """
        for path in self.all():
            if int(path.name[5:]) > step:
                _remove(path)

    def tidy(self) -> None:
        """Removes the unfinished folders of a process that was killed while it wrote."""
        for path in self.folder.glob("*.tmp"):
            shutil.rmtree(path, ignore_errors=True)

    def newest(self) -> Checkpoint:
        """The newest checkpoint that is not damaged. Damaged ones that are newer are renamed, with a warning.

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
                logging.getLogger("scoresde").warning(message, problem, path.name, _set_aside(damaged).name)
            return whole
        reasons = "; ".join(problem for _, problem in problems)
        raise CheckpointError(
            f"no checkpoint is whole, so the run cannot go on; begin anew with another --out: {reasons}"
        )


def superseded(images: Sequence[int], every: int) -> list[int]:
    """Which checkpoints need not be kept. The last two are kept, and the first one at or after each multiple of
    `every`.

    Args:
        images: Images seen at each checkpoint, rising.
        every: A number of images; 0 keeps only the last two.
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

    Args:
        path: The folder of the checkpoint.

    Raises:
        CheckpointError: A file is missing, cut short or changed, or holds a number that is not finite.
    """
    place = path / DIGEST
    try:
        recorded = place.read_bytes().decode(errors="replace")
        if recorded != _lines(path):
            for place in _files(path):
                if f"{digest(place)}  {place.name}\n" not in recorded:
                    raise CheckpointError(f"{place} is damaged: its sha256 is not the one in {DIGEST}")
            missing = {line[66:] for line in recorded.splitlines()} - {file.name for file in _files(path)}
            raise CheckpointError(f"{path} is incomplete: {', '.join(sorted(missing))} is missing")
        content = read_json(path / CONTENT) if (path / CONTENT).exists() else {}
        for place in path.glob("*.safetensors"):
            with safe_open(str(place), "pt") as file:
                content = content or json.loads(file.metadata()["content"])
                for name in file.keys():
                    tensor = file.get_tensor(name)
                    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                        raise CheckpointError(f"{place} is of no use: {name} holds numbers that are not finite")
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is incomplete: {Path(str(error.filename)).name} is missing") from None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{place} is unreadable: {error}") from None
    return Checkpoint(path, content)


def _remove(path: Path) -> None:
    """Removes a checkpoint. It is renamed first, so that a half-removed one is not taken for a damaged one."""
    doomed = _beside(path)
    shutil.rmtree(doomed, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _set_aside(path: Path) -> Path:
    """Renames a damaged checkpoint, which is kept but not read again."""
    aside = path.with_name(path.name + ".bad")
    shutil.rmtree(aside, ignore_errors=True)
    return path.rename(aside)


def _beside(target: Path) -> Path:
    return target.with_name(target.name + ".tmp")


def _files(path: Path) -> list[Path]:
    return sorted([*path.glob("*.safetensors"), *path.glob(CONTENT)])


def _lines(path: Path) -> str:
    return "".join(f"{digest(file)}  {file.name}\n" for file in _files(path))
