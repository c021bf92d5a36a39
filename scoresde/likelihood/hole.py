"""The likelihood of what fills a hole, given what is around it."""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..models.base import ScoreModel
from ..sde import expand
from .flow import Likelihood, log_likelihood, scale


class GaussianKnownPixels(ScoreModel):
    """A model whose known pixels are as if their law were N(0, 1), so that the flow of x/√(α² + σ²) leaves them alone.

    Args:
        known: (1, 1, H, W) or (B, 1, H, W), bool.
    """

    def __init__(self, model: ScoreModel, known: Tensor) -> None:
        super().__init__()
        self.model, self.known = model, known
        self.sde, self.shape, self.draws = model.sde, model.shape, model.draws

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        sigma, variance = expand(self.sde.sigma(t), x), expand(scale(self.sde, t) ** 2, x)
        return torch.where(self.known.to(x.device), sigma / variance * x, self.model.eps(x, t))


def hole_likelihood(model: ScoreModel, known: Tensor, x: Tensor, **options: Any) -> Likelihood:
    """log p_eps(x in the hole | x around it), in nats, for x (B, C, H, W).

    The model must know the pixels by itself, as one that is conditioned by `trained` does: then neither does the hole
    depend on the state of the known pixels, nor they on it. With N(0, 1) for their law they add to log p what is
    known, and is taken off. The correction to t = 0 is that of the hole and of N(0, 1), and so not given.

    Args:
        known: Where pixels are known, (1, 1, H, W) or (B, 1, H, W), bool.
        options: As `log_likelihood` takes them.

    Raises:
        UsageError, NumericalError: As `log_likelihood`.
    """
    known = known.bool()
    found = log_likelihood(GaussianKnownPixels(model, known), x, **options)
    sde, mask = model.sde, known.to(found.latent).expand_as(found.latent)
    ends = torch.tensor([options.get("eps", 1e-5), sde.t_max], dtype=torch.float64)
    stretch = math.log(float(scale(sde, ends[1:]) / scale(sde, ends[:1])))
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
