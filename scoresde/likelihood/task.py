"""The likelihood under a network trained for a task: of what is left of an image, given what it is shown."""

from typing import Any

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..models.base import ScoreModel
from ..observations.channels import given
from .flow import Likelihood, log_likelihood
from .hole import hole_likelihood


def shown(model: ScoreModel, pixels: Tensor, levels: int, known: Tensor | None) -> ScoreModel:
    """The model, given what its task shows of images, (B, C, H, W) uint8, where it was trained for one.

    That is the luma, or the known pixels, of the grey levels themselves, as in training: it does not depend on the
    noise of dequantisation, so that the mean over the noise bounds -log P(image | what is shown) from above.

    Args:
        known: Where pixels are known, (B, 1, H, W), for a network trained to inpaint.

    Raises:
        UsageError: A network trained to inpaint has no mask, or another one has.
    """
    if (known is None) == (model.condition == "inpaint"):
        needs = "needs where pixels are known" if known is None else "takes no masks: it was not trained to inpaint"
        raise UsageError(f"the likelihood of a network trained with train.condition = {model.condition} {needs}")
    if model.condition == "none":
        return model
    x0 = pixels.to(model.device).double() * (2 / (levels - 1)) - 1
    return model.given(given(model.condition, x0, None if known is None else known.to(x0.device)))


def told(pixels: Tensor, known: Tensor | None) -> Tensor:
    """How many values of each image, (B, C, H, W), are left to be told: all, or those in its hole, (B,) float64.

    Raises:
        UsageError: There is not one mask for each image, or one has no hole.
    """
    if known is None:
        return torch.full((len(pixels),), pixels[0].numel(), dtype=torch.float64)
    if known.shape != (len(pixels), 1, *pixels.shape[2:]):
        raise UsageError(f"{tuple(known.shape)} masks for images of {tuple(pixels.shape)}: give (B, 1, H, W)")
    values = pixels.shape[1] * (~known.bool()).flatten(1).sum(1).double()
    if not values.all():
        raise UsageError(f"image {int((values == 0).nonzero()[0])} has no hole, and nothing is left to be told of it")
    return values


def task_likelihood(model: ScoreModel, known: Tensor | None, x: Tensor, **options: Any) -> Likelihood:
    """`log_likelihood`, or where masks say what is known `hole_likelihood`, in nats."""
    return log_likelihood(model, x, **options) if known is None else hole_likelihood(model, known, x, **options)
