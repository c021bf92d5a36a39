"""Base classes of conditioners, which turn a model of p(x) into a model of p(x | y) for any solver."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from pydantic import ConfigDict
from torch import Tensor

from ..core.devices import double, like
from ..core.errors import NumericalError, UsageError
from ..core.options import Options, Registry
from ..core.random import Generators
from ..core.sentences import many
from ..models.base import ScoreModel, WrapperModel
from ..models.guided import LabelledModel
from ..models.output import Output
from ..observations import LinearObservation, Observation, WrittenObservation
from ..observations.decoded import Decoded
from ..observations.krylov import Precondition, Solution, conjugate_gradients
from ..observations.misfit import misfit
from ..sampling.misfit import Misfit
from ..sde import expand

PRODUCTS, TOL = 5000, 1e-8
"""Products and relative residual at which `gaussian_update` ends; the residual is that of A x̂_0. Fewer numbers in y
than 490 have 100 products and 10 for each."""

Rule = Callable[[ScoreModel, Tensor, Tensor], Output]
"""Maps (model, x, t) to the conditional prediction, ε being (B, *)."""


class ConditionedModel(WrapperModel):
    """A model around a model, bound to the measurements y of B samples: row i of x is conditioned on row i of y.

    Args:
        model: The model of p(x).
        observation: What y was measured with.
        y: (B, *m).
        rule: How the prediction of the model becomes that of p(x | y).
        draws: Whether the rule draws noise at each evaluation, as in `ScoreModel.draws`.
    """

    def __init__(
        self,
        model: ScoreModel,
        observation: Observation,
        y: Tensor,
        rule: Rule,
        *,
        draws: bool | Literal["as published"] = False,
    ) -> None:
        self.draws = draws
        super().__init__(model)
        if model.bound not in (None, len(y)):
            raise UsageError(
                f"the model is bound to {many(model.bound, 'sample')}, got measurements of {len(y)}: give one for each"
            )
        self.observation, self.y, self.rule = observation, y, rule
        self.bound = len(y)

    def _adopt(self, model: ScoreModel) -> None:
        draws, bound = self.draws, self.bound
        super()._adopt(model)
        self.draws, self.bound = draws if draws is True else model.draws or draws, bound or model.bound

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        if len(x) != len(self.y):
            raise UsageError(f"the model is conditioned on measurements of {many(len(self.y), 'sample')}, got {len(x)}")
        return self.rule(self.model if classes is None else LabelledModel(self.model, classes), x, t)

    def finish(self, x: Tensor) -> Tensor:
        return self.observation.write(self.model.finish(x), self.y.to(x))

    def misfit(self, x: Tensor, spread: float) -> Misfit:
        """How far samples are from their measurement.

        Args:
            x: Samples, (B, *).
            spread: σ/α where sampling ended.
        """
        return misfit(self.observation, x, self.y, spread)


class Conditioner(Options, ABC):
    """Turns a model of p(x) and a measurement y into a model of p(x | y). Fields are options, without other state.

    Example:
        >>> import scoresde
        >>> isinstance(scoresde.conditioners.DPS(), scoresde.Conditioner)
        True
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def condition(
        self, model: ScoreModel, observation: Observation, y: Tensor, generator: Generators = None
    ) -> ConditionedModel:
        """The model of p(x | y) for B samples.

        Args:
            model: The model of p(x).
            observation: The observation of y.
            y: (B, *m), one measurement per sample; use `y.expand(B, ...)` for many samples of one measurement.
            generator: Source of the conditioner's own noise, if it has any; one per sample as for a solver.

        Raises:
            UsageError: y is not finite or not a measurement of the model's samples, or the method is not made for it.
        """
        seen = observation.of_shape(model.shape)
        seen.check(y, model.shape)
        return self._condition(model, seen, y, generator)

    @abstractmethod
    def _condition(
        self, model: ScoreModel, observation: Observation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        """The method itself, on checked arguments."""


class LinearConditioner(Conditioner):
    """Base of conditioners that need Aᵀ."""

    def _condition(
        self, model: ScoreModel, observation: Observation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        return self._linear(model, linear(self, observation), y, generator)

    @abstractmethod
    def _linear(
        self, model: ScoreModel, observation: LinearObservation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        """The method itself, on a linear observation."""


conditioners: Registry[Conditioner] = Registry("conditioner", "scoresde.conditioners")


def linear(method: Options, observation: Observation) -> LinearObservation:
    """The observation, for a method that needs Aᵀ.

    Args:
        method: The method, for the error.
        observation: Any observation.

    Raises:
        UsageError: The observation is not linear.
    """
    if isinstance(observation, Decoded):
        raise UsageError(
            f"{method.name} takes linear observations, and pictures are not linear in their latents: use dps"
        )
    if not isinstance(observation, LinearObservation):
        use = observation.method if isinstance(observation, WrittenObservation) else "dps"
        raise UsageError(f"{method.name} takes linear observations, {type(observation).__name__} is none; use {use}")
    return observation


def shifted(model: ScoreModel, x: Tensor, t: Tensor, out: Output, shift: Tensor) -> Output:
    """The prediction of x̂_0 + shift where `out` is that of x̂_0: ε - α/σ shift, (B, *).

    Args:
        model: The model, for its process.
        x: States, (B, *).
        t: Their times, (B,).
        out: What the model says of them.
        shift: What is added to x̂_0, (B, *).
    """
    return out._replace(eps=out.eps - expand(torch.exp(model.sde.log_snr(t)), x) * like(shift, out.eps))


def noise_variance(model: ScoreModel, t: Tensor) -> Tensor:
    """σ²/α², the variance of the noise in x_t/α, (B,) in float64.

    Args:
        model: The model, for its process.
        t: Times, (B,).
    """
    return torch.exp(-2 * model.sde.log_snr(t.cpu().double()))


def gaussian_update(
    observation: LinearObservation,
    residual: Tensor,
    noise: Tensor,
    multiply: Callable[[Tensor], Tensor],
    precondition: Precondition,
) -> Solution:
    """u with (noise² I + A V Aᵀ) u = residual, (B, *m), and V Aᵀ u, (B, *), in float64.

    V Aᵀ u is what a measurement with this noise adds to the mean of N(x̂_0, V).

    Args:
        observation: What was measured, A.
        residual: y - A x̂_0, (B, *m).
        noise: Its standard deviation for each row, (B,).
        multiply: Maps v, (B, *), to V v.
        precondition: Maps b, (B, *m), to approximately (noise² I + A V Aᵀ)⁻¹ b.

    Raises:
        NumericalError: Conjugate gradients do not converge.
    """
    noisy, products = bool(noise.any()), min(PRODUCTS, 100 + 10 * residual[0].numel())
    found = conjugate_gradients(
        lambda p: multiply(observation.adjoint(p)),
        lambda p, wide: observation.forward(wide) + (expand(noise**2, p) * observation.consistent(p) if noisy else 0),
        observation.consistent(double(residual)),
        products=products,
        precondition=precondition,
        tol=TOL,
    )
    if bool(found.missed.any()):
        raise NumericalError(
            f"conditioning on {type(observation).__name__} does not converge in {products} products: its parts "
            "contradict each other, which a noise above 0 allows, or its adjoint is not the transpose of its forward"
        )
    return found


def no_gradient(conditioner: Conditioner, x: Tensor) -> None:
    """Checks that x does not require a gradient, for a conditioner that is made of derivatives itself.

    Args:
        conditioner: The conditioner.
        x: States, (B, *).

    Raises:
        UsageError: It does.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        raise UsageError(
            f"{conditioner.name} takes derivatives and has none itself; use covariance or projection inside it, or "
            "condition once, on Stacked(first, second)"
        )
