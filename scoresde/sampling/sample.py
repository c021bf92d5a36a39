"""Sampling, and the accounting that the benchmark reports."""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from ..core.devices import finished
from ..core.errors import NumericalError, ResourceError, UsageError, out_of_memory
from ..core.finite import non_finite
from ..core.parallel import ALONE, Processes
from ..core.random import Generators, randn_like
from ..models.base import ObservedModel, Observer, ScoreModel
from ..models.border import checked
from ..models.evaluations import Evaluations
from ..sde import noised
from ..solvers import OneStepSolver, Solver, solvers
from ..solvers.base import Info
from .misfit import measured, noted
from .samples import Samples as Samples
from .value_range import watched


def sample(
    model: ScoreModel,
    solver: Solver | str,
    x: Tensor,
    *,
    generator: Generators = None,
    start: float | None = None,
    stop: float | None = None,
    denoise: bool = True,
    observers: tuple[Observer, ...] = (),
) -> Samples:
    """Solves the reverse process from x, (B, *), noise at the end of the process or the state at another time.

    Args:
        model: What is sampled from.
        solver: A solver, or its text, such as "dpm:tol=1e-2".
        x: Noise, as `model.prior(seeds)` makes it; or the state at the time `start`, as `noised_to` makes it.
        generator: Source of the solver's noise; one per row makes a sample depend on its own seed alone.
        start: Time of x; by default the process's `t_max`.
        stop: Time at which the solver ends; by default the process's `t_min`.
        denoise: Ends with E[x_0 | x_stop] instead of x_stop, for one more evaluation. Details of the data below σ/α at
            `stop`, by default 0.01 in `vp` and `ve`, go with the noise: data of that deviation shrink to their mean.
        observers: Called with (x, t, eps) after each evaluation of the model.

    Raises:
        UsageError: The times do not lie inside the process or run upwards, or the solver cannot follow a model that
            draws noise.
        NumericalError: A value is not finite, a step vanishes, or the evaluations exceed their budget.
    """
    begin = model.sde.t_max if start is None else start
    end = model.sde.t_min if stop is None else stop
    if start is not None and not end < start:
        raise UsageError(f"samples are drawn from a later time to an earlier one, got start {begin:g} and stop {end:g}")
    return transport(model, solver, x, start=begin, stop=end, generator=generator, denoise=denoise, observers=observers)


def noised_to(model: ScoreModel, x0: Tensor, start: float, generator: Generators = None) -> Tensor:
    """x_t = α x_0 + σ z at the time t = `start`, (B, *): what `sample` begins with to draw near to given data.

    Args:
        model: The model, for its process and its device.
        x0: Data in the units of the network, (B, *).
        start: The time.
        generator: Source of z, the same noise that `model.prior` makes of it.

    Raises:
        UsageError: The time does not lie in the process.

    Reference: Meng et al. 2022, https://arxiv.org/abs/2108.01073, algorithm 1.
    """
    if not 0 < start <= model.sde.t_max:
        raise UsageError(f"a time to start from lies in (0, {model.sde.t_max:g}], got {start:g}")
    x0 = x0.to(model.device)
    return noised(model.sde, x0, torch.full((len(x0),), start, dtype=torch.float64), randn_like(x0, generator))


