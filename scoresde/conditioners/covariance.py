"""Conditioning with the covariance of the data."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, PlainSerializer
from torch import Tensor

from ..core.devices import exact
from ..core.errors import UsageError
from ..core.options import Options
from ..core.random import Generators
from ..models.base import ScoreModel
from ..models.output import Output, denoised
from ..observations import LinearObservation
from ..observations.covariance import Covariance, Kind, estimate
from ..observations.mixture import Mixture, clustered
from .base import ConditionedModel, LinearConditioner, conditioners, noise_variance, shifted
from .correction import correction

CovarianceOption = Annotated[Covariance | None, PlainSerializer(lambda covariance: covariance and str(covariance))]
KindOption = Literal["auto", "none", "channel", "dct", "diagonal", "full"]


class CovarianceUser(Options):
    """Options of a method that needs the covariance of the data: the covariance itself, or the kind that is wanted."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    kind: KindOption = Field("auto", description="Form of the covariance stored with the model.")
    covariance: CovarianceOption = Field(None, description="A covariance from `estimate`, in place of the stored one.")
    optional: ClassVar[bool] = False  # whether the method also works without a covariance
    clustered: ClassVar[bool] = False  # whether it is that within the clusters of the data

    @classmethod
    def estimate(cls, samples: Tensor, kind: Kind | None = None) -> Covariance:
        """The covariance of data, with their clusters if the method needs these.

        Args:
            samples: Draws of the data, (N, *).
            kind: The kind of the covariance; by default `usual` for the shape.
        """
        return clustered(samples, kind=kind) if cls.clustered else estimate(samples, kind)

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
        made = "clustered" if self.clustered else "estimate"
        if self.covariance is None:
            raise UsageError(
                f"{self.name} needs that of the data: give covariance={made}(samples), or take it from a model's "
                f"folder with stats.fitted({self.name}, MODEL, observation)"
            )
        if isinstance(self.covariance, Mixture) != self.clustered:
            raise UsageError(f"{self.name} does not take the {self.covariance}: give covariance={made}(samples)")
        self.covariance.check(model.shape)
        return self.covariance.to(exact(y.device))


@conditioners("covariance")
class CovarianceConditioner(CovarianceUser, LinearConditioner):
    """x̂_0 + V Aᵀ (σ_y² I + A V Aᵀ)⁻¹ (y - A x̂_0), V = (Σ⁻¹ + α²/σ² I)⁻¹, Σ the covariance of the data.

    Exact for normal data with this Σ; nothing to tune. Reference: Yismaw et al. 2024, https://arxiv.org/abs/2409.08906.
    """

    def _linear(
        self, model: ScoreModel, observation: LinearObservation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        covariance = self.fitting(model, y)
        correct = correction(covariance, observation, y)

        def rule(model: ScoreModel, x: Tensor, t: Tensor) -> Output:
            out, variance = model.evaluate(x, t), noise_variance(model, t)
            residual = observation.residual(denoised(model.sde, x, t, out.eps), y.to(x))
            return shifted(model, x, t, out, correct(residual, variance))

        return ConditionedModel(model, observation, y, rule)
