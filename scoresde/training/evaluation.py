"""Evaluations during training: the loss on held-out images by time, samples, and likelihood."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.random import generators
from ..data import Dataset, Images
from ..images.sheets import to_uint8
from ..likelihood import Exact, Hutchinson, log_likelihood, nll
from ..metrics import Metric, extractors, metrics
from ..metrics.frechet import DomainFrechet, PixelFrechet
from ..metrics.sliced import SlicedWasserstein
from ..models.known import Known
from ..models.network import NetworkModel
from ..observations.masks import holes
from ..sampling.sample import Samples, in_batches, sample
from ..solvers import solvers
from .batches import Batch, Feed
from .config import Config
from .objective import losses, times
from .options import TrainOptions
from .recorded import rounded
from .trainable import labelled

REFERENCE = 10_000
"""Most training images that samples are compared with."""
AT_ONCE = 64
"""Samples and likelihoods that are computed together."""
FEW = 32
"""Values of a sample up to which a likelihood that is no picture's is computed exactly."""


class Evaluation:
    """Figures of a training's averaged weights, always from the same images, times, noise and seeds.

    Args:
        config: The training run.
        images: The training data, with which samples are compared.
        device: Where the network is.

    Raises:
        UsageError: What train.evaluate_* asks for cannot be measured.
        DataError: The set holds nothing out, its labels are none of the network's, or its images do not fit the
            extractor.
    """

    def __init__(self, config: Config, images: Dataset, device: torch.device) -> None:
        self.options = options = config.train
        self.held = config.data.load("test")
        labelled(self.held, config.network.classes, "the held-out images")
        self.judged = self.held.drawn(options.evaluate_nll) if options.evaluate_nll else None
        self.known: Tensor | None = None
        if isinstance(self.judged, Images) and options.condition.masked:
            self.known = holes(options.masks, self.judged.shape, len(self.judged), 0)
        self.batch = fixed(self.held, options.evaluate_images, options, device)
        self.metrics: list[Metric] = []
        self.laws: dict[str, tuple[Metric, Any]] = {}
        if options.evaluate_samples and not isinstance(images, Images):
            if options.extractor:
                raise UsageError(f"train.extractor = {options.extractor} is for images: leave it out for other numbers")
            if options.evaluate_metrics:
                raise UsageError("train.evaluate_metrics are of images: leave them out for other numbers")
            if (few := min(options.evaluate_samples, len(images))) < Metric.least:
                raise UsageError(f"samples are compared with data where there are {Metric.least} of each, got {few}")
            real, self.seen = images.drawn(REFERENCE).scaled().flatten(1), None
            laws: dict[str, Metric] = {"frechet": PixelFrechet(), "sliced": SlicedWasserstein()}
            self.laws = {name: (metric, metric.prepare(real, 0)) for name, metric in laws.items()}
        elif options.evaluate_samples and isinstance(images, Images):
            further = [metrics.make(text, Metric) for text in options.evaluate_metrics]
            self.metrics = [fitting(options.extractor, images.shape), *further]
            self.reference = to_uint8(images.drawn(REFERENCE).scaled())
            for metric in self.metrics:
                metric.check(options.evaluate_samples, images.shape, self.reference)
            self.seen = condition(config, self.held, options.evaluate_samples, device)
        elif options.evaluate_metrics:
            raise UsageError("train.evaluate_metrics are of samples: say how many by train.evaluate_samples")

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
            "held_out": rounded(each.mean().item()),
            "buckets": [rounded(mean) for mean in means],
        }
        if self.metrics or self.laws:
            rows = range(self.options.evaluate_samples)
            x = torch.cat([part.x.cpu() for part in in_batches(self.draw(model, check), rows, AT_ONCE)])
            for metric in self.metrics:
                for estimate in metric.measure(to_uint8(x), self.reference):
                    found[estimate.name] = rounded(estimate.value)
            for name, (metric, reference) in self.laws.items():  # in the units of the network
                found[name] = rounded(metric.values(x.flatten(1), reference)[0])
        some = self.judged
        if some and not isinstance(some, Images):
            found["log_likelihood"] = rounded(self.mean_log_likelihood(model, some, check))
        elif isinstance(some, Images):
            bits = nll(model, some.pixels, levels=some.levels, known=self.known, batch=AT_ONCE, observers=(check,))
            found["bits_per_dim"] = rounded(bits.value)
        return found

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

    def mean_log_likelihood(self, model: NetworkModel, held: Dataset, check: Callable[..., None]) -> float:
        """The mean of log p(x) of held-out data that are no images, in nats, in the data's own units.

        Args:
            model: The network.
            held: The data.
            check: Called after each evaluation of the network; may raise to end the evaluation.
        """
        trace, each = Exact() if math.prod(held.shape) <= FEW else Hutchinson(), []
        for first in range(0, len(held), AT_ONCE):
            x = held.scaled(slice(first, first + AT_ONCE)).to(model.device)
            seeds = generators(range(first, first + len(x)))
            each.append(log_likelihood(model, x, divergence=trace, generator=seeds, observers=(check,)).log_prob)
        volume = held.units.log_volume(held.shape) if held.units else 0.0
        return float(torch.cat(each).mean()) - volume

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


def fixed(images: Dataset, count: int, options: TrainOptions, device: torch.device) -> Batch:
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


def condition(config: Config, images: Dataset, count: int, device: torch.device) -> Known | None:
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
