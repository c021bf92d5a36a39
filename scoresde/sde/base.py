"""Forward processes: how data becomes noise.

dx = f(t) x dt + g(t) dw has the marginals x_t = α(t) x_0 + σ(t) z, z ~ N(0, I). Time runs from 0 (data) to
`t_max` (noise). Every formula keeps its relative accuracy as t -> 0, where 1 - α² loses all digits.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ..core.options import Options, Registry


def expand(a: Tensor, x: Tensor) -> Tensor:
    """a, (B,), as a tensor of x's dtype and device that multiplies x, (B, *)."""
    return a.to(x).reshape(-1, *[1] * (x.ndim - 1))


class Level(NamedTuple):
    """The process at one instant, in Python floats: what a solver makes its coefficients from."""

    time: float
    alpha: float
    sigma: float
    log_snr: float
    f: float
    g: float

    def rows(self, x: Tensor) -> Tensor:
        """The time as a model takes it: (B,), float64."""
        return x.new_full((x.shape[0],), self.time, dtype=torch.float64)


class SDE(Options, ABC):
    """A Gaussian diffusion. Every method maps times (B,) to (B,) in the dtype given."""

    @property
    def t_min(self) -> float:
        """Earliest time a sampler goes to; the score is singular at t = 0."""
        return 1e-3

    @property
    def t_max(self) -> float:
        """Time at which the process is pure noise."""
        return 1.0

    @property
    def prior_std(self) -> float:
        """Standard deviation of x at time `t_max`."""
        return 1.0

    def _rising(self, low: str, high: str) -> Self:
        least, greatest = getattr(self, low), getattr(self, high)
        if greatest <= least:
            raise ValueError(f"{high} must be greater than {low} = {least:g}, got {greatest:g}")
        return self

    @abstractmethod
    def log_alpha(self, t: Tensor) -> Tensor:
        """log α(t), the logarithm of the signal's scale."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """σ(t), the standard deviation of the noise."""

    @abstractmethod
    def f(self, t: Tensor) -> Tensor:
        """Drift coefficient, d log α / dt."""

    @abstractmethod
    def g(self, t: Tensor) -> Tensor:
        """Diffusion coefficient, g² = dσ²/dt - 2 f σ²."""

    @abstractmethod
    def time(self, log_snr: Tensor) -> Tensor:
        """The time at which log α/σ has the given value: the inverse of `log_snr`."""

    def alpha(self, t: Tensor) -> Tensor:
        """α(t), the scale of the signal."""
        return self.log_alpha(t).exp()

    def log_snr(self, t: Tensor) -> Tensor:
        """λ(t) = log α(t)/σ(t), half the logarithm of the signal-to-noise ratio; decreasing in t."""
        return self.log_alpha(t) - self.sigma(t).log()

    def levels(self, times: Sequence[float]) -> list[Level]:
        """The process at each of the times, computed in float64."""
        t = torch.tensor(list(times), dtype=torch.float64)
        columns = (t, self.alpha(t), self.sigma(t), self.log_snr(t), self.f(t), self.g(t))
        return [Level(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]


sdes: Registry[SDE] = Registry("SDE", "scoresde.sde")


def _softplus(x: Tensor) -> Tensor:
    """log(1 + eˣ) to full relative accuracy; torch's own cuts off at x = 20."""
    return torch.logaddexp(x, torch.zeros_like(x))


class VariancePreserving(SDE):
    """Base of the processes with α² + σ² = 1, for which g² = -2 f."""

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sqrt(-torch.expm1(2 * self.log_alpha(t)))

    def g(self, t: Tensor) -> Tensor:
        return torch.sqrt(-2 * self.f(t))


class LinearBeta(SDE):
    """Base of the processes with log α = -½ ∫β and β(t) = beta_min + t (beta_max - beta_min)."""

    beta_min: float = Field(0.1, gt=0, description="β at t = 0.")
    beta_max: float = Field(20.0, gt=0, description="β at t = 1.")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        return self._rising("beta_min", "beta_max")

    def beta(self, t: Tensor) -> Tensor:
        """β(t), the rate of the noise."""
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def log_alpha(self, t: Tensor) -> Tensor:
        return -0.25 * t**2 * (self.beta_max - self.beta_min) - 0.5 * t * self.beta_min

    def f(self, t: Tensor) -> Tensor:
        return -0.5 * self.beta(t)

    def _time_of(self, minus_log_alpha: Tensor) -> Tensor:
        # The positive root of ¼ Δ t² + ½ β_min t + log α = 0, written so that nothing cancels.
        b = 2 * minus_log_alpha
        root = torch.sqrt(self.beta_min**2 + 2 * (self.beta_max - self.beta_min) * b)
        return 2 * b / (root + self.beta_min)


