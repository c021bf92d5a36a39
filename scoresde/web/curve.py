"""The error of solvers against the evaluations that they are given, point by point."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from torch import Tensor

from ..core.errors import NumericalError, UsageError
from ..core.random import generators
from ..models.base import ScoreModel
from ..models.latent import decoded
from ..sampling import sample as sampling
from ..solvers import Solver
from .jobs import Job

STEPS, TOLERANCES = (5, 10, 20, 40, 80), (0.1, 0.03, 0.01, 0.003, 0.001)
"""What the solvers run with."""
SECONDS = 60.0
"""Seconds after which no further point is begun."""


def curve(
    job: Job, model: ScoreModel, runners: Sequence[Solver], seeds: Sequence[int], truth: Tensor
) -> list[dict[str, Any]]:
    """How far solvers end from a reference with few evaluations, then with more and more: an event "point" for each.

    A solver that adds noise has no error of this kind, as it draws other pictures.

    Args:
        job: The job.
        model: The model that is sampled from.
        runners: The solvers, each with its lane: its place here.
        seeds: Of the pictures.
        truth: The pictures of the reference, which is the first of the solvers and is left out.
    """
    points: list[dict[str, Any]] = []
    ladders = [(lane, ladder(solver)) for lane, solver in enumerate(runners) if lane and not solver.stochastic]
    ends = time.monotonic() + SECONDS
    for step in range(len(STEPS)):
        for lane, solver in [(lane, rungs[step]) for lane, rungs in ladders if len(rungs) > step]:
            if time.monotonic() > ends:
                return points
            noise = model.prior(generators(seeds))
            with suppress(NumericalError):
                done = sampling.sample(model, solver, noise, observers=(lambda x, t, eps: job.check(),))
                points.append({"lane": lane, "nfe": done.nfe, "error": distance(decoded(model, done.x), truth)})
                job.emit("point", **points[-1])
    return points


def ladder(solver: Solver) -> list[Solver]:
    """A solver with few evaluations and with more and more of them; nothing if it has no option that sets them.

    Args:
        solver: The solver, whose other options stay.
    """
    given = {name: getattr(solver, name) for name in solver.model_fields_set}
    for name, values in (("steps", STEPS), ("nfe", STEPS), ("tol", TOLERANCES)):
        if name in type(solver).model_fields:
            with suppress(UsageError):  # other options go with that of the race alone
                return [type(solver)(**given | {name: value}) for value in values]
    return []


def distance(x: Tensor, truth: Tensor) -> float:
    """How far images are from others: the root mean square of their difference, in levels of 255.

    Args:
        x: Images, (B, C, H, W).
        truth: The others.
    """
    return round(float((x.clamp(-1, 1) - truth.clamp(-1, 1)).square().mean().sqrt()) * 127.5, 3)
