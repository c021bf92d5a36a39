"""Equal weights."""

from typing import ClassVar

import torch
from torch import Tensor

from ...sde import SDE
from .base import Weighting, weightings


@weightings("simple")
class Simple(Weighting):
    """w(t) = 1, on the error of what the network predicts.

    Reference: Ho et al. 2020, https://arxiv.org/abs/2006.11239, equation 14.
    """

    squares: ClassVar[bool] = False

    def weight(self, sde: SDE, t: Tensor, scale: Tensor) -> Tensor:
        return torch.ones_like(scale)
