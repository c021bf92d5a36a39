"""Reading of run folders: the configuration, the log, and the models of the averages."""

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import models
from ..core.errors import CheckpointError, ScoreSDEError
from ..core.files import read_text
from ..core.parallel import processes
from .config import Config, parse
from .loop import TrainState
from .sharding import whole


def rounded(value: float) -> float | None:
    """A number for a line of metrics.jsonl, or None, for JSON knows none that is not finite.

    Args:
        value: The number.
    """
    return round(value, 6) if math.isfinite(value) else None


def rows(log: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl, without one that was cut short by a kill.

    Args:
        log: The file.
    """
    found = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "images" in row:
            found.append(row)
    return found


def folders(folder: Path, config: Config) -> list[Path]:
    """The folders of the models of a run: its own, and those of the averages of train.ema_also.

    Args:
        folder: The run.
        config: What is trained.
    """
    return [folder, *(folder / f"ema_{half_life:g}" for half_life in config.train.ema_also)]


def publish(folder: Path, config: Config, recipe: Mapping[str, Any], state: TrainState) -> None:
    """Writes the model of the averaged weights, which makes a run a model folder, and those of other averages.

    All processes have to call it; process 0 writes.

    Args:
        folder: The run.
        config: What is trained.
        recipe: How the run came about, kept with the models.
        state: The training.
    """
    tables = config.tables()
    recipe = {**recipe, "images": state.images, "data": tables["data"]}
    if config.train.condition.masked:
        recipe["masks"] = tables["train"]["masks"]
    for place, mean in zip(folders(folder, config), [state.ema, *state.also], strict=True):
        model = whole(mean)
        if processes().first:
            models.save(model, place, {"recipe": recipe})


def recorded_config(folder: Path) -> Config:
    """The configuration that a run was started with.

    Args:
        folder: The run.

    Raises:
        CheckpointError: The folder is not a run, or its config.toml is damaged.
    """
    path = folder / "config.toml"
    try:
        return parse(tomllib.loads(read_text(path)), str(path))
    except FileNotFoundError:
        raise CheckpointError(f"{folder} is not a run: it holds no config.toml") from None
    except (ValueError, ScoreSDEError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
