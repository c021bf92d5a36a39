"""Training: a generator that yields its state, so that the caller logs, samples, saves and stops.

Every draw of a step (data order, times, noise, dropout) is a function of (seed, purpose, step), so a resumed run
goes on exactly as an uninterrupted one would, without any stored generator.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor

from ..core.errors import NumericalError, UsageError
from ..core.parallel import Processes, grouped, held_back, processes
from ..core.random import seed_global, stream
from ..core.units import Units
from ..data import Dataset
from ..models.network import NetworkModel
from .batches import Batch, Feed
from .config import Config, contradictions
from .objective import terms, times
from .optimisers import optimiser
from .options import TrainOptions
from .profiles import share
from .sharding import everything, local, spread
from .trainable import check


@dataclass
class TrainState:
    """A run between two steps."""

    model: NetworkModel
    """The weights that are trained."""
    ema: NetworkModel
    """Their exponential moving average, which samples."""
    optimizer: torch.optim.Optimizer
    """The optimiser of the weights, with its state."""
    scaler: torch.amp.GradScaler
    """What keeps the gradients of train.precision = float16 within its range."""
    step: int = 0
    """Steps that are done."""
    images: int = 0
    """Images seen in these steps; an image seen twice counts twice."""
    loss: float = math.nan
    """Mean loss of the last step, per value."""
    vlb: float = math.nan
    """Its variational bound in bits/dim, of which the hybrid loss has the share `objective.BOUND`; else NaN."""
    grad_norm: float = math.nan
    """Length of the last gradient, before clipping."""
    skipped: int = 0
    """Steps left out because the loss or the gradient was not finite."""
    since: tuple[int, float, float] = (0, 0.0, 0.0)
    """Steps since the last line of metrics.jsonl, and the sums of their `loss` and `vlb`."""
    also: list[NetworkModel] = field(default_factory=list)
    """Averages with the half-lives train.ema_also."""
    powers: list[NetworkModel] = field(default_factory=list)
    """Averages with the relative widths train.widths, for snapshots."""


def start(
    config: Config,
    shape: tuple[int, ...],
    device: torch.device,
    units: Units | None = None,
    class_names: tuple[str, ...] = (),
) -> TrainState:
    """A fresh run on data of the given shape; its weights depend on the seed alone.

    Args:
        config: The training run.
        shape: Shape of one item: (C, H, W) of images.
        device: Where the network goes.
        units: Those of the data, which the model keeps.
        class_names: Those of the data, which a model of as many classes keeps.

    Raises:
        UsageError: The configuration does not go together on such data.
    """
    if found := contradictions(config, shape):
        raise UsageError("; ".join(found))
    seed_global(config.train.seed)
    net = config.network.build(shape)
    model = NetworkModel(
        net,
        config.sde,
        shape,
        label=None if config.train.label == "auto" else config.train.label,
        predicts=config.train.predicts,
        classes=config.network.classes,
        class_names=class_names if len(class_names) == config.network.classes else (),
        condition=str(config.train.condition),
        options=config.network,
        units=units,
    )
    shared = config.train.shard and grouped()  # alone, a process has all the shares
    model = model.to("cpu" if shared else device)  # whole, it may be too large for the device
    if config.train.channels_last:
        model = model.to(memory_format=torch.channels_last)
    also, powers = config.train.ema_also, config.train.tracked
    ema, *means = (copy.deepcopy(model).eval().requires_grad_(False) for _ in (0, *also, *powers))
    if config.train.compile:
        net.compile()
    if shared:
        spread(net, [mean.net for mean in (ema, *means)], device)
    scaler = torch.amp.GradScaler(device.type, enabled=config.train.precision == "float16")
    if not any(weight.requires_grad for weight in model.parameters()):
        raise UsageError("the network has no weights that are trained: give one that has, with requires_grad = True")
    optimizer = optimiser(config.train, model.parameters())
    return TrainState(model, ema, optimizer, scaler, also=means[: len(also)], powers=means[len(also) :])


def rate(options: TrainOptions, images: int) -> float:
    """The learning rate after a number of images: a linear rise, a plateau, a fall.

    Args:
        options: The options of the training.
        images: Images seen so far.
    """
    rise = min(1.0, (images + options.batch) / options.warmup) if options.warmup else 1.0
    left = (options.images - images) / (options.decay * options.images) if options.decay else 1.0
    left = min(max(left, 0.0), 1.0)
    return options.learning_rate * min(rise, left if options.fall == "linear" else 0.5 - 0.5 * math.cos(math.pi * left))


@torch.no_grad()
def average(state: TrainState, options: TrainOptions) -> None:
    """Moves the averaged weights: they forget with their half-life, or a tenth of the run so far if shorter.

    Those with a relative width forget with the power of the time that belongs to it.

    Args:
        state: The run, whose averages are moved in place.
        options: The options of the training.
    """
    trained, images = [local(p.data) for p in state.model.parameters()], max(state.images, options.batch)
    half_lives = [min(half_life, 0.1 * images) for half_life in (options.ema, *options.ema_also)]
    shares = [1 - 0.5 ** (options.batch / half_life) for half_life in half_lives]
    shares += [share(width, options.batch, images) for width in options.tracked]
    for mean, moved in zip([state.ema, *state.also, *state.powers], shares, strict=True):
        torch._foreach_lerp_([local(p.data) for p in mean.parameters()], trained, moved)
        for old, now in zip(mean.buffers(), state.model.buffers(), strict=True):
            old.copy_(now)


def train(config: Config, images: Dataset, state: TrainState) -> Iterator[TrainState]:
    """Trains on the state in place and yields it after each step, until config.train.images have been seen.

    The objective is that of `objective.losses`.

    Args:
        config: The training run.
        images: The training data.
        state: The run so far, from `start` or a checkpoint.

    Raises:
        UsageError: The batch cannot be cut into equal parts.
        DataError: The images do not fit the model.
        NumericalError: The loss or the gradient is not finite, and no more steps may be left out for that; the
            weights are those of the step before.
    """
    options, group = config.train, processes()
    check(options, images, state.model, group.world)
    model = copy.copy(state.model.train())
    net = model.net if options.shard else group.joined(model.net)
    model._modules = {**model._modules, "net": net}  # what is saved keeps the bare network
    feed, steps = Feed(images, options, model.device, group), math.ceil((options.images - state.images) / options.batch)
    if net is not state.model.net:
        # The first backward pass settles in which order gradients are summed up: without one before the first step,
        # those of a resumed run would differ in their last bits.
        before = [buffer.clone() for buffer in model.buffers()]
        descend(state, model, feed.batch(feed.draws(state.step)), options, group)
        state.scaler.update(state.scaler.get_scale())  # which it keeps, whatever it has seen
        for buffer, old in zip(model.buffers(), before, strict=True):
            buffer.copy_(old)
    for batch in islice(feed.steps(state.step), max(steps, 0)):
        found = descend(state, model, batch, options, group)
        value, norm = group.mean(found.mean()).item(), state.grad_norm
        finite, scale = math.isfinite(value + norm), state.scaler.get_scale()
        state.scaler.update()
        if finite:
            for part in state.optimizer.param_groups:
                part["lr"] = rate(options, state.images)
            state.optimizer.step()
        elif math.isfinite(value) and 1 <= state.scaler.get_scale() < scale:
            pass  # too large for 16 bits, and not for half the scale
        elif state.skipped < options.skip_nonfinite:
            state.skipped += 1
        else:
            bad = times(state.model.sde, batch, options)[~torch.isfinite(found).cpu()]
            t = [t for part in group.gather(bad.tolist()) for t in part]
            where = f"at t from {min(t):.4g} to {max(t):.4g}" if t else "though every loss is finite"
            raise NumericalError(
                f"the loss is {value} and the gradient's length {norm} at step {state.step} (seed {options.seed}), "
                f"{where}: lower train.learning_rate, or allow some such steps by train.skip_nonfinite; the last "
                "checkpoint is intact"
            )
        state.step, state.images, state.loss = state.step + 1, state.images + options.batch, value
        if finite:
            average(state, options)
        yield state


def descend(state: TrainState, model: NetworkModel, batch: Batch, options: TrainOptions, group: Processes) -> Tensor:
    """Sets the gradient of the mean loss, clipped, and its length; returns the losses of this process's images, (B,).

    The batch is cut into train.accumulate parts, which take less memory one after the other: the gradient is the same.
    Only a network that draws (dropout) draws differently, and one with batch statistics has those of the parts.

    Args:
        state: The run, whose gradients, `grad_norm` and `vlb` are set.
        model: The state's, with gradients that are means over the processes.
        batch: What the step is given.
        options: The options of the training.
        group: The processes that share the batch.
    """
    state.optimizer.zero_grad(set_to_none=True)
    purpose = ("dropout", state.step) if group.world == 1 else ("dropout", state.step, group.rank)
    seed_global(int(stream(options.seed, *purpose).initial_seed()))
    found, bounds = list[Tensor](), list[Tensor]()
    for left, part in zip(range(options.accumulate)[::-1], batch.parts(options.accumulate), strict=True):
        with held_back(model.net, left > 0):  # the gradients of all processes are added up once
            each, bound = terms(model, part, options)
            state.scaler.scale(each.mean() / options.accumulate).backward()  # type: ignore[no-untyped-call]
        found.append(each.detach())
        bounds += [] if bound is None else [bound]
    state.vlb = group.mean(torch.cat(bounds).mean()).item() if bounds else math.nan
    state.scaler.unscale_(state.optimizer)
    norm = torch.nn.utils.clip_grad_norm_(list(state.model.parameters()), options.clip, foreach=True)
    state.grad_norm = everything(norm).item()
    return torch.cat(found)
