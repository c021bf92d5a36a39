"""Latent codes: the probability flow taken from data to noise and back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.devices import double
from ..core.errors import UsageError
from ..models.base import Observer, ScoreModel
from ..solvers import Solver, solvers
from .progress import ProgressBar, progress_bar
from .sample import Samples, transport


def encode(model: ScoreModel, solver: Solver | str, x: Tensor, *, observers: tuple[Observer, ...] = ()) -> Samples:
    """The latent code of x, (B, *), data in [-1, 1]: the state at the end of the process that flows into x.

    The data are taken for the state at the process's `t_min`, where the noise is below a grey level.

    Args:
        model: The model whose probability flow is followed.
        solver: An ODE solver, or its text, such as "rk45:tol=1e-5".
        x: Data, (B, *).
        observers: Called with (x, t, eps) after each evaluation of the model.

    Raises:
        UsageError: The solver adds noise, so that it has no way back, or the images do not fit the model.
        NumericalError: A value is not finite, a step vanishes, or the evaluations exceed their budget.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, section 4.3.
    """
    chosen = solvers.make(solver, Solver)
    if chosen.noisy:
        raise UsageError(f"{chosen.name} adds noise, so no latent code leads back to an image; use an ODE solver")
    return transport(model, chosen, x, start=model.sde.t_min, stop=model.sde.t_max, observers=observers)


def decode(model: ScoreModel, solver: Solver | str, z: Tensor, *, observers: tuple[Observer, ...] = ()) -> Samples:
    """The data that the latent code z, (B, *), stands for: the inverse of `encode`, without a final denoising.

    Args:
        model: The model whose probability flow is followed.
        solver: As for `encode`.
        z: Latent codes, (B, *).
        observers: Called with (x, t, eps) after each evaluation of the model.

    Raises:
        UsageError: The solver adds noise.
        NumericalError: A value is not finite, a step vanishes, or the evaluations exceed their budget.
    """
    chosen = solvers.make(solver, Solver)
    if chosen.noisy:
        raise UsageError(f"{chosen.name} adds noise, so it does not decode; use an ODE solver")
    return transport(model, chosen, z, start=model.sde.t_max, stop=model.sde.t_min, observers=observers)


@dataclass(frozen=True)
class RoundTrip:
    """Data, carried to their latent codes and back."""

    codes: Samples
    """The latent codes, and what they cost."""
    back: Samples
    """What they were decoded to, and what that cost."""
    errors: Tensor
    """Root mean square difference of what came back from the data, (B,)."""

    @property
    def rms(self) -> float:
        """The root mean square difference over all data."""
        return float(self.errors.square().mean().sqrt())


def round_trip(model: ScoreModel, solver: Solver, x: Tensor, *, progress: bool | None = False) -> RoundTrip:
    """decode(encode(x)) and how far it is from x, (B, *), data in [-1, 1].

    Args:
        model: The model whose probability flow is followed.
        solver: An ODE solver.
        x: Data, (B, *).
        progress: Whether bars are shown, or lines; None shows bars in a terminal or notebook, else lines.

    Raises:
        UsageError, NumericalError: As `encode`.
    """
    codes = _watched(encode, model, solver, x, progress)
    back = _watched(decode, model, solver, codes.x, progress)
    return RoundTrip(codes, back, (back.x - x).flatten(1).square().mean(1).sqrt())


def interpolate(
    model: ScoreModel, solver: Solver, a: Tensor, b: Tensor, shares: Sequence[float], *, progress: bool | None = False
) -> Samples:
    """The way from each of the data a to that of b, both (B, *), through `slerp` of their codes: (B len(shares), *).

    Args:
        model: The model whose probability flow is followed.
        solver: An ODE solver.
        a: Where the ways begin.
        b: Where they end.
        shares: Places on the way, 0 for a and 1 for b; those of the first way come first.
        progress: As for `round_trip`.

    Raises:
        UsageError, NumericalError: As `encode`.
    """
    codes = _watched(encode, model, solver, torch.stack([a, b], 1).flatten(0, 1), progress).x
    between = torch.stack([slerp(codes[::2], codes[1::2], share) for share in shares], 1)
    return _watched(decode, model, solver, between.flatten(0, 1), progress)


def _watched(
    move: Callable[..., Samples], model: ScoreModel, solver: Solver, x: Tensor, progress: bool | None
) -> Samples:
    """Encodes or decodes under a bar."""
    with progress_bar(len(x), progress, desc=move.__name__, leave=False) as bar:
        watch = ProgressBar(model.sde, bar, upwards=move is encode)
        found = move(model, solver, x, observers=(watch,))
        watch.finish(len(x))
    return found


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """sin((1 - s) ω)/sin ω a + sin(s ω)/sin ω b, ω the angle between a and b, (B, *), row by row.

    Normal noise lies near a sphere; a straight line would leave it, for states that the model never met.

    Args:
        a: Where the way begins, (B, *).
        b: Where it ends, (B, *).
        share: The place s on it, from 0 to 1.

    Reference: Shoemake 1985, https://doi.org/10.1145/325165.325242.
    """
    u, v = double(a).flatten(1), double(b).flatten(1)
    cosine = torch.nn.functional.cosine_similarity(u, v, dim=1, eps=1e-12).clamp(-1, 1)
    angle = torch.acos(cosine)[:, None]
    # Codes of one direction have no arc between them, and their line is the limit of it.
    straight = torch.sin(angle) < 1e-6
    sine = torch.where(straight, 1.0, torch.sin(angle))
    first = torch.where(straight, 1 - share, torch.sin((1 - share) * angle) / sine)
    last = torch.where(straight, share, torch.sin(share * angle) / sine)
    return (first * u + last * v).reshape(a.shape).to(a.dtype).to(a.device)
