"""Model folders: config.json, model.safetensors and the digest that shows damage, written so that none is half."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from .errors import CheckpointError, ResourceError, ScoreSDEError, UsageError
from .labels import label_of
from .model import NetworkModel
from .networks import networks
from .registry import hint, table
from .sde import sdes

FORMAT = 1
"""Version of the folder's layout. A reader refuses any other."""
WEIGHTS, CONFIG = "model.safetensors", "config.json"
BUNDLED = Path(__file__).parent / "models"


def write(path: Path, save: Callable[[Path], object]) -> None:
    """Writes a file through a temporary one beside it, synchronised to disk and renamed over it at the end.

    Raises:
        ResourceError: The folder is not writable, or the disk is full.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ResourceError(f"cannot write {path}: {error}") from None


def sync(folder: Path) -> None:
    """Has the names in a folder written to disk, so that a file moved there is found after a loss of power."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_bytes(path: Path, content: bytes) -> str:
    """Writes a file whole or not at all, and returns the sha256 of what it should hold, in hexadecimal."""
    write(path, lambda temporary: temporary.write_bytes(content))
    return hashlib.sha256(content).hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], content: Mapping[str, str] | None = None) -> str:
    """Writes a safetensors file whole or not at all, and returns its sha256.

    Args:
        content: Texts for its header.
    """
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return write_bytes(path, safetensors.torch.save(flat, None if content is None else dict(content)))


def digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        CheckpointError: The file is missing or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} is not a model folder: it holds no {path.name}") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is unreadable: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must hold a JSON object")
    return value


def read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file, if its digest is the one expected.

    Raises:
        CheckpointError: The file is missing, cut short or changed.
    """
    try:
        found = digest(path)
        if found != sha256:
            raise CheckpointError(f"{path} is damaged: its sha256 begins {found[:8]}, not {sha256[:8]} as recorded")
        return safetensors.torch.load_file(str(path))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is unreadable: {error}") from None


def save(model: NetworkModel, folder: Path, config: Mapping[str, Any]) -> None:
    """Writes a model folder: the weights first, then the config that makes them valid.

    Args:
        config: The tables `sde` and `network`, and `model` with predicts and time_scale; other tables are kept.
    """
    sha256 = write_tensors(folder / WEIGHTS, model.net.state_dict())
    content = {"format": FORMAT, "shape": list(model.shape), "sha256": sha256, **config}
    write_text(folder / CONFIG, json.dumps(content, indent=2) + "\n")


def describe_model(model: NetworkModel, network: Any, time_scale: float) -> dict[str, Any]:
    """The tables of a model folder's config that rebuild the model."""
    return {
        "sde": table(model.sde),
        "network": table(network),
        "model": {"predicts": model.predicts, "time_scale": time_scale, "condition": model.condition},
    }


def bundled() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG}"))


def locate(name: str | Path) -> Path:
    """The folder of a model: a path, or the name of a bundled one.

    Raises:
        UsageError: There is neither.
    """
    folder = Path(name)
    if folder.is_dir():
        return folder
    if str(name) in bundled():
        return BUNDLED / str(name)
    raise UsageError(f"no model folder or bundled model is called {str(name)!r}. {hint(str(name), bundled())}")


def load(name: str | Path = "digits", device: str | torch.device = "cpu") -> NetworkModel:
    """The model of a run, of a model folder, or bundled under a name, ready to sample.

    Raises:
        UsageError: There is no such folder or name.
        CheckpointError: The folder is incomplete, damaged, or of another version.
    """
    folder = locate(name)
    config = read_json(folder / CONFIG)
    if config.get("format") != FORMAT:
        raise CheckpointError(f"{folder} has the format {config.get('format')}; this version reads format {FORMAT}")
    try:
        sde, network = sdes.build(config["sde"]), networks.build(config["network"])
        shape = tuple(int(n) for n in config["shape"])
        label, predicts = label_of(sde, config["model"]["time_scale"]), config["model"]["predicts"]
        sha256 = config["sha256"]
        net = network.build((shape[0], shape[1], shape[2]))
        condition = config["model"].get("condition", "none")
        model = NetworkModel(
            net, sde, shape, label=label, predicts=predicts, classes=network.classes, condition=condition
        )
    except KeyError as error:
        raise CheckpointError(f"{folder / CONFIG} lacks the entry {error}") from None
    except (ScoreSDEError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"{folder / CONFIG} does not describe a model: {error}") from None
    tensors = read_tensors(folder / WEIGHTS, sha256)
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"{folder / WEIGHTS} does not fit its config: {reason}") from None
    return model.to(device).eval().requires_grad_(False)
