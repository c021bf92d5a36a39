"""The variational bound of a discrete chain, term by term, in bits per dimension."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from ..core.devices import double
from ..core.errors import UsageError
from ..core.random import Generators, randn_like
from ..models.base import ObservedModel, Observer, ScoreModel
from ..models.evaluations import Evaluations
from ..sde import SDE, expand
from .bits import _check
from .steps import Steps, Variance
from .task import shown, told


@dataclass(frozen=True)
class VLB:
    """The terms of the variational bound on -log₂ P(x)/D, in bits/dim, for each image."""

    prior: Tensor
    """L_N = KL(q(x_N | x_0) ‖ N(0, I)), (B,)."""
    diffusion: Tensor
    """L_n = KL(q(x_n | x_{n+1}, x_0) ‖ p(x_n | x_{n+1})) for n = 1 .. N - 1, (N - 1, B)."""
    decoder: Tensor
    """L_0 = -log P(x_0 | x_1), (B,)."""
    nfe: int
    """Evaluations of the model: N."""

    @property
    def total(self) -> Tensor:
        """The bound, (B,)."""
        return self.prior + self.diffusion.sum(0) + self.decoder


def chain(sde: SDE, steps: int) -> Tensor:
    """ᾱ_1 .. ᾱ_N of the discrete chain with the noise levels of the process at t = n end/N, (N,) float64.

    For the linear VP process and N = 1000 it is DDPM's chain to first order in 1/N. A process that is itself a chain
    gives its own levels: all of them, or N that are evenly spaced.

    Args:
        sde: The process.
        steps: N.

    Raises:
        UsageError: There are fewer than 2 steps, or more than the process has.
    """
    if steps < 2:
        raise UsageError(f"a chain has at least 2 steps, got {steps}")
    if sde.chain is not None:
        own = sde.chain.alphas_cumprod
        if steps > len(own):
            raise UsageError(f"the process is a chain of {len(own)} steps and has no {steps} levels")
        return own[torch.linspace(0, len(own) - 1, steps, dtype=torch.float64).round().long()]
    t = torch.arange(1, steps + 1, dtype=torch.float64) * (sde.t_max / steps)
    return torch.sigmoid(2 * sde.log_snr(t))


@torch.no_grad()
def vlb(
    model: ScoreModel,
    pixels: Tensor,
    *,
    levels: int,
    known: Tensor | None = None,
    alphas_cumprod: Tensor,
    variance: Variance = "small",
    clip: bool = True,
    generator: Generators = None,
    observers: tuple[Observer, ...] = (),
    progress: Callable[[int], object] = lambda rows: None,
) -> VLB:
    """-log₂ P(x_0)/D ≤ L_N + Σ_n L_n + L_0 for images, (B, C, H, W) uint8.

    The chain is q(x_n | x_0) = N(√ᾱ_n x_0, (1 - ᾱ_n) I), and x_0 has the grey levels evenly spaced in [-1, 1].
    The reverse chain has the mean of q(x_n | x_{n+1}, x_0) at the predicted x_0, and the variance β̃ ("small", that of
    q), β ("large"), or exp(r log β + (1 - r) log β̃) with r = (o + 1)/2 from a network's second output o ("learned").
    At n = 0, where β̃ = 0, it is that of n = 1, for "large" β. The decoder integrates its normal over each grey
    level's bin in [-1, 1], the outer two open. One noise per image and step is drawn, so the sum is an unbiased
    estimate of the bound.

    Args:
        model: The score model.
        pixels: Images, (B, C, H, W) uint8.
        levels: Grey levels of the images.
        known: Where pixels are known, (B, 1, H, W), for a network trained to inpaint: the bound is of the holes.
        alphas_cumprod: ᾱ_1 .. ᾱ_N, (N,), decreasing, inside the model's process; see `chain`.
        variance: "small", "large" or "learned".
        clip: Cut the predicted x_0 to [-1, 1], as the reference implementations do.
        generator: Source of the noise; one per row makes an image's bound depend on its own seed alone.
        observers: Called with (x, t, eps) after each evaluation of the model.
        progress: Called with the number of rows after each step.

    Raises:
        DataError: The images are not uint8 or hold a value beyond the levels.
        UsageError: The chain does not decrease in (0, 1) or leaves the process, or the network learned no variance.

    References: Ho et al. 2020, https://arxiv.org/abs/2006.11239, equations 5 and 13; Nichol and Dhariwal 2021,
    https://arxiv.org/abs/2102.09672, equation 15.
    """
    _check(pixels, levels)
    steps = Steps(alphas_cumprod)
    a = steps.alphas_cumprod
    times = model.sde.time(0.5 * (a.log() - torch.log1p(-a)))
    if not (times[0] > 0 and times[-1] <= 1.01 * model.sde.t_max):
        raise UsageError(
            f"the chain needs times from {times[0]:.3g} to {times[-1]:.3g}, the process has (0, {model.sde.t_max:g}]"
        )
    if variance not in get_args(Variance):
        raise UsageError(f"variance must be small, large or learned, got {variance!r}")
    count = Evaluations()
    watched = ObservedModel(shown(model, pixels, levels, known), count, *observers)
    x0 = double(pixels.to(model.device)) * (2 / (levels - 1)) - 1
    unit, terms = told(pixels, known).to(x0.device) * math.log(2), []
    counted = x0.new_ones(()) if known is None else (~known.bool()).to(x0)
    for n in range(len(a)):
        t = times[n].expand(len(x0))
        x = a[n].sqrt() * x0 + (1 - a[n]).sqrt() * randn_like(x0, generator)
        out = watched.evaluate(expand(model.sde.scale(t), x) * x, t)
        share = out.learned() if variance == "learned" else None
        predicted = (x - (1 - a[n]).sqrt() * out.eps) / a[n].sqrt()
        predicted = predicted.clamp(-1, 1) if clip else predicted
        rows = torch.full((len(x0),), n)
        log_variance = steps.log_variance(rows, x, variance, share)
        nats = steps.nats(rows, x0, x, predicted, log_variance, levels=levels)
        terms.append((nats * counted).flatten(1).sum(1) / unit)
        progress(len(x0))
    prior = 0.5 * (-torch.log1p(-a[-1]) - a[-1] + a[-1] * x0**2) * counted
    return VLB(prior.flatten(1).sum(1) / unit, torch.stack(terms[1:]), terms[0], count.calls)
