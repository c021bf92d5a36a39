"""What a model's folder knows of its data: the covariances for conditioning, in covariance.safetensors."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from . import checkpoint
from .covariance import KINDS, Covariance, Kind
from .errors import CheckpointError, UsageError

TENSORS, RECORD = "covariance.safetensors", "covariance.json"
FORMAT = 1
"""Version of the files' layout. A reader refuses any other."""


def save(folder: Path, covariances: Sequence[Covariance], record: dict[str, Any]) -> None:
    """Writes covariances of one shape into a model's folder, in place of those that are there, in float32.

    Args:
        record: What they were estimated from, for the reader.
    """
    tensors: dict[str, Tensor] = {}
    for covariance in covariances:
        parts = (covariance.variances, *covariance.factors)
        tensors |= {f"{covariance.kind}.{i}": part.float() for i, part in enumerate(parts)}
    sha256 = checkpoint.write_tensors(folder / TENSORS, tensors)
    content = {"format": FORMAT, "shape": list(covariances[0].shape), "sha256": sha256, **record}
    checkpoint.write_text(folder / RECORD, json.dumps(content, indent=2) + "\n")


def load(name: str | Path = "digits", kind: Kind = "dct") -> Covariance:
    """The covariance of a model's data: of a run, of a model folder, or bundled under a name.

    Raises:
        UsageError: There is no such model or kind, or the model has none of this kind yet.
        CheckpointError: The files are damaged, or of another version.
    """
    folder = checkpoint.locate(name)
    if kind not in KINDS:
        raise UsageError(f"the kind of a covariance must be one of {', '.join(KINDS)}, got {kind!r}")
    missing = UsageError(f"{name} has no {kind} covariance: make it with `scoresde stats {name} --kinds {kind}`")
    if not (folder / RECORD).exists():
        raise missing
    record = checkpoint.read_json(folder / RECORD)
    if record.get("format") != FORMAT:
        raise CheckpointError(f"{folder / RECORD} has the format {record.get('format')}; this version reads {FORMAT}")
    tensors = checkpoint.read_tensors(folder / TENSORS, str(record.get("sha256")))
    found = [tensors[key].double() for key in sorted(tensors) if key.startswith(f"{kind}.")]
    if not found:
        raise missing
    return Covariance(kind, tuple(int(n) for n in record["shape"]), found[0], tuple(found[1:]))
