"""Conditioning by replacement of the measured part of the noisy sample."""

from pydantic import Field
from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel
from ..observations import LinearObservation
from .base import ConditionedModel, LinearConditioner, conditioners
from .replacement import Lagging, Line, OneLine


@conditioners("replace")
class Replacement(LinearConditioner):
    """∇ log p(x_t | y) ≈ ∇ log p(x_t with its measured part set to α A⁺y + σ z), the heuristic of score_sde.

    It ignores what y says about the rest of x_t, treats y as exact, and is biased at any number of steps. z is drawn
    once for each sample, so every solver can be used. The measured part of the state converges to A⁺y.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, appendices I.2 and I.3.
    """

    as_published: bool = Field(
        False, description="As in score_sde: new z at each evaluation, at the level of the one before."
    )

    def _linear(
        self, model: ScoreModel, observation: LinearObservation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        rule = (Lagging if self.as_published else OneLine)(observation, observation.pinv(y), generator)
        return ReplacedModel(model, observation, y, rule, draws="as published" if self.as_published else False)


class ReplacedModel(ConditionedModel):
    """A conditioned model that begins and ends on the line, also where y is noisy."""

    rule: Line

    def begin(self, x: Tensor) -> Tensor:
        return self.rule.begin(self.sde, super().begin(x))

    def finish(self, x: Tensor) -> Tensor:
        x = super().finish(x)
        return self.rule.put(x, self.rule.known) if self.observation.noise else x
