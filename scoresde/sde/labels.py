"""Labels: what a network takes for the time."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..core.errors import UsageError

Label = Callable[[Tensor], Tensor]
"""Maps times, (B,), to the network's time input, (B,)."""


class ScaledLabel:
    """The label of continuous-time networks, scale · t.

    Args:
        scale: The factor; score_sde's is 999.
    """

    def __init__(self, scale: float = 999.0) -> None:
        self.scale = scale

    def __call__(self, t: Tensor) -> Tensor:
        return self.scale * t


class DiscreteLabel:
    """The label of a network trained on the DDPM steps 0..N-1: the fractional step of equal log-SNR.

    Two variance-preserving processes with equal log-SNR have equal α and σ, so the network always meets a
    noise level that it was trained on, whatever the time axis of the SDE. Beyond the ends it is clamped.

    Args:
        alphas_cumprod: ᾱ_0 .. ᾱ_{N-1}, (N,), decreasing.
        log_snr: Maps times, (B,), to log α/σ of a variance-preserving process, (B,).

    Raises:
        UsageError: alphas_cumprod is not a decreasing sequence in (0, 1).
    """

    def __init__(self, alphas_cumprod: Tensor, log_snr: Callable[[Tensor], Tensor]) -> None:
        a = alphas_cumprod.double()
        if a.ndim != 1 or len(a) < 2 or a.min() <= 0 or a.max() >= 1 or not (a[1:] < a[:-1]).all():
            raise UsageError("alphas_cumprod must be at least two decreasing numbers between 0 and 1")
        self.knots, self.log_snr = 0.5 * (a.log() - torch.log1p(-a)), log_snr

    def __call__(self, t: Tensor) -> Tensor:
        knots = self.knots.to(t.device)
        log_snr = self.log_snr(t.double()).clamp(knots[-1], knots[0])
        after = torch.searchsorted(-knots, -log_snr).clamp(1, len(knots) - 1)
        share = (knots[after - 1] - log_snr) / (knots[after - 1] - knots[after])
        return (after - 1 + share).to(t.dtype)
