"""The batch of each training step: images, labels, times and noise, all functions of (seed, purpose, step)."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..core.options import remembered
from ..core.parallel import ALONE, Processes
from ..core.random import permutation, rand, randn, stream
from ..data import Dataset, Images
from ..observations.masks import Mask
from .options import TrainOptions

AHEAD = 4
"""Steps that threads draw in advance for a device that computes by itself."""
BANK = 1024
"""Masks that a run has, where its task is of images with a mask."""


@dataclass(frozen=True)
class Batch:
    """What one step is given."""

    images: Tensor
    """x_0 in the units of the network, images in [-1, 1], (B, *)."""
    labels: Tensor | None
    """Class labels, (B,), or None."""
    hidden: Tensor
    """Whose label the step hides, (B,), bool."""
    uniform: Tensor
    """Places u of the times, in [0, 1), (B,) in float64, on the CPU; see `TimeLaw`."""
    noise: Tensor
    """z ~ N(0, I), (B, *)."""
    known: Tensor | None = None
    """Where pixels are known, (B, 1, H, W), bool, if the task is of images with a mask."""
    levels: int | None = 256
    """Grey levels of the images, evenly spaced in [-1, 1]; None if the data are other numbers."""

    def parts(self, count: int) -> list["Batch"]:
        """The batch in parts, equal if they can be, one after the other.

        Args:
            count: Number of parts, at least 1.
        """
        cut = {name: v.tensor_split(count) for name, v in vars(self).items() if isinstance(v, Tensor)}
        return [replace(self, **{k: parts[i] for k, parts in cut.items()}) for i in range(count)]  # type: ignore[arg-type]


@dataclass(frozen=True)
class Draws:
    """The random part of a batch, on the CPU."""

    index: Tensor
    """Which images, (B,), whole numbers."""
    mirrored: Tensor
    """Which of them are mirrored, (B,), bool."""
    hidden: Tensor
    """Whose label is hidden, (B,), bool."""
    uniform: Tensor
    """Places u of the times, in [0, 1), (B,), float64."""
    noise: Tensor
    """z ~ N(0, I), (B, *)."""
    known: Tensor | None
    """Where pixels are known, (B, 1, H, W), bool; None if the task takes no mask."""


@remembered
def mask_bank(law: Mask, height: int, width: int, seed: int) -> Tensor:
    """The masks that a run draws from, (BANK, 1, H, W), bool: drawing strokes anew at each step would cost more.

    Args:
        law: How a mask is drawn.
        height: H, in pixels.
        width: W, in pixels.
        seed: Seed of the run.
    """
    return law.draw(height, width, [stream(seed, "mask", i) for i in range(BANK)])


class Feed:
    """The batches of a training run; those of a GPU are drawn ahead by threads, and are the same.

    The data are kept on the device, images as bytes, if they take no more than half of its free memory. Of several
    processes each draws for the whole batch and is given its share, so that their number changes no draw.

    Args:
        images: The training data.
        options: The options of the training.
        device: Where the batches go.
        group: The processes that share a batch.
    """

    def __init__(self, images: Dataset, options: TrainOptions, device: torch.device, group: Processes = ALONE) -> None:
        self.options, self.device, self.group = options, device, group
        self.images, self.ahead = images, AHEAD if device.type == "cuda" else 0
        if device.type == "cuda" and 2 * images.items.nbytes <= torch.cuda.mem_get_info(device)[0]:
            self.images = images.to(device)

    def draws(self, step: int) -> Draws:
        """The random part of a step's batch.

        The times of a batch are spread evenly, u + i/B modulo 1, which lowers the variance of the loss without
        changing its mean (Kingma et al. 2021, https://arxiv.org/abs/2107.00630, appendix I.1).

        Args:
            step: Number of the step, from 0.
        """
        options, count = self.options, self.options.batch
        index = order(len(self.images), options.seed, step * count, count)
        mirrored = rand((count,), stream(options.seed, "flip", step)) < 0.5
        hidden = rand((count,), stream(options.seed, "label", step)) < options.label_dropout
        u = rand((1,), stream(options.seed, "time", step), dtype=torch.float64)
        even = (u + torch.arange(count, dtype=torch.float64) / count) % 1
        noise = randn((count, *self.images.shape), stream(options.seed, "noise", step))
        known = None
        if options.condition.masked:
            chosen = rand((count,), stream(options.seed, "masks", step)) * BANK
            height, width = self.images.shape[-2:]
            known = mask_bank(options.masks, height, width, options.seed)[chosen.long()]
        each = count // self.group.world
        mine = slice(each * self.group.rank, each * (self.group.rank + 1))
        index, mirrored, hidden, even, noise = (x[mine] for x in (index, mirrored, hidden, even, noise))
        return Draws(index, mirrored, hidden, even, noise, None if known is None else known[mine])

    def batch(self, draws: Draws) -> Batch:
        """The batch of a step on the device.

        Args:
            draws: The random part of the step's batch.
        """
        here = draws.index.to(self.images.items.device)
        x = self._moved(self.images.scaled(here))
        labels = None if self.images.labels is None else self._moved(self.images.labels[here])
        if self.options.flip:
            x = torch.where(self._moved(draws.mirrored)[:, None, None, None], x.flip(-1), x)
        known = None if draws.known is None else self._moved(draws.known)
        hidden, noise = map(self._moved, (draws.hidden, draws.noise))
        levels = self.images.levels if isinstance(self.images, Images) else None
        return Batch(x, labels, hidden, draws.uniform, noise, known, levels)

    def steps(self, first: int) -> Iterator[Batch]:
        """The batches of step first, first + 1, and so on without end.

        Args:
            first: Number of the first step, from 0.
        """
        step = first
        if not self.ahead:
            while True:
                yield self.batch(self.draws(step))
                step += 1
        with ThreadPoolExecutor(self.ahead) as pool:
            waiting = deque(pool.submit(self.draws, step + i) for i in range(self.ahead))
            while True:
                yield self.batch(waiting.popleft().result())
                waiting.append(pool.submit(self.draws, step + self.ahead))
                step += 1

    def _moved(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and self.device.type == "cuda":
            x = x.pin_memory()  # so that the copy runs beside the kernels
        return x.to(self.device, non_blocking=True)


def order(images: int, seed: int, first: int, count: int) -> Tensor:
    """Positions first .. first + count - 1 of the endless data order, in which each epoch is a permutation.

    Args:
        images: Number of images.
        seed: Seed of the run.
        first: The first position, from 0.
        count: Number of positions, at least 1.
    """
    index = []
    while count:
        epoch, offset = divmod(first, images)
        part = permutation(images, stream(seed, "order", epoch))[offset : offset + count]
        index.append(part)
        first, count = first + len(part), count - len(part)
    return torch.cat(index)
