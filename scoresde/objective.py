"""What a network is trained to make small."""

import torch
from torch import Tensor

from .config import TrainOptions
from .feed import Batch
from .model import NetworkModel
from .sde import SDE, expand


def times(sde: SDE, batch: Batch, options: TrainOptions) -> Tensor:
    """The times of a batch's images, (B,) in float64."""
    return options.earliest + batch.uniform * (sde.end - options.earliest)


def losses(model: NetworkModel, batch: Batch, options: TrainOptions) -> Tensor:
    """|z - ε(α x_0 + σ z, t)|²/D, (B,), or the error of what else the network predicts; times in float64.

    A network with classes is given the labels, of which a share is replaced by "no class". With a 16-bit precision
    the network's products are in it; weights, times, loss and optimiser stay in float32 or above.
    """
    sde, x0, z = model.sde, batch.images, batch.noise
    t = times(sde, batch, options)
    alpha, sigma = expand(sde.alpha(t), x0), expand(sde.sigma(t), x0)
    target = {"eps": z, "x0": x0, "v": alpha * z - sigma * x0}[model.predicts]
    condition = []
    if model.classes and batch.labels is not None:
        condition = [torch.where(batch.hidden, model.classes, batch.labels)]
    low = options.precision == "bfloat16"
    with torch.autocast(x0.device.type, torch.bfloat16, enabled=low):
        out: Tensor = model.net(alpha * x0 + sigma * z, model.label(t).to(x0.dtype), *condition)
    return (out[:, : x0.shape[1]].to(x0.dtype) - target).square().flatten(1).mean(1)


def loss(model: NetworkModel, batch: Batch, options: TrainOptions) -> Tensor:
    """The mean of `losses`, which training makes small."""
    return losses(model, batch, options).mean()
