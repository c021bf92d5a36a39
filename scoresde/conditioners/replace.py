"""Conditioning by replacement of what is seen in the noisy sample."""

from abc import ABC, abstractmethod

import torch
from pydantic import Field
from torch import Tensor

from ..core.random import Generators, randn_like
from ..models.base import ScoreModel
from ..models.output import Output
from ..observations import LinearObservation
from ..sde import SDE, expand
from .base import ConditionedModel, LinearConditioner, conditioners


@conditioners("replace")
class Replacement(LinearConditioner):
    """∇ log p(x_t | y) ≈ ∇ log p(x_t with its seen part put to α A⁺y + σ z), the heuristic of score_sde.

    It leaves out what y says of the unseen part of x_t, takes y for exact, and stays biased at any number of steps.
    z is drawn once for each sample, so that any solver works. The seen part of the state goes to A⁺y. Reference: Song
    et al. 2021, https://arxiv.org/abs/2011.13456, appendices I.2 and I.3.
    """

    as_published: bool = Field(False, description="As score_sde: new z at each evaluation, at the last one's level.")

    def _linear(
        self, model: ScoreModel, observation: LinearObservation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        rule = (Lagging if self.as_published else OneLine)(observation, observation.pinv(y), generator)
        return ReplacedModel(model, observation, y, rule, draws=self.as_published)


class Line(ABC):
    """A rule that puts the seen part of x_t near the line α A⁺y + σ z before the model is evaluated."""

    def __init__(self, observation: LinearObservation, known: Tensor, generator: Generators) -> None:
        self.observation, self.known, self.generator = observation, known, generator

    def put(self, x: Tensor, seen: Tensor) -> Tensor:
        """x, (B, *), with its seen part taken from `seen`."""
        return x + self.observation.project(seen.to(x) - x)

    @abstractmethod
    def begin(self, sde: SDE, x: Tensor) -> Tensor:
        """Where a run begins, for noise x, (B, *)."""

    @abstractmethod
    def __call__(self, model: ScoreModel, x: Tensor, t: Tensor) -> Output:
        """The conditional prediction, ε being (B, *)."""


class OneLine(Line):
    """The corrected form: on the line of one z. The state's own seen part moves straight to A⁺y."""

    def __init__(self, observation: LinearObservation, known: Tensor, generator: Generators) -> None:
        super().__init__(observation, known, generator)
        self.z = randn_like(known, generator)

    def begin(self, sde: SDE, x: Tensor) -> Tensor:
        return self._onto(sde, x, torch.full((len(x),), sde.t_max, dtype=torch.float64))

    def _onto(self, sde: SDE, x: Tensor, t: Tensor) -> Tensor:
        return self.put(x, expand(sde.alpha(t), x) * self.known.to(x) + expand(sde.sigma(t), x) * self.z.to(x))

    def __call__(self, model: ScoreModel, x: Tensor, t: Tensor) -> Output:
        out, alpha, sigma = model.evaluate(self._onto(model.sde, x, t), t), model.sde.alpha(t), model.sde.sigma(t)
        straight = (x - expand(alpha, x) * self.known.to(x)) / expand(sigma, x)
        return out._replace(eps=self.put(out.eps, straight))


class Lagging(Line):
    """The published form. It remembers the time of the evaluation before; a later time than that is a new run."""

    before: Tensor | None = None

    def begin(self, sde: SDE, x: Tensor) -> Tensor:
        return self.put(x, self.known)

    def __call__(self, model: ScoreModel, x: Tensor, t: Tensor) -> Output:
        seen = self.known.to(x)
        if self.before is not None and bool((self.before >= t).all()):
            alpha, sigma = model.sde.alpha(self.before), model.sde.sigma(self.before)
            seen = expand(alpha, x) * seen + expand(sigma, x) * randn_like(x, self.generator)
        self.before = t
        return model.evaluate(self.put(x, seen), t)


class ReplacedModel(ConditionedModel):
    """A conditioned model that begins and ends on the line, also where y is noisy."""

    rule: Line

    def begin(self, x: Tensor) -> Tensor:
        return self.rule.begin(self.sde, super().begin(x))

    def finish(self, x: Tensor) -> Tensor:
        x = super().finish(x)
        return self.rule.put(x, self.rule.known) if self.observation.noise else x
