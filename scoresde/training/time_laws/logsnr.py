"""Times that are uniform in log-SNR."""

import torch
from torch import Tensor

from ...sde import SDE
from .base import TimeLaw, time_laws


@time_laws("logsnr")
class LogSNR(TimeLaw):
    """λ(t) = λ(earliest) + u (λ(t_max) - λ(earliest)), λ = log α/σ.

    The density of t is proportional to g²/σ² = -2 dλ/dt, the weight of the error of ε in the likelihood.

    Reference: Song et al. 2021, https://arxiv.org/abs/2101.09258, section 4.4.
    """

    def times(self, sde: SDE, u: Tensor, earliest: float) -> Tensor:
        first, last = sde.log_snr(torch.tensor([earliest, sde.t_max], dtype=torch.float64)).tolist()
        return sde.time(first + u * (last - first))
