"""Whether a solver keeps its promises, measured on problems whose answer is known in closed form."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .errors import NumericalError
from .gaussian import GaussianMixtureModel, GaussianModel
from .model import Evaluations, ObservedModel, ScoreModel
from .problems import reference
from .random import generators, stream
from .sample import sample
from .sde import VPSDE
from .solvers import AdaptiveSolver, GridSolver, Solver

STOP = 1e-3
Build = Callable[..., Solver]


@dataclass(frozen=True)
class Verdict:
    """One promise, what was measured, and whether it is kept."""

    promise: str
    measured: str
    kept: bool
    seconds: float = 0.0


def gaussian() -> GaussianModel:
    """A correlated Gaussian in three dimensions, with a known flow."""
    a = torch.tensor([[0.5, 0.0, 0.0], [0.3, 0.4, 0.0], [-0.2, 0.1, 0.3]], dtype=torch.float64)
    return GaussianModel(torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64), a @ a.T, VPSDE())


def mixture() -> GaussianMixtureModel:
    """Three uneven modes in two dimensions."""
    means = torch.tensor([[0.8, 0.0], [-0.5, 0.6], [-0.3, -0.7]], dtype=torch.float64)
    variances = torch.tensor([[0.04, 0.02], [0.02, 0.05], [0.03, 0.01]], dtype=torch.float64)
    return GaussianMixtureModel(means, variances, VPSDE(), weights=[0.5, 0.3, 0.2])


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Minus the slope of log error against log work, from the last two points."""
    (work, error), (more, less) = points[-2:]
    return math.log(error / less) / math.log(more / work)


class _NotFinite(ScoreModel):
    """A model whose every prediction is NaN."""

    def __init__(self, model: ScoreModel) -> None:
        super().__init__()
        self.sde, self.shape = model.sde, model.shape

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        return torch.full_like(x, math.nan)


def _solve(solver: Solver, model: ScoreModel, x: Tensor, seeds: range | None = None) -> Tensor:
    sources = generators(range(len(x)) if seeds is None else seeds)
    return solver.solve(model, x, start=model.sde.end, stop=STOP, generator=sources)


def order_on_a_grid(build: Build) -> Verdict:
    """The order of a deterministic method on a fixed grid, against SciPy at 1e-11 on the mixture."""
    model = mixture()
    x = model.prior(stream(0, "check"), 16, dtype=torch.float64)
    truth = reference(model, x, start=1.0, stop=STOP, tol=1e-11)
    points = [(n, float((_solve(build(steps=n), model, x) - truth).square().mean().sqrt())) for n in (64, 128, 256)]
    claimed, found = build().claimed_order, slope(points)
    kept = found > claimed - 0.15 or points[-1][1] < 1e-12
    return Verdict(f"order {claimed:g} on a mixture", f"{found:.2f}, error {points[-1][1]:.1e} at 256 steps", kept)


def error_within_tolerance(build: Build) -> Verdict:
    """The error of an adaptive method, as a multiple of its tolerance, on a Gaussian with a known flow."""
    model = gaussian()
    x = model.prior(stream(0, "check"), 16, dtype=torch.float64)
    truth, ratios = model.flow(x, 1.0, STOP), []
    for tol in (1e-2, 1e-3, 1e-4):
        error = _solve(build(tol=tol, atol=tol), model, x) - truth
        ratios.append(float(error.square().mean().sqrt()) / tol)
    measured = ", ".join(f"{ratio:.2g}" for ratio in ratios)
    return Verdict("error at most 10 tol, at 1e-2, 1e-3, 1e-4", f"{measured} tol", max(ratios) <= 10)


def law_of_samples(build: Build) -> Verdict:
    """Mean and standard deviation of 32,768 values at 400 steps (or tol 1e-3), against the law of the data."""
    mean, std = torch.linspace(-0.5, 0.5, 4), torch.tensor([0.1, 0.3, 0.5, 0.8])
    model = GaussianModel(mean.repeat(16), std.repeat(16).square(), VPSDE())
    fields = build().model_dump()
    solver = build(steps=400) if "steps" in fields else build(tol=1e-3)
    out = _solve(solver, model, model.prior(stream(0, "check"), 512, dtype=torch.float64)).reshape(-1, 4)
    _, covariance = model.marginal(STOP)
    ratio = out.std(0) / covariance.diagonal()[:4].sqrt()
    bias = ((out.mean(0) - mean).abs() / std).max()
    kept = bool(bias < 0.06) and bool((ratio - 1).abs().max() < 0.15)
    measured = f"mean off by {bias:.3f} sd, sd ratios {ratio.min():.3f} to {ratio.max():.3f}"
    return Verdict("law of the data", measured, kept)


