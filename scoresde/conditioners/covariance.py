"""Conditioning with the covariance of the data."""

from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import ConfigDict, Field, PlainSerializer
from torch import Tensor

from ..core.devices import exact
from ..core.errors import UsageError
from ..core.options import Options
from ..core.random import Generators
from ..models.base import ScoreModel
from ..models.output import Output, denoised
from ..observations import LinearObservation
from ..observations.covariance import Covariance
from ..observations.krylov import Solution
from .base import ConditionedModel, LinearConditioner, conditioners, gaussian_update, noise_variance, shifted
from .dense import Gain

CovarianceOption = Annotated[Covariance | None, PlainSerializer(lambda covariance: covariance and str(covariance))]
KindOption = Literal["auto", "none", "channel", "dct", "diagonal", "full"]


class CovarianceUser(Options):
    """Options of a method that needs the covariance of the data: the covariance itself, or the kind that is wanted."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    kind: KindOption = Field("auto", description="Which of the covariances kept with the model is used.")
    covariance: CovarianceOption = Field(None, description="The covariance itself, from `estimate`; or by its kind.")
    optional: ClassVar[bool] = False  # whether the method also works without a covariance

    def given(self, covariance: Covariance) -> Self:
        """The same with this covariance.

        Args:
            covariance: That of the data.
        """
        return type(self)(**{**dict(self), "covariance": covariance})

    def fitting(self, model: ScoreModel, y: Tensor) -> Covariance:
        """The covariance on the device of y, checked against the shape of the model's samples.

        Args:
            model: The model of p(x).
            y: The measurement, (B, *m).

        Raises:
            UsageError: There is no covariance, or it is of samples of another shape.
        """
        if self.covariance is None:
            raise UsageError(
                f"{self.name} needs that of the data: give covariance=estimate(samples), or take it from a model's "
                f"folder with stats.fitted({self.name}, MODEL, observation)"
            )
        self.covariance.check(model.shape)
        return self.covariance.to(exact(y.device))


def update(
    covariance: Covariance, observation: LinearObservation, residual: Tensor, variance: Tensor, noise: Tensor
) -> Solution:
    """`gaussian_update` with V = (Σ⁻¹ + I/variance)⁻¹; with its preconditioner some 20 products do, instead of 1,000.

    Args:
        covariance: Σ, that of the data.
        observation: What was measured, A.
        residual: y - A x̂_0, (B, *m).
        variance: σ²/α² for each row, (B,), float64.
        noise: Standard deviation of the measurement's error for each row, (B,), float64.
    """

    def near_inverse(b: Tensor) -> Tensor:
        return observation.near_inverse(b, lambda v, gain: covariance.precision(v, variance, gain, noise))

    return gaussian_update(observation, residual, noise, lambda v: covariance.posterior(v, variance), near_inverse)


@conditioners("covariance")
class CovarianceConditioner(CovarianceUser, LinearConditioner):
    """x̂_0 + V Aᵀ (σ_y² I + A V Aᵀ)⁻¹ (y - A x̂_0), V = (Σ⁻¹ + α²/σ² I)⁻¹, Σ the covariance of the data.

    Exact for normal data with this Σ; nothing to tune. Reference: Yismaw et al. 2024, https://arxiv.org/abs/2409.08906.
    """

    def _linear(
        self, model: ScoreModel, observation: LinearObservation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        covariance = self.fitting(model, y)
        gain = Gain.made(covariance, observation, y)

        def rule(model: ScoreModel, x: Tensor, t: Tensor) -> Output:
            out, variance = model.evaluate(x, t), noise_variance(model, t)
            residual = observation.residual(denoised(model.sde, x, t, out.eps), y.to(x))
            if gain is not None and (shift := gain.shift(residual, variance)) is not None:
                return shifted(model, x, t, out, shift.reshape(x.shape))
            noise = torch.full_like(variance, observation.noise)
            return shifted(model, x, t, out, update(covariance, observation, residual, variance, noise).spread)

        return ConditionedModel(model, observation, y, rule)
