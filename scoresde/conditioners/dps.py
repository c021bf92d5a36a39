"""Diffusion posterior sampling."""

import torch
from pydantic import Field
from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel
from ..models.output import Output, denoised, detached
from ..observations import Observation
from ..observations.krylov import dot
from ..sde import expand
from .base import ConditionedModel, Conditioner, conditioners, no_gradient


@conditioners("dps")
class DPS(Conditioner):
    """∇ log p(y | x_t) ≈ -r/g² ∇|y - A x̂_0(x_t)|, for any differentiable A; each sample has its own norm.

    The paper moves x by ζ ∇|...| after each of N steps. As a part of the score this is the rate r = ζ N per unit of
    time, whatever N is; the probability flow moves at half of it. Below about 2 r steps (r for the probability flow)
    a network's samples may explode. The rate is to be tuned to A, and grows with the number of measurements; for a
    linear A `covariance` has nothing to tune.

    Reference: Chung et al. 2023, https://arxiv.org/abs/2209.14687, algorithm 1.
    """

    rate: float = Field(30.0, gt=0, description="How far a sample is moved per unit of time: ζ = 0.3 at 100 steps.")

    def _condition(
        self, model: ScoreModel, observation: Observation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        def rule(model: ScoreModel, x: Tensor, t: Tensor) -> Output:
            no_gradient(self, x)
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                out = model.evaluate(x, t)
                residual = observation.residual(denoised(model.sde, x, t, out.eps), y.to(x))
                square = dot(residual, residual)
                (gradient,) = torch.autograd.grad(torch.sqrt(square.clamp_min(1e-24)).sum(), x)
            strength = self.rate * model.sde.sigma(t) / model.sde.g(t) ** 2
            out = detached(out)
            return out._replace(eps=out.eps + expand(strength, x) * gradient)

        return ConditionedModel(model, observation, y, rule)
