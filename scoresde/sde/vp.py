"""The variance-preserving process with β linear in time."""

import math
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from .base import SDE, sdes
from .preserving import VariancePreserving, softplus

FAINTEST = 1e-8
"""The smallest α that a process may end with: divided by less, the rounding of a float32 outweighs the data."""
NOISIEST = 0.25
"""The largest ᾱ = α² that a process or a chain may end with: above it, its end is not near to pure noise."""


def ends_in_noise(what: str, last: float, advice: str) -> None:
    """Refuses an end that the prior, which is noise alone, does not describe.

    Args:
        what: What ends so, "process" or "chain".
        last: Its last ᾱ.
        advice: What to do.

    Raises:
        ValueError: It is above `NOISIEST`.
    """
    if last > NOISIEST * (1 + 1e-9):  # a chain may end at it, and the process through its points in a rounding of it
        raise ValueError(f"the {what} must end in noise, ᾱ ≤ {NOISIEST}, got {last:.3g}: {advice}")


class LinearBeta(SDE):
    """Base of the processes with log α = -½ ∫β and β(t) = beta_min + t (beta_max - beta_min)."""

    beta_min: float = Field(0.1, gt=0, description="β at t = 0.")
    beta_max: float = Field(20.0, gt=0, description="β at t = 1.")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        self._rising("beta_min", "beta_max")
        last = math.exp(-0.25 * (self.beta_min + self.beta_max))
        ends_in_noise("process", last**2, "raise beta_max")
        if last < FAINTEST:
            raise ValueError(f"the process must end with α ≥ {FAINTEST:g}, got {last:.3g}: lower beta_max")
        return self

    def beta(self, t: Tensor) -> Tensor:
        """β(t), the rate of the noise.

        Args:
            t: Times, (B,).
        """
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def log_alpha(self, t: Tensor) -> Tensor:
        return t.square() * (-0.25 * (self.beta_max - self.beta_min)) - t * (0.5 * self.beta_min)

    def f(self, t: Tensor) -> Tensor:
        return -0.5 * self.beta(t)

    def _time_of(self, b: Tensor) -> Tensor:
        # The positive root of ½ Δ t² + β_min t = b with b = ∫β = -2 log α, written so that nothing cancels.
        half = 0.5 * self.beta_min
        return b / (torch.sqrt(b * (0.5 * (self.beta_max - self.beta_min)) + half**2) + half)


@sdes("vp")
class VPSDE(VariancePreserving, LinearBeta):
    """dx = -½ β x dt + √β dw: α = exp(-½ ∫β), σ² = 1 - α².

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, equations 32 and 33.

    Example:
        >>> import scoresde, torch
        >>> sde, t = scoresde.VPSDE(beta_max=10.0), torch.tensor([0.5])
        >>> bool(torch.isclose(sde.alpha(t).square() + sde.sigma(t).square(), torch.ones(1)))
        True
    """

    def time(self, log_snr: Tensor) -> Tensor:
        return self._time_of(softplus(-2.0 * log_snr))
