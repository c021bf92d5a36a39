"""The variational bound of many images: means of its terms, in batches."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.random import stream
from ..data import Images
from ..models.base import ScoreModel
from .steps import Variance
from .task import at_a_time, of_pixels
from .vlb import chain, vlb


@dataclass(frozen=True)
class Bound:
    """The variational bound on -log₂ P(x)/D, in bits/dim, as means over images."""

    value: float
    """Prior, diffusion and decoder together."""
    standard_error: float
    """Of `value` as an estimate for the law the images come from; NaN for one image."""
    prior: float
    """Of L_N, the noise at the end of the chain."""
    diffusion: float
    """Of the steps between, together."""
    decoder: float
    """Of L_0, the last step, to whole grey levels."""
    by_step: tuple[float, ...]
    """The parts of `diffusion`, the step next to the data first, (N - 1,)."""
    nfe: int
    """Evaluations of the model: N."""


def mean_vlb(
    model: ScoreModel,
    images: Images,
    steps: int,
    *,
    variance: Variance = "small",
    known: Tensor | None = None,
    seed: int = 0,
    batch: int = 64,
    progress: Callable[[int], object] = lambda rows: None,
) -> Bound:
    """The bound of `vlb` on the chain that the model's process makes of `steps` noise levels, a mean over images.

    Args:
        model: A model of images of this shape.
        images: The images.
        steps: Noise levels N of the chain, see `chain`.
        variance: "small", "large" or "learned", as for `vlb`.
        known: Where the pixels of each image are known, (N, 1, H, W), for a network trained to inpaint.
        seed: With an image's number, what its noise is a function of.
        batch: Images at a time.
        progress: Called with the number of rows after each step of a batch; there are len(images) · steps in all.

    Raises:
        DataError, UsageError: As `vlb` and `chain`.
    """
    of_pixels(model)
    batch = at_a_time(model, len(images), batch)
    alphas_cumprod, parts = chain(model.sde, steps), []
    for first in range(0, len(images), batch):
        part = slice(first, first + batch)
        pixels = images.pixels[part]
        parts.append(
            vlb(
                model,
                pixels,
                levels=images.levels,
                known=None if known is None else known[part],
                alphas_cumprod=alphas_cumprod,
                variance=variance,
                generator=[stream(seed, "vlb", first + i) for i in range(len(pixels))],
                progress=progress,
            )
        )
    each = torch.cat([part.total for part in parts])
    by_step = torch.cat([part.diffusion for part in parts], dim=1).mean(1)
    return Bound(
        value=each.mean().item(),
        standard_error=each.std().item() / math.sqrt(len(each)) if len(each) > 1 else math.nan,
        prior=torch.cat([part.prior for part in parts]).mean().item(),
        diffusion=by_step.sum().item(),
        decoder=torch.cat([part.decoder for part in parts]).mean().item(),
        by_step=tuple(by_step.tolist()),
        nfe=parts[0].nfe,
    )
