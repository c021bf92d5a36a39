"""A problem under benchmark with one method: samples of every measurement, judged by exact ones."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

from ...conditioners import Conditioner
from ...conditioners.covariance import CovarianceUser
from ...core.options import Options
from ...core.random import Generators, generators
from ...metrics.base import Estimate
from ...models.base import Observer, ScoreModel
from ...models.gaussian import GaussianMixtureModel
from ...observations import LinearObservation
from ...posterior import PosteriorSampler
from ...sampling.sample import Samples, sample
from ..cells import changed
from ..subject import Subject, Tool, foreign
from .judge import Judge, judged
from .measurements import Measurements
from .spec import PosteriorMethod

T = TypeVar("T", bound=Options)


class JudgedMeasurements(Measurements):
    """The measurements of a problem with their judges, which all methods share; nothing is made before it is needed."""

    @cached_property
    def judges(self) -> list[Judge]:
        """One for each group."""
        return [Judge(group) for group in self.groups]


class PosteriorSubject(Subject):
    """The model of a problem, conditioned on its measurements in one way, on the CPU.

    Args:
        measurements: Those of the problem.
        method: The method.
    """

    def __init__(self, measurements: JudgedMeasurements, method: PosteriorMethod) -> None:
        self.name, self.spec = measurements.problem.title, measurements.spec
        self.measurements, self.method, self.denoise = measurements, method, method.denoise
        self.identity = measurements.identity
        self.around = method.model_dump(mode="json", exclude={"solver", "on"}) | foreign(measurements.problem, method)
        if isinstance(method.conditioner, Conditioner):
            believed = f"as {method.believed.name}" if method.believed else ""
            self.conditioner = " ".join(filter(None, (method.conditioner.name, changed(method.conditioner), believed)))
        elif method.conditioner:
            self.conditioner = "unconditional"

    @cached_property
    def model(self) -> GaussianMixtureModel:  # type: ignore[override]
        """The prior, which is fitted to its images when it is first needed."""
        return self.measurements.model

    @property
    def count(self) -> int:
        return self.measurements.total

    def batches(self, size: int) -> Iterator[range]:
        first = self.spec.seed
        for numbers in self.measurements.batches(size):
            yield range(first + numbers.start, first + numbers.stop)

    def conditioned(self, observation: LinearObservation, y: Tensor, source: Generators) -> ScoreModel:
        """The model of p(x | y) by the method's conditioner.

        Args:
            observation: How y was measured.
            y: (B, *m).
            source: One generator per row.

        Raises:
            UsageError: The method is not made for the problem.
        """
        conditioner, believed = self.method.conditioner, self.method.believed
        if not isinstance(conditioner, Conditioner):
            return self.model
        if believed is not None:
            observation = believed.model_copy(update={"noise": observation.noise})
        return self.fitted(conditioner).condition(self.model, observation, y, source)

    def fitted(self, method: T) -> T:
        """A conditioner or sampler with the covariance that its option `kind` names; `auto` is `full`.

        Args:
            method: The conditioner or sampler.
        """
        if not isinstance(method, CovarianceUser) or method.kind == "none":
            return method
        kind = "full" if method.kind == "auto" else method.kind
        return method.given(self.measurements.covariance(kind, type(method)))

    def sample(self, solver: Tool, seeds: range, observers: tuple[Observer, ...] = ()) -> Samples:
        first, dtype = self.spec.seed, getattr(torch, self.spec.dtype)
        group, y = self.measurements.rows(range(seeds.start - first, seeds.stop - first))
        sources = generators(seeds)
        if isinstance(solver, PosteriorSampler):
            sampler = self.fitted(solver)
            return sampler.draw(self.model, group.observation, y.to(dtype), generator=sources, observers=observers)
        model = self.conditioned(group.observation, y, sources)
        x = model.prior(sources, dtype=dtype)
        found = sample(model, solver, x, generator=sources, denoise=self.denoise, observers=observers)
        return found if self.denoise else replace(found, x=model.finish(found.x))

    def keep(self, x: Tensor) -> Tensor:
        return x.double().cpu()

    def measure(self, x: Tensor, first: Tensor, solver: Tool) -> list[Estimate]:
        return judged(self.measurements, self.measurements.judges, x)

    def picture(self, x: Tensor) -> Image.Image | None:
        return None