def transport(
    model: ScoreModel,
    solver: Solver | str,
    x: Tensor,
    *,
    start: float,
    stop: float,
    generator: Generators = None,
    denoise: bool = False,
    observers: tuple[Observer, ...] = (),
) -> Samples:
    """x, (B, *), at time `start`, carried to time `stop`, with what it cost.

    Args:
        model: What is solved.
        solver: A solver, or its text.
        x: The state at time `start`, (B, *).
        start: The time at which the solver begins.
        stop: The time at which it ends: later, for a flow from data to noise, or earlier.
        generator: As for `sample`.
        denoise: As for `sample`.
        observers: As for `sample`.

    Raises:
        UsageError, NumericalError: As `sample`.
    """
    checked(x, model.shape)
    chosen = solvers.make(solver, Solver)
    if model.draws and not isinstance(chosen, OneStepSolver):
        reason = "compares" if chosen.adaptive else "combines"
        said = f"{chosen.name} {reason} evaluations at different times, and this model draws new noise at each: "
        use = "use em, ancestral or pc, or a conditioner without noise of its own, such as replace or covariance"
        if model.draws != "as published":
            raise UsageError(said + use)
        means = "estimate of the error" if chosen.adaptive else "history"
        warnings.warn(f"{said}its {means} means nothing then, as published; for samples, {use}", stacklevel=3)

    def run(watched: ScoreModel, info: Info) -> Tensor:
        state = x.to(torch.promote_types(x.dtype, torch.float32))  # as in `Solver.solve`, and for the last step too
        end = chosen.solve(watched, state, start=start, stop=stop, generator=generator, info=info)
        if denoise:
            end = model.finish(watched.denoise(end, torch.full((len(x),), stop, dtype=torch.float64)))
        return end if state is x else end.to(x.dtype)

    found = replace(accounted(model, run, chosen.name, observers), solver=str(chosen))
    found = watched(found, model) if denoise else found
    (level,), posed = model.sde.levels([stop]), measured(model) if denoise else None
    return found if posed is None else noted(found, posed.misfit(found.x, level.sigma / level.alpha), model)


def in_training(model: ScoreModel) -> bool:
    """Whether a part of the model behaves otherwise than it will once trained: dropout, or statistics of the batch.

    Args:
        model: The model.
    """
    return any(
        part.training and (isinstance(part, _BatchNorm) or (isinstance(part, _DropoutNd) and part.p > 0))
        for part in model.modules()
    )


@torch.no_grad()
def accounted(
    model: ScoreModel, run: Callable[[ScoreModel, Info], Tensor], name: str, observers: tuple[Observer, ...] = ()
) -> Samples:
    """What `run` makes of the model, (B, *), with what it cost; the one place where that is counted and timed.

    Args:
        model: What is evaluated.
        run: Called with the model under observation and with what it may fill in as `Samples.info`.
        name: Of the method, for the error.
        observers: As for `sample`.

    Raises:
        NumericalError: A value is not finite.
    """
    if in_training(model):
        warnings.warn(
            "the network is in training mode, and its dropout or batch statistics make two evaluations at one point "
            "differ: call model.eval() first",
            stacklevel=4,
        )
    count, info = Evaluations(), dict[str, float]()
    counted = model.observed(count)
    watched = ObservedModel(counted, *observers) if observers else counted
    began = time.perf_counter()
    x = run(watched, info)
    if bool(non_finite(x).any()):
        raise NumericalError(f"{name}: the samples are not finite after {count.calls} evaluations")
    finished(x.device)
    return Samples(x, count.calls, count.rows / len(x), time.perf_counter() - began, info, count.vjps)


def in_batches(
    draw: Callable[[range], Samples], rows: range, batch: int, together: Processes = ALONE
) -> Iterator[Samples]:
    """The samples of all rows, `batch` of them at a time; a batch that does not fit into the memory is halved.

    Args:
        draw: Draws the samples of some of the rows, each from its own seed, so that halving changes none.
        rows: The numbers of all samples.
        batch: Samples at a time, at most.
        together: This process among several that share the batches: process r of N draws batches r, r + N, r + 2N, ...

    Raises:
        ResourceError: Not even one sample fits into the memory.
    """
    size = batch
    for start in range(batch * together.rank, len(rows), batch * together.world):
        part, first = rows[start : start + batch], 0
        while first < len(part):
            try:
                yield draw(part[first : first + size])
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if size == 1:
                    raise ResourceError(
                        "the memory does not hold what one sample takes: choose another device"
                    ) from None
                size //= 2
                continue
            first += size
