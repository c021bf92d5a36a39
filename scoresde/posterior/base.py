"""Base class of posterior samplers, which draw from p(x | y) by their own loop around an unconditional model."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from pydantic import BeforeValidator, Field, PlainSerializer
from torch import Tensor

from ..core.devices import exact
from ..core.errors import ResourceError, UsageError
from ..core.options import Options, Registry
from ..core.random import randn_like
from ..core.sentences import many
from ..models.base import ObservedModel, Observer, ScoreModel
from ..observations import Observation
from ..observations.misfit import misfit
from ..sampling.misfit import noted
from ..sampling.sample import Samples, accounted
from ..solvers import OneStepSolver, Solver, solvers
from ..solvers.base import Info, MarkovSolver
from ..solvers.edm import EDM
from ..solvers.guard import Guard
from ..solvers.predictor_corrector import PredictorCorrector

Sources = Sequence[torch.Generator]
"""One generator for each sample."""


@dataclass(frozen=True, eq=False)
class Problem:
    """The checked arguments of a sampler: B samples of p(x | y) are wanted."""

    model: ScoreModel
    """The unconditional model of p(x)."""
    observation: Observation
    """How y was measured."""
    y: Tensor
    """One measurement per sample, (B, *m)."""
    generator: Sources
    """One generator per sample."""
    stop: float
    """Time at which the noise ends."""

    def start(self) -> Tensor:
        """Noise at the end of the process, (B, *)."""
        return self.model.prior(self.generator, dtype=self.y.dtype).to(self.y.device)

    def noise(self, x: Tensor) -> Tensor:
        """z ~ N(0, I) of the shape of x, (B, *).

        Args:
            x: (B, *).
        """
        return randn_like(x, self.generator)

    def denoised(self, model: ScoreModel, x: Tensor) -> Tensor:
        """E[x_0 | x_stop] under a model, (B, *).

        Args:
            model: The model whose prediction is used.
            x: The state at time `stop`, (B, *).
        """
        return model.denoise(x, torch.full((len(x),), self.stop, dtype=torch.float64))


class PosteriorSampler(Options, ABC):
    """A way to draw from p(x | y). Fields are options; a sampler has no other state."""

    def draw(
        self,
        model: ScoreModel,
        observation: Observation,
        y: Tensor,
        *,
        generator: Sources,
        stop: float | None = None,
        observers: tuple[Observer, ...] = (),
    ) -> Samples:
        """Samples of p(x | y), (B, *), in the dtype of y, denoised, with what is known for certain written in.

        Args:
            model: The unconditional model of p(x).
            observation: How y was measured.
            y: (B, *m), one measurement per sample; `y.expand(B, ...)` makes many samples of one.
            generator: One per sample, which then depends on its own seed alone.
            stop: Time at which the noise ends; by default the process's `t_min`.
            observers: Called with (x, t, eps) after each evaluation of the model.

        Raises:
            UsageError: y is not finite or not a measurement of the model's samples, there is not one generator for
                each of them, `stop` does not lie inside the process, or the method is not made for the observation.
            NumericalError: A value is not finite.
        """
        problem = self._problem(model, observation, y, generator, stop)

        def run(watched: ScoreModel, info: Info) -> Tensor:
            x = self._draw(replace(problem, model=self._guarded(watched)), info)
            return observation.write(model.finish(x), y.to(x))

        (level,) = model.sde.levels([problem.stop])
        found = accounted(model, run, self.name, observers)
        return noted(found, misfit(problem.observation, found.x, problem.y, level.sigma / level.alpha), model)

    def _problem(
        self, model: ScoreModel, observation: Observation, y: Tensor, generator: Sources, stop: float | None
    ) -> Problem:
        """Checks the arguments, and returns them as one problem."""
        if exact(y.device) != y.device:
            raise ResourceError(f"{self.name} computes in float64, which {y.device.type} lacks: use the device cpu")
        end = model.sde.t_min if stop is None else stop
        if not 0 < end < model.sde.t_max:
            raise UsageError(f"stop must lie in (0, {model.sde.t_max:g}), got {end:g}")
        if not isinstance(generator, Sequence) or len(generator) != len(y):
            given = len(generator) if isinstance(generator, Sequence) else "a single source"
            raise UsageError(f"{self.name} takes one generator for each of {many(len(y), 'sample')}, got {given}")
        seen = observation.of_shape(model.shape)
        seen.check(y, model.shape)
        return Problem(model, seen, y.to(torch.promote_types(y.dtype, torch.float32)), generator, end)

    def _guarded(self, model: ScoreModel) -> ScoreModel:
        return ObservedModel(model, Guard(self.name, finite=True, budget=math.inf))

    @abstractmethod
    def _draw(self, problem: Problem, info: Info) -> Tensor:
        """The method itself: samples at time 0, (B, *)."""


posteriors: Registry[PosteriorSampler] = Registry("posterior sampler", "scoresde.posterior")


FORGETFUL = (EDM, PredictorCorrector)


def noisy(kind: type[Solver], what: str, use: str) -> Callable[[Any], Any]:
    """A validator of the option `solver`: it must be of a kind and follow the reverse SDE.

    The samplers need draws from p(x_s | x_t). The probability flow has the same marginals, but maps x_t to one x_s:
    split Gibbs sampling would then count the prior by half. The Langevin corrector of pc, a final corrector and the
    churn of edm forget a part of x_t.

    Args:
        kind: Base class that the solver must have.
        what: What the solver must do, for the error message.
        use: Solvers that do so, for the error message.
    """

    def check(value: Any) -> Any:
        solver = solvers.parse(value)
        if not isinstance(solver, Solver):
            return solver
        reverse = solver.noisy and getattr(solver, "eta", 1.0) == 1 and not isinstance(solver, FORGETFUL)
        reverse = reverse and not solver.final_corrector
        own_noise = not issubclass(kind, OneStepSolver) or not getattr(solver, "brownian", False)
        if not (isinstance(solver, kind) and reverse and own_noise):
            raise ValueError(f"the solver must {what}, which {solver} does not: use {use}")
        return solver

    return check


ONE_STEP = "draw each of its steps anew from the reverse SDE"
StepOption = Annotated[
    OneStepSolver,
    BeforeValidator(noisy(OneStepSolver, ONE_STEP, "ancestral, em, reverse-diffusion, seeds or ddim:eta=1")),
    PlainSerializer(str),
    Field(validate_default=True, description="The solver whose steps are taken, with its options, as in em:steps=50."),
]
KernelOption = Annotated[
    MarkovSolver,
    BeforeValidator(noisy(MarkovSolver, "have a transition density", "ancestral, em, reverse-diffusion or ddim:eta=1")),
    PlainSerializer(str),
    Field(validate_default=True, description="The solver whose transitions are weighted, as in ancestral:steps=50."),
]
InnerOption = Annotated[
    Solver,
    BeforeValidator(noisy(Solver, "follow the reverse SDE", "sde-dpm++, ancestral, em, seeds or ddim:eta=1")),
    PlainSerializer(str),
    Field(validate_default=True, description="The solver of the inner runs, with its options."),
]
