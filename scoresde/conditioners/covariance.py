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
KindOption = Literal["auto", "none", "channel", "dct", "full"]


class CovarianceUser(Options):
    """Options of what needs the covariance of the data, given as such or by the kind that is wanted."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    kind: KindOption = Field("auto", description="Which of the covariances kept with the model is used.")
    covariance: CovarianceOption = Field(None, description="The covariance itself, from `estimate`; or by its kind.")

    optional: ClassVar[bool] = False
    """Whether it also works without."""

    def given(self, covariance: Covariance) -> Self:
        """The same with this covariance."""
        return type(self)(**{**dict(self), "covariance": covariance})

    def fitting(self, model: ScoreModel, y: Tensor) -> Covariance:
        """The covariance, on the device of y, after a look whether it is that of the model's samples.

        Raises:
            UsageError: It is missing, or that of samples of another shape.
        """
        if self.covariance is None:
            raise UsageError(
                f"{self.name} needs that of the data: give covariance=estimate(images), or take it from a model's "
                f"folder with stats.fitted({self.name}, MODEL, observation)"
            )
        self.covariance.check(model.shape)
        return self.covariance.to(exact(y.device))


def update(
    covariance: Covariance, observation: LinearObservation, residual: Tensor, variance: Tensor, noise: Tensor
) -> Solution:
    """`gaussian_update` with V = (Σ⁻¹ + I/variance)⁻¹.

    The preconditioner, the observation's `near_inverse`, makes some twenty products enough where there would be a
    thousand.
    """

    def near_inverse(b: Tensor) -> Tensor:
        return observation.near_inverse(b, lambda v, gain: covariance.precision(v, variance, gain, noise))

    return gaussian_update(observation, residual, noise, lambda v: covariance.posterior(v, variance), near_inverse)


@conditioners("covariance")
class CovarianceConditioner(CovarianceUser, LinearConditioner):
    """x̂_0 + V Aᵀ (σ_y² I + A V Aᵀ)⁻¹ (y - A x̂_0), V = (Σ⁻¹ + α²/σ² I)⁻¹, Σ the covariance of the data.

    It is exact for normal data with this Σ. One evaluation, no backward pass, no strength to be tuned.

    Reference: Yismaw et al. 2024, https://arxiv.org/abs/2409.08906 (CoDPS).
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
