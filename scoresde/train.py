"""Training: a generator that yields its state, so that the caller logs, samples, saves and stops.

Every draw of a step (data order, times, noise, dropout) is a function of (seed, purpose, step), so a resumed run
goes on exactly as an uninterrupted one would, without any stored generator.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from .config import Config, TrainOptions, contradictions
from .data import Images
from .errors import DataError, NumericalError, UsageError
from .feed import Batch, Feed
from .labels import label_of
from .model import NetworkModel
from .objective import losses, times
from .optimisers import optimiser
from .random import seed_global, stream


@dataclass
class TrainState:
    """A run between two steps."""

    model: NetworkModel
    """The weights that are trained."""
    ema: NetworkModel
    """Their exponential moving average, which samples."""
    optimizer: torch.optim.Optimizer
    step: int = 0
    images: int = 0
    loss: float = math.nan
    """Mean squared error of the last step, per value."""
    grad_norm: float = math.nan
    """Length of the last gradient, before clipping."""
    skipped: int = 0
    """Steps left out because the loss or the gradient was not finite."""


def start(config: Config, shape: tuple[int, int, int], device: torch.device) -> TrainState:
    """A fresh run on images of the given shape; its weights depend on the seed alone.

    Raises:
        UsageError: The configuration does not go together on such images.
    """
    if found := contradictions(config, shape):
        raise UsageError("; ".join(found))
    seed_global(config.train.seed)
    net = config.network.build(shape)
    model = NetworkModel(
        net,
        config.sde,
        shape,
        label=label_of(config.sde, config.train.time_scale),
        predicts=config.train.predicts,
        classes=config.network.classes,
        condition=config.train.condition,
    )
    model = model.to(device)
    if config.train.channels_last:
        model = model.to(memory_format=torch.channels_last)
    ema = copy.deepcopy(model).eval().requires_grad_(False)
    if config.train.compile:
        net.compile()
    return TrainState(model, ema, optimiser(config.train, model.parameters()))


def rate(options: TrainOptions, images: int) -> float:
    """The learning rate after a number of images: a linear rise, a plateau, a fall."""
    rise = min(1.0, (images + options.batch) / options.warmup) if options.warmup else 1.0
    left = (options.images - images) / (options.decay * options.images) if options.decay else 1.0
    left = min(max(left, 0.0), 1.0)
    return options.learning_rate * min(rise, left if options.fall == "linear" else 0.5 - 0.5 * math.cos(math.pi * left))


@torch.no_grad()
def average(state: TrainState, options: TrainOptions) -> None:
    """Moves the averaged weights: they forget with the given half-life, or a tenth of the run so far if shorter."""
    half_life = min(options.ema, 0.1 * max(state.images, options.batch))
    keep = 0.5 ** (options.batch / half_life)
    means, trained = ([p.data for p in m.parameters()] for m in (state.ema, state.model))
    torch._foreach_lerp_(means, trained, 1 - keep)
    for mean, now in zip(state.ema.buffers(), state.model.buffers(), strict=True):
        mean.copy_(now)


def train(config: Config, images: Images, state: TrainState) -> Iterator[TrainState]:
    """Trains on the state in place and yields it after each step, until config.train.images have been seen.

    The objective is that of `objective.losses`.

    Raises:
        UsageError: The batch cannot be cut into equal parts.
        DataError: The images do not fit the model.
        NumericalError: The loss or the gradient is not finite, and no more steps may be left out for that; the
            weights are those of the step before.
    """
    options = config.train
    check(options, images, state.model)
    state.model.train()
    steps = math.ceil((options.images - state.images) / options.batch)
    for batch in islice(Feed(images, options, state.model.device).steps(state.step), max(steps, 0)):
        found = descend(state, batch, options)
        value, norm = found.mean().item(), state.grad_norm
        finite = math.isfinite(value + norm)
        if finite:
            for group in state.optimizer.param_groups:
                group["lr"] = rate(options, state.images)
            state.optimizer.step()
        elif state.skipped < options.skip_nonfinite:
            state.skipped += 1
        else:
            bad = times(state.model.sde, batch, options)[~torch.isfinite(found)]
            where = f"at t from {bad.min():.4g} to {bad.max():.4g}" if len(bad) else "though every loss is finite"
            raise NumericalError(
                f"the loss is {value} and the gradient's length {norm} at step {state.step} (seed {options.seed}), "
                f"{where}: lower train.learning_rate, or allow some such steps by train.skip_nonfinite; the last "
                "checkpoint is intact"
            )
        state.step, state.images, state.loss = state.step + 1, state.images + options.batch, value
        if finite:
            average(state, options)
        yield state


def check(options: TrainOptions, images: Images, model: NetworkModel) -> None:
    """Refuses what cannot be trained on; errors as `train`."""
    if options.batch % options.accumulate:
        raise UsageError(f"train.batch = {options.batch} cannot be cut into train.accumulate = {options.accumulate}")
    if images.shape != model.shape:
        raise DataError(f"the images have the shape {images.shape}, the model takes {model.shape}")
    if options.batch > len(images):
        raise DataError(f"train.batch = {options.batch} is more than the {len(images)} images: choose at most so many")
    if classes := model.classes:
        if images.labels is None:
            raise DataError(f"the network has {classes} classes and the images have no labels: set network.classes = 0")
        if int(images.labels.min()) < 0 or int(images.labels.max()) >= classes:
            found = f"{int(images.labels.min())} to {int(images.labels.max())}"
            raise DataError(
                f"the labels of the images go from {found}: a network of {classes} classes takes 0 to {classes - 1}"
            )


def descend(state: TrainState, batch: Batch, options: TrainOptions) -> Tensor:
    """Sets the gradient of the mean loss, clipped, and its length; returns the losses, (B,).

    The batch is cut into train.accumulate parts, which take less memory one after the other: the gradient is the same.
    Only a network that draws (dropout) draws differently, and one with batch statistics has those of the parts.
    """
    state.optimizer.zero_grad(set_to_none=True)
    seed_global(int(stream(options.seed, "dropout", state.step).initial_seed()))
    found = []
    for part in batch.parts(options.accumulate):
        each = losses(state.model, part, options)
        (each.mean() / options.accumulate).backward()  # type: ignore[no-untyped-call]
        found.append(each.detach())
    norm = torch.nn.utils.clip_grad_norm_(list(state.model.parameters()), options.clip, foreach=True)
    state.grad_norm = norm.item()
    return torch.cat(found)
