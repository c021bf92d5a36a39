"""Checkpoints of other projects, given in place of a model: imported once, into a cache."""

import hashlib
import logging
import os
from pathlib import Path

from ...core.errors import ResourceError, UsageError
from ...core.folders import only_writer, writable
from ..folder import CONFIG
from .base import Family, families, family_of
from .importing import brought

HUB = "hub"
KEPT = ("*.json", "*.safetensors", "*.bin")
"""Files of a repository that are fetched: neither code nor pickles of other kinds."""


def is_foreign(name: str) -> bool:
    """Whether a name is that of a checkpoint: "FAMILY:PATH" or "hub:OWNER/NAME".

    Args:
        name: The name.
    """
    prefix, colon, _ = name.partition(":")
    return bool(colon) and (prefix == HUB or prefix in families)


def cached(name: str) -> Path:
    """The model folder of a checkpoint in the cache, imported if it is not there or the checkpoint has changed.

    The cache is $SCORESDE_CACHE, or scoresde in $XDG_CACHE_HOME or ~/.cache.

    Args:
        name: As for `is_foreign`; a repository may have a revision, "hub:OWNER/NAME@REVISION".

    Raises:
        UsageError: There is no such checkpoint, it needs options, or its check fails.
        CheckpointError: It is damaged.
        ResourceError: The repository cannot be fetched, or the cache is not writable.
    """
    prefix, _, place = name.partition(":")
    source = fetched(place) if prefix == HUB else Path(place).expanduser()
    family: type[Family] = family_of(source) if prefix == HUB else families[prefix]
    if not source.exists():
        raise UsageError(f"there is no file or folder {source}")
    if missing := [field for field, info in family.model_fields.items() if info.is_required()]:
        raise UsageError(
            f"a checkpoint of {family.name} does not say its {' and '.join(missing)}: import it once with "
            f"`scoresde import {source} --out FOLDER --as {family.name}` and these options, and name the folder"
        )
    folder = home() / f"{source.resolve().name}-{state(source)[:16]}"
    if not (folder / CONFIG).exists():
        with only_writer(writable(folder)):
            brought(source, folder, family())
            logging.getLogger("scoresde").warning("imported %s into %s", name, folder)
    return folder


def home() -> Path:
    """The folder of all imports."""
    if own := os.environ.get("SCORESDE_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scoresde"


def state(source: Path) -> str:
    """A digest of where a checkpoint lies and of the sizes and times of its files: another for another state of it.

    Args:
        source: A file or folder.
    """
    parts = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    seen = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in parts]
    return hashlib.sha256(repr(seen).encode()).hexdigest()


def fetched(name: str) -> Path:
    """The folder of a repository of the Hugging Face hub, fetched or as it was fetched before.

    HF_HUB_OFFLINE = 1 uses what is there, and asks nobody.

    Args:
        name: OWNER/NAME or OWNER/NAME@REVISION.

    Raises:
        ResourceError: huggingface_hub is not installed, or the repository cannot be fetched.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ResourceError("hub: needs the package huggingface_hub: pip install 'scoresde[hub]'") from None
    repository, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=list(KEPT)))
    except Exception as error:  # of many kinds: no such name, no network, nothing kept while offline
        reason = " ".join(str(error).split())[:200]
        raise ResourceError(f"the repository {name} cannot be fetched: {reason}") from None
