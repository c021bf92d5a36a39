"""Promises about accuracy: the order of a path, its error, and the law of samples."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ...core.random import stream
from ...models.base import ObservedModel, ScoreModel
from ...models.evaluations import Evaluations
from ...models.gaussian import GaussianModel
from ...sde import VPSDE
from ...solvers import GridSolver, MarkovSolver, PerSampleSolver, Solver
from .base import (
    STOP,
    Build,
    Finding,
    Promises,
    Z,
    adapts,
    finely,
    flow_of_a_mixture,
    flows,
    gaussian,
    noise,
    solve,
)

promises = Promises()

ROUNDING = 1e-12
"""An error at which an order can no longer be seen."""
SMOOTH = VPSDE(beta_max=40.0), 0.05
"""Where orders are measured. The process begins with so much noise that the first steps of a multistep method, which
have a lower order, add no visible error; it stops where the flow is still smooth."""


def rms(v: Tensor) -> float:
    """Root mean square of v.

    Args:
        v: A tensor.
    """
    return float(v.square().mean().sqrt())


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Minus the slope of log error against log work, from the last two points.

    Args:
        points: Pairs of work and error, at least two.
    """
    (work, error), (more, less) = points[-2:]
    return math.log(error / less) / math.log(more / work)


def order_on_a_grid(build: Build, model: ScoreModel, x: Tensor, truth: Tensor, stop: float, fast: bool) -> Finding:
    """Whether the slope between two numbers of steps is within 0.15 of the order claimed.

    A slope is an order in the limit only, so the steps are doubled, up to 1,024, until it is.

    Args:
        build: Makes the solver from options.
        model: The score model.
        x: Noise at time 1, (B, *).
        truth: The exact end of the path, (B, *).
        stop: Time of the end.
        fast: Whether to begin with fewer steps.
    """
    claimed, steps, points = build().claimed_order, 64 if fast else 256, list[tuple[float, float]]()
    while True:
        points.append((steps, rms(solve(build(steps=steps), model, x, stop=stop) - truth)))
        if points[-1][1] < ROUNDING:
            return Finding(f"error {points[-1][1]:.1e} at {steps} steps", True)
        if len(points) > 1:
            found = slope(points)
            kept = abs(found - claimed) < 0.15
            if kept or steps >= 1024:
                return Finding(f"{found:.2f}, claimed {claimed:g}, error {points[-1][1]:.1e} at {steps} steps", kept)
        steps *= 2


def walks(solver: Solver) -> bool:
    """Whether the solver integrates the probability flow on a given grid.

    Args:
        solver: The solver.
    """
    return isinstance(solver, GridSolver) and flows(solver)


@promises("order on a Gaussian", walks)
def _order_on_a_gaussian(build: Build, fast: bool) -> Finding:
    """Within 0.15 of the claim, on a Gaussian with a known flow."""
    sde, stop = SMOOTH
    model, x = gaussian(sde), noise(32, 3)
    return order_on_a_grid(build, model, x, model.flow(x, 1.0, stop), stop, fast)


@promises("order on a mixture", walks)
def _order_on_a_mixture(build: Build, fast: bool) -> Finding:
    """Within 0.15 of the claim, on a mixture with SciPy's flow.

    Its modes overlap: between narrow ones the flow parts, and a few samples there would make up the whole error.
    """
    sde, stop = SMOOTH
    return order_on_a_grid(build, *flow_of_a_mixture(sde, stop), stop, fast)


@promises("order of adaptive steps", lambda solver: isinstance(solver, PerSampleSolver) and flows(solver))
def _order_of_adaptive_steps(build: Build, fast: bool) -> Finding:
    """Where the tolerance is small, the error falls as the number of steps to the minus claimed order, less 0.3."""
    claimed, model, x, points = build().claimed_order, gaussian(), noise(16 if fast else 64, 3), []
    for exponent in (-3.5, -5) if claimed < 3 else (-4, -7) if claimed < 4 else (-6, -11):
        info: dict[str, float] = {}
        solver = build(tol=10.0**exponent)
        out = solver.solve(model, x, start=1.0, stop=STOP, info=info)
        points.append((info["steps"], rms(out - model.flow(x, 1.0, STOP))))
    if points[0][0] == points[1][0]:
        return Finding(f"{points[0][0]:g} steps at either tolerance", False)
    found = slope(points)
    return Finding(f"{found:.2f}, claimed {claimed:g}, error {points[-1][1]:.1e}", found > claimed - 0.3)


@promises("error proportional to the tolerance", lambda solver: adapts(solver) and flows(solver))
def _error_proportional_to_the_tolerance(build: Build, fast: bool) -> Finding:
    """On the mixture: at most 10 tol in the mean square, at most 50 tol anywhere, and as tol to a power near 1.

    The tolerance bounds the error of a step, so that of the path stays within some multiple of it.
    """
    model, x, truth = flow_of_a_mixture(VPSDE(), STOP)
    tols = (1e-2, 1e-3, 1e-4) if build().claimed_order < 3 else (1e-3, 1e-5, 1e-7)
    ratios, largest, calls = [], [], []
    for tol in tols:
        count = Evaluations()
        error = solve(build(tol=tol), ObservedModel(model, count), x) - truth
        ratios.append(rms(error) / tol)
        largest.append(float(error.abs().max()) / tol)
        calls.append(count.calls)
    power = 1 + math.log(ratios[-1] / ratios[0]) / math.log(tols[-1] / tols[0])
    kept = max(ratios) <= 10 and max(largest) <= 50 and calls == sorted(calls) and abs(power - 1) < 0.3
    measured = f"{', '.join(f'{ratio:.2g}' for ratio in ratios)} tol for {', '.join(map(str, calls))} evaluations"
    return Finding(f"{measured}, as tol^{power:.2f}", kept)


