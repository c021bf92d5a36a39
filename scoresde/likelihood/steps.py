"""The steps of a discrete chain, and their terms in the variational bound."""

from typing import Literal

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..sde import expand

Variance = Literal["small", "large", "learned"]


class Steps:
    """q(x_{n-1} | x_n, x_0) = N(a_n x_0 + b_n x_n, β̃_n) for the steps n = 0 .. N - 1 of a chain, n = 0 to the data.

    p(x_{n-1} | x_n) has the mean of q at the predicted x_0, and the variance β̃ ("small"), β ("large"), or between
    them in the logarithm ("learned"). At n = 0, where β̃ = 0, it is that of n = 1, for "large" β.

    Args:
        alphas_cumprod: ᾱ of x_1 .. x_N, (N,), decreasing.

    Raises:
        UsageError: The chain does not decrease in (0, 1).

    References: Ho et al. 2020, https://arxiv.org/abs/2006.11239, equations 5 and 13; Nichol and Dhariwal 2021,
    https://arxiv.org/abs/2102.09672, equation 15.
    """

    def __init__(self, alphas_cumprod: Tensor) -> None:
        a = alphas_cumprod.double().cpu()
        if a.ndim != 1 or len(a) < 2 or a.min() <= 0 or a.max() >= 1 or not (a[1:] < a[:-1]).all():
            raise UsageError("alphas_cumprod must be at least two decreasing numbers between 0 and 1")
        before = torch.cat([a.new_ones(1), a[:-1]])  # ᾱ_{n-1}
        beta = 1 - a / before
        posterior = beta * (1 - before) / (1 - a)
        self.alphas_cumprod = a
        self.towards_x0 = before.sqrt() * beta / (1 - a)
        self.towards_x = (a / before).sqrt() * (1 - before) / (1 - a)
        self.small = torch.cat([posterior[1:2], posterior[1:]]).log()
        self.large = torch.cat([posterior[1:2], beta[1:]]).log()
        self.first = beta[0].log()

    def log_variance(self, n: Tensor, x: Tensor, variance: Variance, share: Tensor | None = None) -> Tensor:
        """The logarithm of p's variance, (B, *) or (B, 1, 1, 1).

        Args:
            n: Step of each row, (B,).
            x: The state, (B, *).
            variance: "small", "large" or "learned".
            share: 0 for log β̃ and 1 for log β, (B, *), where the variance is learned.
        """
        at = n.cpu()
        small, large = expand(self.small[at], x), expand(self.large[at], x)
        if variance != "learned" or share is None:
            return large if variance == "large" else small
        large = torch.where(expand(n == 0, x).bool(), self.first.to(x), large)
        return share * large + (1 - share) * small

    def nats(self, n: Tensor, x0: Tensor, x: Tensor, predicted: Tensor, log_variance: Tensor, *, levels: int) -> Tensor:
        """KL(q ‖ p), or at n = 0 -log P(x_0 | x_1), in nats, (B, *), of each value.

        Args:
            n: Step of each row, (B,).
            x0: Images with the grey levels evenly spaced in [-1, 1], (B, *).
            x: x_n, (B, *).
            predicted: x̂_0, (B, *).
            log_variance: The logarithm of p's variance.
            levels: Grey levels of the images.
        """
        at = n.cpu()
        to_x0, log_q = expand(self.towards_x0[at], x), expand(self.small[at], x)
        gap = to_x0 * (x0 - predicted)
        kl = 0.5 * (log_variance - log_q + (log_q - log_variance).exp() - 1 + gap**2 * (-log_variance).exp())
        nats, last = kl.expand_as(x), torch.nonzero(n == 0)[:, 0].to(x.device)
        if len(last):
            mean = (to_x0 * predicted + expand(self.towards_x[at], x) * x)[last].double()
            std = (0.5 * log_variance.expand_as(x)[last].double()).exp()
            nats = nats.index_copy(0, last, -log_mass(x0[last].double(), mean, std, levels).to(nats))
        return nats


def log_mass(x: Tensor, mean: Tensor, std: Tensor, levels: int) -> Tensor:
    """log ∫ N(mean, std²) over the bin of x's grey level, for each value; the outer bins are open.

    Args:
        x: Images with the grey levels evenly spaced in [-1, 1], (B, *).
        mean: (B, *).
        std: Standard deviation, (B, *).
        levels: Grey levels of the images.
    """
    half = 1 / (levels - 1)
    low, high = (x - half - mean) / std, (x + half - mean) / std
    low, high = low.masked_fill(x < -1 + half, -torch.inf), high.masked_fill(x > 1 - half, torch.inf)
    # Both ends on the side where the distribution function is small, so that nothing cancels in the tails.
    flip = (low + high > 0) | (high == torch.inf)
    near, far = torch.where(flip, -low, high), torch.where(flip, -high, low)
    log_near, log_far = torch.special.log_ndtr(near), torch.special.log_ndtr(far)
    mass: Tensor = log_near + torch.log1p(-(log_far - log_near).exp())
    return mass
