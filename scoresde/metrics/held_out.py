"""The distance of a model's samples from held-out images of its data set."""

from pathlib import Path

import torch
from torch import Tensor

from ..core.random import generators
from ..data.recipes import images_of
from ..images import sheets
from ..models.base import ScoreModel
from ..models.latent import decoded
from ..models.record import recipe
from ..sampling.progress import ProgressBar, progress_bar
from ..sampling.sample import sample
from ..solvers.unipc import UniPC
from .base import Estimate, Metric

BATCH = 64
"""Samples that are drawn at a time."""


def held_out(name: str | Path, metric: Metric, count: int, *, progress: bool | None = False) -> Tensor:
    """The held-out images with which samples of a model are compared, (N, C, H, W) uint8.

    Args:
        name: The model: a run, a model folder or a bundled name.
        metric: What compares them.
        count: Number of samples.
        progress: As for `distance`, while the images are read.

    Raises:
        UsageError: The model does not say what it was trained on, or the metric takes other numbers of samples.
        DataError: The metric cannot be measured on such images.
    """
    with progress_bar(None, progress, desc="reading images", delay=1):
        _, found = images_of(recipe(name), str(name), None, "test")
        real = sheets.to_uint8(found.scaled())
    metric.check(count, found.shape, real)
    return real


def distance(model: ScoreModel, metric: Metric, count: int, real: Tensor, *, progress: bool | None = False) -> Estimate:
    """The distance of samples from the seeds 0, 1, ..., by unipc in 10 steps, from real images.

    Args:
        model: A model of p(x).
        metric: What compares them; of several figures that it gives, the first.
        count: Number of samples.
        real: Real images, (N, C, H, W) uint8, as from `held_out`.
        progress: Whether a bar is shown, or lines; None shows a bar in a terminal or notebook, else lines.

    Raises:
        NumericalError: A sample is not finite.
    """
    parts = []
    with progress_bar(count, progress, desc="distance") as bar:
        watch = ProgressBar(model.sde, bar)
        for first in range(0, count, BATCH):
            sources = generators(range(first, min(first + BATCH, count)))
            x = model.prior(sources)
            found = sample(model, UniPC(steps=10), x, generator=sources, observers=(watch,))
            parts.append(decoded(model, found.x))
            watch.finish(len(x))
        bar.set_postfix_str(metric.name)
        return metric.measure(sheets.to_uint8(torch.cat(parts)), real.to(model.device))[0]
