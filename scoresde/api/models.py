"""Models: loaded, saved, and made into models of p(x | y)."""

from pathlib import Path

import torch
from PIL import Image

from .. import models
from ..conditioners import Conditioner, conditioners
from ..conditioners.posed import PosedModel
from ..core.devices import device as device_of
from ..models import NetworkModel
from ..observations import Observation, observations
from ..posterior import store
from ..posterior.tasks import conditioner_for
from .arguments import Array, Model, model_of, numbers_of, source_of


def load(
    name: str | Path = "digits", device: str | torch.device = "auto", net: torch.nn.Module | None = None
) -> NetworkModel:
    """The model of a run, of a model folder, or bundled under a name, ready to sample.

    Args:
        name: The folder, or digits, photos or cifar10.
        device: "auto" for the first GPU or else the CPU, or "cpu", "cuda", "cuda:1" and so on.
        net: The network, which is given the weights, for the folder of one that was handed to `fit` as a module.

    Raises:
        UsageError: There is no such model or device.
        CheckpointError: The folder is incomplete, damaged, or of another version.

    Example:
        >>> import scoresde
        >>> scoresde.load("digits").shape
        (1, 8, 8)
    """
    return models.load(name, device_of(device), net)


def save(model: NetworkModel, folder: str | Path) -> Path:
    """Writes a network model into a folder, from which `load` reads it, and returns the folder.

    Args:
        model: A model that was loaded, or trained by `fit`, or made with the options of its network.
        folder: Where to; it is made if need be.

    Raises:
        UsageError: The model does not know how its network was built.
        ResourceError: The folder is not writable, or the disk is full.

    Example:
        >>> import scoresde
        >>> scoresde.load(scoresde.save(scoresde.load("digits"), "models/copy")).shape
        (1, 8, 8)
    """
    models.save(model, Path(folder))
    return Path(folder)


def condition(
    model: Model,
    observation: Observation | str,
    y: Array | Image.Image,
    method: Conditioner | type[Conditioner] | str | None = None,
) -> PosedModel:
    """The model of p(x | y): what `model` makes of samples x of which the measurement y is known.

    Args:
        model: The model of p(x), or its name.
        observation: How y came about: an object such as Pixels(mask), or a text such as "luma".
        y: The measurement: a picture, an array of uint8 (H, W), (H, W, C), (C, H, W) or (B, C, H, W), whose 256 grey
            levels become [-1, 1], or numbers (B, *m) in [-1, 1] with one row for each of B measurements.
        method: How it is imposed: an object, a class or a text; by default "covariance", with that of the data
            from the model's folder, or "trained" for a network that was trained to be given such measurements.

    Raises:
        UsageError: A name does not exist, y is not a measurement of the model's samples, the method is not made for
            the observation, or it needs a covariance and there is none.

    Example:
        >>> import scoresde, torch
        >>> top = torch.zeros(8, 8)
        >>> top[:4] = 1
        >>> image = scoresde.sample("digits", n=1).images
        >>> model = scoresde.condition("digits", scoresde.Pixels(top), image)
        >>> scoresde.sample(model, "dpm++", n=4, steps=5).x.shape
        torch.Size([4, 1, 8, 8])
    """
    prior, how = model_of(model), observations.make(observation, Observation)
    chosen = conditioners.make(conditioner_for(prior) if method is None else method, Conditioner)
    if folder := source_of(prior):
        chosen = store.fitted(chosen, folder, how)
    return PosedModel(chosen, prior, how, numbers_of(y).to(prior.device))