@sdes("vp")
class VPSDE(VariancePreserving, LinearBeta):
    """dx = -½ β x dt + √β dw: α = exp(-½ ∫β), σ² = 1 - α².

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, equations 32 and 33.
    """

    def time(self, log_snr: Tensor) -> Tensor:
        return self._time_of(0.5 * _softplus(-2 * log_snr))


@sdes("sub-vp")
class SubVPSDE(LinearBeta):
    """dx = -½ β x dt + √(β (1 - α⁴)) dw: α as in vp, σ = 1 - α², below vp's at every t.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, equations 34 and 35.
    """

    def sigma(self, t: Tensor) -> Tensor:
        return -torch.expm1(2 * self.log_alpha(t))

    def g(self, t: Tensor) -> Tensor:
        return torch.sqrt(-self.beta(t) * torch.expm1(4 * self.log_alpha(t)))

    def time(self, log_snr: Tensor) -> Tensor:
        # 1/λ-ratio: σ/α = 1/α - α = 2 sinh(-log α).
        return self._time_of(torch.asinh(0.5 * torch.exp(-log_snr)))


@sdes("vp-cosine")
class VPCosineSDE(VariancePreserving):
    """α = cos(½π (t + s)/(1 + s)) / cos(½π s/(1 + s)), s = 0.008, up to t = 0.9946, where α is still positive.

    References: Nichol and Dhariwal 2021, https://arxiv.org/abs/2102.09672, equation 17;
    Lu et al. 2022, https://arxiv.org/abs/2206.00927, appendix D.4, for the end time.
    """

    s: ClassVar[float] = 0.008

    @property
    def t_max(self) -> float:
        return 0.9946

    @property
    def _rate(self) -> float:
        return 0.5 * math.pi / (1 + self.s)

    @property
    def _tan(self) -> float:
        return math.tan(self._rate * self.s)

    def log_alpha(self, t: Tensor) -> Tensor:
        angle = self._rate * t
        # α - 1 without cancellation near t = 0; the cosine from its zero at t = 1, without cancellation there.
        early = torch.log1p(-2 * torch.sin(angle / 2) ** 2 - torch.sin(angle) * self._tan)
        late = torch.log(torch.sin(self._rate * (1 - t)) / math.cos(self._rate * self.s))
        return torch.where(t < 0.5, early, late)

    def f(self, t: Tensor) -> Tensor:
        return -self._rate * torch.sin(self._rate * (t + self.s)) / torch.sin(self._rate * (1 - t))

    def time(self, log_snr: Tensor) -> Tensor:
        # α = (1 - τ² - 2 k τ)/(1 + τ²) with τ = tan(½ angle) and k = tan(rate s), solved for τ without cancellation.
        b = 0.5 * _softplus(-2 * log_snr)
        tau = -torch.expm1(-b) / (self._tan + torch.sqrt(self._tan**2 - torch.expm1(-2 * b)))
        return 2 * torch.atan(tau) / self._rate


@sdes("ve")
class VESDE(SDE):
    """dx = σ √(2 log(sigma_max/sigma_min)) dw: α = 1, σ = sigma_min (sigma_max/sigma_min)ᵗ.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, equations 30 and 31.
    """

    sigma_min: float = Field(0.01, gt=0, description="σ at t = 0.")
    sigma_max: float = Field(50.0, gt=0, description="σ at t = 1, the scale of the prior.")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        return self._rising("sigma_min", "sigma_max")

    @property
    def t_min(self) -> float:
        return 1e-5

    @property
    def prior_std(self) -> float:
        return self.sigma_max

    @property
    def _rate(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def log_alpha(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_min * torch.exp(self._rate * t)

    def f(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def g(self, t: Tensor) -> Tensor:
        return self.sigma(t) * math.sqrt(2 * self._rate)

    def time(self, log_snr: Tensor) -> Tensor:
        return (-log_snr - math.log(self.sigma_min)) / self._rate
