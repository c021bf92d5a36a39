"""Diffusion posterior sampling."""

import logging
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from ..core.devices import like
from ..core.errors import UsageError
from ..core.random import Generators, randn, stream
from ..models.base import ScoreModel
from ..models.border import differentiable
from ..models.output import Output, denoised, detached
from ..observations import ROUNDING, Observation
from ..observations.krylov import dot
from ..observations.misfit import counted
from ..sde import expand
from .base import ConditionedModel, Conditioner, conditioners, no_gradient


@conditioners("dps")
class DPS(Conditioner):
    """∇ log p(y | x_t) ≈ -w ∇|y - A x̂_0(x_t)|, for any differentiable A; each sample has its own norm.

    The paper moves x by ζ ∇|...| after each of N steps. As a part of the score this is w = r/g² with the rate r = ζ N
    per unit of time; the probability flow moves at half of it. With fewer than about 2 r steps (r for the probability
    flow) samples may diverge. The rate needs tuning for each A, and ignores the noise σ_y. With `weight=likelihood`,
    w = |y - A x̂_0|/s² is the gradient of log N(y; A x̂_0, s² I), where s² is the mean square of y - A x̂_0, or σ_y² if
    that is larger. It needs no tuning, but s² is a poor estimate if y has few numbers. For a linear A use `covariance`,
    which needs neither tuning nor a backward pass.

    Reference: Chung et al. 2023, https://arxiv.org/abs/2209.14687, algorithm 1; equation 16 is w = |y - A x̂_0|/σ_y².
    """

    rate: float = Field(30.0, gt=0, description="Step size per unit of time; ζ = 0.3 at 100 steps.")
    weight: Literal["rate", "likelihood"] = Field("rate", description="Weight of the gradient.")

    def _condition(
        self, model: ScoreModel, observation: Observation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        differentiable(self.name)
        steep(observation, like(randn((len(y), *model.shape), stream(0, "steep")), y), y)
        numbers, noise = like(counted(observation, y).clamp_min(1), y), max(observation.noise, ROUNDING)
        if self.weight == "rate" and observation.noise > 2 * ROUNDING:
            logging.getLogger("scoresde").warning(
                "dps at a rate does not see the noise of the measurement, here %g: dps:weight=likelihood does",
                observation.noise,
            )

        def rule(model: ScoreModel, x: Tensor, t: Tensor) -> Output:
            no_gradient(self, x)
            differentiable(self.name)
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                out = model.evaluate(x, t)
                residual = observation.residual(denoised(model.sde, x, t, out.eps), y.to(x))
                square = dot(residual, residual)
                (gradient,) = torch.autograd.grad(torch.sqrt(square.clamp_min(1e-24)).sum(), x)
            weight, square = self.rate / model.sde.g(t) ** 2, square.detach()
            if self.weight == "likelihood":
                weight = torch.sqrt(square) / (square / numbers.to(square)).clamp_min(noise**2)
            out = detached(out)
            return out._replace(eps=out.eps + expand(weight * model.sde.sigma(t), x) * gradient)

        return ConditionedModel(model, observation, y, rule)


def steep(observation: Observation, x: Tensor, y: Tensor) -> None:
    """Checks that a measurement has a gradient, without which samples would be those of p(x).

    Args:
        observation: The measurement.
        x: Any samples, (B, *).
        y: Their measurement, (B, *m).

    Raises:
        UsageError: It has none.
    """
    with torch.enable_grad():
        square = observation.residual(x.requires_grad_(), y).square().sum()
        (slope,) = torch.autograd.grad(square, x) if square.requires_grad else (torch.zeros_like(x),)
    if bool(square > 0) and not bool(slope.any()):
        raise UsageError(
            "dps follows the gradient of the measurement, and this one has none, as that of round, sign or a "
            "threshold: give a smooth function near it, with the difference as its noise: 1/√12 of a step of round"
        )
