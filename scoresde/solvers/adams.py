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
from .integrals import newton
from .stepping import Floats, Memory, Stepping, Trial, array, factors, norms, relative

FIRST, LONGEST = 0.5, 2.0


@solvers("adams")
class ExponentialAdams(PerSampleSolver):
    """Predictor-corrector on the exact integral x_s = σ_s/σ_t x_t + α_s ∫ e^(λ-λ_s) x̂_0(λ) dλ, one evaluation a step.

    x̂_0 is the Newton polynomial through the last evaluations, whatever their distances, up to order max_order. The
    predictor of order k extrapolates it; the evaluation there gives one more divided difference and with it the
    corrector, of order k + 1, whose result is kept. Their difference is the error estimate and costs nothing. Errors
    of the other orders are estimated too, and the next step has the order that allows the longest step. A step is at
    most 2 long in λ: a longer one could pass over all that changes x̂_0, and see the same mean on both sides.

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
        orders, row, tensor = np.arange(1, most + 1)[:, None], np.arange(len(x)), torch.from_numpy
        roots = -1 / (orders + 1)

        def denoise(x: Tensor, log_snr: Tensor) -> Tensor:
            return model.denoise(x, sde.time(log_snr))

        def attempt(x: Tensor, log_snr: Floats, h: Floats, f: Tensor, memory: Memory) -> Trial:
            ledger, differences = memory[0].numpy(), (f, *memory[1:])
            (count, order), at_node = ledger[:, :2].T.astype(np.int64), ledger[:, 2]
            spans, nodes = ledger[:, 3 : 3 + most].T, ledger[:, 3 + most :].T
            end = log_snr + h
            s = sde.time(tensor(end))
            alpha = np.exp(array(sde.log_alpha(s)))
            sigma, integrals = alpha * np.exp(-end), alpha * newton(end, h, nodes)
            # A divided difference is kept times its distances: as what the polynomial through so many nodes is off by.
            reach = np.ones((most + 1, len(h)))
            # A row that has arrived takes steps of zero; what it computes is not used, but must be finite.
            reach[1:] = np.where(end == nodes, 1.0, end - nodes)
            reach = np.multiply.accumulate(reach)
            gains, low, high, tried = integrals[1:] / reach[1:], order.min(), order.max(), count.max()
            table = np.array([sigma / at_node, alpha, -sigma])
            predict = integrals[:high] / spans[:high] * (orders[:high] <= order)
            update, correct = -reach[:tried] / spans[:tried], (gains * (orders == order))[low - 1 : high]
            keep, scaled, noise, *rest = factors(np.concatenate([table, predict, update, correct]), x)
            moved = keep * x
            for factor, difference in zip(rest[:high], differences, strict=False):
                moved.addcmul_(factor, difference)
            new = [torch.addcmul(moved, noise, model.eps(moved, s)).div_(scaled)]
            for factor, difference in zip(rest[high : high + tried], differences, strict=False):
                new.append(torch.addcmul(new[-1], factor, difference))
            corrected = moved
            for factor, difference in zip(rest[high + tried :], new[low:], strict=False):
                corrected = torch.addcmul(corrected, factor, difference)
            scale = relative(x, corrected, self.tol).add_(self.absolute)
            sizes = norms(new[1:], self.control, scale)
            with np.errstate(all="ignore"):  # an error can be zero, or not be a number
                errors = np.abs(gains[:tried]) * sizes
                lengths = np.where(orders[:tried] <= count, errors ** roots[:tried], 0.0)
            chosen = lengths.argmax(0) + 1
            # A history that grows allows the next order, untried: it is taken where the highest tried was the best.
            longer = np.minimum(count + 1, most)
            after, retry = np.empty_like(ledger), ledger.copy()
            after[:, 0], after[:, 1], after[:, 2] = longer, np.where(chosen == count, longer, chosen), sigma
            after[:, 3 : 3 + most], after[:, 3 + most], after[:, 4 + most :] = reach[:-1].T, end, nodes[:-1].T
            retry[:, 1] = chosen
            memories = (tensor(after), *new[1:most], *differences[len(new) :]), (tensor(retry), *differences[1:])
            error, forecast = errors[order - 1, row], errors[chosen - 1, row]
            return Trial(corrected, error, new[0], *memories, forecast, chosen + 1.0)

        first, last = sde.log_snr(torch.tensor([start, stop], dtype=torch.float64)).tolist()
        f = denoise(x, torch.full((len(x),), first, dtype=torch.float64))
        # Of a row the number of its nodes, its order, σ, the products of the distances between its newest node and the
        # earlier ones, and the nodes: those not there yet lie far behind.
        far = [first + (first - last) * k for k in range(most)]
        spans = np.cumprod([1.0, *(first - node for node in far[1:])])
        ledger = np.tile([1.0, 1.0, sde.levels([start])[0].sigma, *spans, *far], (len(x), 1))
        memory = (tensor(ledger), *(torch.zeros_like(x) for _ in range(most - 1)))
        return Stepping(denoise, attempt, x, sde.log_snr, sde.time, 2, FIRST, f, memory, LONGEST)
