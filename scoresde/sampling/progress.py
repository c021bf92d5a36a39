"""How far a sampling has come, seen from the evaluations of its model."""

import torch
from torch import Tensor

from ..sde import SDE


class Way:
    """An observer that knows which share of the way from noise to data, or upwards, a batch has gone, in log-SNR."""

    def __init__(self, sde: SDE, *, upwards: bool = False) -> None:
        ends = sde.log_snr(torch.tensor([sde.t_max, sde.t_min], dtype=torch.float64))
        ends = ends.flip(0) if upwards else ends
        self.sde, self.upwards = sde, upwards
        self.first, self.last = float(ends[0]), float(ends[1])
        self.calls, self.share = 0, 0.0

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        self.calls += 1
        slowest = t.min() if self.upwards else t.max()
        share = (float(self.sde.log_snr(slowest)) - self.first) / (self.last - self.first)
        self.share = max(self.share, min(share, 1.0))
