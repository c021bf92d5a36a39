"""Conditioning with the covariance that the model itself predicts."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from ..core.devices import double, like
from ..core.random import Generators
from ..models.base import ScoreModel
from ..models.border import differentiable
from ..models.output import Output, denoised, detached
from ..observations import LinearObservation
from ..observations.krylov import conjugate_gradients, gmres
from ..sde import expand
from .base import ConditionedModel, LinearConditioner, conditioners, no_gradient, noise_variance, shifted
from .correction import update
from .covariance import CovarianceUser


@conditioners("moment")
class MomentConditioner(CovarianceUser, LinearConditioner):
    """x̂_0 + V Aᵀ (s² I + A V Aᵀ)⁻¹ (y - A x̂_0), V = Cov[x_0 | x_t] = σ²/α ∂x̂_0/∂x_t, by Tweedie's second formula.

    Products with V are backward passes; an iterative method takes `products` of them. s² is σ_y² + error² σ²/α²,
    because an error of ε is an error of σ/α times as much in x̂_0. Without this term the correction diverges where the
    network predicts too small a variance. An exact score has `error` 0 and a symmetric V, for which `cg` needs the
    fewest products; the derivative of a network is not symmetric, so use `gmres`. The covariance of the data, if there
    is one, is the preconditioner.

    Reference: Rozet et al. 2024, https://arxiv.org/abs/2405.13712 (MMPS).
    """

    optional: ClassVar[bool] = True
    products: int = Field(1, ge=1, description="Backward passes for each evaluation.")
    method: Literal["cg", "gmres"] = Field("gmres", description="Iterative method: for a symmetric V, or for any.")
    error: float = Field(0.1, ge=0, le=10, description="Root mean square error of the model's ε; 0 for an exact score.")

    def _linear(
        self, model: ScoreModel, observation: LinearObservation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        covariance = self.covariance and self.fitting(model, y)
        solve = gmres if self.method == "gmres" else conjugate_gradients

        def rule(model: ScoreModel, x: Tensor, t: Tensor) -> Output:
            no_gradient(self, x)
            differentiable(self.name)
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                out = model.evaluate(x, t)
                x0 = denoised(model.sde, x, t, out.eps)
            variance = noise_variance(model, t)
            noise = torch.sqrt(observation.noise**2 + self.error**2 * variance)
            scale = variance * model.sde.alpha(t)  # σ²/α

            def spread(p: Tensor) -> Tensor:
                (pulled,) = torch.autograd.grad(x0, x, like(observation.adjoint(p), x0), retain_graph=True)
                wide = double(pulled)
                return expand(scale, wide) * wide

            def precondition(b: Tensor) -> Tensor:
                return b if covariance is None else update(covariance, observation, b, variance, noise).u

            found = solve(
                spread,
                lambda p, wide: observation.forward(wide) + expand(noise**2, p) * p,
                double(observation.residual(x0.detach(), y.to(x))),
                products=self.products,
                precondition=precondition,
            )
            return shifted(model, x.detach(), t, detached(out), found.spread)

        return ConditionedModel(model, observation, y, rule)
