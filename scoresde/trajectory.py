"""The way of samples from noise to data, seen through the model's evaluations and so the same for every solver."""

import torch
from torch import Tensor

from .errors import UsageError
from .sde import SDE, expand


class Trajectory:
    """An observer that keeps each sample's state at its first evaluation at or below each of some log-SNRs.

    Nothing is evaluated for it. Adaptive and multi-stage solvers evaluate between and beyond their steps, so a
    state is what the model saw there, which for a late stage is an approximation.

    Args:
        frames: Number of states, evenly spaced in log-SNR from the end of the process to `stop`.
    """

    def __init__(self, sde: SDE, frames: int, stop: float | None = None) -> None:
        if frames < 2:
            raise UsageError(f"a trajectory has at least 2 frames, got {frames}")
        ends = sde.log_snr(torch.tensor([sde.end, sde.eps if stop is None else stop], dtype=torch.float64))
        self.sde = sde
        self.log_snr = torch.linspace(float(ends[0]), float(ends[1]), frames, dtype=torch.float64)
        self.states: list[Tensor] = []
        self.denoised: list[Tensor] = []
        self.frame: Tensor | None = None

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        if self.frame is None:
            self.frame = torch.full((len(x),), -1, dtype=torch.int64)
            self.states = [x.detach().clone() for _ in self.log_snr]
            self.denoised = [x.detach().clone() for _ in self.log_snr]
        x0 = (x - expand(self.sde.sigma(t), x) * eps) / expand(self.sde.alpha(t), x)
        log_snr = self.sde.log_snr(t.double()).cpu()
        reached = torch.searchsorted(self.log_snr, log_snr + 1e-9, right=True) - 1
        for k in range(len(self.log_snr)):
            rows = (self.frame < k) & (k <= reached)
            # Later frames start as this state too, so that a solver with few evaluations leaves no gap.
            for later in range(k, len(self.log_snr)):
                self.states[later][rows] = x.detach()[rows]
                self.denoised[later][rows] = x0.detach()[rows]
        self.frame = torch.maximum(self.frame, reached)
