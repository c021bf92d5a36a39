"""Exponential Adams methods of variable step and order."""

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel
from .adaptive import PerSampleSolver
from .base import solvers
from .controllers import ControllerOption, Integral
from .integrals import quadrature
from .stepping import Memory, Stepping, Trial, array, norms

FIRST = 0.5


@solvers("adams")
class ExponentialAdams(PerSampleSolver):
    """Predictor-corrector on the exact integral x_s = σ_s/σ_t x_t + α_s ∫ e^(λ-λ_s) x̂_0(λ) dλ, one evaluation a step.

    x̂_0 is the Newton polynomial through the last evaluations, whatever their distances, up to order max_order. The
    predictor of order k extrapolates it; the evaluation there gives one more divided difference and with it the
    corrector, of order k + 1, whose result is kept. Their difference is the error estimate and costs nothing. Errors
    of the other orders are estimated too, and the next step has the order that allows the longest step.

    References: Lu et al. 2022, https://arxiv.org/abs/2211.01095, equation 8, for the integral; Hairer, Norsett and
    Wanner 1993, section III.5, https://doi.org/10.1007/978-3-540-78862-1, for Adams methods of variable step.
    """

    tol: float = Field(3e-3, gt=0, lt=1, description="Relative error allowed per step.")
    controller: ControllerOption = Integral(safety=0.6, slowest=0.3, fastest=2.0)
    max_order: int = Field(4, ge=1, le=6, description="Highest order of the predictor.")

    @property
    def claimed_order(self) -> float:
        return self.max_order + 1.0

    def stepping(self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators) -> Stepping:
        sde, most = model.sde, self.max_order
        orders, row = np.arange(1, most + 1), np.arange(len(x))
        points, weights = (v.numpy() for v in quadrature(16))

        tensor = torch.from_numpy

        def denoise(x: Tensor, log_snr: Tensor) -> Tensor:
            return model.denoise(x, sde.time(log_snr))

        def attempt(x: Tensor, log_snr: Tensor, h: Tensor, f: Tensor, memory: Memory) -> Trial:
            ledger, differences = array(memory[0]), memory[1:]
            (count, order), at_node, nodes = ledger[:, :2].T.astype(np.int64), ledger[:, 2:], ledger[:, 3:]
            s, end, length = sde.time(log_snr + h), array(log_snr + h)[:, None], array(h)[:, None]
            sigma = array(sde.sigma(s))[:, None]
            alpha = sigma * np.exp(end)
            # The integrals of the Newton polynomials against the exponential, (B, most + 1).
            back = length * (1 - points)  # from each point to the end, (B, points)
            basis = np.empty((len(x), most + 1, len(points)))
            basis[:, 0], basis[:, 1:] = weights * np.exp(-back), (end - back)[:, None] - nodes[..., None]
            integrals = alpha * length * basis.cumprod(1).sum(2)
            # A row that has arrived takes steps of zero; what it computes is not used, but must be finite.
            distances = np.where(end == nodes, 1.0, end - nodes)
            own = orders == order[:, None]
            table = [sigma / at_node[:, :1], alpha, -sigma, integrals[:, :-1] * (orders <= order[:, None]), distances]
            columns = tensor(np.concatenate([*table, integrals[:, 1:] * own], axis=1)).to(x.dtype).to(x.device)
            keep, scaled, noise, *rest = columns.reshape(*columns.shape, *[1] * (x.ndim - 1)).unbind(1)
            predictor, distance, corrector = (rest[i : i + most] for i in range(0, 3 * most, most))
            moved = keep * x
            for k in range(order.max()):
                moved.addcmul_(predictor[k], differences[k])
            new = [torch.addcmul(moved, noise, model.eps(moved, s)).div_(scaled)]
            tried = count.max()
            for k in range(tried):
                new.append((new[k] - differences[k]).div_(distance[k]))
            corrected = moved.clone()
            for k in own.any(0).nonzero()[0].tolist():
                corrected.addcmul_(corrector[k], new[k + 1])
            scale = torch.maximum(x.abs(), corrected.abs()).mul_(self.tol).add_(self.absolute)
            sizes = array(norms([value / scale for value in new[1:]], self.control)).T
            with np.errstate(all="ignore"):  # an error can be zero, or not be a number
                errors = np.abs(integrals[:, 1 : tried + 1]) * sizes
                reach = np.where(orders[:tried] <= count[:, None], errors ** (-1 / (orders[:tried] + 1)), 0.0)
            chosen = reach.argmax(axis=1) + 1
            error, forecast = errors[row, order - 1], errors[row, chosen - 1]
            # A history that grows allows the next order, untried: it is taken where the highest tried was the best.
            longer = np.minimum(count + 1, most)
            after = np.column_stack([longer, np.where(chosen == count, longer, chosen), sigma, end, nodes[:, :-1]])
            memory_after = (tensor(after), *new[:most], *differences[len(new) :])
            retry = (tensor(np.column_stack([count, chosen, at_node])), *differences)
            steering = tensor(forecast), tensor(chosen + 1.0)
            return Trial(corrected, tensor(error), new[0], memory_after, retry, *steering)

        first, last = sde.log_snr(torch.tensor([start, stop], dtype=torch.float64)).tolist()
        f = denoise(x, torch.full((len(x),), first, dtype=torch.float64))
        # Of a row the number of its nodes, its order, σ, and the nodes: those not there yet lie far behind.
        far = [first + (first - last) * k for k in range(most)]
        ledger = np.tile([1.0, 1.0, sde.levels([start])[0].sigma, *far], (len(x), 1))
        memory = (tensor(ledger), f, *(torch.zeros_like(x) for _ in range(most - 1)))
        return Stepping(denoise, attempt, x, sde.log_snr, sde.time, order=2, first=FIRST, f=f, memory=memory)
