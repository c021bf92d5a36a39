"""Exponential Adams methods of variable step and order."""

import torch
from pydantic import Field
from torch import Tensor

from ..controllers import ControllerOption, Integral
from ..model import ScoreModel
from ..random import Generators
from ..sde import expand
from .adaptive import Memory, PerSampleSolver, Stepping, Trial, rms
from .base import solvers
from .exponential import quadrature

FIRST = 0.5


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

    tol: float = Field(1e-2, gt=0, lt=1, description="Relative error allowed per step.")
    controller: ControllerOption = Integral(safety=0.6, slowest=0.3, fastest=2.0)
    max_order: int = Field(4, ge=1, le=6, description="Highest order of the predictor.")

    @property
    def claimed_order(self) -> float:
        return self.max_order + 1.0

    def stepping(self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators) -> Stepping:
        sde, most = model.sde, self.max_order
        orders = torch.arange(1, most + 1, device=x.device)
        points, weights = (v.to(x.device) for v in quadrature(16))

        def denoise(x: Tensor, log_snr: Tensor) -> Tensor:
            return model.denoise(x, sde.time(log_snr))

        def columns(a: Tensor, x: Tensor) -> tuple[Tensor, ...]:
            """The columns of a, (B, k), each as something that multiplies x."""
            return a.to(x).reshape(len(a), -1, *[1] * (x.ndim - 1)).unbind(1)

        def attempt(x: Tensor, log_snr: Tensor, h: Tensor, f: Tensor, memory: Memory) -> Trial:
            nodes, count, order, *differences = memory  # (B, most), (B,), (B,), and the divided differences, (B, *)
            t, s, end = sde.time(log_snr), sde.time(log_snr + h), (log_snr + h)[:, None]
            # The integrals of the Newton polynomials against the exponential, (B, most + 1).
            place = log_snr[:, None] + h[:, None] * points  # (B, points)
            basis = torch.cat([weights * torch.exp(place - end)[:, None], place[:, None] - nodes[..., None]], dim=1)
            integrals = (sde.alpha(s) * h)[:, None] * basis.cumprod(1).sum(2)
            moved = expand(sde.sigma(s) / sde.sigma(t), x) * x
            for weight, value in zip(
                columns(integrals[:, :-1] * (orders <= order[:, None]), x), differences, strict=True
            ):
                moved = moved.addcmul_(weight, value)
            new = [denoise(moved, log_snr + h)]
            # A row that waits, with a step of zero, is at its node; what it computes is not used, but must be finite.
            distances = columns(torch.where(end == nodes, 1.0, end - nodes), x)
            for distance, difference in zip(distances, differences, strict=True):
                new.append((new[-1] - difference).div_(distance))
            corrected = moved.clone()
            corrector = columns(integrals[:, 1:] * (orders == order[:, None]), x)
            for weight, value in zip(corrector, new[1:], strict=True):
                corrected = corrected.addcmul_(weight, value)
            scale = torch.maximum(x.abs(), corrected.abs()).mul_(self.tol).add_(self.absolute)
            norms = torch.stack([rms(value / scale, self.control) for value in new[1:]], dim=1)
            errors = integrals[:, 1:].abs() * norms
            error = errors.gather(1, order[:, None] - 1)[:, 0]
            chosen = torch.where(orders <= count[:, None], errors ** (-1 / (orders + 1)), 0.0).argmax(dim=1) + 1
            forecast = errors.gather(1, chosen[:, None] - 1)[:, 0]
            # A history that grows allows the next order, untried: it is taken where the highest tried was the best.
            longer = (count + 1).clamp(max=most)
            after = torch.where(chosen == count, longer, chosen)
            memory_after = (torch.cat([end, nodes[:, :-1]], dim=1), longer, after, *new[:most])
            retry = (nodes, count, chosen, *differences)
            return Trial(corrected, error, new[0], memory_after, retry, forecast, chosen + 1.0)

        first, last = sde.log_snr(torch.tensor([start, stop], dtype=torch.float64)).tolist()
        at_start = torch.full((len(x),), first, dtype=torch.float64, device=x.device)
        f = denoise(x, at_start)
        # Nodes that are not there yet lie far behind, with differences of zero.
        nodes = torch.stack([at_start + (first - last) * k for k in range(most)], dim=1)
        one = torch.ones(len(x), dtype=torch.int64, device=x.device)
        memory = (nodes, one, one, f, *(torch.zeros_like(x) for _ in range(most - 1)))
        return Stepping(
            denoise, attempt, x, position=sde.log_snr, time=sde.time, order=2, first=FIRST, f=f, memory=memory
        )
