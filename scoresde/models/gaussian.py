"""Gaussians and Gaussian mixtures with exact scores, for tests, benchmarks and documentation."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.devices import double, like
from ..core.errors import UsageError
from ..core.random import choose, randn
from ..sde import SDE, expand, sdes
from .base import ScoreModel
from .output import Output, classless


def _numbers(x: Any) -> Tensor:
    """A tensor, an array or nested lists in float64."""
    return (x if isinstance(x, Tensor) else torch.from_numpy(np.array(x, dtype=np.float64))).double()


class GaussianMixtureModel(ScoreModel):
    """The exact score model of data with the distribution Σ_k w_k N(m_k, C_k).

    At time t the distribution is the mixture of N(α m_k, α² C_k + σ² I) with the same weights, so score, density and
    samples are known at every t. Everything is computed in float64 and returned in the dtype of x.

    Args:
        means: (K, *), where * is the shape of one sample. Means and covariances may be tensors, arrays or nested lists.
        covariances: (K, D, D) with D the number of values in a sample, or (K, *), the diagonals.
        sde: The process, or its name, such as "vp".
        weights: (K,), positive; equal by default.

    Raises:
        UsageError: The shapes do not fit, a number is not finite, a weight is not positive, or a covariance is not
            symmetric or has a negative eigenvalue.

    Example:
        >>> import scoresde, torch
        >>> means = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
        >>> model = scoresde.GaussianMixtureModel(means, torch.full((2, 2), 0.01), scoresde.VPSDE())
        >>> scoresde.sample(model, "dpm++", n=100, steps=20).x.shape
        torch.Size([100, 2])
    """

    means: Tensor
    log_weights: Tensor
    variances: Tensor
    bases: Tensor
    shared = False
    """Whether all modes have one full covariance, which saves most of the work."""
    diagonal = False
    """Whether all covariances were given as diagonals, so that nothing has to be turned."""

    def __init__(self, means: Any, covariances: Any, sde: SDE | str, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        means, c = _numbers(means), _numbers(covariances)
        if not means.isfinite().all() or not c.isfinite().all():
            raise UsageError("means and covariances must be finite numbers, and some are not")
        if means.ndim < 2:
            raise UsageError("a mean has the shape of one sample, such as (2,), and a number has none: give [0.0]")
        count, self.shape, self.sde = len(means), tuple(means.shape[1:]), sdes.make(sde, SDE)
        flat = means.flatten(1)
        if c.shape == means.shape:
            self.diagonal = True
            variances, bases = c.flatten(1), torch.eye(flat.shape[1], dtype=torch.float64).expand(count, -1, -1)
        elif c.shape == (count, flat.shape[1], flat.shape[1]):
            if (c - c.mT).abs().max() > 1e-6 * c.abs().max():
                raise UsageError("a covariance must be symmetric, and one is not: (c + c.T) / 2 is")
            self.shared = count > 1 and bool((c == c[:1]).all())
            variances, bases = torch.linalg.eigh(c[:1] if self.shared else c)  # C_k = Q diag(v) Qᵀ, so α² C_k + σ² I
            variances, bases = variances.expand(count, -1), bases.expand(count, -1, -1)
        else:
            raise UsageError(f"covariances of shape {tuple(c.shape)} do not fit means of shape {tuple(means.shape)}")
        if variances.min() < -1e-12 * variances.abs().max():
            raise UsageError(f"a covariance has the eigenvalue {variances.min():g}; all must be at least 0")
        w = torch.ones(count, dtype=torch.float64) if weights is None else torch.as_tensor(weights, dtype=torch.float64)
        if w.shape != (count,) or w.min() <= 0:
            raise UsageError(f"weights must be {count} positive numbers, got {w.tolist()}")
        self.register_buffer("means", flat)
        self.register_buffer("log_weights", torch.log(w / w.sum()))
        self.register_buffer("variances", variances.clamp_min(0))
        self.register_buffer("bases", bases.contiguous())

    def _offsets(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x - α m_k in the eigenbasis of C_k, and the variances there, (B, K, D); and σ, (B, 1, 1)."""
        at = t.to(self.means.device).double()
        alpha, sigma = (v[:, None, None] for v in self.sde.alpha_sigma(at))
        flat = double(x).flatten(1)[:, None]
        if self.shared:  # x and the means are turned before they are B K differences
            offset = flat @ self.bases[0] - alpha * (self.means @ self.bases[0])
        elif self.diagonal:
            offset = flat - alpha * self.means
        else:
            offset = ((flat - alpha * self.means).transpose(0, 1) @ self.bases).transpose(0, 1)
        return offset, alpha.square() * self.variances + sigma.square(), sigma

    def _log_p(self, offset: Tensor, variance: Tensor) -> Tensor:
        """log w_k N(x; α m_k, α² C_k + σ² I), (B, K)."""
        log_p = -0.5 * (offset**2 / variance + variance.log() + math.log(2 * math.pi)).sum(-1)
        return self.log_weights + log_p

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        if classes is not None:
            classless(self)
        offset, variance, sigma = self._offsets(x, t)
        alone = self.log_weights.shape[-1] == 1
        if not alone:  # times the share of each component in p_t at x
            offset = torch.softmax(self._log_p(offset, variance), dim=1)[..., None] * offset
        if alone and self.diagonal:
            minus_score = (offset / variance)[:, 0]
        else:
            minus_score = torch.einsum("kde,bke->bd", self.bases[: 1 if self.shared else None], offset / variance)
        return Output(like(sigma[:, 0] * minus_score, x).reshape(x.shape))

    def shares(self, x: Tensor, t: Tensor) -> Tensor:
        """p_t(k | x), (B, K): the probability of each mode given x, (B, *).

        Args:
            x: States, (B, *).
            t: Their times, (B,), float64.
        """
        return torch.softmax(self._log_p(*self._offsets(x, t)[:2]), dim=1)

    def log_prob(self, x: Tensor, t: Tensor) -> Tensor:
        """log p_t(x) in nats, (B,), for x (B, *) and t (B,); t = 0 is the data distribution.

        Args:
            x: States, (B, *).
            t: Their times, (B,), float64.
        """
        return torch.logsumexp(self._log_p(*self._offsets(x, t)[:2]), dim=1)

    def draw(self, count: int, generator: torch.Generator, t: float = 0.0) -> Tensor:
        """`count` exact samples of p_t, (B, *), float64; t = 0 is the data distribution.

        Args:
            count: Number of samples, B.
            generator: Source of the draws.
            t: The time, one for all samples.
        """
        which = choose(self.log_weights.exp(), count, generator)
        z = randn((2, count, self.means.shape[1]), generator, dtype=torch.float64).to(self.means.device)
        x0 = self.means[which]
        for k in set(which.tolist()):
            rows = which == k
            x0[rows] += z[0, rows] * self.variances[k].sqrt() @ self.bases[k].T
        at = torch.tensor([t], dtype=torch.float64)
        noisy = float(self.sde.alpha(at)) * x0 + (float(self.sde.sigma(at)) * z[1] if t else 0.0)
        return noisy.reshape(count, *self.shape)


