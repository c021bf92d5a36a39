"""The Min-SNR weighting, which limits the signal-to-noise ratio."""

import torch
from pydantic import Field
from torch import Tensor

from ...sde import SDE
from .base import Weighting, weightings


@weightings("min-snr")
class MinSNR(Weighting):
    """w(t) = min(SNR, cap)/SNR on the squared error of ε, which is min(SNR, cap) on that of x_0; SNR = α²/σ².

    Reference: Hang et al. 2023, https://arxiv.org/abs/2303.09556, equation 8 and section 3.4.
    """

    cap: float = Field(5.0, gt=0, description="Signal-to-noise ratio α²/σ² above which the error of ε counts less.")

    def weight(self, sde: SDE, t: Tensor, scale: Tensor) -> Tensor:
        return scale.square() * (self.cap * torch.exp(-2 * sde.log_snr(t))).clamp(max=1)
