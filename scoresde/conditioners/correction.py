"""The conditional mean of a normal distribution given a measurement, with the covariance of the data."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from ..core.devices import double
from ..core.errors import NumericalError
from ..observations import LinearObservation, Noisy
from ..observations.covariance import Covariance
from ..observations.krylov import Solution, dot
from ..observations.named import Grey
from .base import gaussian_update
from .dense import LARGEST, ROUNDED, Gain

Correct = Callable[[Tensor, Tensor], Tensor]
"""Maps y - A x̂_0, (B, *m), and σ²/α² for each row, (B,), to what y adds to x̂_0, (B, *), in float64."""


def update(
    covariance: Covariance, observation: LinearObservation, residual: Tensor, variance: Tensor, noise: Tensor
) -> Solution:
    """`gaussian_update` with V = (Σ⁻¹ + I/variance)⁻¹; with its preconditioner some 20 products do, instead of 1,000.

    Args:
        covariance: Σ, that of the data.
        observation: What was measured, A.
        residual: y - A x̂_0, (B, *m).
        variance: σ²/α² for each row, (B,), float64.
        noise: Standard deviation of the measurement's error for each row, (B,), float64.
    """

    def near_inverse(b: Tensor) -> Tensor:
        return observation.near_inverse(b, lambda v, gain: covariance.precision(v, variance, gain, noise))

    return gaussian_update(observation, residual, noise, lambda v: covariance.posterior(v, variance), near_inverse)


def correction(covariance: Covariance, observation: LinearObservation, y: Tensor) -> Correct:
    """The map from y - A x̂_0 to V Aᵀ (σ_y² I + A V Aᵀ)⁻¹ (y - A x̂_0), by a matrix where that is cheaper.

    Args:
        covariance: Σ, that of the data.
        observation: What y was measured with, A and σ_y.
        y: The measurements, (B, *m).

    Raises:
        NumericalError: Conjugate gradients do not converge, as where exact measurements contradict each other.
    """
    if covariance.kind == "channel" and not isinstance(observation, Grey | Noisy):
        logging.getLogger("scoresde").warning(
            "a channel covariance knows nothing of what pixels say of others, which %s needs: take kind=dct, made by "
            "`scoresde stats MODEL` or estimate(samples, 'dct')",
            observation,
        )
    small = covariance.kind == "full" and y[0].numel() <= LARGEST and observation.bound is None
    gain = Gain(covariance, observation, y) if small else None
    dependent = False  # whether rows of an exact measurement follow from others, which is found out where it matters

    def correct(residual: Tensor, variance: Tensor) -> Tensor:
        nonlocal dependent
        if gain is not None and (shift := gain(residual, variance)) is not None:
            return shift
        noise, right = torch.full_like(variance, observation.noise), double(residual)
        if not dependent:
            try:
                return update(covariance, observation, right, variance, noise).spread
            except NumericalError:
                rest = right - observation.forward(observation.pinv(right))
                if observation.noise or bool((dot(rest, rest) > ROUNDED**2 * dot(right, right)).any()):
                    raise
                dependent = True
        right = observation.forward(observation.pinv(right))
        return update(covariance, observation, right, variance, noise).spread

    return correct
