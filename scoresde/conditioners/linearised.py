"""Conditioning on non-linear measurements, with the covariance of the data."""

import torch
from torch import Tensor
from torch.func import vjp

from ..core.devices import double
from ..core.random import Generators
from ..models.base import ScoreModel
from ..models.output import Output, denoised
from ..observations import LinearOperator, Observation
from ..observations.decoded import Decoded
from .base import ConditionedModel, Conditioner, conditioners, linear, no_gradient, noise_variance, shifted
from .correction import update
from .covariance import CovarianceUser


@conditioners("linearised")
class Linearised(CovarianceUser, Conditioner):
    """x̂_0 + V Jᵀ (σ_y² I + J V Jᵀ)⁻¹ (y - f(x̂_0)), J = f'(x̂_0): `covariance` with the tangent of a smooth f for A.

    It is a step of the extended Kalman filter at each evaluation, without a backward pass through the network. Use it
    for an f that is nearly linear within the deviation of x_0 given x_t, such as the root of a count or a tone curve.
    If f has several solutions, such as a modulus, it finds one of them.

    Reference: Jazwinski 1970, Stochastic Processes and Filtering Theory, theorem 8.1.
    """

    def _condition(
        self, model: ScoreModel, observation: Observation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        if isinstance(observation, Decoded):
            linear(self, observation)
        covariance = self.fitting(model, y)

        def rule(model: ScoreModel, x: Tensor, t: Tensor) -> Output:
            no_gradient(self, x)
            out, variance = model.evaluate(x, t), noise_variance(model, t)
            x0 = double(denoised(model.sde, x, t, out.eps).detach())
            residual, noise = observation.residual(x0, double(y.to(x0))), torch.full_like(variance, observation.noise)
            found = update(covariance, tangent(observation, x0), residual, variance, noise)
            return shifted(model, x, t, out, found.spread)

        return ConditionedModel(model, observation, y, rule)


def tangent(observation: Observation, x: Tensor) -> LinearOperator:
    """The derivative of a measurement at x, as a linear one.

    Args:
        observation: The measurement, f.
        x: Samples, (B, *).
    """
    seen, pull = vjp(observation.forward, x)[:2]  # u ↦ Jᵀ u, which is linear in u, so that its own adjoint is v ↦ J v
    push = vjp(lambda u: pull(u)[0], torch.zeros_like(seen))[1]
    return LinearOperator(lambda v: push(v)[0], lambda u: pull(u)[0], observation.noise)
