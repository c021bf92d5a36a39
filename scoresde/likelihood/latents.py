"""The likelihood under a model of latents: of the latents of images, not of the images."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..core.errors import DataError, UsageError
from ..core.random import stream
from ..data import Images
from ..models.base import Observer, ScoreModel
from ..models.latent import data_shape
from ..solvers import Solver
from .divergence import Divergence
from .flow import log_likelihood
from .task import at_a_time


@dataclass(frozen=True)
class LatentNLL:
    """-log p(z)/d of the latents z of some images, in nats per number of a latent, as a mean over images and draws.

    It is a density of latents in the units of the network. It bounds no -log P(x) of the images, and is not to be
    compared with that of a model with another autoencoder, or with bits per dimension.
    """

    value: float
    """The mean over images and draws."""
    standard_error: float
    """Of `value` as an estimate for the law the images come from; NaN for one image."""
    from_probes: float
    """The part of it that more probes would lower: 0 if exact, NaN for a single probe."""
    images: int
    """Number of images."""
    draws: int
    """Latents of each."""
    nfe: float
    """Evaluations of the model, mean over the batches."""
    vjps: float
    """Vector-Jacobian products, mean over the batches."""
    seconds: float
    """Wall-clock time of all batches, without that of the encoder."""


def latent_nll(
    model: ScoreModel,
    images: Images,
    *,
    draws: int = 1,
    solver: Solver | None = None,
    divergence: Divergence | None = None,
    eps: float = 1e-5,
    seed: int = 0,
    batch: int = 64,
    observers: tuple[Observer, ...] = (),
    progress: Callable[[int], object] = lambda rows: None,
) -> LatentNLL:
    """-log p(z)/d in nats per number, for latents z that the encoder draws for each image.

    Draw k of image i depends on (seed, i, k) alone; where the encoder gives one latent for an image, all draws are it.

    Args:
        model: A model of latents.
        images: The images.
        draws: Latents of each image.
        solver: As for `log_likelihood`.
        divergence: As for `log_likelihood`.
        eps: As for `log_likelihood`.
        seed: Seed of the encoder's draws and of the probes.
        batch: Rows at a time.
        observers: Called with (x, t, eps) after each evaluation of the model.
        progress: Called with the number of rows after each batch; there are N · draws rows.

    Raises:
        DataError: The images are not those that the encoder takes.
        UsageError: The model is not one of latents, or `draws` or `batch` is not allowed.
        NumericalError: As `log_likelihood`.
    """
    if model.autoencoder is None:
        raise UsageError("this model is one of data, not of latents: nll gives its bits per dimension")
    if images.shape != data_shape(model):
        raise DataError(f"the encoder takes images of shape {data_shape(model)}, got {images.shape}")
    if draws < 1:
        raise UsageError(f"draws must be at least 1, got {draws}")
    batch = at_a_time(model, len(images), batch)
    jobs = [(i, k) for k in range(draws) for i in range(len(images))]
    parts = []
    for first in range(0, len(jobs), batch):
        chosen = jobs[first : first + batch]
        x = images.scaled(torch.tensor([i for i, _ in chosen])).to(model.device)
        z = model.autoencoder.encode(x, [stream(seed, "encode", i, k) for i, k in chosen])
        probes = [stream(seed, "probes", i, k) for i, k in chosen]
        parts.append(
            log_likelihood(
                model, z, solver=solver, divergence=divergence, eps=eps, generator=probes, observers=observers
            )
        )
        progress(len(chosen))
    log_prob, errors = (
        torch.cat([getattr(part, name) for part in parts]).cpu() for name in ("log_prob", "standard_error")
    )
    size = math.prod(model.shape)
    by_image = -log_prob.reshape(draws, -1).mean(0) / size
    return LatentNLL(
        value=float(by_image.mean()),
        standard_error=math.sqrt(float(by_image.var()) / len(images)) if len(images) > 1 else math.nan,
        from_probes=math.sqrt(float((errors / size).square().mean()) / len(jobs)),
        images=len(images),
        draws=draws,
        nfe=sum(part.nfe for part in parts) / len(parts),
        vjps=sum(part.vjps for part in parts) / len(parts),
        seconds=sum(part.seconds for part in parts),
    )
