"""Model folders: config.json, model.safetensors and the digest that shows damage."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.errors import CheckpointError, ResourceError, ScoreSDEError, UsageError
from ..core.files import read_json, read_tensors, write_json, write_tensors
from ..core.options import table
from ..core.random import undisturbed
from ..core.sentences import an
from ..core.units import Units
from ..networks import networks
from ..sde import sdes
from ..sde.labels import Label
from . import latent
from .base import ScoreModel
from .network import NetworkModel

FORMAT = 1
"""Version of the folder's layout. A reader refuses any other."""
WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save(model: ScoreModel, folder: Path, record: Mapping[str, Any] | None = None) -> None:
    """Writes a model folder: the weights first, then the config that makes them valid.

    Args:
        model: A network with the options that built it.
        folder: Where; what it holds of a model is replaced.
        record: Further tables of the config, such as `recipe`, how the model came about.

    Raises:
        UsageError: The model is not a network, or was made by other means than a registered architecture and label.
        ResourceError: The folder is not writable, or the disk is full.
    """
    if not isinstance(model, NetworkModel):
        raise UsageError(f"{an(type(model).__name__)} has no folder: save the network inside it")
    content = {"format": FORMAT, "shape": list(model.shape), "sha256": "", **described(model), **(record or {})}
    content["sha256"] = write_tensors(folder / WEIGHTS, model.net.state_dict())
    if model.autoencoder is not None:
        content["autoencoder"] = latent.write(folder, model.autoencoder)
    write_json(folder / CONFIG, content)


def described(model: NetworkModel) -> dict[str, Any]:
    """The tables of a model folder's config that rebuild the model.

    Args:
        model: A network with the options that built it.

    Raises:
        UsageError: As `save`.
    """
    if model.options is None or not isinstance(model.label, Label):
        what = "options=, those that built the network" if model.options is None else "a registered label"
        raise UsageError(f"a folder could not build this network again: give NetworkModel {what}")
    return {
        "sde": table(model.sde),
        "network": table(model.options),
        "model": {"predicts": str(model.predicts), "label": str(model.label), "condition": model.condition},
        **({"class_names": list(model.class_names)} if model.class_names else {}),
        **({} if model.units is None else {"units": model.units.lists()}),
    }


def read(folder: Path, device: str | torch.device = "cpu", net: nn.Module | None = None) -> NetworkModel:
    """The model of a run or of a model folder, ready to sample.

    Args:
        folder: The folder.
        device: Where its tensors go.
        net: The network, which is given the weights; by default the one that the folder describes. The folder of a
            network that was handed to `fit` as a module cannot build it.

    Raises:
        CheckpointError: The folder is incomplete, damaged, or of another version.
        ResourceError: It needs a package that is not installed.
    """
    config = read_json(folder / CONFIG)
    if config.get("format") != FORMAT:
        raise CheckpointError(f"{folder} has the format {config.get('format')}; this version reads format {FORMAT}")
    try:
        sde, network = sdes.build(config["sde"]), networks.build(config["network"])
        shape = tuple(int(n) for n in config["shape"])
        label, predicts = config["model"].get("label"), config["model"]["predicts"]
        sha256 = config["sha256"]
        condition = config["model"].get("condition", "none")
        with undisturbed():  # the fresh weights are drawn and written over
            net = network.build(shape) if net is None else net
            autoencoder = latent.described(config["autoencoder"]) if "autoencoder" in config else None
        model = NetworkModel(
            net,
            sde,
            shape,
            label=label,
            predicts=predicts,
            classes=network.classes,
            class_names=config.get("class_names", ()),
            condition=condition,
            options=network,
            units=Units.of(config["units"]) if "units" in config else None,
            autoencoder=autoencoder,
        )
    except ResourceError:
        raise
    except (ScoreSDEError, TypeError, ValueError, IndexError) as error:  # an unknown name is a KeyError, too
        raise CheckpointError(f"{folder / CONFIG} does not describe a model: {error}") from None
    except KeyError as error:
        raise CheckpointError(f"{folder / CONFIG} lacks the entry {error}") from None
    fill(net, folder / WEIGHTS, sha256)
    if autoencoder is not None:
        fill(autoencoder.coder, folder / latent.WEIGHTS, str(config["autoencoder"].get("sha256")))
    model.source = folder
    return model.to(device).eval().requires_grad_(False)


def fill(net: nn.Module, path: Path, sha256: str) -> None:
    """Puts the weights of a file into a network.

    Args:
        net: The network.
        path: The file.
        sha256: The digest that it must have.

    Raises:
        CheckpointError: The file is missing or damaged, or does not fit.
    """
    tensors = read_tensors(path, sha256)
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"{path} does not fit its config: {reason}") from None
