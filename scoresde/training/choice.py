"""The configuration of a training, from a configuration, a run, or data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.options import table
from ..core.sentences import many
from ..data import Dataset, Images
from ..data.given import GivenData, as_dataset
from ..data.survey import READERS, survey
from .checkpoints import Checkpoints
from .config import Config, load, names, override, parse
from .plan import Facts, in_16_bits, planned, shape_of, side_for, timed
from .recorded import recorded_config

Array = Dataset | Tensor | np.ndarray[Any, Any]
Source = Config | str | Path | Array
"""What can be trained on: a configuration, its file or name, the folder of a run, or data: a path or an array."""
FEW = 1000
"""Below so many pictures a network draws the pictures themselves."""
ARCHIVES = (".zip", *READERS)
"""Endings of files that hold data."""


@dataclass(frozen=True)
class Chosen:
    """A configuration, and how it came about."""

    config: Config
    """What is trained."""
    said: tuple[str, ...] = ()
    """What was found in the data, and what was chosen for them, in sentences."""
    speed: float = math.nan
    """Items per second, if they were measured."""


def is_run(path: Path) -> bool:
    """Whether a path is the folder of a run.

    Args:
        path: The path.
    """
    return (path / "config.toml").is_file()


def is_data(source: Source) -> TypeGuard[str | Path | Array]:
    """Whether something to be trained on is bare data, for which a configuration is to be chosen.

    Args:
        source: As for `chosen`.
    """
    if isinstance(source, Config):
        return False
    if not isinstance(source, str | Path):
        return True
    path = Path(source)
    named = str(source) in names() or is_run(path)
    return not named and (path.is_dir() or (path.is_file() and path.suffix.lower() in ARCHIVES))


def folder_for(source: Source, folder: str | Path | None) -> Path:
    """The run folder that was named; else that of the run, or runs/NAME for a file, folder or name.

    Args:
        source: As for `chosen`.
        folder: The folder that was named, or None.

    Raises:
        UsageError: What is trained on has no name.
    """
    if folder is not None:
        return Path(folder)
    if not isinstance(source, str | Path):
        raise UsageError("what is trained on has no name that a run folder could have: give the folder")
    path = Path(source)
    return path if is_run(path) else Path("runs") / (path.resolve().name if path.is_dir() else path.stem)


def chosen(
    source: Source,
    folder: Path,
    device: torch.device,
    overrides: Sequence[str] = (),
    seconds: float | None = None,
    resume: bool = False,
) -> Chosen:
    """The configuration for what is to be trained on.

    Args:
        source: A configuration, the path of its file, or a name that comes with the package; the folder of a run; or
            data, as a path or an array, for which a configuration is chosen.
        folder: The run folder. If it holds a run of the same data that is to go on, its configuration is taken.
        device: Where the training will be.
        overrides: Changes of the configuration, such as "train.batch=64".
        seconds: Time that the run may take; a run of a configuration is shortened to it.
        resume: Whether a run in the folder goes on.

    Raises:
        UsageError: There is no such thing, or an override is wrong.
        DataError: The data cannot be read, or there are none.
    """
    goes_on = resume and Checkpoints(folder / "checkpoints").any() and is_run(folder)
    if isinstance(source, Config):
        config = _changed(source, overrides)
    elif is_data(source):
        if goes_on:
            return Chosen(_same_data(source, _changed(recorded_config(folder), overrides)))
        return _for_data(source, device, overrides, seconds)
    elif str(source) not in names() and is_run(Path(str(source))):
        config = _changed(recorded_config(Path(str(source))), overrides)
    else:
        config = load(str(source), overrides)
    found = Chosen(config) if seconds is None or goes_on else _shortened(config, device, seconds)
    if isinstance(source, str) and source in names() and Path(source).is_dir():
        said = f"{source} is a folder here and a configuration: it trains the latter; the folder is meant by {source}/"
        found = replace(found, said=(said, *found.said))
    return found


def _shortened(config: Config, device: torch.device, seconds: float) -> Chosen:
    """A configuration with as many images as fit into a time, if it has more."""
    loaded, options = config.data.load("train"), config.train
    facts = Facts(config.data, loaded.shape, len(loaded), config.network.classes, isinstance(loaded, Images))
    free = options.model_copy()
    free.model_fields_set.discard("images")
    shorter, speed = timed(replace(config, train=free), facts, device, seconds)
    if shorter.train.images >= options.images:
        return Chosen(config, speed=speed)
    said = f"{shorter.train.images} of {options.images} images fit into the time, at {speed:.0f} images/s"
    return Chosen(replace(config, train=options.model_copy(update={"images": shorter.train.images})), (said,), speed)


def _changed(config: Config, overrides: Sequence[str]) -> Config:
    return parse(override(config.tables(), overrides), "that was given") if overrides else config


def _same_data(source: str | Path | Array, config: Config) -> Config:
    """The configuration of a run with the data that are given for it once more."""
    if isinstance(source, str | Path):
        return config
    if not isinstance(config.data, GivenData):
        raise UsageError(f"the run was trained on {config.data}, not on an array: go on from its folder")
    return replace(config, data=GivenData.of(as_dataset(source)))


def _for_data(
    source: str | Path | Array, device: torch.device, overrides: Sequence[str], seconds: float | None
) -> Chosen:
    """The configuration for data, with what was found and chosen."""
    own = override({"data": {}}, overrides)
    init_from = str(own.get("train", {}).get("init_from", ""))
    if isinstance(source, str | Path):
        facts, said = _of_path(Path(source), device, own["data"], init_from)
    else:
        facts, said = _of_array(source)
    said += () if init_from else _few(facts)
    tables: dict[str, Any] = planned(facts, device, init_from)
    for kind in ("sde", "network"):
        if "name" in own.get(kind, {}):
            tables[kind] = {}  # what is chosen for another kind does not fit
    tables = override(
        {"data": table(facts.data), **tables}, [a for a in overrides if not a.strip().startswith("data.")]
    )
    config = replace(parse(tables, "for these data"), data=facts.data)
    if "precision" not in own.get("train", {}):
        config = in_16_bits(config, facts, device)
    config, speed = timed(config, facts, device, seconds)
    return Chosen(config, said, speed)


def _of_path(path: Path, device: torch.device, own: dict[str, Any], init_from: str) -> tuple[Facts, tuple[str, ...]]:
    """What is known of the data of a path, with options of [data] that its user has chosen."""
    found = survey(path, own.get("labels"))
    if found.kind == "pictures":
        like = shape_of(init_from) if init_from else (found.channels, side_for(found.sides[1], device))
        options = found.options(**{"channels": like[0], "size": like[1], **own})
    elif found.kind == "images" and found.shape and "reduce" not in own:
        side, limit = max(found.shape[1:]), 64 if device.type == "cuda" else 32
        options = found.options(**{"reduce": math.ceil(side / limit) if side > 1.5 * limit else 1, **own})
    else:
        options = found.options(**own)
    shape = options.shape or found.shape or ()
    if options.shape is None and (reduce := getattr(options, "reduce", 1)) > 1:
        shape = (shape[0], *(side // reduce for side in shape[1:]))
    count = found.count if found.test else found.count - round(found.count * getattr(options, "held_out", 0.0))
    facts = Facts(options, shape, max(count, 1), len(found.classes), found.kind != "tensors")
    return facts, found.said


def _of_array(source: Array) -> tuple[Facts, tuple[str, ...]]:
    """What is known of an array."""
    loaded = as_dataset(source)
    classes = 0 if loaded.labels is None else int(loaded.labels.max()) + 1
    facts = Facts(GivenData.of(loaded), loaded.shape, len(loaded), classes, isinstance(loaded, Images))
    return facts, (
        f"{many(len(loaded), 'item')} of shape {loaded.shape}" + f" in {many(classes, 'class')}" * bool(classes),
    )


def _few(facts: Facts) -> tuple[str, ...]:
    """A warning of pictures that are so few that a network learns them by heart."""
    if not facts.pictures or facts.count >= FEW:
        return ()
    return (
        f"{facts.count} pictures are few: a network learns them by heart and draws little else; give a thousand or "
        "more, or begin from a model of other pictures with --init-from",
    )
