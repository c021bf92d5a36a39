"""Models of latents: the shape of their data, and their autoencoder in the model folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..core.errors import UsageError
from ..core.files import write_tensors
from ..core.options import table
from .autoencoders import Autoencoder, autoencoders
from .base import ScoreModel

WEIGHTS = "autoencoder.safetensors"


def data_shape(model: ScoreModel) -> tuple[int, ...]:
    """Shape of one of the data that a model's samples become, *: of a picture, for a model of latents.

    Args:
        model: The model.
    """
    return model.shape if model.autoencoder is None else model.autoencoder.shape


def decoded(model: ScoreModel, x: Tensor) -> Tensor:
    """Samples as data, (B, *): pictures, for a model of latents; else as they are.

    Args:
        model: The model.
        x: Its samples, (B, *).
    """
    return x if model.autoencoder is None else model.autoencoder.decode(x)


def coded(model: ScoreModel, x: Tensor) -> Tensor:
    """Data as the samples that a model would make of them, (B, *): latents, for a model of these; else as they are.

    Args:
        model: The model.
        x: Data in the units of its network; pictures in [-1, 1], for a model of latents.
    """
    return x if model.autoencoder is None else model.autoencoder.encode(x)


def of_data(model: ScoreModel, what: str) -> None:
    """Refuses a model of latents.

    Args:
        model: The model.
        what: What is asked of it, for the message.

    Raises:
        UsageError: It is one.
    """
    if model.autoencoder is not None:
        raise UsageError(f"{what}, and this is a model of latents, {model.shape}: take a model of the pictures")


def write(folder: Path, autoencoder: Autoencoder) -> dict[str, Any]:
    """Writes the weights of an autoencoder into a model folder, and returns its table of the config.

    Args:
        folder: The model folder.
        autoencoder: The autoencoder.

    Raises:
        ResourceError: The folder is not writable, or the disk is full.
    """
    sha256 = write_tensors(folder / WEIGHTS, autoencoder.coder.state_dict())
    return {"shape": list(autoencoder.shape), "sha256": sha256, "network": table(autoencoder.options)}


def described(record: Mapping[str, Any]) -> Autoencoder:
    """The autoencoder that a table of the config describes, with fresh weights.

    Args:
        record: As `write` returns it.

    Raises:
        UsageError: An option does not exist or is not allowed.
        ResourceError: What it needs is not installed.
    """
    shape = tuple(int(n) for n in record["shape"])
    return Autoencoder(autoencoders.build(record["network"]), shape)
