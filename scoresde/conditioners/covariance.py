"""Conditioning with the covariance of the data."""

from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, PlainSerializer
from torch import Tensor

from ..covariance import Covariance
from ..errors import UsageError
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

CovarianceOption = Annotated[Covariance | None, PlainSerializer(lambda covariance: covariance and str(covariance))]
KindOption = Literal["auto", "none", "channel", "dct", "full"]


class CovarianceUser(LinearConditioner):
    """Base of conditioners that need the covariance of the data, given as such or by the kind that is wanted."""

    kind: KindOption = Field("auto", description="Which of the covariances kept with the model is used.")
    covariance: CovarianceOption = Field(None, description="The covariance itself, from `estimate`; or by its kind.")

    optional: ClassVar[bool] = False
    """Whether it also works without."""

    def given(self, covariance: Covariance) -> Self:
        """The same conditioner with this covariance."""
        return type(self)(
            **{**{name: getattr(self, name) for name in type(self).model_fields}, "covariance": covariance}
        )


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
class CovarianceConditioner(CovarianceUser):
    """x̂_0 + V Aᵀ (σ_y² I + A V Aᵀ)⁻¹ (y - A x̂_0), V = (Σ⁻¹ + α²/σ² I)⁻¹, Σ the covariance of the data.

    It is exact for normal data with this Σ. One evaluation, no backward pass, no strength to be tuned.

    Reference: Yismaw et al. 2024, https://arxiv.org/abs/2409.08906 (CoDPS).
    """

    def _linear(
        self, model: ScoreModel, observation: LinearObservation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        if self.covariance is None:
            raise UsageError(
                "covariance needs that of the data: give covariance=estimate(images), or take it from a model's folder "
                "with stats.fitted(conditioner, MODEL, observation)"
            )
        covariance = self.covariance.to(y.device)
        covariance.check(model.shape)

        def rule(model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
            eps, variance = model.eps(x, t), noise_variance(model, t)
            residual = observation.residual(predicted(model, x, t, eps), y.to(x))
            noise = torch.full_like(variance, observation.noise)
            return moved(model, x, t, eps, update(covariance, observation, residual, variance, noise).spread)

        return ConditionedModel(model, observation, y, rule)
