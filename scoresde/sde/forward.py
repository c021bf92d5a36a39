"""Data with noise added by a process."""

from fractions import Fraction

from torch import Tensor

from ..core.errors import UsageError
from .base import SDE, expand


def noised(sde: SDE, x0: Tensor, t: Tensor, z: Tensor) -> Tensor:
    """x_t = α(t) x_0 + σ(t) z, (B, *).

    Args:
        sde: The process.
        x0: Data, (B, *).
        t: A time for each of them, (B,).
        z: Noise, N(0, I), (B, *).

    Example:
        >>> import scoresde, torch
        >>> from scoresde.sde import noised
        >>> noised(scoresde.VPSDE(), torch.ones(1, 2), torch.zeros(1), torch.ones(1, 2))
        tensor([[1., 1.]])
    """
    alpha, sigma = (expand(v, x0) for v in sde.alpha_sigma(t))
    return alpha * x0 + sigma * z


def time_at(sde: SDE, share: float) -> float:
    """The time at which a share of the process is over: share t_max; of a chain of N steps that of step share N.

    Args:
        sde: The process.
        share: From 0 for the data to 1 for the noise; of a chain it is rounded to a whole number of steps.

    Raises:
        UsageError: The share is not from 0 to 1.

    Example:
        >>> import scoresde
        >>> from scoresde.sde import time_at
        >>> time_at(scoresde.VPSDE(), 0.4)
        0.4
    """
    if not 0 <= share <= 1:
        raise UsageError(f"a time is given as a share of the process, from 0 for data to 1 for noise, got {share:g}")
    if sde.chain is None:
        return share * sde.t_max
    steps = round(share * len(sde.chain.times))
    return float(sde.chain.times[steps - 1]) if steps else 0.0


def share_of(text: str) -> float:
    """The share of a process in a text: "0.4", or "400/1000" for step 400 of a chain of 1000.

    Args:
        text: The text.

    Raises:
        UsageError: It is no number from 0 to 1.
    """
    try:
        share = float(Fraction(text.strip()))
    except (ValueError, ZeroDivisionError, OverflowError):
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"a time is a share of the process, such as 0.4, 1 or, of a chain, 400/1000, got {text!r}")
    return share
