"""The noise itself."""

import torch
from pydantic import Field
from torch import Tensor

from ..base import SDE
from .base import Label, labels


@labels("sigma")
class SigmaLabel(Label):
    """scale · σ/α.

    score_sde's continuous networks of exploding variance take σ, for data in [0, 1]: half of the σ for [-1, 1].
    """

    scale: float = Field(1.0, gt=0, description="The factor.")

    def of(self, sde: SDE, t: Tensor) -> Tensor:
        return self.scale * torch.exp(-sde.log_snr(t))
