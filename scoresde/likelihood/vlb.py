"""The variational bound of a discrete chain, term by term, in bits per dimension."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import UsageError
from ..model import Evaluations, NetworkModel, ObservedModel, Observer, ScoreModel
from ..random import Generators, randn_like
from ..sde import SDE, expand
from .bits import _check
from .flow import scale

Variance = Literal["small", "large", "learned"]


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
    """ᾱ_1 .. ᾱ_N of the discrete chain that meets the noise levels of the process at t = n end/N, (N,) float64.

    For the linear VP process and N = 1000 it is DDPM's chain to first order in 1/N.

    Raises:
        UsageError: There are fewer than 2 steps.
    """
    if steps < 2:
        raise UsageError(f"a chain has at least 2 steps, got {steps}")
    t = torch.arange(1, steps + 1, dtype=torch.float64) * (sde.end / steps)
    return torch.sigmoid(2 * sde.log_snr(t))


@torch.no_grad()
def vlb(
    model: ScoreModel,
    pixels: Tensor,
    *,
    levels: int,
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
        levels: Grey levels of the images.
        alphas_cumprod: ᾱ_1 .. ᾱ_N, (N,), decreasing, inside the model's process; see `chain`.
        clip: Cut the predicted x_0 to [-1, 1], as the reference implementations do.
        generator: Source of the noise; one per row makes an image's bound depend on its own seed alone.
        progress: Called with the number of rows after each step.

    Raises:
        DataError: The images are not uint8 or hold a value beyond the levels.
        UsageError: The chain does not decrease in (0, 1) or leaves the process, or the network learned no variance.

    References: Ho et al. 2020, https://arxiv.org/abs/2006.11239, equations 5 and 13; Nichol and Dhariwal 2021,
    https://arxiv.org/abs/2102.09672, equation 15.
    """
    _check(pixels, levels)
    a = alphas_cumprod.double().cpu()
    if a.ndim != 1 or len(a) < 2 or a.min() <= 0 or a.max() >= 1 or not (a[1:] < a[:-1]).all():
        raise UsageError("alphas_cumprod must be at least two decreasing numbers between 0 and 1")
    times = model.sde.time(0.5 * (a.log() - torch.log1p(-a)))
    if not (times[0] > 0 and times[-1] <= 1.01 * model.sde.end):
        raise UsageError(
            f"the chain needs times from {times[0]:.3g} to {times[-1]:.3g}, the process has (0, {model.sde.end:g}]"
        )
    if variance not in get_args(Variance):
        raise UsageError(f"variance must be small, large or learned, got {variance!r}")
    count = Evaluations()
    watched = ObservedModel(model, count, *observers)
    x0 = pixels.to(model.device).double() * (2 / (levels - 1)) - 1
    before = torch.cat([a.new_ones(1), a[:-1]])  # ᾱ_{n-1}
    beta = 1 - a / before
    posterior = beta * (1 - before) / (1 - a)
    small = torch.cat([posterior[1:2], posterior[1:]]).log()
    large = torch.cat([posterior[1:2] if variance == "large" else beta[:1], beta[1:]]).log()
    unit, terms = x0[0].numel() * math.log(2), []
    for n in range(len(a)):
        t = times[n].to(x0.device).expand(len(x0))
        x = a[n].sqrt() * x0 + (1 - a[n]).sqrt() * randn_like(x0, generator)
        at = expand(scale(model.sde, t), x) * x
        predicted = (x - (1 - a[n]).sqrt() * watched.eps(at, t)) / a[n].sqrt()
        predicted = predicted.clamp(-1, 1) if clip else predicted
        towards_x0 = before[n].sqrt() * beta[n] / (1 - a[n])
        towards_x = (a[n] / before[n]).sqrt() * (1 - before[n]) / (1 - a[n])
        mean = towards_x0 * predicted + towards_x * x
        log_variance = x.new_full((), float(large[n] if variance == "large" else small[n]))
        if variance == "learned":
            share = (_second_output(model, at, t) + 1) / 2
            log_variance = share * large[n].item() + (1 - share) * small[n].item()
        if n == 0:
            nats = -_log_mass(x0, mean, (0.5 * log_variance).exp(), levels)
        else:
            gap = towards_x0 * (x0 - predicted)
            log_q = float(posterior[n].log())
            nats = 0.5 * (log_variance - log_q + (log_q - log_variance).exp() - 1 + gap**2 * (-log_variance).exp())
        terms.append(nats.flatten(1).sum(1) / unit)
        progress(len(x0))
    prior = 0.5 * (-torch.log1p(-a[-1]) - a[-1] + a[-1] * x0**2)
    return VLB(prior.flatten(1).sum(1) / unit, torch.stack(terms[1:]), terms[0], count.calls)


def _second_output(model: ScoreModel, x: Tensor, t: Tensor) -> Tensor:
    """The channels that a network with a learned variance gives beyond those of the image, (B, C, H, W)."""
    if not isinstance(model, NetworkModel):
        raise UsageError("only a NetworkModel has a learned variance")
    dtype = next(model.net.parameters()).dtype
    out: Tensor = model.net(x.to(dtype), model.label(t).to(torch.promote_types(dtype, torch.float32)))
    if out.shape[1] != 2 * x.shape[1]:
        raise UsageError(f"the network gives {out.shape[1]} channels, not the {2 * x.shape[1]} of a learned variance")
    return out[:, x.shape[1] :].to(x.dtype)


def _log_mass(x: Tensor, mean: Tensor, std: Tensor, levels: int) -> Tensor:
    """log ∫ N(mean, std²) over the bin of x's grey level, element by element; the outer bins are open."""
    half = 1 / (levels - 1)
    low, high = (x - half - mean) / std, (x + half - mean) / std
    low, high = low.masked_fill(x < -1 + half, -torch.inf), high.masked_fill(x > 1 - half, torch.inf)
    # Both ends on the side where the distribution function is small, so that nothing cancels in the tails.
    flip = (low + high > 0) | (high == torch.inf)
    near, far = torch.where(flip, -low, high), torch.where(flip, -high, low)
    log_near, log_far = torch.special.log_ndtr(near), torch.special.log_ndtr(far)
    mass: Tensor = log_near + torch.log1p(-(log_far - log_near).exp())
    return mass
