"""A checkpoint of another project made into a model folder, and checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from ...core.errors import UsageError
from ...core.files import digest, read_json
from ...core.folders import writable
from ..folder import CONFIG, save
from .base import Family, Imported, family_of
from .check import Check, denoising

ENTRY = "imported"
"""The table of a model folder's config that says what it was made of."""


def brought(
    source: Path,
    folder: Path,
    family: Family | None = None,
    images: Tensor | None = None,
    *,
    force: bool = False,
    progress: Callable[[int], object] = lambda count: None,
) -> dict[str, Any]:
    """Writes the model folder of a checkpoint, and returns what is recorded of the import.

    Args:
        source: The checkpoint, a file or a folder.
        folder: Where to; what it holds of an earlier import is replaced.
        family: What it is, with what it does not say itself; by default what it looks like.
        images: Pictures of the kind that the model makes, for the check, (B, C, H, W) in [-1, 1]; by default
            photographs.
        force: Whether the folder is written although the check fails or cannot be made.
        progress: Called with 1 after each evaluation of the check.

    Raises:
        UsageError: It is of no family, an option is missing or not covered, the folder holds another model, or the
            check fails.
        CheckpointError: The checkpoint is damaged, incomplete, or holds what could run code.
    """
    if (folder / CONFIG).exists() and ENTRY not in read_json(folder / CONFIG):
        raise UsageError(f"{folder} holds a model that was not imported: choose another folder")
    chosen = family_of(source)() if family is None else family
    if not source.exists():
        raise UsageError(f"there is no file or folder {source}")
    if source.is_dir() != chosen.folders:
        what, wanted = ("folder", "file") if source.is_dir() else ("file", "folder")
        raise UsageError(f"{source} is a {what}, and a checkpoint of {chosen.name} is a {wanted}: name that")
    found = chosen.read(source)
    checked = check(found, images, source, force, progress)
    record = {
        "family": {"name": chosen.name, **chosen.model_dump(mode="json", exclude_unset=True)},
        "source": source.name,
        **({"source_sha256": digest(source)} if source.is_file() else {}),
        "notes": dict(found.notes),
        "check": checked,
    }
    save(found.model, writable(folder), {ENTRY: record})
    return record


def check(
    found: Imported, images: Tensor | None, source: Path, force: bool, progress: Callable[[int], object]
) -> dict[str, Any]:
    """What the check found, or why it was not made, as plain values.

    Args:
        found: The imported model.
        images: As for `brought`.
        source: The checkpoint, for the message.
        force: Whether a model that fails is taken.
        progress: As for `brought`.

    Raises:
        UsageError: It fails, or cannot be made.
    """
    try:
        result: Check = denoising(found.model, images, progress)
    except UsageError as error:
        if not force:
            raise UsageError(f"{error}, or import it unchecked with force") from None
        return {"passed": None, "reason": str(error)}
    if not result.passed and not force:
        raise UsageError(
            f"{source} was read, but its model does not denoise{' these images' if images is not None else ''}: "
            f"{'; '.join(result.faults)}. If it is a model of other pictures than photographs, give `scoresde import` "
            "some of its kind (--data); if an option is wrong, change it; to keep it so, import it with force (--force)"
        )
    return result.table()