@promises("a flow runs both ways", lambda solver: flows(solver) and (adapts(solver) or isinstance(solver, GridSolver)))
def _both_ways(build: Build, fast: bool) -> Finding:
    """From noise to data and back to the same noise."""
    steps = 500 if build().claimed_order < 2 else 300
    model, x, solver = gaussian(), noise(8, 3), finely(build, steps)
    back = solver.solve(model, solve(solver, model, x), start=STOP, stop=1.0)
    return Finding(f"off by {rms(back - x):.1e}", rms(back - x) < 2e-2)


@promises("law of the data", lambda solver: not flows(solver))
def _law_of_the_data(build: Build, fast: bool) -> Finding:
    """Mean and deviation of many independent values at many steps; the bias that remains is of first order."""
    mean, std = torch.linspace(-0.5, 0.5, 4), torch.tensor([0.1, 0.3, 0.5, 0.8])
    model = GaussianModel(mean.repeat(16), std.repeat(16).square(), VPSDE())  # Langevin steps need many dimensions
    rows, steps, off, spread = (512, 200, 0.06, 0.08) if fast else (1024, 1000, 0.04, 0.08)
    out = solve(finely(build, steps), model, noise(rows, 64), stream(1, "law")).reshape(-1, 4)
    _, covariance = model.marginal(STOP)
    ratio = out.std(0) / covariance.diagonal()[:4].sqrt()
    bias = float(((out.mean(0) - mean).abs() / std).max())
    measured = f"mean off by {bias:.3f} sd, sd ratios {ratio.min():.3f} to {ratio.max():.3f}, {out.numel()} values"
    return Finding(measured, bias < off and float((ratio - 1).abs().max()) < spread)


def law_of_the_chain(solver: MarkovSolver, model: GaussianModel, steps: int) -> tuple[Tensor, Tensor]:
    """Mean and covariance at the end of a chain of affine normal transitions, exactly, by applying the kernel to a
    basis.

    Args:
        solver: The solver.
        model: A Gaussian.
        steps: Number of steps.
    """
    size = model.means.shape[1]
    levels = model.sde.levels(solver.grid.times(model.sde, 1.0, STOP, steps))
    mean, cov = torch.zeros(size, dtype=torch.float64), torch.eye(size, dtype=torch.float64)
    probes = torch.eye(size + 1, dtype=torch.float64)[:, 1:]  # zero, and one-hot
    for t, s in pairwise(levels):
        images, std = solver.kernel(model, probes, t, s)
        shift, linear = images[0], (images[1:] - images[0]).T
        mean, cov = linear @ mean + shift, linear @ cov @ linear.T + std**2 * torch.eye(size, dtype=torch.float64)
    return mean, cov


def markov(build: Build, **options: object) -> MarkovSolver:
    """The solver, which must be a `MarkovSolver`.

    Args:
        build: Makes the solver from options.
        options: Its options.
    """
    solver = build(**options)
    if not isinstance(solver, MarkovSolver):
        raise TypeError(f"{solver.name} has no kernel")
    return solver


@promises("order of the law", lambda solver: isinstance(solver, MarkovSolver))
def _order_of_the_law(build: Build, fast: bool) -> Finding:
    """The exact law of the chain on a Gaussian approaches that of the data at the order claimed, less 0.15."""
    model, points = gaussian(), []
    mean, cov = model.marginal(STOP)
    for steps in (256, 512) if fast else (512, 1024):
        m, c = law_of_the_chain(markov(build, steps=steps), model, steps)
        points.append((steps, float((m - mean).norm() / mean.norm() + (c - cov).norm() / cov.norm())))
    claimed, found = build().claimed_order, slope(points)
    measured = f"{found:.2f}, claimed {claimed:g}, error {points[-1][1]:.1e} at {points[-1][0]} steps"
    return Finding(measured, found > claimed - 0.15 and points[-1][1] < 2e-2)


@promises("samples of the chain", lambda solver: isinstance(solver, MarkovSolver))
def _samples_of_the_chain(build: Build, fast: bool) -> Finding:
    """Samples have the chain's exact mean and variance, at a false-alarm rate of 1e-6 each."""
    model, count = gaussian(), 60_000 if fast else 262_144
    solver = markov(build, steps=20)
    mean, cov = law_of_the_chain(solver, model, 20)
    out = solve(solver, model, noise(count, 3), stream(5, "chain"))
    off = float(((out.mean(0) - mean).abs() / (cov.diagonal() / count).sqrt()).max())
    spread = float(((out.var(0) / cov.diagonal() - 1).abs() / math.sqrt(2 / (count - 1))).max())
    measured = f"mean off by {off:.1f}, variance by {spread:.1f} standard errors of {count} samples"
    return Finding(measured, max(off, spread) < Z)
