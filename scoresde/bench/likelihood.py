"""The likelihood of real images under a model, and what a solver's tolerance changes in it."""

import functools
import math
from collections.abc import Callable
from statistics import fmean

import torch
from torch import Tensor

from ..core.options import table
from ..core.random import stream
from ..likelihood import Exact, Hutchinson, bits_per_dim
from ..solvers import Solver
from ..solvers.controllers import ProportionalIntegral
from ..solvers.runge_kutta import RK45
from .store import Row
from .subject import ModelSubject
from .unfinished import Batch, Keep

LIKELIHOOD = 360.0
"""Evaluations that the likelihood of an image takes about as long as, for the progress bar alone: some 120, and as many
derivatives, which take twice the time."""
SMALL = 16
"""Values of a sample up to which the divergence is exact; above, it is one Rademacher probe."""


def likelihoods(
    subject: ModelSubject,
    solver: Solver | None,
    keep: Keep,
    progress: Callable[[float], object],
) -> Row:
    """Bits/dim of each of the subject's own data, the same data for every solver, and the cost of a batch.

    Args:
        subject: The model, with its data.
        solver: Its tolerance is used; None is rk45 at the tolerance that the benchmark names for a model's own.
        keep: Keeps each batch.
        progress: Called with the work done, as for `run`.

    Raises:
        NumericalError: As `log_likelihood`.
    """
    (x, levels), spec = subject.own, subject.spec
    own = RK45(tol=spec.likelihood_tol, controller=ProportionalIntegral()) if solver is None else solver
    divergence = Exact() if x[0].numel() <= SMALL else Hutchinson()

    def make(rows: range) -> Batch:
        probes = [stream(spec.seed, "probes", i, 0) for i in rows]
        part = subject.likelihood(rows, solver=own, divergence=divergence, generator=probes)
        return Batch({"log_prob": part.log_prob.cpu()}, {"nfe": part.nfe, "vjps": part.vjps, "seconds": part.seconds})

    parts = list[Batch]()
    for first in range(0, len(x), spec.batch):
        rows = range(first, min(first + spec.batch, len(x)))
        parts.append(keep(f"likelihood-{first}-{rows[-1]}", functools.partial(make, rows)))
        progress(LIKELIHOOD * len(rows))
    return {
        "bits_per_dim": bits(torch.cat([part.tensors["log_prob"] for part in parts]), levels, subject.told),
        "likelihood": {key: fmean(part.facts[key] for part in parts) for key in ("nfe", "vjps", "seconds")}
        | {"tol": table(own)["tol"]},
    }


def bits(log_prob: Tensor, levels: int | None, dims: int | Tensor) -> list[float]:
    """Bits/dim, of grey levels or of the density itself.

    Args:
        log_prob: Log-densities in nats, (B,).
        levels: Grey levels of the data, or None.
        dims: Values of one sample, one number or one for each sample.
    """
    values = -log_prob / (dims * math.log(2)) if levels is None else bits_per_dim(log_prob, levels=levels, dims=dims)
    return [float(value) for value in values]
