"""Promises about conduct: seeds, batches, counting, types, faults and gradients."""

import math
import time

import torch
from torch import Tensor

from ...core.errors import NumericalError
from ...core.random import generators, stream
from ...models.base import ScoreModel
from ...models.gaussian import GaussianModel
from ...models.output import Output
from ...sampling.sample import Samples, sample
from ...sde import VPSDE
from ...solvers import GridSolver, OneStepSolver, PerSampleSolver
from .base import (
    STOP,
    Build,
    Faulty,
    Finding,
    Promises,
    Witness,
    adapts,
    gaussian,
    mixture,
    noise,
    quick,
    solve,
)

promises = Promises()


@promises("a function of its seed")
def _function_of_its_seed(build: Build, fast: bool) -> Finding:
    """Same seed, same bits; another seed, another result if it is stochastic; torch's global generator untouched."""
    model, solver, x = mixture(), quick(build), noise(4, 2)
    before = torch.get_rng_state()
    first, again, other = (solve(solver, model, x, stream(seed, "seed")) for seed in (3, 3, 4))
    rests = torch.equal(before, torch.get_rng_state())
    same, differs = torch.equal(first, again), not torch.equal(first, other)
    measured = f"repeats: {same}, follows its seed: {differs}, leaves torch's generator alone: {rests}"
    return Finding(measured, same and rests and differs == solver.noisy)


@promises("independent of its batch", lambda solver: solver.batch_independent)
def _independent_of_its_batch(build: Build, fast: bool) -> Finding:
    """A sample alone is what it is in a batch, to 1e-12; and one that is far off leaves the others' bits alone."""
    model, solver, x = mixture(), quick(build), noise(6, 2)
    calm = solve(solver, model, x)
    gap = float((calm[4] - solve(solver, model, x[4:5], generators([4]))[0]).abs().max())
    x[2] *= 8
    wild, others = solve(solver, model, x), [0, 1, 3, 4, 5]
    disturbed = float((wild[others] - calm[others]).abs().max())
    kept = gap <= 1e-12 and torch.equal(wild[others], calm[others]) and not torch.equal(wild[2], calm[2])
    return Finding(f"alone: off by {gap:.1e}, beside a wild one: by {disturbed:.1e}", kept)


@promises("evaluations counted")
def _evaluations_counted(build: Build, fast: bool) -> Finding:
    """What `sample` reports is what the model saw, at times inside the process; a step without memory has one cost."""
    solver, model = quick(build), Witness(mixture())
    out = sample(model, solver, noise(4, 2), generator=generators(range(4)))
    even = not isinstance(solver, OneStepSolver) or (out.nfe - 1) % solver.steps == 0
    kept = out.nfe == out.work == model.calls and model.inside and even and out.seconds > 0
    outside = "" if model.inside else ", at times outside the process"
    return Finding(f"{out.nfe} of {model.calls}{outside}", kept)


@promises("shape and dtype kept")
def _shape_and_dtype_kept(build: Build, fast: bool) -> Finding:
    """Samples of images are finite and of the shape and dtype of the noise."""
    model = GaussianModel(torch.zeros(2, 3, 4), torch.full((2, 3, 4), 0.25), VPSDE())
    x = noise(5, 2, 3, 4)
    outs = [solve(quick(build), model, x.to(dtype)) for dtype in (torch.float32, torch.float64)]
    kept = [out.dtype for out in outs] == [torch.float32, torch.float64]
    kept = kept and all(out.shape == x.shape and bool(torch.isfinite(out).all()) for out in outs)
    return Finding(", ".join(f"{tuple(out.shape)} {out.dtype}" for out in outs), kept)


def _outcome(build: Build, model: ScoreModel) -> tuple[str, float]:
    """How a run on a broken model ends, and the seconds of the processor that it takes."""
    began = time.process_time()
    try:
        sample(model, build(), noise(4, 3), generator=generators(range(4)))
        end = "returned"
    except NumericalError as error:
        end = f"NumericalError: {error}"
    return end, time.process_time() - began


