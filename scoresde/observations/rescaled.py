"""Measurements in the units of the data, converted to the units of the network."""

import copy
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel
from torch import Tensor

from ..core.devices import like
from ..core.units import Units
from .base import LinearObservation, Observation
from .composed import last
from .pixels import Pixels
from .rounded import Rounded
from .stacked import Stacked

AnyObservation = TypeVar("AnyObservation", bound=Observation)


class Rescaled(Observation):
    """u ↦ f(centre + spread u): a measurement of data x = centre + spread u, as one of u.

    Args:
        inner: f, for x.
        units: What u means in the units of x.
    """

    def __init__(self, inner: Observation, units: Units) -> None:
        self.inner, self.units, self.noise = inner, units, inner.noise

    @property
    def bound(self) -> int | None:
        return self.inner.bound

    def of_rows(self, rows: Sequence[int]) -> "Rescaled":
        return type(self)(self.inner.of_rows(rows), self.units)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner.forward(self.units.to_data(x))

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        return self.inner.residual(self.units.to_data(x), y)

    def write(self, x: Tensor, y: Tensor) -> Tensor:
        return self.units.to_model(self.inner.write(self.units.to_data(x), y))


class RescaledLinear(Rescaled, LinearObservation):
    """u ↦ A (spread u), of which y - A centre is the measurement.

    Args:
        inner: A.
        units: As for `Rescaled`.
    """

    def __init__(self, inner: LinearObservation, units: Units) -> None:
        super().__init__(inner, units)
        self.linear = inner

    def _times(self, x: Tensor) -> Tensor:
        return like(self.units.spread, x) * x

    def forward(self, x: Tensor) -> Tensor:
        return self.linear.forward(self._times(x))

    def adjoint(self, y: Tensor) -> Tensor:
        return self._times(self.linear.adjoint(y))

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        return self.linear.residual(self._times(x), y)

    def write(self, x: Tensor, y: Tensor) -> Tensor:
        if isinstance(last(self.linear), Rounded):
            return self.linear.write(self._times(x), y) / like(self.units.spread, x)
        return LinearObservation.write(self, x, y)


def rescaled(
    observation: Observation, y: Tensor, units: Units | None, shape: tuple[int, ...]
) -> tuple[Observation, Tensor]:
    """The same knowledge of u, where data are x = centre + spread u: an observation and a measurement.

    Exact entries are the entries of u, and with one spread s for all numbers any A stays itself, with (y - A centre)/s
    and the noise σ_y/s; so what asks for orthogonal rows still has them. Otherwise, and for what is rounded,
    A diag(spread) takes the place of A.

    Args:
        observation: What was measured of x, for samples of the shape.
        y: The measurement, (B, *m).
        units: What u means in the units of x; None if they are the same.
        shape: Shape of one sample.
    """
    if units is None:
        return observation, y
    if isinstance(observation, Stacked):
        parts = zip(observation.parts, observation.split(y), strict=True)
        inner = [rescaled(part, own, units, shape) for part, own in parts]
        stack = Stacked(*(part for part, _ in inner)).of_shape(shape)
        return stack, stack.join(*(own for _, own in inner))
    if isinstance(observation, Pixels) and not observation.noise:
        return observation, units.to_model(y)
    if not isinstance(observation, LinearObservation):
        return Rescaled(observation, units), y
    centre = like(units.centre, y).expand(len(y), *shape)
    offset = observation.residual(centre, y)
    if isinstance(last(observation), Rounded) or not bool((units.spread == units.spread.flatten()[0]).all()):
        return RescaledLinear(observation, units), offset
    spread = float(units.spread.flatten()[0])
    return with_noise(observation, observation.noise / spread), offset / spread


def with_noise(observation: AnyObservation, noise: float) -> AnyObservation:
    """The same observation with another standard deviation of its error.

    Args:
        observation: The observation.
        noise: σ_y.
    """
    if isinstance(observation, BaseModel):
        return observation.model_copy(update={"noise": noise})
    other = copy.copy(observation)
    other.noise = noise
    return other
