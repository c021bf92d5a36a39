"""Conditioning with the covariance of the data."""

from typing import Annotated

import torch
from pydantic import Field, PlainSerializer
from torch import Tensor

from ..covariance import Covariance
from ..krylov import Solution
from ..model import ScoreModel
from ..observations import LinearObservation, OrthogonalObservation
from ..random import Generators
from .base import (
    ConditionedModel,
    LinearConditioner,
    conditioners,
    gaussian_update,
    moved,
    noise_variance,
    predicted,
)

CovarianceOption = Annotated[Covariance, PlainSerializer(str)]


def update(
    covariance: Covariance, observation: LinearObservation, residual: Tensor, variance: Tensor, noise: Tensor
) -> Solution:
    """`gaussian_update` with V = (Σ⁻¹ + I/variance)⁻¹.

    Where the rows of A/g are orthonormal, A/g (noise² I + g² V)⁻¹ Aᵀ/g is nearly the inverse, and makes some twenty
    products enough where there would be a thousand.
    """

    def near_inverse(b: Tensor) -> Tensor:
        if not isinstance(observation, OrthogonalObservation):
            return b
        wide = covariance.precision(observation.adjoint(b), variance, observation.gain, noise)
        return observation.forward(wide) / observation.gain**2

    return gaussian_update(observation, residual, noise, lambda v: covariance.posterior(v, variance), near_inverse)


@conditioners("covariance")
class CovarianceConditioner(LinearConditioner):
    """x̂_0 + V Aᵀ (σ_y² I + A V Aᵀ)⁻¹ (y - A x̂_0), V = (Σ⁻¹ + α²/σ² I)⁻¹, Σ the covariance of the data.

    It is exact for normal data with this Σ. One evaluation, no backward pass, no strength to be tuned.

    Reference: Yismaw et al. 2024, https://arxiv.org/abs/2409.08906 (CoDPS).
    """

    covariance: CovarianceOption = Field(description="Covariance of the data, from `estimate` or a model's folder.")

    def _linear(
        self, model: ScoreModel, observation: LinearObservation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        covariance = self.covariance.to(y.device)
        covariance.check(model.shape)

        def rule(model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
            eps, variance = model.eps(x, t), noise_variance(model, t)
            residual = observation.residual(predicted(model, x, t, eps), y.to(x))
            noise = torch.full_like(variance, observation.noise)
            return moved(model, x, t, eps, update(covariance, observation, residual, variance, noise).spread)

        return ConditionedModel(model, observation, y, rule)
