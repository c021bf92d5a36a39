"""A checkpoint of another project made into a model folder, and checked."""

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
    source: Path, folder: Path, family: Family | None = None, images: Tensor | None = None, *, force: bool = False
) -> dict[str, Any]:
    """Writes the model folder of a checkpoint, and returns what is recorded of the import.

    Args:
        source: The checkpoint, a file or a folder.
        folder: Where to; what it holds of an earlier import is replaced.
        family: What it is, with what it does not say itself; by default what it looks like.
        images: Pictures of the kind that the model makes, for the check, (B, C, H, W) in [-1, 1]; by default
            photographs.
        force: Whether the folder is written although the check fails or cannot be made.

    Raises:
        UsageError: It is of no family, an option is missing or not covered, the folder holds another model, or the
            check fails.
        CheckpointError: The checkpoint is damaged, incomplete, or holds what could run code.
    """
    if (folder / CONFIG).exists() and ENTRY not in read_json(folder / CONFIG):
        raise UsageError(f"{folder} holds a model that was not imported: choose another folder")
    chosen = of_source(source) if family is None else family
    found = chosen.read(source)
    checked = check(found, images, source, force)
    record = {
        "family": {"name": chosen.name, **chosen.model_dump(mode="json", exclude_unset=True)},
        "source": source.name,
        **({"source_sha256": digest(source)} if source.is_file() else {}),
        "notes": dict(found.notes),
        "check": checked,
    }
    save(found.model, writable(folder), {ENTRY: record})
    return record


def of_source(source: Path) -> Family:
    """The family that a checkpoint is of, if nothing more need be said.

    Args:
        source: A file or folder.
    """
    return family_of(source)()


def check(found: Imported, images: Tensor | None, source: Path, force: bool) -> dict[str, Any]:
    """What the check found, or why it was not made, as plain values.

    Args:
        found: The imported model.
        images: As for `brought`.
        source: The checkpoint, for the message.
        force: Whether a model that fails is taken.

    Raises:
        UsageError: It fails, or cannot be made.
    """
    try:
        result: Check = denoising(found.model, images)
    except UsageError as error:
        if not force:
            raise UsageError(f"{error}, or import it unchecked with force") from None
        return {"passed": None, "reason": str(error)}
    if not result.passed and not force:
        raise UsageError(
            f"{source} was read, but its model does not denoise{' these images' if images is not None else ''}: "
            f"{'; '.join(result.faults)}. If it is a model of other pictures than photographs, give some of its kind "
            "(--data); if an option was wrong, change it; to keep it as it is, use force (--force)"
        )
    return result.table()
