"""Forward processes: how data becomes noise.

dx = f(t) x dt + g(t) dw has the marginals x_t = α(t) x_0 + σ(t) z, z ~ N(0, I). Time runs from 0 (data) to
`t_max` (noise). Every formula keeps its relative accuracy as t -> 0, where 1 - α² loses all digits.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.options import Options, Registry, remembered


def expand(a: Tensor, x: Tensor) -> Tensor:
    """a as a tensor that multiplies x, (B, 1, ..., 1), in the dtype and on the device of x.

    Args:
        a: A factor for each row, (B,).
        x: States, (B, *).
    """
    return a.to(x.dtype).to(x.device).reshape(-1, *[1] * (x.ndim - 1))


class Level(NamedTuple):
    """The process at one instant, in Python floats: what a solver makes its coefficients from."""

    time: float
    alpha: float
    sigma: float
    log_snr: float
    f: float
    g: float

    def rows(self, x: Tensor) -> Tensor:
        """The time as a model takes it: (B,), float64, on the CPU.

        Args:
            x: States, (B, *), which say how many rows there are.
        """
        return torch.full(x.shape[:1], self.time, dtype=torch.float64)


class Chain(NamedTuple):
    """The levels n = 0 .. N - 1 of a discrete chain, in float64: a network that is trained at them is given n."""

    alphas_cumprod: Tensor
    """ᾱ_1 .. ᾱ_N, α² of the levels, (N,), falling."""
    times: Tensor
    """Their times, (N,), rising to `t_max`."""


class SDE(Options, ABC):
    """A Gaussian diffusion. Every method maps times (B,) to (B,) in the dtype given.

    A process in continuous time defines the abstract methods; a discrete chain also defines `chain`. Steps, training
    times and shares are methods of the process, so no other module needs to distinguish the two.

    Example:
        >>> import scoresde, torch
        >>> isinstance(scoresde.VPSDE(), scoresde.SDE), scoresde.VPSDE().t_max
        (True, 1.0)
    """

    @property
    def chain(self) -> Chain | None:
        """The levels at which a network is trained, if they are those of a chain; None in continuous time."""
        return None

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
        """log α(t), the logarithm of the signal's scale.

        Args:
            t: Times, (B,).
        """

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """σ(t), the standard deviation of the noise.

        Args:
            t: Times, (B,).
        """

    @abstractmethod
    def f(self, t: Tensor) -> Tensor:
        """Drift coefficient, d log α / dt.

        Args:
            t: Times, (B,).
        """

    @abstractmethod
    def g(self, t: Tensor) -> Tensor:
        """Diffusion coefficient, g² = dσ²/dt - 2 f σ².

        Args:
            t: Times, (B,).
        """

    @abstractmethod
    def time(self, log_snr: Tensor) -> Tensor:
        """The time at which log α/σ has the given value: the inverse of `log_snr`.

        Args:
            log_snr: Values of log α/σ, (B,).
        """

    def alpha(self, t: Tensor) -> Tensor:
        """α(t), the scale of the signal.

        Args:
            t: Times, (B,).
        """
        return self.log_alpha(t).exp()

    def alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """α(t) and σ(t), (B,) each: what needs both asks here, where what they share is worked out once.

        Args:
            t: Times, (B,).
        """
        return self.alpha(t), self.sigma(t)

    def log_snr(self, t: Tensor) -> Tensor:
        """λ(t) = log α(t)/σ(t), half the logarithm of the signal-to-noise ratio; decreasing in t.

        Args:
            t: Times, (B,).
        """
        return self.log_alpha(t) - self.sigma(t).log()

    def scale(self, t: Tensor) -> Tensor:
        """√(α² + σ²), (B,), the deviation of x for data of deviation 1: 1 in the variance-preserving processes.

        Args:
            t: Times, (B,).
        """
        alpha, sigma = self.alpha_sigma(t)
        return torch.sqrt(alpha.square() + sigma.square())

    def step(self, t: Tensor) -> Tensor:
        """The level n of t in the chain, (B,) in the dtype of t: that of equal log-SNR, a fraction between two levels.

        Two variance-preserving processes with equal log-SNR have equal α and σ, so a network of the chain always meets
        a noise level that it was trained on, whatever the time axis. Beyond the ends it is that of the end.

        Args:
            t: Times, (B,).

        Raises:
            UsageError: The process is no chain.
        """
        levels = _noise_of_levels(self).to(t.device)
        noise = (-self.log_snr(t.double())).clamp(levels[0], levels[-1])
        before = (torch.searchsorted(levels, noise) - 1).clamp(0, levels.shape[0] - 2)
        low, high = levels.take(before), levels.take(before + 1)
        return (before + (noise - low) / (high - low)).to(t.dtype)

    def training_times(self, u: Tensor, earliest: float) -> Tensor:
        """The times of training at the places u: earliest + u (t_max - earliest); in a chain its levels, each as often.

        Args:
            u: Places, (B,), in [0, 1), float64.
            earliest: The time at u = 0; a chain begins with its first level.
        """
        if self.chain is None:
            return earliest + u * (self.t_max - earliest)
        return self.chain.times.to(u.device)[(u * len(self.chain.times)).long()]

    def nearest(self, t: Tensor) -> Tensor:
        """The time at which a network is trained next to t, (B,): t itself; in a chain the nearest level in log-SNR.

        Args:
            t: Times, (B,).
        """
        return t if self.chain is None else self.chain.times.to(t.device)[self.step(t).round().long()]

    def share(self, t: Tensor) -> Tensor:
        """How much of the process lies before the time t, (B,): t/t_max; in a chain (n + ½)/N at the level n.

        Args:
            t: Times, (B,).
        """
        return t / self.t_max if self.chain is None else (self.step(t).round() + 0.5) / len(self.chain.times)

    def levels(self, times: Sequence[float]) -> list[Level]:
        """The process at each of the times, computed in float64.

        Args:
            times: Times, from 0 to `t_max`.
        """
        t = torch.tensor(list(times), dtype=torch.float64)
        columns = (t, self.alpha(t), self.sigma(t), self.log_snr(t), self.f(t), self.g(t))
        return [Level(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]


sdes: Registry[SDE] = Registry("SDE", "scoresde.sde")


@remembered
def _noise_of_levels(sde: SDE) -> Tensor:
    """-λ = log σ/α of the chain's levels, (N,), rising."""
    if sde.chain is None:
        raise UsageError(f"a step is a level of a chain, such as ddpm, and {sde.name} is none: give another label")
    a = sde.chain.alphas_cumprod
    return 0.5 * (torch.log1p(-a) - a.log())