@promises("a NaN is an error at once")
def _nan_at_once(build: Build, fast: bool) -> Finding:
    """A NaN or an infinity for one sample at the first evaluation ends the run there within a second, by name."""
    ends, seconds, first = [], 0.0, True
    for value in (math.nan, math.inf):
        model = Faulty(lambda calls, t: True, value)
        end, took = _outcome(build, model)
        first = first and "sample 1 of 4" in end and "t = 1 " in end and model.calls <= 2
        ends.append(end.split(":")[0])
        seconds = max(seconds, took)
    kept = ends == ["NumericalError"] * 2 and first and seconds < 1
    return Finding(f"{' and '.join(ends)} after {seconds:.2f} s", kept)


@promises("a lasting fault is an error")
def _lasting_fault(build: Build, fast: bool) -> Finding:
    """A prediction that is NaN below some time ends the run within 2,000 evaluations; nothing is returned."""
    model = Faulty(lambda calls, t: t < 0.3, math.nan)
    end, _ = _outcome(build, model)
    kept = end.startswith("NumericalError") and ("not finite at t = 0" in end or "vanishes at t = 0" in end)
    return Finding(f"{end.split(':')[0]} after {model.calls} evaluations", kept and model.calls < 2000)


@promises("a passing fault costs a step", lambda solver: solver.retries)
def _passing_fault(build: Build, fast: bool) -> Finding:
    """One NaN or infinity is a rejected step of its own sample; the others keep their bits."""
    others, solver, x = [0, 2, 3], quick(build), noise(4, 3)

    def run(model: ScoreModel) -> Samples:
        return sample(model, solver, x, generator=generators(range(4)))

    calm, kept, measured = run(Faulty(lambda calls, t: False, math.nan)), True, []
    for value in (math.nan, math.inf):
        hit = run(Faulty(lambda calls, t: calls == 6, value))
        off = float((hit.x - calm.x).abs().max())
        measured.append(f"{value}: {hit.info['rejected'] - calm.info['rejected']:+.2f} rejections, off by {off:.1e}")
        kept = kept and torch.equal(hit.x[others], calm.x[others]) and hit.info != calm.info
        kept = kept and hit.info["rejected"] > 0 and (solver.noisy or off < 0.5)
    return Finding("; ".join(measured), kept)


class _Cliff(Faulty):
    """A prediction that jumps at every scale, so that no step is short enough."""

    def __init__(self) -> None:
        super().__init__(lambda calls, t: False, math.nan)

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        return Output(super().evaluate(x, t).eps + 1e3 * torch.sin(1e13 * t)[:, None])


@promises("a vanishing step is an error", adapts)
def _vanishing_step(build: Build, fast: bool) -> Finding:
    """Where no step is short enough, the run ends with an error, at the latest when its budget is spent."""
    model, most = _Cliff(), 500 if fast else 2000
    end, seconds = _outcome(lambda: build(tol=1e-6, atol=1e-9, max_nfe=most), model)
    measured = f"{end.split(':')[0]} after {model.calls} evaluations, {seconds:.2f} s"
    return Finding(measured, end.startswith("NumericalError") and model.calls <= most + 1 and seconds < 20)


@promises("gradients flow", lambda solver: isinstance(solver, GridSolver))
def _gradients_flow(build: Build, fast: bool) -> Finding:
    """The derivative of a short run by automatic differentiation is that by differences."""
    model, x = gaussian(), noise(2, 3).requires_grad_()

    def run(x: Tensor) -> Tensor:
        return solve(build(steps=3), model, x, stream(0, "gradient"), stop=0.1)

    kept = bool(torch.autograd.gradcheck(run, (x,), eps=1e-6, atol=1e-5, raise_exception=False))
    return Finding("agree with differences" if kept else "differ from differences", kept)


@promises("gradients follow the flow", lambda solver: isinstance(solver, PerSampleSolver) and not solver.noisy)
def _gradients_follow_the_flow(build: Build, fast: bool) -> Finding:
    """The derivative of an adaptive run is that of the exact flow of a Gaussian, within ten times the tolerance."""
    model, x, direction, offs = gaussian(), noise(8, 3).requires_grad_(), noise(8, 3).flip(0), []
    (truth,) = torch.autograd.grad((direction * model.flow(x, 1.0, STOP)).sum(), x)
    for tol in (1e-2, 1e-3) if fast else (1e-2, 1e-3, 1e-4):
        (found,) = torch.autograd.grad((direction * solve(build(tol=tol), model, x)).sum(), x)
        offs.append(float((found - truth).square().mean().sqrt()) / tol)
    return Finding(f"off by {', '.join(f'{off:.2g}' for off in offs)} tol", all(off <= 10 for off in offs))
