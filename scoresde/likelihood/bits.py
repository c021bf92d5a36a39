"""Bits per dimension of images with integer grey levels: dequantisation, and the result with standard errors."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core import devices
from ..core.errors import DataError, UsageError
from ..core.random import rand, stream
from ..core.sentences import many
from ..models.base import Observer, ScoreModel
from ..solvers import Solver
from .divergence import Divergence, Exact
from .task import at_a_time, of_pixels, shown, task_likelihood, told


def bits_per_dim(log_prob: Tensor, *, levels: int, dims: int | Tensor) -> Tensor:
    """-log p/(D ln 2) + log₂(L) - 1: a log-density in nats of dequantised images as bits/dim of the grey levels.

    The last two terms are the change of variables from [-1, 1] to L bins of width 1: + 7 for 256 levels, + 3.087 for
    17. For the densities of one image's dequantisations, the mean bounds -log₂ P(image)/D from above.

    Args:
        log_prob: log p of the dequantised images, in nats, of any shape.
        levels: Grey levels L of the images.
        dims: Values D of an image, one number or one for each image.

    Reference: Theis, van den Oord and Bethge 2016, https://arxiv.org/abs/1511.01844, section 3.1.
    """
    return -log_prob / (dims * math.log(2)) + math.log2(levels) - 1


def dequantise(pixels: Tensor, levels: int, generators: Sequence[torch.Generator]) -> Tensor:
    """2 (k + u)/L - 1 in [-1, 1), float64 (B, C, H, W): each grey level k in 0 .. L - 1 with its own u ~ U[0, 1).

    Args:
        pixels: (B, C, H, W) uint8.
        levels: Grey levels L of the images.
        generators: One per image.

    Raises:
        DataError: The images are not uint8, or hold a value beyond the levels.
        UsageError: There is not one generator per image.
    """
    _check(pixels, levels)
    if len(generators) != len(pixels):
        raise UsageError(f"{many(len(generators), 'generator')} for {many(len(pixels), 'image')}: give one per image")
    u = torch.stack([rand(pixels.shape[1:], g, dtype=torch.float64) for g in generators]).to(pixels.device)
    return (pixels + u) * (2 / levels) - 1


def _check(pixels: Tensor, levels: int) -> None:
    if pixels.ndim != 4 or pixels.dtype != torch.uint8 or not len(pixels):
        raise DataError(
            f"images must be a non-empty (N, C, H, W) uint8 tensor, got {tuple(pixels.shape)} of {pixels.dtype}"
        )
    if levels < 2:
        raise DataError(f"images have at least 2 grey levels, got {levels}: give their own levels")
    if int(pixels.max()) >= levels:
        raise DataError(f"images of {levels} grey levels hold the value {int(pixels.max())}: give their own levels")


@dataclass(frozen=True)
class NLL:
    """A model's negative log-likelihood of some images, in bits/dim, with the parts of its standard error.

    Example:
        >>> import scoresde
        >>> found = scoresde.bits_per_dim("digits", n=2, solver="rk23:tol=1e-2")
        >>> found.images, found.standard_error > 0
        (2, True)
    """

    value: float
    """The mean over images and draws."""
    standard_error: float
    """Of `value` as an estimate for the law the images come from: the spread over images, draws and probes in it."""
    from_images: float
    """The part of it that only more images would lower; NaN for a single draw, from which it cannot be told."""
    from_draws: float
    """The part that more dequantisations would lower; NaN for a single draw, which has no spread."""
    from_probes: float
    """The part that more probes would lower: 0 if exact, NaN for a single probe."""
    bound: float
    """The tighter bound, -log of the mean of p over an image's draws; NaN for one draw or for estimated divergences."""
    prior: float
    """Share of the prior term, -log N(x_T)/(D ln 2)."""
    correction: float
    """What the correction to t = 0 would add to `value`: small where the density has a limit there, NaN in holes."""
    images: int
    """Number of images."""
    draws: int
    """Dequantisations of each."""
    nfe: float
    """Evaluations of the model, mean over the batches."""
    vjps: float
    """Vector-Jacobian products, mean over the batches."""
    seconds: float
    """Wall-clock time of all batches."""

    @property
    def from_this_set(self) -> float:
        """The standard error of `value` for exactly these images: of draws and probes together, NaN if unknown."""
        return math.hypot(self.from_draws, self.from_probes)


