"""The distance of samples from their measurement, in units of its noise."""

import math

import torch
from torch import Tensor

from ..core.devices import double
from ..core.random import randn_like, stream
from ..sampling.misfit import Misfit
from .base import LinearObservation, Observation
from .composed import Composed, last
from .decoded import Decoded
from .named import ROUNDING
from .pixels import Pixels
from .rescaled import Rescaled
from .rounded import Rounded
from .stacked import Stacked

LEAST = 0.01
"""What y counts as at least where a misfit is a share of it: of a y of zeros every rounding is infinitely much."""


@torch.no_grad()
def misfit(observation: Observation, x: Tensor, y: Tensor, spread: float = 0.0) -> Misfit:
    """rms(y - A x)/σ_y of each sample; of a stack over the parts that have noise, if any has.

    Exact draws x are to y as the truth is, so that their y - A x is noise of σ_y, too. If they are denoised from a
    state x_0 + r z, a number with a row of length g in A keeps σ_y/√(σ_y² + g² r²) of it.

    Args:
        observation: What y was measured with.
        x: Samples, (B, *).
        y: The measurement, (B, *m).
        spread: r = σ/α where sampling ended.
    """
    parts = [(observation, y)]
    if isinstance(observation, Stacked):
        seen = observation.of_shape(tuple(x.shape[1:]))
        parts = list(zip(seen.parts, seen.split(y), strict=True))
    noisy = any(part.noise for part, _ in parts)
    square, numbers, of_y, least = (torch.zeros(len(x), dtype=torch.float64) for _ in range(4))
    for part, own in [(p, own) for p, own in parts if bool(p.noise) == noisy]:
        rest, count = double(part.residual(x, own.to(x))).reshape(len(x), -1).cpu(), counted(part, own)
        square += rest.square().sum(1) / (max(part.noise, 8 * torch.finfo(x.dtype).eps) ** 2 if noisy else 1)
        of_y += double(part.residual(torch.zeros_like(x), own.to(x))).reshape(len(x), -1).cpu().square().sum(1)
        numbers += count
        least += count * kept(part, x, count, spread) ** 2
    below = numbers if noisy else torch.maximum(of_y, LEAST**2 * numbers)
    values = torch.sqrt(square / below.clamp_min(1e-30))
    return Misfit(values, numbers, noisy, float((least / numbers.clamp_min(1)).min().sqrt()))


def counted(observation: Observation, y: Tensor) -> Tensor:
    """How many numbers of y were measured of each sample, (B,), float64: all but those in the holes of a mask.

    Args:
        observation: What y was measured with.
        y: The measurement, (B, *m).
    """
    if isinstance(observation, Composed):
        return counted(last(observation), y)
    if isinstance(observation, Rescaled | Decoded):
        return counted(observation.inner, y)
    if isinstance(observation, Stacked):
        parts = zip(observation.parts, observation.split(y), strict=True)
        return torch.stack([counted(part, own) for part, own in parts]).sum(0)
    if isinstance(observation, Pixels):
        return observation.known(y).expand_as(y).flatten(1).sum(1).double().cpu()
    return torch.full((len(y),), float(y[0].numel()), dtype=torch.float64)


def kept(observation: Observation, x: Tensor, numbers: Tensor, spread: float) -> float:
    """The least share of its noise that y - A x keeps when x is denoised; 0 where A is not linear, or x known better.

    It is 0, too, where the noise is that of rounding, of which a grey or an even picture has none.

    Args:
        observation: A.
        x: Samples, (B, *); only their shape matters.
        numbers: How many numbers are measured of each, (B,).
        spread: r = σ/α of the state from which they are denoised.
    """
    if (
        observation.noise <= ROUNDING
        or not isinstance(observation, LinearObservation)
        or isinstance(last(observation), Rounded)
    ):
        return 0.0
    seen = double(observation.forward(randn_like(x, stream(0, "rows")))).reshape(len(x), -1).cpu()
    square = float((seen.square().sum(1) / numbers.clamp_min(1)).max())  # g², as its mean over rows
    return observation.noise / math.sqrt(observation.noise**2 + square * spread**2)
