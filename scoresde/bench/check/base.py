"""What a promise is, and the problems on which promises are measured."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ...core.random import Generators, generators, randn, stream
from ...models.base import ScoreModel
from ...models.gaussian import GaussianMixtureModel, GaussianModel
from ...sde import SDE, VPSDE
from ...solvers import AdaptiveSolver, Solver
from ..problems import reference

STOP = 1e-3
Z = 4.892
"""Standard deviations that a normal number exceeds with probability 1e-6, two-sided."""

Build = Callable[..., Solver]
"""Makes a solver from options, as its class does."""


class Finding(NamedTuple):
    """What was measured, in words, and whether it keeps the promise."""

    measured: str
    kept: bool


@dataclass(frozen=True)
class Verdict:
    """One promise, what was measured, and whether it is kept."""

    promise: str
    measured: str
    kept: bool
    seconds: float


@dataclass(frozen=True)
class Promise:
    """A promise with the solvers that it applies to and the way to measure it."""

    name: str
    applies: Callable[[Solver], bool]
    measure: Callable[[Build, bool], Finding]

    def verdict(self, build: Build, *, fast: bool = False) -> Verdict:
        """The promise measured on the solver; an error on the way breaks it."""
        began = time.perf_counter()
        try:
            found = self.measure(build, fast)
        except Exception as error:  # whatever a stranger's solver may do
            found = Finding(f"{type(error).__name__}: {error}", False)
        return Verdict(self.name, found.measured, found.kept, round(time.perf_counter() - began, 2))


@dataclass(frozen=True)
class Promises:
    """A list of promises, to which the decorator `@promises("name", applies)` adds a measurement."""

    found: list[Promise] = field(default_factory=list)

    def __call__(
        self, name: str, applies: Callable[[Solver], bool] = lambda solver: True
    ) -> Callable[[Callable[[Build, bool], Finding]], Callable[[Build, bool], Finding]]:
        def add(measure: Callable[[Build, bool], Finding]) -> Callable[[Build, bool], Finding]:
            self.found.append(Promise(name, applies, measure))
            return measure

        return add


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Standard normal noise of the shape, always the same."""
    return randn(shape, stream(0, "check"), dtype=dtype)


def solve(solver: Solver, model: ScoreModel, x: Tensor, generator: Generators = None, *, stop: float = STOP) -> Tensor:
    """x carried from the end of the process to `stop`, with one seed per row if nothing else is given."""
    source = generators(range(len(x))) if generator is None else generator
    return solver.solve(model, x, start=model.sde.t_max, stop=stop, generator=source)


def quick(build: Build) -> Solver:
    """The solver with 40 steps, where it has steps, and at a loose tolerance where noise makes it take many."""
    if "steps" in fields(build):
        return build(steps=40)
    return build(tol=0.1) if build().noisy and "tol" in fields(build) else build()


def finely(build: Build, steps: int) -> Solver:
    """The solver at a setting that leaves little error; at 200 steps or fewer, twice the tolerance for a law."""
    known, noisy = fields(build), build().noisy
    # The error of a law is of second order in the tolerance.
    tol = (2e-2 if steps <= 200 else 1e-2) if noisy else 1e-4
    budgets: tuple[dict[str, float], ...] = ({"steps": steps}, {"nfe": steps}, {"tol": tol, "atol": tol})
    options = next((budget for budget in budgets if budget.keys() <= known), {})
    # A Langevin step has a bias of its own, proportional to snr², which more steps do not remove.
    return build(**options, **({"snr": 0.05} if "snr" in known else {}))


def fields(build: Build) -> set[str]:
    """The names of the solver's options."""
    return set(type(build()).model_fields)


def flows(solver: Solver) -> bool:
    """Whether the solver integrates the probability flow."""
    return not solver.noisy


def adapts(solver: Solver) -> bool:
    """Whether the solver chooses its steps."""
    return isinstance(solver, AdaptiveSolver)


def gaussian(sde: SDE | None = None) -> GaussianModel:
    """A correlated Gaussian in three dimensions, with a known flow."""
    a = torch.tensor([[0.5, 0.0, 0.0], [0.3, 0.4, 0.0], [-0.2, 0.1, 0.3]], dtype=torch.float64)
    return GaussianModel(torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64), a @ a.T, sde or VPSDE())


def mixture(sde: SDE | None = None, *, overlap: float = 1.0) -> GaussianMixtureModel:
    """Three uneven, correlated modes in two dimensions, whose covariances are multiplied by `overlap`."""
    means = torch.tensor([[0.8, 0.0], [-0.5, 0.6], [-0.3, -0.7]], dtype=torch.float64)
    first, second = [[0.04, 0.01], [0.01, 0.02]], [[0.02, -0.01], [-0.01, 0.05]]
    covariances = torch.tensor([first, second, [[0.03, 0.0], [0.0, 0.01]]], dtype=torch.float64)
    return GaussianMixtureModel(means, overlap * covariances, sde or VPSDE(), weights=[0.5, 0.3, 0.2])


@functools.cache
def flow_of_a_mixture(sde: SDE, overlap: float, stop: float) -> tuple[GaussianMixtureModel, Tensor, Tensor]:
    """A mixture, noise, (32, 2), and where the probability flow takes it, by SciPy and not by our solvers."""
    model, x = mixture(sde, overlap=overlap), noise(32, 2)
    return model, x, reference(model, x, start=1.0, stop=stop, tol=1e-12)


class Witness(ScoreModel):
    """A model that counts its evaluations by itself, below whatever is wrapped around, and looks at their times."""

    def __init__(self, model: ScoreModel) -> None:
        super().__init__()
        self.model, self.sde, self.shape = model, model.sde, model.shape
        self.calls, self.inside = 0, True

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        form = t.shape == x.shape[:1] and t.dtype == torch.float64
        self.inside = self.inside and form and bool(((t > 0) & (t <= self.sde.t_max)).all())
        return self.model.eps(x, t)


class Faulty(ScoreModel):
    """A Gaussian model whose prediction for row 1 is replaced by a value at the evaluations that `when` tells."""

    def __init__(self, when: Callable[[int, float], bool], value: float) -> None:
        super().__init__()
        self.model = GaussianModel(torch.zeros(3), torch.full((3,), 0.25), VPSDE())
        self.sde, self.shape, self.when, self.value, self.calls = self.model.sde, (3,), when, value, 0

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        eps = self.model.eps(x, t)
        if self.when(self.calls, float(t[1])):
            eps[1] = self.value
        return eps
