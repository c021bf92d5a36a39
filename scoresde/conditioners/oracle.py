"""Exact conditioning, for Gaussian mixtures."""

import math

import torch
from torch import Tensor

from ..core.devices import double
from ..core.errors import NumericalError, UsageError
from ..core.random import Generators, choose, randn
from ..core.sentences import an, many
from ..models.base import ScoreModel
from ..models.gaussian import GaussianMixtureModel
from ..observations import LinearObservation
from .base import ConditionedModel, LinearConditioner, conditioners
from .dense import dense, independent


class PosteriorMixture(GaussianMixtureModel):
    """Σ_k w_k(y) N(m_k + G_k (y - A m_k), C_k - G_k A C_k), G_k = C_k Aᵀ S_k⁻¹, S_k = A C_k Aᵀ + σ_y² I.

    w_k(y) is proportional to w_k N(y; A m_k, S_k). Row i is conditioned on row i of y.

    Args:
        prior: The mixture Σ_k w_k N(m_k, C_k).
        observation: What y was measured with, the same for all rows.
        y: The measurements, (B, *m).

    Raises:
        UsageError: The observation is not the same for all rows.
        NumericalError: y is exact, and its rows contradict each other, or an S_k is singular.
    """

    def __init__(self, prior: GaussianMixtureModel, observation: LinearObservation, y: Tensor) -> None:
        means, covariances = prior.means, prior.bases * prior.variances[:, None] @ prior.bases.mT
        a, seen = dense("oracle", observation, prior.shape, means.device)
        basis = None
        if not observation.noise:
            zeros = double(y).new_zeros(len(y), *prior.shape)
            a, basis = independent(a, observation.residual(zeros, double(y)).flatten(1)[:, seen])
        s = a @ covariances @ a.T + observation.noise**2 * torch.eye(len(a)).to(a)
        factor, failed = torch.linalg.cholesky_ex(s)
        if bool(failed.any()):
            raise NumericalError("the measurement's covariance A C Aᵀ is singular: give the observation some noise")
        gains = torch.cholesky_solve(a @ covariances, factor).mT  # G_k, (K, D, m)
        rest = torch.eye(a.shape[1]).to(a) - gains @ a
        # C - G A C in the form of Joseph, as the square of a root, which rounding cannot make negative.
        root = torch.cat([rest @ (prior.bases * prior.variances.sqrt()[:, None]), observation.noise * gains], 2)
        super().__init__(means.reshape(-1, *prior.shape), root @ root.mT, prior.sde)
        self.units = prior.units
        centres = [m.reshape(1, *prior.shape).expand(len(y), *prior.shape) for m in means]
        offsets = [observation.residual(centre, double(y)).flatten(1)[:, seen] for centre in centres]
        residual = torch.stack(offsets, 1)  # y - A m_k, (B, K, m)
        residual = residual if basis is None else residual @ basis
        white = torch.linalg.solve_triangular(factor, residual.permute(1, 2, 0), upper=False)  # (K, m, B)
        log_det = 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1)
        log_y = -0.5 * (white.square().sum(1).T + log_det + len(a) * math.log(2 * math.pi))
        self.log_weights = torch.log_softmax(prior.log_weights + log_y, 1)  # (B, K)
        self.means = means + torch.einsum("kdm,bkm->bkd", gains, residual)  # (B, K, D)

    def draw(self, count: int, generator: torch.Generator, t: float = 0.0) -> Tensor:
        """One exact sample for each row, (B, *), so that count must be B; otherwise as for a mixture.

        Args:
            count: B, the number of measurements.
            generator: Source of the draws.
            t: The time; 0 is the posterior itself.
        """
        if count != len(self.means):
            raise UsageError(
                f"the posterior has laws for {many(len(self.means), 'row')}, one each, got the count {count}"
            )
        at, rows = torch.tensor([t], dtype=torch.float64), torch.arange(count)
        which = torch.cat([choose(w.exp(), 1, generator) for w in self.log_weights])
        z = randn((2, *self.means[:, 0].shape), generator, dtype=torch.float64).to(self.means.device)
        spread = torch.einsum("bde,be->bd", self.bases[which], self.variances[which].sqrt() * z[0])
        alpha, sigma = (float(self.sde.alpha(at)), float(self.sde.sigma(at))) if t else (1.0, 0.0)
        return (alpha * (self.means[rows, which] + spread) + sigma * z[1]).reshape(count, *self.shape)


@conditioners("oracle")
class Oracle(LinearConditioner):
    """The exact ∇ log p_t(x | y) for data from a Gaussian mixture: the reference for the other conditioners.

    The posterior of a mixture is a mixture, which diffuses in closed form. Reference: Bishop 2006, Pattern
    Recognition and Machine Learning, equations 2.113 to 2.117.
    """

    def _linear(
        self, model: ScoreModel, observation: LinearObservation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        if not isinstance(model, GaussianMixtureModel):
            raise UsageError(f"oracle knows the posterior of mixtures only, not of {an(type(model).__name__)}")
        return ConditionedModel(
            PosteriorMixture(model, observation, y), observation, y, lambda posterior, x, t: posterior.evaluate(x, t)
        )
