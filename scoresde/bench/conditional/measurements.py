"""The measurements of a problem: truths, what is measured of them, and exact draws from their posteriors."""

import dataclasses
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ...conditioners.covariance import CovarianceUser
from ...conditioners.oracle import PosteriorMixture
from ...core.random import randn, stream
from ...metrics.moments import Statistics
from ...models.gaussian import GaussianMixtureModel
from ...observations import LinearObservation
from ...observations.covariance import Covariance, Kind
from .problems import PosteriorProblem
from .spec import PosteriorSpec

EXACT = 4
"""Sets of exact draws for each measurement. Samples are compared with each, and the sets with each other."""
IMAGES = 4096
"""Draws of the prior that a covariance is estimated from, as a user has images."""
ROWS = 256
"""Exact draws at a time."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Measurements with one observation: the first has many samples, the others a few each."""

    problem: str
    """Title of the problem."""
    number: int
    """Number of the group."""
    model: GaussianMixtureModel
    """The prior."""
    observation: LinearObservation
    """How y was measured."""
    truths: Tensor
    """(1 + R, *)."""
    y: Tensor
    """(1 + R, *m): row i is measured of row i of the truths."""
    count: int
    """Samples for the first measurement."""
    seed: int
    """Seed of the exact draws."""

    def _exact(self, which: Tensor, sets: int, purpose: str) -> Tensor:
        """Exact draws for each of the chosen rows of y, (sets, B, *)."""
        parts = []
        for first in range(0, len(which), ROWS):
            law = PosteriorMixture(self.model, self.observation, self.y[which[first : first + ROWS]])
            source = stream(self.seed, purpose, self.problem, self.number, first)
            parts.append(torch.stack([law.draw(len(law.means), source) for _ in range(sets)]))
        return torch.cat(parts, 1)

    @cached_property
    def exact(self) -> Tensor:
        """Exact draws for the first measurement, (EXACT, count, *)."""
        return self._exact(torch.zeros(self.count, dtype=torch.int64), EXACT, "exact")

    @cached_property
    def others(self) -> Tensor:
        """Exact draws for each of the others, (R, EXACT, *)."""
        return self._exact(torch.arange(1, len(self.y)), EXACT, "others").movedim(0, 1)

    @cached_property
    def law(self) -> PosteriorMixture:
        """The posterior of the first measurement."""
        return PosteriorMixture(self.model, self.observation, self.y[:1])

    @cached_property
    def variance(self) -> float:
        """The trace of the covariance of that posterior."""
        weights, means = self.law.log_weights[0].exp(), self.law.means[0]
        within = weights @ self.law.variances.sum(1)
        return float(within + weights @ (means - weights @ means).square().sum(1))

    @cached_property
    def seen(self) -> int:
        """How many numbers a measurement has: the rows of A that are not 0."""
        unit = torch.eye(self.model.means.shape[1], dtype=torch.float64).reshape(-1, *self.model.shape)
        return int(self.observation.forward(unit).flatten(1).any(0).sum())


class Measurements:
    """All groups of a problem. Nothing is drawn before it is needed.

    Args:
        problem: The problem.
        spec: The benchmark.
    """

    def __init__(self, problem: PosteriorProblem, spec: PosteriorSpec) -> None:
        self.problem, self.spec = problem, spec
        self.few = spec.others // spec.measurements
        self.each = spec.count + self.few * spec.ranks
        self.identity: dict[str, Any] = {
            "problem": problem.identity(),
            **{key: getattr(spec, key) for key in ("measurements", "others", "ranks")},
        }
        self._covariances: dict[tuple[Kind, bool], Covariance] = {}

    @cached_property
    def model(self) -> GaussianMixtureModel:
        """The prior."""
        return self.problem.model()

    @cached_property
    def groups(self) -> list[Group]:
        """One for each measurement that has many samples."""
        found, spec, title = list[Group](), self.spec, self.problem.title
        for number in range(spec.measurements):
            observation, source = self.problem.observation(number), stream(spec.seed, "truths", title, number)
            truths = self.model.draw(1 + self.few, source)
            clean = observation.forward(truths)
            y = clean + observation.noise * randn(clean.shape, source, dtype=torch.float64)
            found.append(Group(title, number, self.model, observation, truths, y, spec.count, spec.seed))
        return found

    @property
    def total(self) -> int:
        """Samples of a method in all."""
        return self.spec.measurements * self.each

    def batches(self, size: int) -> Iterator[range]:
        """The numbers of the samples, in batches of one group each.

        Args:
            size: The largest number of samples in a batch.
        """
        for start in range(0, self.total, self.each):
            for first in range(start, start + self.each, size):
                yield range(first, min(first + size, start + self.each))

    def rows(self, numbers: range) -> tuple[Group, Tensor]:
        """The group of some samples, and y for each of them, (B, *m).

        Args:
            numbers: Numbers of the samples, all of one group.
        """
        group, first = divmod(numbers.start, self.each)
        place = torch.arange(first, first + len(numbers)) - self.spec.count
        return self.groups[group], self.groups[group].y[(place // self.spec.ranks + 1).clamp_min(0)]

    def split(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Samples of the first measurement of each group, (count, *) each, and those of all others, (others, ranks, *).

        Args:
            x: All samples, (total, *).
        """
        parts = torch.split(x, self.each)
        rest = [part[self.spec.count :].reshape(self.few, self.spec.ranks, *x.shape[1:]) for part in parts]
        return [part[: self.spec.count] for part in parts], torch.cat(rest)

    def covariance(self, kind: Kind, method: type[CovarianceUser] = CovarianceUser) -> Covariance:
        """Σ, estimated from draws of the prior; with their clusters, for a method that needs them.

        Args:
            kind: "channel", "dct", "diagonal" or "full".
            method: The class of the method.

        Raises:
            UsageError, DataError: As `covariance.estimate`.
        """
        if (key := (kind, method.clustered)) not in self._covariances:
            x = self.model.draw(IMAGES, stream(0, "images", self.problem.title))
            self._covariances[key] = method.estimate(x, kind)
        return self._covariances[key]

    @cached_property
    def prior(self) -> Statistics:
        """The mean and covariance of the prior, in closed form."""
        model, weights = self.model, self.model.log_weights.exp()
        mu = weights @ model.means
        offset = model.means - mu
        within = torch.einsum("k,kde,ke,kfe->df", weights, model.bases, model.variances, model.bases)
        return Statistics(mu, within + (weights * offset.T) @ offset)
