"""Conditioning by projection of the denoised sample."""

import torch
from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel
from ..models.output import Output, denoised
from ..observations import LinearObservation
from ..observations.cosine import filtered
from ..sde import expand
from .base import ConditionedModel, LinearConditioner, conditioners, gaussian_update, noise_variance, shifted


def isotropic_update(observation: LinearObservation, residual: Tensor, variance: Tensor) -> Tensor:
    """v Aᵀ (σ_y² I + v A Aᵀ)⁻¹ residual, (B, *), what a measurement adds to the mean of N(x, v I), v (B,).

    Without noise it is A⁺ residual.

    Args:
        observation: What was measured, A and σ_y.
        residual: y - A x, (B, *m).
        variance: v, (B,), float64.
    """
    if not observation.noise:
        return observation.pinv(residual)
    noise = torch.full_like(variance, observation.noise)

    def precision(v: Tensor, gain: float | Tensor) -> Tensor:
        if not isinstance(gain, Tensor):
            return v  # a system that is solved in one product as it is
        spread = gain**2 * variance.reshape(-1, 1, 1, 1).to(gain) + observation.noise**2
        return filtered(v, 1 / spread)

    return gaussian_update(
        observation,
        residual,
        noise,
        lambda v: expand(variance, v) * v,
        lambda b: observation.near_inverse(b, precision),
    ).spread


@conditioners("projection")
class Projection(LinearConditioner):
    """x̂_0 + A⁺ (y - A x̂_0): the denoised sample, in which the measured part is replaced by y. A baseline.

    With noise it is x̂_0 + v Aᵀ (σ_y² I + v A Aᵀ)⁻¹ (y - A x̂_0), v = σ²/α². Both are `covariance` for data of infinite
    variance, where the measured part carries no information about the rest. For other data it is biased.

    Reference: Wang et al. 2023, https://arxiv.org/abs/2212.00490 (DDNM).
    """

    def _linear(
        self, model: ScoreModel, observation: LinearObservation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        def rule(model: ScoreModel, x: Tensor, t: Tensor) -> Output:
            out, variance = model.evaluate(x, t), noise_variance(model, t)
            residual = observation.residual(denoised(model.sde, x, t, out.eps), y.to(x))
            return shifted(model, x, t, out, isotropic_update(observation, residual, variance))

        return ConditionedModel(model, observation, y, rule)
