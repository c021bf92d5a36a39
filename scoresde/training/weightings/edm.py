"""The weighting of EDM."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from ...sde import SDE
from .base import Weighting, weightings


@weightings("edm")
class EDMWeighting(Weighting):
    """w = (σ̃² + s²)/(σ̃ s)² on the squared error of x_0, which is σ̃ = σ/α times that of ε.

    With `train.predicts = "edm"` and the same s it is 1 on the error of the network's output.

    Reference: Karras et al. 2022, https://arxiv.org/abs/2206.00364, table 1.
    """

    law: ClassVar[str] = "log-normal"
    data_std: float = Field(0.5, gt=0, description="Standard deviation s of the data.")

    def weight(self, sde: SDE, t: Tensor, scale: Tensor) -> Tensor:
        return scale.square() * (1 + torch.exp(-2 * sde.log_snr(t)) / self.data_std**2)
