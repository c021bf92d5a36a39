"""What a network is trained to make small."""

import torch
from torch import Tensor

from .config import TrainOptions
from .model import NetworkModel
from .random import rand, randn, stream
from .sde import expand


def loss(model: NetworkModel, x0: Tensor, options: TrainOptions, step: int, labels: Tensor | None = None) -> Tensor:
    """Mean of |z - ε(α x_0 + σ z, t)|², or of the error of what else the network predicts; times in float64.

    A network with classes is given the labels, (B,), of which a share is replaced by "no class".

    The times of a batch are spread evenly, t_i = u + i/B modulo 1, which lowers the variance of the loss without
    changing its mean (Kingma et al. 2021, https://arxiv.org/abs/2107.00630, appendix I.1).
    """
    sde = model.sde
    u = rand((1,), stream(options.seed, "time", step), dtype=torch.float64)
    even = (u + torch.arange(len(x0), dtype=torch.float64) / len(x0)) % 1
    t = (options.earliest + even * (sde.end - options.earliest)).to(x0.device)
    z = randn(x0.shape, stream(options.seed, "noise", step)).to(x0.device)
    alpha, sigma = expand(sde.alpha(t), x0), expand(sde.sigma(t), x0)
    target = {"eps": z, "x0": x0, "v": alpha * z - sigma * x0}[model.predicts]
    condition = []
    if model.classes and labels is not None:
        hidden = rand((len(x0),), stream(options.seed, "label", step)) < options.label_dropout
        condition = [torch.where(hidden, model.classes, labels).to(x0.device)]
    out: Tensor = model.net(alpha * x0 + sigma * z, model.label(t).to(x0.dtype), *condition)
    return (out[:, : x0.shape[1]] - target).square().mean()
