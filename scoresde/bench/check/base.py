"""What a promise is, and the problems on which promises are measured."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ...core.random import Generators, generators, randn, stream
from ...models.base import ScoreModel
from ...models.gaussian import GaussianMixtureModel, GaussianModel
from ...models.output import Output
from ...sde import SDE, VPSDE
from ...solvers import AdaptiveSolver, Solver
from ..problems import reference

STOP = 1e-3
Z = 4.892
"""Standard deviations that a normal number exceeds with probability 1e-6, two-sided."""
Build = Callable[..., Solver]
"""Makes a solver from options, as its class does."""


class Finding(NamedTuple):
    """A measurement of a promise."""

    measured: str
    """What was measured, in words."""
    kept: bool
    """Whether it keeps the promise."""


@dataclass(frozen=True)
class Verdict:
    """The result of one test of a solver: its name, the measured value, and whether it passed.

    Example:
        >>> import scoresde
        >>> scoresde.Verdict("order", "1.01 measured, 1 claimed", kept=True, seconds=0.2).kept
        True
    """

    promise: str
    """Name of the promise."""
    measured: str
    """What was measured, in words."""
    kept: bool
    """Whether it keeps the promise."""
    seconds: float
    """How long the measurement took."""


@dataclass(frozen=True)
class Promise:
    """A promise with the solvers that it applies to and the way to measure it."""

    name: str
    """The promise in a few words."""
    applies: Callable[[Solver], bool]
    """Whether a solver has to keep it."""
    measure: Callable[[Build, bool], Finding]
    """measure(build, fast): the measurement, with less precision if `fast`."""

    def verdict(self, build: Build, *, fast: bool = False) -> Verdict:
        """Measures the promise. An error breaks it.

        Args:
            build: Makes the solver from options.
            fast: Whether to measure with less precision.
        """
        began = time.perf_counter()
        try:
            found = self.measure(build, fast)
        except Exception as error:  # a solver from elsewhere may raise anything
            found = Finding(f"{type(error).__name__}: {error}", False)
        return Verdict(self.name, found.measured, found.kept, round(time.perf_counter() - began, 2))


class Promises(list[Promise]):
    """Promises in their order. The decorator `@promises("name", applies)` adds one."""

    def __call__(
        self, name: str, applies: Callable[[Solver], bool] = lambda solver: True
    ) -> Callable[[Callable[[Build, bool], Finding]], Callable[[Build, bool], Finding]]:
        def add(measure: Callable[[Build, bool], Finding]) -> Callable[[Build, bool], Finding]:
            self.append(Promise(name, applies, measure))
            return measure

        return add


def noise(*shape: int) -> Tensor:
    """Standard normal noise in float64, the same in every call.

    Args:
        shape: Its shape.
    """
    return randn(shape, stream(0, "check"), dtype=torch.float64)


def solve(solver: Solver, model: ScoreModel, x: Tensor, generator: Generators = None, *, stop: float = STOP) -> Tensor:
    """x carried from the end of the process to `stop`.

    Args:
        solver: The solver.
        model: The score model.
        x: The noise, (B, *).
        generator: Source of the solver's noise; by default one seed per row.
        stop: Time of the result.
    """
    source = generators(range(len(x))) if generator is None else generator
    return solver.solve(model, x, start=model.sde.t_max, stop=stop, generator=source)


def quick(build: Build) -> Solver:
    """The solver with 20 steps, or, if it is adaptive and stochastic, with a loose tolerance.

    Args:
        build: Makes the solver from options.
    """
    if "steps" in fields(build):
        return build(steps=20)
    return build(tol=0.1) if build().noisy and "tol" in fields(build) else build()


def finely(build: Build, steps: int) -> Solver:
    """The solver with options that leave little error.

    Args:
        build: Makes the solver from options.
        steps: Number of steps of a stochastic solver or one of order 1; flows of a higher order take two fifths of
            them. At 200 or fewer, tolerances are looser.
    """
    known, noisy = fields(build), build().noisy
    if not noisy and build().claimed_order >= 2:
        steps = 2 * steps // 5
    if noisy:  # the error of a law is of second order in the tolerance
        tol = 2e-2 if steps <= 200 else 1e-2
    else:
        tol = 1e-3 if steps <= 80 else 1e-4
    budgets: tuple[dict[str, float], ...] = ({"steps": steps}, {"nfe": steps}, {"tol": tol})
    options = next((budget for budget in budgets if budget.keys() <= known), {})
    # A Langevin step has a bias of its own, proportional to snr², which more steps do not remove.
    return build(**options, **({"snr": 0.05} if "snr" in known else {}))


def fields(build: Build) -> set[str]:
    """The names of the solver's options.

    Args:
        build: Makes the solver from options.
    """
    return set(type(build()).model_fields)


def flows(solver: Solver) -> bool:
    """Whether the solver integrates the probability flow.

    Args:
        solver: The solver.
    """
    return not solver.noisy


def adapts(solver: Solver) -> bool:
    """Whether the solver chooses its steps.

    Args:
        solver: The solver.
    """
    return isinstance(solver, AdaptiveSolver)


def gaussian(sde: SDE | None = None) -> GaussianModel:
    """A correlated Gaussian in three dimensions, with a known flow.

    Args:
        sde: The process; by default the linear VP process.
    """
    a = torch.tensor([[0.5, 0.0, 0.0], [0.3, 0.4, 0.0], [-0.2, 0.1, 0.3]], dtype=torch.float64)
    return GaussianModel(torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64), a @ a.T, sde or VPSDE())


def mixture(sde: SDE | None = None, *, overlap: float = 1.0) -> GaussianMixtureModel:
    """Three uneven, correlated modes in two dimensions.

    Args:
        sde: The process; by default the linear VP process.
        overlap: Factor of the covariances.
    """
    means = torch.tensor([[0.8, 0.0], [-0.5, 0.6], [-0.3, -0.7]], dtype=torch.float64)
    first, second = [[0.04, 0.01], [0.01, 0.02]], [[0.02, -0.01], [-0.01, 0.05]]
    covariances = torch.tensor([first, second, [[0.03, 0.0], [0.0, 0.01]]], dtype=torch.float64)
    return GaussianMixtureModel(means, overlap * covariances, sde or VPSDE(), weights=[0.5, 0.3, 0.2])


@functools.cache
def flow_of_a_mixture(sde: SDE, stop: float) -> tuple[GaussianMixtureModel, Tensor, Tensor]:
    """A mixture whose modes overlap, noise, (32, 2), and where the probability flow carries it, by SciPy.

    Args:
        sde: The process.
        stop: Time of the end.
    """
    model, x = mixture(sde, overlap=4.0), noise(32, 2)
    return model, x, reference(model, x, start=1.0, stop=stop, tol=1e-12)


class Witness(ScoreModel):
    """A model that counts its evaluations itself, below all wrappers, and checks their times.

    Args:
        model: The model.
    """

    def __init__(self, model: ScoreModel) -> None:
        super().__init__()
        self.model, self.sde, self.shape = model, model.sde, model.shape
        self.calls, self.inside = 0, True

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        self.calls += 1
        form = t.shape == x.shape[:1] and t.dtype == torch.float64
        self.inside = self.inside and form and bool(((t > 0) & (t <= self.sde.t_max * (1 + 1e-14))).all())  # rounds
        return self.model.evaluate(x, t, classes)


class Faulty(ScoreModel):
    """A Gaussian model whose prediction for row 1 is replaced at some evaluations.

    Args:
        when: when(evaluation, t) says whether it is replaced.
        value: The new prediction.
    """

    def __init__(self, when: Callable[[int, float], bool], value: float) -> None:
        super().__init__()
        self.model = GaussianModel(torch.zeros(3), torch.full((3,), 0.25), VPSDE())
        self.sde, self.shape = self.model.sde, self.model.shape
        self.when, self.value, self.calls = when, value, 0

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        self.calls += 1
        eps = self.model.eps(x, t)
        if self.when(self.calls, float(t[1])):
            eps[1] = self.value
        return Output(eps)
