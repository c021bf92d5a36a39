"""What is measured of a network while it trains: its loss by time on held-out images, its samples, its likelihood."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..core.random import generators
from ..data import Images
from ..images.sheets import to_uint8
from ..likelihood import nll
from ..metrics import Metric, extractors
from ..metrics.frechet import DomainFrechet, PixelFrechet
from ..models.known import Known
from ..models.network import NetworkModel
from ..observations.masks import holes
from ..sampling.sample import Samples, in_batches, sample
from ..solvers import solvers
from .batches import Batch, Feed
from .config import Config
from .objective import losses, times
from .options import TrainOptions

REFERENCE = 10_000
"""Most training images that samples are compared with."""
AT_ONCE = 64
"""Samples and likelihoods that are computed together."""


class Evaluation:
    """Figures of a training's averaged weights, always from the same images, times, noise and seeds.

    Args:
        config: The training run.
        images: The training images, with which samples are compared.
        device: Where the network is.

    Raises:
        UsageError: What train.evaluate_* asks for cannot be measured.
        DataError: The set holds no images out, or they do not fit the extractor.
    """

    def __init__(self, config: Config, images: Images, device: torch.device) -> None:
        self.options = options = config.train
        self.held = config.data.load("test")
        self.judged = self.held.drawn(options.evaluate_nll) if options.evaluate_nll else None
        self.known: Tensor | None = None
        if self.judged and options.condition.masked:
            self.known = holes(options.masks, self.judged.shape, len(self.judged), 0)
        self.batch = fixed(self.held, options.evaluate_images, options, device)
        self.metric: Metric | None = None
        if options.evaluate_samples:
            self.metric = fitting(options.extractor, images.shape)
            self.reference = to_uint8(images.drawn(REFERENCE).scaled())
            self.metric.check(options.evaluate_samples, images.shape, self.reference)
            self.seen = condition(config, self.held, options.evaluate_samples, device)

    def __call__(self, model: NetworkModel, check: Callable[..., None] = lambda *_: None) -> dict[str, Any]:
        """The figures, by their names.

        Args:
            model: The network with the averaged weights.
            check: Called again and again; may raise to end the evaluation.
        """
        each, t = self.losses(model, check)
        # Thirds of a chain are those of its steps, as published.
        place = (model.sde.share(t) * self.options.buckets).long().clamp(max=self.options.buckets - 1)
        means = [each[place == k].mean().item() for k in range(self.options.buckets)]
        found: dict[str, Any] = {
            "held_out": round(each.mean().item(), 6),
            "buckets": [round(mean, 6) if math.isfinite(mean) else None for mean in means],
        }
        if self.metric:
            x = torch.cat([part.x.cpu() for part in in_batches(self.draw(model, check), range(self.count), AT_ONCE)])
            for estimate in self.metric.measure(to_uint8(x), self.reference):
                found[estimate.name] = round(estimate.value, 6)
        if some := self.judged:
            bits = nll(model, some.pixels, levels=some.levels, known=self.known, batch=AT_ONCE, observers=(check,))
            found["bits_per_dim"] = round(bits.value, 6)
        return found

    @property
    def count(self) -> int:
        """Samples that are drawn."""
        return self.options.evaluate_samples

    @torch.no_grad()
    def losses(self, model: NetworkModel, check: Callable[..., None]) -> tuple[Tensor, Tensor]:
        """The losses of held-out images, (N,), and their times, (N,).

        Args:
            model: The network.
            check: Called before each part; may raise to end the evaluation.
        """
        each = []
        for part in self.batch.parts(math.ceil(len(self.batch.images) / self.options.batch)):
            check()
            each.append(losses(model, part, self.options))
        return torch.cat(each).double().cpu(), times(model.sde, self.batch, self.options)

    def draw(self, model: NetworkModel, check: Callable[..., None]) -> Callable[[range], Samples]:
        """A function that draws the samples of some rows, each from the seed of its number.

        Args:
            model: The network.
            check: Called after each evaluation of the network; may raise to end the drawing.
        """

        def draw(rows: range) -> Samples:
            subject = model if self.seen is None else model.bind(self.seen[rows.start : rows.stop])
            return sample(subject, solvers["adams"](), model.prior(generators(rows)), observers=(check,))

        return draw


def fixed(images: Images, count: int, options: TrainOptions, device: torch.device) -> Batch:
    """Images drawn by seed 0, or all if there are fewer, with evenly spread times and fixed noise.

    Args:
        images: The images to draw from.
        count: Number of images that are drawn.
        options: The options of the training.
        device: Where the batch goes.
    """
    few = images.drawn(count)
    plain = options.model_copy(update={"batch": len(few), "flip": False, "label_dropout": 0.0, "seed": 0})
    feed = Feed(few, plain, device)
    return feed.batch(feed.draws(0))


def condition(config: Config, images: Images, count: int, device: torch.device) -> Known | None:
    """What a network is given of images drawn by seed 0, repeated if need be; None if it is trained for no task.

    Args:
        config: The training run.
        images: The images to draw from.
        count: Number of samples, one image each.
        device: Where the network is.
    """
    if not config.train.condition.conditional:
        return None
    batch = fixed(images, count, config.train, device)
    known = config.train.condition.known(batch.images, batch.known)
    return None if known is None else known.filling(count)


def fitting(extractor: str, shape: tuple[int, int, int]) -> Metric:
    """The Frechet distance of an extractor's features: of the one named, a bundled one that fits, or the pixels.

    Args:
        extractor: Name or folder of an extractor; "" takes a bundled one for images of the shape, or else the pixels.
        shape: (C, H, W) of the images.
    """
    named = (
        [extractor] if extractor else [name for name in extractors.bundled() if extractors.load(name).shape == shape]
    )
    return DomainFrechet(extractor=named[0]) if named else PixelFrechet()
