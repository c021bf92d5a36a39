"""Conditioning with the clusters of the data, for posteriors with several modes."""

from typing import ClassVar, cast

import torch
from torch import Tensor

from ..core.devices import double
from ..core.random import Generators
from ..models.base import ScoreModel
from ..models.output import Output, denoised
from ..observations import LinearObservation
from ..observations.mixture import Mixture
from ..sde import expand
from .base import ConditionedModel, LinearConditioner, conditioners, noise_variance, shifted
from .correction import correction
from .covariance import CovarianceUser

ROWS = 4096
"""Systems that are solved at a time where each sample has its own, one for each cluster."""


@conditioners("mixture")
class MixtureConditioner(CovarianceUser, LinearConditioner):
    """`covariance` for each cluster of the data, weighted by its probability given x_t and y.

    Data of clusters Σ_k w_k N(m_k, Σ) have the mean μ_k = m_k + Σ (Σ + s I)⁻¹ (x_t/α - m_k) in cluster k, s = σ²/α²,
    with probabilities r_k, and the covariance V = (Σ⁻¹ + I/s)⁻¹. The model is more exact than its clusters, so all μ_k
    are shifted until their mean Σ_k r_k μ_k is x̂_0. The result is Σ_k r'_k (μ_k + G (y - A μ_k)), where
    G = V Aᵀ (σ_y² I + A V Aᵀ)⁻¹ and r'_k is proportional to r_k N(y; A μ_k, σ_y² I + A V Aᵀ). With one cluster it is
    `covariance`; for data of such clusters it is exact.
    """

    clustered: ClassVar[bool] = True

    def _linear(
        self, model: ScoreModel, observation: LinearObservation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        mixture = cast(Mixture, self.fitting(model, y))
        mean = (mixture.shares @ mixture.centres.flatten(1)).reshape(mixture.shape)
        m = mixture.centres - mean
        wide, count = mixture.power(m, -1.0), len(m)  # p_k = Σ⁻¹ m_k, so that μ_k = V x_t/(α s) + V p_k
        p, correct = wide.flatten(1), correction(mixture, observation, y)

        def moves(rows: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
            """V p_k and G A V p_k, (U, K, D), at U variances; rows are those of an observation that has some."""
            each = variance.repeat_interleave(count)
            moved = mixture.posterior(wide.repeat(len(variance), *[1] * len(mixture.shape)), each)
            seen = cast(LinearObservation, observation.of_rows(rows.repeat_interleave(count).tolist()))
            correct_each = correct if observation.bound is None else correction(mixture, seen, y)
            taken = correct_each(seen.forward(moved), each)
            return moved.reshape(-1, *p.shape), taken.reshape(-1, *p.shape)

        def rule(model: ScoreModel, x: Tensor, t: Tensor) -> Output:
            out, variance = model.evaluate(x, t), noise_variance(model, t)
            added = correct(observation.residual(denoised(model.sde, x, t, out.eps), y.to(x)), variance).flatten(1)
            levels, which = variance, torch.arange(len(x))
            if observation.bound is None:
                levels, which = torch.unique(variance, return_inverse=True)
            parts = torch.split(torch.arange(len(levels)), max(1, ROWS // count))
            moved, taken = (torch.cat(found) for found in zip(*(moves(i, levels[i]) for i in parts), strict=True))
            x64 = double(x)
            offset = expand(1 / model.sde.alpha(t.double()), x64) * x64 - mean
            near = mixture.posterior(offset, variance).flatten(1) @ p.T - (moved * m.flatten(1)).sum(2)[which] / 2
            before = mixture.shares.log() + expand(1 / variance, near) * near  # log r_k, but for a constant
            share, gram = torch.softmax(before, 1), taken @ p.T
            told = added @ p.T + (share[:, None] @ gram[which])[:, 0] - gram.diagonal(dim1=1, dim2=2)[which] / 2
            change, rest = torch.softmax(before + told, 1) - share, moved - taken
            shift = change @ rest[0] if len(rest) == 1 else (change[:, None] @ rest[which])[:, 0]
            return shifted(model, x, t, out, (added + shift).reshape(x.shape))

        return ConditionedModel(model, observation, y, rule)