def seeds(build: Build) -> Verdict:
    """Same seed, same bits; another seed, another result if it is stochastic; the global generator untouched."""
    model, solver = mixture(), build()
    x = model.prior(stream(0, "check"), 4, dtype=torch.float64)
    before = torch.get_rng_state()
    first, again, other = (_solve(solver, model, x, seeds) for seeds in (range(4), range(4), range(4, 8)))
    same, differs = torch.equal(first, again), not torch.equal(first, other)
    rests = torch.equal(before, torch.get_rng_state())
    kept = same and rests and differs == solver.noisy
    measured = f"repeats: {same}, follows its seed: {differs}, leaves torch's generator alone: {rests}"
    return Verdict("a function of its seed", measured, kept)


def batches(build: Build) -> Verdict:
    """A sample alone against the same sample in a batch, one of whose others is far off."""
    model, solver = mixture(), build()
    x = model.prior(stream(0, "check"), 6, dtype=torch.float64)
    x[2] *= 5
    gap = float((_solve(solver, model, x)[4] - _solve(solver, model, x[4:5], range(4, 5))[0]).abs().max())
    promised = solver.batch_independent
    promise = "independent of its batch" if promised else "depends on its batch, as it says"
    return Verdict(promise, f"largest difference {gap:.1e}", gap < 1e-9 or not promised)


def counting(build: Build) -> Verdict:
    """The evaluations that `sample` reports against those that the model saw, all inside the process."""
    model, inside = mixture(), []
    seen = Evaluations()

    def watch(x: Tensor, t: Tensor, eps: Tensor) -> None:
        inside.append(bool(((t > 0) & (t <= model.sde.end)).all()) and t.shape == x.shape[:1])

    x = model.prior(stream(0, "check"), 4, dtype=torch.float64)
    out = sample(ObservedModel(model, seen, watch), build(), x, generator=generators(range(4)))
    return Verdict(
        "evaluations counted, times inside", f"{out.nfe} of {seen.calls}", out.nfe == seen.calls and all(inside)
    )


def faults(build: Build) -> Verdict:
    """What happens when every prediction is NaN."""
    model, began = mixture(), time.perf_counter()
    x = model.prior(stream(0, "check"), 4, dtype=torch.float64)
    try:
        _solve(build(), _NotFinite(model), x)
        outcome = "returned"
    except NumericalError:
        outcome = "NumericalError"
    except Exception as error:  # whatever else a stranger's solver may do
        outcome = type(error).__name__
    seconds = time.perf_counter() - began
    return Verdict(
        "a NaN is an error within a second",
        f"{outcome} after {seconds:.2f} s",
        outcome == "NumericalError" and seconds < 1,
    )


def gradients(build: Build) -> Verdict:
    """The derivative of a short run by automatic differentiation against differences."""
    model = gaussian()
    x = model.prior(stream(0, "check"), 2, dtype=torch.float64).requires_grad_()

    def run(x: Tensor) -> Tensor:
        return build(steps=3).solve(model, x, start=1.0, stop=0.1, generator=generators([0])[0])

    kept = bool(torch.autograd.gradcheck(run, (x,), eps=1e-6, atol=1e-5, raise_exception=False))
    return Verdict("gradients flow", "agree with differences" if kept else "differ from differences", kept)


def check(build: Build) -> Iterator[Verdict]:
    """Every promise that applies to a solver, as it is measured.

    Args:
        build: The solver's class, or a function that makes one from options.
    """
    solver = build()
    checks = [seeds, batches, counting, faults]
    if solver.noisy:
        checks.insert(0, law_of_samples)
    elif isinstance(solver, GridSolver):
        checks.insert(0, order_on_a_grid)
    if isinstance(solver, AdaptiveSolver) and not solver.noisy:
        checks.insert(0, error_within_tolerance)
    if isinstance(solver, GridSolver):
        checks.append(gradients)
    for measure in checks:
        began = time.perf_counter()
        verdict = measure(build)
        yield replace(verdict, seconds=round(time.perf_counter() - began, 2))