class GaussianModel(GaussianMixtureModel):
    """The exact score model of data with the distribution N(mean, covariance), with its exact probability flow.

    Args:
        mean: In the shape of one sample. Mean and covariance may be tensors, arrays or nested lists.
        covariance: (D, D), or of the mean's shape: the diagonal.
        sde: The process, or its name.

    Example:
        >>> import scoresde, torch
        >>> model = scoresde.GaussianModel(torch.zeros(2), torch.eye(2), scoresde.VPSDE())
        >>> x = model.prior(scoresde.generators(range(3)))
        >>> bool(torch.allclose(model.flow(x, 1.0, 1e-3), x))  # N(0, I) is what the noise was
        True
    """

    def __init__(self, mean: Any, covariance: Any, sde: SDE | str) -> None:
        super().__init__(_numbers(mean)[None], _numbers(covariance)[None], sde)

    def marginal(self, t: float) -> tuple[Tensor, Tensor]:
        """Mean (D,) and covariance (D, D) of p_t.

        Args:
            t: The time.
        """
        at = torch.tensor([t], dtype=torch.float64)
        alpha, sigma = float(self.sde.alpha(at)), float(self.sde.sigma(at))
        variances = alpha**2 * self.variances[0] + sigma**2
        return alpha * self.means[0], self.bases[0] * variances @ self.bases[0].T

    def flow(self, x: Tensor, start: float, stop: float) -> Tensor:
        """The exact probability-flow map of x, (B, *), from time `start` to time `stop`.

        Args:
            x: States at the time `start`, (B, *).
            start: The time from which they move; it may be before or after `stop`.
            stop: The time to which they move.
        """
        times = [x.new_full((len(x),), t, dtype=torch.float64) for t in (start, stop)]
        offset, before, _ = self._offsets(x, times[0])
        _, after, _ = self._offsets(x, times[1])
        moved = torch.einsum("kde,bke->bd", self.bases, offset * torch.sqrt(after / before))
        mean = expand(self.sde.alpha(times[1]), moved) * self.means
        return (mean + moved).reshape(x.shape).to(x.dtype)
