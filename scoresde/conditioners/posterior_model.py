"""Conditioned models of the public API: each batch is bound to its own measurements and seeds."""

from collections.abc import Callable, Sequence

from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel, WrapperModel
from ..models.latent import data_shape
from ..observations import Observation, Pixels, Stacked
from ..observations.decoded import Decoded
from ..observations.rescaled import rescaled
from .base import ConditionedModel, Conditioner


class PosteriorModel(WrapperModel):
    """The model of p(x | y) for B measurements, which can be bound again to others of its rows, as sampling does.

    As it stands it is bound to one sample for each measurement, and what its conditioner draws comes from torch's
    global generator. The measurement is one of data in their own units, and the model is in those of its network, as
    every model is. What is measured of a model of latents are pictures.

    Args:
        conditioner: How y is imposed.
        prior: The model of p(x).
        observation: What y was measured with, of data in their own units.
        y: (B, *m).

    Raises:
        UsageError: y is not finite or not a measurement of the model's samples, or the method is not made for it.
    """

    def __init__(self, conditioner: Conditioner, prior: ScoreModel, observation: Observation, y: Tensor) -> None:
        measured = observation.of_shape(data_shape(prior))
        measured.check(y, data_shape(prior))
        seen, inner = rescaled(measured, y, prior.units, prior.shape)
        if prior.autoencoder is not None:
            seen = Decoded(measured, prior.autoencoder)
        super().__init__(conditioner.condition(prior, seen, inner))
        self.conditioner, self.observation, self.y = conditioner, seen, inner
        self.unconditional, self.measured = prior, (measured, y)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.conditioner, self.unconditional, *self.measured)  # what is bound to y is made anew

    def of_rows(
        self, rows: Sequence[int], generator: Generators, change: Callable[[ScoreModel], ScoreModel]
    ) -> ConditionedModel:
        """The model of p(x | y) for some samples, of which number i has the measurement i mod B.

        Args:
            rows: Their numbers.
            generator: Source of the conditioner's own noise, one for each of them.
            change: Puts something around the model of p(x).
        """
        own = [row % len(self.y) for row in rows]
        return self.conditioner.condition(
            change(self.unconditional), self.observation.of_rows(own), self.y[own], generator
        )

    def written(self, x: Tensor, rows: Sequence[int]) -> Tensor:
        """Samples as data, in their own units, (B, *), with the entries that are known exactly bit for bit as in y.

        Args:
            x: The samples.
            rows: Their numbers, as for `of_rows`.
        """
        observation, y = self.measured
        if not isinstance(observation, Pixels | Stacked) and self.autoencoder is None:
            return x  # the network's units have it written to their rounding
        own = [row % len(y) for row in rows]
        return observation.of_rows(own).write(x, y[own].to(x))


def posterior_model(model: ScoreModel) -> PosteriorModel | None:
    """The posterior model that a model is, or that is inside it.

    Args:
        model: Any model.
    """
    inner = posterior_model(model.model) if isinstance(model, WrapperModel) else None
    return model if isinstance(model, PosteriorModel) else inner


def of_rows(
    model: ScoreModel, rows: Sequence[int], generator: Generators, change: Callable[[ScoreModel], ScoreModel]
) -> ScoreModel:
    """The model of some samples: with a posterior model inside it, bound to their measurements, or else as it is.

    Args:
        model: Any model.
        rows: The numbers of the samples.
        generator: Source of a conditioner's noise, one for each of them.
        change: Puts something around the model of p(x), inside the condition: guidance, clipping.
    """
    if isinstance(model, PosteriorModel):
        return model.of_rows(rows, generator, change)
    if isinstance(model, WrapperModel) and posterior_model(model):
        return model.around(of_rows(model.model, rows, generator, change))
    return change(model)
