"""The covariances of a model's data and its clusters, in its folder as covariance.safetensors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from .. import models
from ..conditioners.covariance import CovarianceUser
from ..core import files
from ..core.errors import CheckpointError, UsageError
from ..core.options import Options
from ..models.record import place
from ..observations import Observation
from ..observations.covariance import KINDS, Covariance, Kind
from ..observations.mixture import CLUSTERS, Mixture
from ..observations.named import Grey

MethodT = TypeVar("MethodT", bound=Options)
"""A conditioner or a posterior sampler."""
USUAL: tuple[Kind, ...] = ("channel", "dct")
"""The kinds that are made of images unless others are asked for."""
COUNT = 50_000
"""Images of which they are made, drawn at random."""
TENSORS, RECORD = "covariance.safetensors", "covariance.json"
FORMAT = 1
"""Version of the files' layout. A reader refuses any other."""


def save(folder: Path, covariances: Sequence[Covariance], record: dict[str, Any]) -> None:
    """Writes covariances of one shape into a model's folder, in place of those that are there, in float32.

    Args:
        folder: The model's folder.
        covariances: Covariances of one shape and of different kinds, and mixtures.
        record: What they were estimated from, for the reader.
    """
    tensors: dict[str, Tensor] = {}
    for covariance in covariances:
        clusters = (covariance.centres, covariance.shares) if isinstance(covariance, Mixture) else ()
        name = f"mixture-{covariance.kind}" if clusters else covariance.kind
        parts = (*clusters, covariance.variances, *covariance.factors)
        tensors |= {f"{name}.{i}": part.float() for i, part in enumerate(parts)}
    sha256 = files.write_tensors(folder / TENSORS, tensors)
    content = {"format": FORMAT, "shape": list(covariances[0].shape), "sha256": sha256, **record}
    files.write_json(folder / RECORD, content)


def load(name: str | Path = "digits", kind: Kind = "dct", clustered: bool = False) -> Covariance:
    """The covariance of a model's data: of a run, of a model folder, or bundled under a name.

    Args:
        name: A run, a model folder, or the name of a bundled model.
        kind: "channel", "dct", "diagonal" or "full".
        clustered: Whether it is that within clusters, with these.

    Raises:
        UsageError: There is no such model or kind, or the model has none of this kind yet.
        CheckpointError: The files are damaged, or of another version.
    """
    folder = models.locate(name)
    if kind not in KINDS:
        raise UsageError(f"the kind of a covariance must be one of {', '.join(KINDS)}, got {kind!r}")
    found = every(folder, clustered).get(kind)
    if found is None:
        what = f"clusters of the kind {kind}" if clustered else f"{kind} covariance"
        raise UsageError(missing(name, what, kind, clustered))
    return found


def missing(name: str | Path, what: str, kind: Kind | None, clustered: bool) -> str:
    """What an error says of a model without a covariance or clusters: how it gets them, and where they then are.

    Args:
        name: A run, a model folder, or the name of a bundled model.
        what: What is missing.
        kind: The kind that is missing, or None for any.
        clustered: Whether clusters are missing.
    """
    folder = models.locate(name)
    copy = place(folder)  # of a bundled model, which is left as it is
    name, then = (name, "") if copy == folder else (folder.name, f", and take the model {copy}")
    wanted = {*every(folder), kind} if clustered else {kind}  # mixture takes the best kind that there is
    kinds = "" if wanted <= {*USUAL, None} else f" --kinds {','.join(one for one in KINDS if one in wanted)}"
    them, clusters = ("them", f" --clusters {CLUSTERS}") if clustered else ("it", "")
    return f"{name} has no {what}: make {them} with `scoresde stats {name}{kinds}{clusters}`{then}"


def every(folder: Path, clustered: bool = False) -> dict[Kind, Covariance]:
    """All covariances in a model's folder, by their kind.

    Args:
        folder: The model's folder.
        clustered: Whether they are those within clusters, with these.

    Raises:
        CheckpointError: The files are damaged, or of another version.
    """
    if not (folder / RECORD).exists():
        return {}
    record = files.read_json(folder / RECORD)
    if record.get("format") != FORMAT:
        raise CheckpointError(f"{folder / RECORD} has the format {record.get('format')}; this version reads {FORMAT}")
    tensors = files.read_tensors(folder / TENSORS, str(record.get("sha256")))
    shape, found = tuple(int(n) for n in record["shape"]), dict[Kind, Covariance]()
    for kind in KINDS:
        start = f"mixture-{kind}." if clustered else f"{kind}."
        parts = [tensors[key].double() for key in sorted(tensors) if key.startswith(start)]
        if parts and clustered:
            found[kind] = Mixture(kind, shape, parts[2], tuple(parts[3:]), parts[0], parts[1])
        elif parts:
            found[kind] = Covariance(kind, shape, parts[0], tuple(parts[1:]))
    return found


def others(folder: Path, covariances: Sequence[Covariance], record: Mapping[str, Any]) -> list[Covariance]:
    """What a model's folder holds of the same data beside covariances that are made anew: other kinds, and clusters.

    Args:
        folder: The model's folder.
        covariances: Those that are made anew.
        record: What they are estimated from: the keys `data`, and `option` if the data are not those of the training.
    """
    try:
        old = files.read_json(folder / RECORD) if (folder / RECORD).exists() else {}
        held = (*every(folder).values(), *every(folder, clustered=True).values())
    except CheckpointError:  # what is damaged is replaced
        return []
    made = {(one.kind, type(one)) for one in covariances}
    alike = all(old.get(key) == record.get(key) for key in ("data", "option"))
    return [one for one in held if alike and (one.kind, type(one)) not in made]


def fitted(
    method: MethodT, name: str | Path, observation: Observation, shape: tuple[int, ...] | None = None
) -> MethodT:
    """The method with the covariance of a model's data that its option `kind` names.

    `auto` is `full` where the model has it, else `channel` for grey observations and `dct` for others and for clusters,
    else any kind that the model has. A method that needs no covariance, or was given one, is returned unchanged.

    Args:
        method: A conditioner or a posterior sampler.
        name: A run, a model folder, or the name of a bundled model.
        observation: The measurement.
        shape: Of the samples, where it is not that of the data: the covariance is then resized to it.

    Raises:
        UsageError: The model does not exist, or has not the kind that is asked for, or it cannot be resized.
        CheckpointError: The files are damaged, or of another version.
    """
    if not isinstance(method, CovarianceUser) or method.covariance or method.kind == "none":
        return method
    if method.kind != "auto":
        wanted = load(name, method.kind, method.clustered)
        return method.given(wanted.resized(shape) if shape else wanted)
    found = every(models.locate(name), method.clustered)
    if shape:
        found = {k: c.resized(shape) for k, c in found.items() if k in ("channel", "dct") or c.shape == tuple(shape)}
    colours = isinstance(observation, Grey) and not method.clustered
    rest: tuple[Kind, ...] = ("channel", "dct") if colours else ("dct", "channel")
    best = next((found[kind] for kind in ("full", *rest, "diagonal") if kind in found), None)
    if best is not None:
        return method.given(best)
    if method.optional:
        return method
    what = "clusters yet" if method.clustered else "covariance yet"
    raise UsageError(f"{missing(name, what, None, method.clustered)}, or use another method")
