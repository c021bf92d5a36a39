"""The likelihood of a hole given the rest of the image."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..models.base import ScoreModel, WrapperModel
from ..models.output import Output
from ..sde import expand
from .flow import Likelihood, log_likelihood


class GaussianKnownPixels(WrapperModel):
    """A model that takes N(0, 1) for the law of its known pixels, so that the flow of x/√(α² + σ²) does not change
    them.

    Args:
        model: The model of the images.
        known: (1, 1, H, W) or (B, 1, H, W), bool.
    """

    def __init__(self, model: ScoreModel, known: Tensor) -> None:
        super().__init__(model)
        self.known = known

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        out = self.model.evaluate(x, t, classes)
        sigma, variance = expand(self.sde.sigma(t), x), expand(self.sde.scale(t) ** 2, x)
        return out._replace(eps=torch.where(self.known.to(x.device), sigma / variance * x, out.eps))


def hole_likelihood(model: ScoreModel, known: Tensor, x: Tensor, **options: Any) -> Likelihood:
    """log p_eps(x in the hole | x around it), in nats.

    The model must use the known pixels by itself, as one that is conditioned by `trained` does: then the hole does not
    depend on the state of the known pixels, nor they on the hole. The known pixels get the law N(0, 1). Their
    contribution to log p is then known, and is subtracted. The correction to t = 0 would mix both parts, so it is NaN.

    Args:
        model: The model, given the known pixels.
        known: Where pixels are known, (1, 1, H, W) or (B, 1, H, W), bool.
        x: Images, (B, C, H, W).
        options: As `log_likelihood` takes them.

    Raises:
        UsageError, NumericalError: As `log_likelihood`.
    """
    known = known.bool()
    found = log_likelihood(GaussianKnownPixels(model, known), x, **options)
    sde, mask = model.sde, known.to(found.latent).expand_as(found.latent)
    ends = torch.tensor([options.get("eps", 1e-5), sde.t_max], dtype=torch.float64)
    stretch = math.log(float(sde.scale(ends[1:]) / sde.scale(ends[:1])))
    each = -0.5 * (found.latent / sde.prior_std) ** 2 - math.log(sde.prior_std) - 0.5 * math.log(2 * math.pi)
    prior = (each * mask).flatten(1).sum(1)
    divergence = stretch * mask.flatten(1).sum(1)
    return replace(
        found,
        log_prob=found.log_prob - prior - divergence,
        prior=found.prior - prior,
        divergence=found.divergence - divergence,
        correction=torch.full_like(prior, torch.nan),
    )
