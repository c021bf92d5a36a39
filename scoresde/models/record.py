"""What a model folder says beside the model: how it came about, and what a result is noted with that it gave."""

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..core import files
from ..core.errors import UsageError
from ..core.folders import writable
from ..core.options import table
from ..core.provenance import versions
from . import latent
from .base import ScoreModel
from .folder import CONFIG, WEIGHTS
from .names import BUNDLED, locate
from .network import NetworkModel


def recipe(name: str | Path) -> dict[str, Any]:
    """How the model of a folder or name came about: command, seed, data and so on, as far as it says.

    Args:
        name: A run, a model folder or a bundled name.

    Raises:
        UsageError: There is no such folder or name.
    """
    found: dict[str, Any] = files.read_json(locate(name) / CONFIG).get("recipe", {})
    return found


def replaceable(folder: Path, new: Mapping[str, Any], made: str) -> None:
    """Checks that a folder holds no model, or one that was made of the same training in the same way.

    What lies beside a model, such as the covariance of its data, would be taken for that of another one.

    Args:
        folder: Where a model will be written.
        new: Its recipe.
        made: Entry of a recipe that says what was done to the trained model.

    Raises:
        UsageError: It holds another model.
    """
    if (folder / CONFIG).exists():
        old = files.read_json(folder / CONFIG).get("recipe", {})
        if made not in old or any(old.get(key) != new.get(key) for key in {*old, *new} - {made, "images"}):
            raise UsageError(f"{folder} holds another model, which is not written over: choose another folder")


def record(model: ScoreModel, folder: Path) -> dict[str, Any]:
    """What a result is noted with: the model by its name and digest, process, device, versions.

    Args:
        model: The model that gave it.
        folder: The model's folder.
    """
    config = files.read_json(folder / CONFIG)
    of_latents = {"autoencoder": config["autoencoder"]["sha256"]} if "autoencoder" in config else {}
    return {
        "model": {"name": folder.name, "sha256": config["sha256"], **of_latents},
        "sde": table(model.sde),
        "device": str(model.device),
        **(model.inference.record if isinstance(model, NetworkModel) else {}),
        **versions(),
    }


def place(folder: Path, out: Path | None = None) -> Path:
    """Which folder gets the further files of a model: `out`, else its own; models/NAME for a bundled one.

    Args:
        folder: The model's folder.
        out: Another folder.
    """
    return out or (Path("models") / folder.name if folder.parent == BUNDLED else folder)


def home(folder: Path, out: Path | None = None) -> Path:
    """The folder of a model that gets further files: its own, or a copy of it in another folder.

    A bundled model is left as it is: without `out`, its copy is in models/NAME.

    Args:
        folder: The model's folder.
        out: Another folder, which gets a copy of the model if it holds none.

    Raises:
        UsageError: The folder cannot be written to, or holds another model.
    """
    target = writable(place(folder, out))
    if not (target / CONFIG).exists():
        whole = [WEIGHTS, latent.WEIGHTS] if "autoencoder" in files.read_json(folder / CONFIG) else [WEIGHTS]
        for name in (*whole, CONFIG):
            files.write(target / name, partial(shutil.copyfile, folder / name))
    elif files.read_json(target / CONFIG) != files.read_json(folder / CONFIG):
        raise UsageError(f"{target} holds another model than {folder}: choose another folder")
    return target
