"""Exponential Adams methods of variable step and order."""

import torch
from pydantic import Field
from torch import Tensor

from ..model import ScoreModel
from ..random import Generators
from ..sde import expand
from .adaptive import Memory, Trial, integrate, rms
from .base import Info, PerSampleSolver, solvers
from .exponential import quadrature

FIRST, SAFETY, SLOWEST, FASTEST = 0.5, 0.6, 0.3, 2.0


@solvers("adams")
class ExponentialAdams(PerSampleSolver):
    """Predictor-corrector on the exact integral x_s = σ_s/σ_t x_t + α_s ∫ e^(λ-λ_s) x̂_0(λ) dλ, one evaluation a step.

    x̂_0 is the Newton polynomial through the last evaluations, whatever their distances, up to order max_order. The
    predictor of order k extrapolates it; the evaluation there gives one more divided difference and with it the
    corrector, of order k + 1, which is kept. Their distance is the error estimate and costs nothing. The estimates
    of the other orders come along, and the order that promises the longest step is taken next.

    References: Lu et al. 2022, https://arxiv.org/abs/2211.01095, equation 8, for the integral; Hairer, Norsett and
    Wanner 1993, section III.5, https://doi.org/10.1007/978-3-540-78862-1, for Adams methods of variable step.
    """

    max_order: int = Field(4, ge=1, le=6, description="Highest order of the predictor.")

    @property
    def claimed_order(self) -> float:
        return self.max_order + 1.0

    def _solve(
        self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators, info: Info
    ) -> Tensor:
        sde, most = model.sde, self.max_order
        orders = torch.arange(1, most + 1, device=x.device)
        points, weights = (v.to(x.device) for v in quadrature(16))

        def denoise(x: Tensor, log_snr: Tensor) -> Tensor:
            return model.denoise(x, sde.time(log_snr))

        def attempt(x: Tensor, log_snr: Tensor, h: Tensor, f: Tensor, memory: Memory) -> Trial:
            nodes, count, order, *differences = memory  # (B, most), (B,), (B,), and the divided differences, (B, *)
            t, s = sde.time(log_snr), sde.time(log_snr + h)
            reached = h[:, None] * points  # distances into the step, (B, points)
            basis = weights * torch.exp(reached - h[:, None])
            integrals = []  # of the Newton polynomials against the exponential, (B,) each
            for k in range(most + 1):
                integrals.append(sde.alpha(s) * h * basis.sum(1))
                if k < most:
                    basis = basis * (reached - (nodes[:, k] - log_snr)[:, None])
            terms = (expand(torch.where(k < order, integrals[k], 0.0), x) * d for k, d in enumerate(differences))
            moved = sum(terms, expand(sde.sigma(s) / sde.sigma(t), x) * x)
            new = [denoise(moved, log_snr + h)]
            for k, difference in enumerate(differences):
                new.append((new[-1] - difference) / expand(log_snr + h - nodes[:, k], x))
            terms = (expand(torch.where(order == k, integrals[k], 0.0), x) * new[k] for k in range(1, most + 1))
            corrected = sum(terms, moved)
            scale = self.absolute + self.tol * torch.maximum(x.abs(), corrected.abs())
            norms = [integrals[k].abs() * rms(new[k] / scale, self.control) for k in range(1, most + 1)]
            errors = torch.stack(norms, dim=1)
            error = errors.gather(1, order[:, None] - 1)[:, 0]
            best = torch.where(orders <= count[:, None], SAFETY * errors ** (-1 / (orders + 1)), 0.0).max(dim=1)
            chosen = best.indices + 1
            # A history that grows allows the next order, untried: it is taken where the highest tried was the best.
            longer = (count + 1).clamp(max=most)
            after = torch.where(chosen == count, longer, chosen)
            memory_after = (torch.cat([(log_snr + h)[:, None], nodes[:, :-1]], dim=1), longer, after, *new[:most])
            return Trial(corrected, error, new[0], memory_after, (nodes, count, chosen, *differences), best.values)

        def growth(trial: Trial, rejected: Tensor) -> Tensor:
            factor = trial.error if trial.factor is None else trial.factor.clamp(SLOWEST, FASTEST)
            return torch.where(trial.error > 1, factor.clamp(max=0.7), factor)

        first, last = sde.log_snr(torch.tensor([start, stop], dtype=torch.float64)).tolist()
        at_start = torch.full((len(x),), first, dtype=torch.float64, device=x.device)
        f = denoise(x, at_start)
        # Nodes that are not there yet lie far behind, with differences of zero.
        nodes = torch.stack([at_start + (first - last) * k for k in range(most)], dim=1)
        one = torch.ones(len(x), dtype=torch.int64, device=x.device)
        memory = (nodes, one, one, f, *(torch.zeros_like(x) for _ in range(most - 1)))
        step = torch.full_like(at_start, FIRST)
        return integrate(
            denoise,
            attempt,
            x,
            (first, last),
            self.name,
            info,
            step=step,
            growth=growth,
            f=f,
            memory=memory,
            time=sde.time,
        )
