"""Sampling, and the accounting that the benchmark reports."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.errors import NumericalError, ResourceError, UsageError
from ..core.finite import non_finite
from ..core.parallel import ALONE, Processes
from ..core.random import Generators
from ..models.base import Evaluations, ObservedModel, Observer, ScoreModel
from ..solvers import OneStepSolver, Solver
from ..solvers.base import Info


@dataclass(frozen=True)
class Samples:
    """Samples and what they cost."""

    x: Tensor
    """(B, *), at the time where the solver ended."""
    nfe: int
    """Sequential evaluations of the model by the whole batch, the final denoising included."""
    work: float
    """Evaluations per sample; it differs from nfe only if the model is called with another batch."""
    seconds: float
    """Wall-clock time."""
    info: Mapping[str, float]
    """What the solver alone knows: steps and rejected steps, means over the samples."""
    vjps: int = 0
    """Sequential vector-Jacobian products of the model, which some conditioners take."""

    @property
    def cost(self) -> int:
        """nfe + 2 vjps: a backward pass costs about two forward ones."""
        return self.nfe + 2 * self.vjps


def sample(
    model: ScoreModel,
    solver: Solver,
    x: Tensor,
    *,
    generator: Generators = None,
    stop: float | None = None,
    denoise: bool = True,
    observers: tuple[Observer, ...] = (),
) -> Samples:
    """Solves the reverse process from x, (B, *), noise at the end of the process.

    Args:
        generator: Source of the solver's noise; one per row makes a sample depend on its own seed alone.
        stop: Time at which the solver ends; by default the process's `t_min`.
        denoise: Ends with E[x_0 | x_stop] instead of x_stop, for one more evaluation.
        observers: Called with (x, t, eps) after each evaluation of the model.

    Raises:
        UsageError: `stop` does not lie inside the process, or the solver cannot follow a model that draws noise.
        NumericalError: A value is not finite, a step vanishes, or the evaluations exceed their budget.
    """
    end = model.sde.t_min if stop is None else stop
    return transport(
        model, solver, x, start=model.sde.t_max, stop=end, generator=generator, denoise=denoise, observers=observers
    )


def transport(
    model: ScoreModel,
    solver: Solver,
    x: Tensor,
    *,
    start: float,
    stop: float,
    generator: Generators = None,
    denoise: bool = False,
    observers: tuple[Observer, ...] = (),
) -> Samples:
    """x, (B, *), at time `start`, carried to time `stop`, with what it cost; arguments and errors as `sample`."""
    if model.draws and not isinstance(solver, OneStepSolver):
        reason = "compares" if solver.adaptive else "combines"
        raise UsageError(
            f"{solver.name} {reason} evaluations at different times, and this model draws new noise at each: "
            "use em, ancestral or pc, or a conditioner without noise of its own, such as replace or covariance"
        )

    def run(watched: ScoreModel, info: Info) -> Tensor:
        end = solver.solve(watched, x, start=start, stop=stop, generator=generator, info=info)
        if not denoise:
            return end
        return model.finish(watched.denoise(end, torch.full((len(x),), stop, dtype=torch.float64, device=x.device)))

    return accounted(model, run, solver.name, observers)


@torch.no_grad()
def accounted(
    model: ScoreModel, run: Callable[[ScoreModel, Info], Tensor], name: str, observers: tuple[Observer, ...] = ()
) -> Samples:
    """What `run` makes of the model, (B, *), with what it cost; the one place where that is counted and timed.

    Args:
        run: Called with the model under observation and with what it may fill in as `Samples.info`.
        name: Of the method, for the error.

    Raises:
        NumericalError: A value is not finite.
    """
    count, info = Evaluations(), dict[str, float]()
    counted = model.observed(count)
    watched = ObservedModel(counted, *observers) if observers else counted
    began = time.perf_counter()
    x = run(watched, info)
    if bool(non_finite(x).any()):
        raise NumericalError(f"{name}: the samples are not finite after {count.calls} evaluations")
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return Samples(x, count.calls, count.rows / len(x), time.perf_counter() - began, info, count.vjps)


def in_batches(
    draw: Callable[[range], Samples], rows: range, batch: int, together: Processes = ALONE
) -> Iterator[Samples]:
    """The samples of all rows, `batch` of them at a time; a batch that does not fit into the memory is halved.

    Args:
        draw: Draws the samples of some of the rows, each from its own seed, so that halving changes none.
        together: Of several processes, each draws every so manieth batch.

    Raises:
        ResourceError: Not even one sample fits into the memory.
    """
    size = batch
    for start in range(batch * together.rank, len(rows), batch * together.world):
        part, first = rows[start : start + batch], 0
        while first < len(part):
            try:
                yield draw(part[first : first + size])
            except torch.OutOfMemoryError:
                if size == 1:
                    raise ResourceError(
                        "the memory does not hold what one sample takes: choose another device"
                    ) from None
                size //= 2
                continue
            first += size
