"""What a network is trained to make small."""

import torch
from torch import Tensor
from torch.nn import functional

from ..core.options import remembered
from ..likelihood.steps import Steps
from ..models.base import NetworkModel
from ..observations.channels import given
from ..sde import DDPM, SDE, expand
from .batches import Batch
from .config import TrainOptions

BOUND = 1e-3
"""Weight of the variational bound in the hybrid loss."""
LOW = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""Precisions of 16 bits, by their names."""


def times(sde: SDE, batch: Batch, options: TrainOptions) -> Tensor:
    """The times of a batch's images, (B,) in float64: even in t, in λ = log α/σ, or the levels of a chain."""
    if isinstance(sde, DDPM):
        return sde.times.to(batch.uniform.device)[step_of(sde, batch)]
    if options.weighting == "likelihood":
        ends = sde.log_snr(torch.tensor([options.earliest, sde.t_max], dtype=torch.float64)).tolist()
        return sde.time(ends[0] + batch.uniform * (ends[1] - ends[0]))
    return options.earliest + batch.uniform * (sde.t_max - options.earliest)


def step_of(sde: DDPM, batch: Batch) -> Tensor:
    """The step in a chain of each image of a batch, (B,), from 0."""
    return (batch.uniform * sde.steps).long()


def losses(model: NetworkModel, batch: Batch, options: TrainOptions) -> Tensor:
    """|z - ε(α x_0 + σ z, t)|²/D, (B,), or the error of what else the network predicts; times in float64.

    `train.loss` replaces the square: |d| (l1), or d²/2 up to 1 and |d| - ½ beyond (huber). "hybrid" adds 0.001 L to the
    square, L being the variational bound in bits/dim, through which only the learned variance gets a gradient. In a
    chain, one step of each image stands for all.

    `train.weighting` weighs the squared error of ε by min(SNR, γ)/SNR ("min-snr"; SNR = α²/σ²), or by the likelihood's
    g²/σ²: since that is -2 dλ/dt, the times are then even in λ.

    A network with classes is given the labels, of which a share is replaced by "no class"; one with a condition is
    given that, and where pixels are known they are put into x_t and their error does not count. With a 16-bit
    precision the network's products are in it; weights, times, loss and optimiser stay in float32 or above.

    References: Ho et al. 2020, https://arxiv.org/abs/2006.11239, equation 14; Nichol and Dhariwal 2021,
    https://arxiv.org/abs/2102.09672, equation 16; Hang et al. 2023, https://arxiv.org/abs/2303.09556, equation 8;
    Song et al. 2021, https://arxiv.org/abs/2101.09258, theorem 1 and section 4.
    """
    sde, x0, z, channels = model.sde, batch.images, batch.noise, batch.images.shape[1]
    t = times(sde, batch, options)
    alpha, sigma = expand(sde.alpha(t), x0), expand(sde.sigma(t), x0)
    x, hole = alpha * x0 + sigma * z, torch.ones_like(x0)
    if batch.known is not None:
        x, hole = torch.where(batch.known, x0, x), (~batch.known).expand_as(x0).to(x0)
    inputs = x if model.condition == "none" else torch.cat([x, given(model.condition, x0, batch.known)], 1)
    classes = []
    if model.classes and batch.labels is not None:
        classes = [torch.where(batch.hidden, model.classes, batch.labels)]
    with torch.autocast(x0.device.type, LOW.get(options.precision), enabled=options.precision in LOW):
        out: Tensor = model.net(inputs, model.label(t).to(x0.dtype), *classes)
    out = out.to(x0.dtype)
    target = {"eps": z, "x0": x0, "v": alpha * z - sigma * x0}[model.predicts]
    error = distance(out[:, :channels], target, options) * weight(model, alpha, sigma, options)
    if isinstance(sde, DDPM) and options.loss == "hybrid":
        error = error + BOUND * sde.steps * bits(model, sde, batch, x, t, out)
    return (error * hole).flatten(1).sum(1) / hole.flatten(1).sum(1)


def loss(model: NetworkModel, batch: Batch, options: TrainOptions) -> Tensor:
    """The mean of `losses`, which training makes small."""
    return losses(model, batch, options).mean()


def distance(found: Tensor, target: Tensor, options: TrainOptions) -> Tensor:
    """The error of each value as `train.loss` measures it, (B, *)."""
    if options.loss == "l1":
        return (found - target).abs()
    if options.loss == "huber":
        return functional.huber_loss(found, target, reduction="none")
    return (found - target).square()


def weight(model: NetworkModel, alpha: Tensor, sigma: Tensor, options: TrainOptions) -> Tensor:
    """The weight of the squared error of what the network predicts, (B, 1, 1, 1)."""
    if options.weighting == "simple":
        return torch.ones_like(alpha)
    # How much error of ε an error of the prediction is.
    ratio = alpha / sigma
    scale = {"eps": torch.ones_like(alpha), "x0": ratio, "v": alpha / (alpha**2 + sigma**2)}[model.predicts]
    if options.weighting == "min-snr":
        scale = scale * (ratio.clamp(max=options.snr_cap**0.5) / ratio)
    return scale.square()


def bits(model: NetworkModel, sde: DDPM, batch: Batch, x: Tensor, t: Tensor, out: Tensor) -> Tensor:
    """The bound's term of each image's step, in bits, (B, *), of which only the variance has a gradient."""
    n, steps, channels = step_of(sde, batch), steps_of(sde), x.shape[1]
    alpha, sigma = expand(sde.alpha(t), x), expand(sde.sigma(t), x)
    predicted = (x - sigma * model.as_eps(out.detach(), x, t)) / alpha
    log_variance = steps.log_variance(n, x, "learned", (out[:, channels:] + 1) / 2)
    nats = steps.nats(n, batch.images, x, predicted, log_variance, levels=batch.levels)
    return nats / torch.log(torch.tensor(2.0))


@remembered
def steps_of(sde: DDPM) -> Steps:
    """The steps of the chain, which are worked out once."""
    return Steps(sde.alphas_cumprod)