def nll(
    model: ScoreModel,
    pixels: Tensor,
    *,
    levels: int,
    known: Tensor | None = None,
    draws: int = 1,
    solver: Solver | None = None,
    divergence: Divergence | None = None,
    eps: float = 1e-5,
    seed: int = 0,
    batch: int = 64,
    observers: tuple[Observer, ...] = (),
    progress: Callable[[int], object] = lambda rows: None,
) -> NLL:
    """The mean of `bits_per_dim` over images and over draws of the dequantisation noise.

    Draw k of image i depends on (seed, i, k) alone, not on the batch. With several draws and the exact divergence,
    averaging p instead of log p gives a tighter bound; with probes, their noise would look like a gain. A network
    trained for a task is given its condition from each image, without the noise. For inpainting, bits/dim are those of
    the pixels in the hole.

    Args:
        model: The score model.
        pixels: (N, C, H, W) uint8.
        levels: Grey levels of the images, 256 for photographs and 17 for scikit-learn's digits.
        known: Where the pixels of each image are known, (N, 1, H, W), for a network trained to inpaint.
        draws: Dequantisations of each image.
        solver: As for `log_likelihood`.
        divergence: As for `log_likelihood`.
        eps: As for `log_likelihood`.
        seed: Seed of the dequantisation and of the probes.
        batch: Rows at a time.
        observers: Called with (x, t, eps) after each evaluation of the model.
        progress: Called with the number of rows after each batch; there are N · draws rows.

    Raises:
        DataError: The images are not uint8, hold a value beyond the levels, or do not have the model's shape.
        UsageError, NumericalError: As `log_likelihood`; also if a network trained to inpaint has no masks, or a hole
            no pixels.

    Reference: Burda, Grosse and Salakhutdinov 2016, https://arxiv.org/abs/1509.00519, for the tighter bound.
    """
    of_pixels(model)
    _check(pixels, levels)
    if tuple(pixels.shape[1:]) != model.shape:
        raise DataError(f"the model takes images of shape {model.shape}, got {tuple(pixels.shape[1:])}")
    if draws < 1:
        raise UsageError(f"draws must be at least 1, got {draws}")
    batch = at_a_time(model, len(pixels), batch)
    dims = told(pixels, known)
    jobs = [(i, k) for k in range(draws) for i in range(len(pixels))]
    terms, costs = [], []
    for first in range(0, len(jobs), batch):
        chosen = jobs[first : first + batch]
        numbers = [i for i, _ in chosen]
        images, masks = pixels[numbers], None if known is None else known[numbers]
        x = dequantise(images, levels, [stream(seed, "dequantise", i, k) for i, k in chosen]).to(
            devices.exact(model.device)
        )
        probes = [stream(seed, "probes", i, k) for i, k in chosen]
        around = shown(model, images, levels, masks)
        found = task_likelihood(
            around, masks, x, solver=solver, divergence=divergence, eps=eps, generator=probes, observers=observers
        )
        terms.append((found.log_prob, found.standard_error, found.prior, found.correction))
        costs.append((found.nfe, found.vjps, found.seconds))
        progress(len(chosen))
    log_prob, errors, prior, correction = (
        torch.cat(term).cpu().reshape(draws, len(pixels)) for term in zip(*terms, strict=True)
    )
    bits = bits_per_dim(log_prob, levels=levels, dims=dims)
    unit = dims * math.log(2)
    by_image = bits.mean(0)
    total = by_image.var().item() / len(pixels) if len(pixels) > 1 else math.nan
    probes_part = (errors / unit).square().mean().item() / bits.numel()
    within = bits.var(0).mean().item() / bits.numel() if draws > 1 else math.nan
    unknown = 0.0 if math.isnan(probes_part) else probes_part  # a spread that was not measured stays in the draws
    tight = torch.logsumexp(log_prob, 0) - math.log(draws)
    exact = draws > 1 and isinstance(divergence, Exact)
    nfe, vjps, seconds = (sum(column) for column in zip(*costs, strict=True))
    return NLL(
        value=bits.mean().item(),
        standard_error=math.sqrt(total),
        from_images=math.nan if math.isnan(within) else math.sqrt(max(total - within, 0.0)),
        from_draws=math.nan if math.isnan(within) else math.sqrt(max(within - unknown, 0.0)),
        from_probes=math.sqrt(probes_part),
        bound=bits_per_dim(tight, levels=levels, dims=dims).mean().item() if exact else math.nan,
        prior=-(prior / unit).mean().item(),
        correction=-(correction / unit).mean().item(),
        images=len(pixels),
        draws=draws,
        nfe=nfe / len(costs),
        vjps=vjps / len(costs),
        seconds=seconds,
    )
