"""The conditional likelihood of images under a network that was trained for a task."""

from typing import Any

import torch
from torch import Tensor

from ..core.devices import double
from ..core.errors import UsageError
from ..core.sentences import many
from ..models.base import ScoreModel
from ..models.latent import of_data
from ..observations.tasks import trained_task
from .flow import Likelihood, log_likelihood
from .hole import hole_likelihood


def shown(model: ScoreModel, pixels: Tensor, levels: int, known: Tensor | None) -> ScoreModel:
    """The model given its condition from images, if it was trained for a task.

    The condition is the luma or the known pixels of the grey levels themselves, as in training. It does not depend on
    the noise of dequantisation, so the mean over the noise bounds -log P(image | condition) from above.

    Args:
        model: The score model.
        pixels: Images, (B, C, H, W) uint8.
        levels: Grey levels of the images.
        known: Where pixels are known, (B, 1, H, W), for a network trained to inpaint.

    Raises:
        UsageError: A network trained to inpaint has no mask, or another one has.
    """
    task = trained_task(model)
    if (known is None) == task.masked:
        needs = "needs where pixels are known" if known is None else "takes no masks: it was not trained to inpaint"
        raise UsageError(f"the likelihood of a network trained with train.condition = {task} {needs}")
    if not task.conditional:
        return model
    x0 = double(pixels.to(model.device)) * (2 / (levels - 1)) - 1
    given = task.known(x0, None if known is None else known.to(x0.device))
    return model if given is None else model.bind(given)


def of_pixels(model: ScoreModel) -> None:
    """Refuses a model of other data than pictures in [-1, 1], of which there are no bits per dimension.

    Args:
        model: The score model.

    Raises:
        UsageError: It is a model of latents, or of data in units of their own.
    """
    of_data(model, "bits per dimension are those of pixels")
    if model.units is not None:
        raise UsageError(
            "bits per dimension are those of grey levels in [-1, 1], and the data of this model have units of their "
            "own: take log_likelihood"
        )


def at_a_time(model: ScoreModel, images: int, batch: int) -> int:
    """How many images are evaluated together: all, in their order, if the model is bound to one sample for each.

    Args:
        model: The score model.
        images: Number of images.
        batch: How many are evaluated together by a model that takes any.

    Raises:
        UsageError: `batch` is below 1, or the model is bound to several samples, but not to as many as there are
            images.
    """
    if batch < 1:
        raise UsageError(f"batch must be at least 1, got {batch}")
    if model.bound not in (None, 1, images):
        raise UsageError(
            f"the model is bound to {many(model.bound, 'sample')}, got {many(images, 'image')}: give one each"
        )
    return model.bound or batch


def told(pixels: Tensor, known: Tensor | None) -> Tensor:
    """How many values of each image are not known, (B,) float64: all, or those in its hole.

    Args:
        pixels: Images, (B, C, H, W).
        known: Where pixels are known, (B, 1, H, W); None if nothing is.

    Raises:
        UsageError: There is not one mask for each image, or one has no hole.
    """
    if known is None:
        return torch.full((len(pixels),), pixels[0].numel(), dtype=torch.float64)
    if known.shape != (len(pixels), 1, *pixels.shape[2:]):
        raise UsageError(f"{tuple(known.shape)} masks for images of {tuple(pixels.shape)}: give (B, 1, H, W)")
    values = pixels.shape[1] * (~known.bool()).flatten(1).sum(1).double()
    if not values.all():
        raise UsageError(f"image {int((values == 0).nonzero()[0])} has no hole: give it a mask with one")
    return values


def task_likelihood(model: ScoreModel, known: Tensor | None, x: Tensor, **options: Any) -> Likelihood:
    """`hole_likelihood` where masks are given, else `log_likelihood`, in nats.

    Args:
        model: The model, given its condition.
        known: Where pixels are known, (B, 1, H, W); None if nothing is.
        x: Images, (B, C, H, W).
        options: As `log_likelihood` takes them.
    """
    return log_likelihood(model, x, **options) if known is None else hole_likelihood(model, known, x, **options)
