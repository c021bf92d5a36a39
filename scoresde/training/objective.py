"""The training loss."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..core.errors import UsageError
from ..core.options import remembered
from ..likelihood.steps import Steps
from ..models.inference import LOW
from ..models.network import NetworkModel
from ..models.output import denoised
from ..observations.tasks import trained_task
from ..sde import SDE, expand, noised
from .batches import Batch
from .options import TrainOptions

BOUND = 1e-3
"""Weight of the variational bound in the hybrid loss."""


def times(sde: SDE, batch: Batch, options: TrainOptions) -> Tensor:
    """The times of a batch's images, (B,) in float64, on the CPU: of `train.times`, in a chain the nearest levels.

    Args:
        sde: The process.
        batch: The batch, of which the places `uniform` count.
        options: The law of the times, and the earliest.
    """
    earliest = sde.nearest(torch.tensor([options.earliest], dtype=torch.float64)).item()
    return sde.nearest(options.law.times(sde, batch.uniform, earliest))


class Terms(NamedTuple):
    """The losses of some images, and of the hybrid loss its part that is logged by itself."""

    losses: Tensor
    """(B,)."""
    vlb: Tensor | None = None
    """The variational bound by one step of each image, in bits/dim, (B,), without a gradient; None if it is no part."""


def losses(model: NetworkModel, batch: Batch, options: TrainOptions) -> Tensor:
    """The losses of `terms`, (B,).

    Args:
        model: As for `terms`.
        batch: As for `terms`.
        options: As for `terms`.
    """
    return terms(model, batch, options).losses


def terms(model: NetworkModel, batch: Batch, options: TrainOptions) -> Terms:
    """w(t) |(z - a x_t)/b - net(c x_t)|²/D, x_t = α x_0 + σ z, of each image, (B,).

    a, b and c are the coefficients of what the network predicts, so that it is |z - ε(x_t, t)|²/D for `eps`.
    `train.weighting` is w, and `train.times` the law of t.

    `train.loss` replaces the square: |d| (l1), or d²/2 up to 1 and |d| - ½ beyond (huber). "hybrid" adds 0.001 L to the
    square, L being the variational bound in bits/dim, through which only the learned variance gets a gradient. In a
    chain, one step of each image stands for all.

    A network with classes is given the labels, of which a share is replaced by "no class"; one that is trained for a
    task is given what the task says, and the error does not count where pixels are known. With a 16-bit precision the
    network's products are in it; weights, loss and optimiser stay in float32 or above, times and what is made of them
    in float64 on the CPU.

    Args:
        model: The network with its process and prediction.
        batch: Images, labels, noise and places of the times.
        options: The options of [train].

    Raises:
        UsageError: The loss is hybrid and the process no chain.

    References: Ho et al. 2020, https://arxiv.org/abs/2006.11239, equation 14; Nichol and Dhariwal 2021,
    https://arxiv.org/abs/2102.09672, equation 16; Karras et al. 2022, https://arxiv.org/abs/2206.00364, equation 8.
    """
    sde, x0, z = model.sde, batch.images, batch.noise
    t = times(sde, batch, options)
    alpha, sigma = sde.alpha_sigma(t)
    x = noised(sde, x0, t, z)
    known, classes = trained_task(model).known(x0, batch.known), None
    if model.classes and batch.labels is not None:
        classes = torch.where(batch.hidden, model.classes, batch.labels)
    with torch.autocast(x0.device.type, LOW.get(options.precision), enabled=options.precision in LOW):
        out = model.output(x, t, classes, known)
    _, a, b = model.predicts.coefficients(alpha, sigma)
    # (z - a x_t)/b by the coefficients of z and x_0: a difference of images would lose digits where b is small.
    target = expand((1 - a * sigma) / b, x0) * z - expand(a * alpha / b, x0) * x0
    weight = options.weighting.weight(sde, t, (b * torch.ones_like(t)).abs())
    error = distance(out[:, : x0.shape[1]], target, options) * expand(weight, x0)
    hole = torch.ones_like(x0) if known is None or known.mask is None else (~known.mask).expand_as(x0).to(x0)

    def mean(values: Tensor) -> Tensor:
        return (values * hole).flatten(1).sum(1) / hole.flatten(1).sum(1)

    if options.loss != "hybrid":
        return Terms(mean(error))
    length, bound = len(steps_of(sde).alphas_cumprod), bits(model, batch, x, t, out)
    return Terms(mean(error + BOUND * length * bound), length * mean(bound.detach()))


def distance(found: Tensor, target: Tensor, options: TrainOptions) -> Tensor:
    """The error of each value as `train.loss` measures it, (B, *).

    Args:
        found: What the network gives, (B, *).
        target: What it should give, (B, *).
        options: The options of [train].
    """
    if options.loss == "l1":
        return (found - target).abs()
    if options.loss == "huber":
        return functional.huber_loss(found, target, reduction="none")
    return (found - target).square()


def bits(model: NetworkModel, batch: Batch, x: Tensor, t: Tensor, out: Tensor) -> Tensor:
    """The bound's term of each image's step, in bits, (B, *), of which only the variance has a gradient.

    Args:
        model: The network with its process.
        batch: The images and their number of grey levels.
        x: x_t, (B, *).
        t: Times of levels, (B,).
        out: What the network gives for x_t, (B, 2C, *).

    Raises:
        UsageError: The process is no chain, the data have no grey levels, or the network gives no variance.
    """
    if batch.levels is None:
        raise UsageError("the hybrid loss is of images with whole grey levels: choose another train.loss")
    if out.shape[1] == x.shape[1]:
        raise UsageError(
            f"the hybrid loss is of networks that return {2 * x.shape[1]} channels, the last half for the variance, "
            f"got {out.shape[1]}"
        )
    n, steps, channels = model.sde.step(t).round().long(), steps_of(model.sde), x.shape[1]
    predicted = denoised(model.sde, x, t, model.as_eps(out.detach(), x, t))
    log_variance = steps.log_variance(n, x, "learned", (out[:, channels:] + 1) / 2)
    nats = steps.nats(n, batch.images, x, predicted, log_variance, levels=batch.levels)
    return nats / torch.log(torch.tensor(2.0))


@remembered
def steps_of(sde: SDE) -> Steps:
    """The steps of a chain, which are worked out once.

    Args:
        sde: The process.

    Raises:
        UsageError: It is no chain.
    """
    if sde.chain is None:
        raise UsageError(f"the hybrid loss is of a chain, such as ddpm, and {sde.name} is none: choose another loss")
    return Steps(sde.chain.alphas_cumprod)
