"""The values to which `replace` sets the measured part of a noisy sample."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ..core.random import Generators, randn_like
from ..models.base import ScoreModel
from ..models.output import Output
from ..observations import LinearObservation
from ..sde import SDE, expand


class Line(ABC):
    """A rule that puts the seen part of x_t near the line α A⁺y + σ z before the model is evaluated.

    Args:
        observation: What y was measured with.
        known: A⁺y, (B, *).
        generator: Source of z.
    """

    def __init__(self, observation: LinearObservation, known: Tensor, generator: Generators) -> None:
        self.observation, self.known, self.generator = observation, known, generator

    def put(self, x: Tensor, seen: Tensor) -> Tensor:
        """x, (B, *), with its seen part taken from `seen`.

        Args:
            x: States, (B, *).
            seen: Where the seen part comes from, (B, *).
        """
        return x + self.observation.project(seen.to(x) - x)

    @abstractmethod
    def begin(self, sde: SDE, x: Tensor) -> Tensor:
        """Where a run begins, for noise x, (B, *).

        Args:
            sde: The process.
            x: Noise at the end of the process, (B, *).
        """

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
    """The published form: new z at each evaluation, at the level of the one before.

    It remembers that level. Where the time goes up, as in a step that is tried again, the level is the row's own; at
    the end of the process, where runs begin, it is A⁺y itself.
    """

    before: Tensor | None = None

    def begin(self, sde: SDE, x: Tensor) -> Tensor:
        return self.put(x, self.known)

    def __call__(self, model: ScoreModel, x: Tensor, t: Tensor) -> Output:
        seen, begins = self.known.to(x), t >= model.sde.t_max
        if not bool(begins.all()):
            level = t if self.before is None else torch.maximum(self.before, t)
            alpha, sigma = expand(model.sde.alpha(level), x), expand(model.sde.sigma(level), x)
            drawn = alpha * seen + sigma * randn_like(x, self.generator)
            seen = torch.where(expand(begins, x).bool(), seen, drawn)
        self.before = t
        return model.evaluate(self.put(x, seen), t)
