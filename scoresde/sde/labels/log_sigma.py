"""The logarithm of the noise."""

from pydantic import Field
from torch import Tensor

from ..base import SDE
from .base import Label, labels


@labels("log-sigma")
class LogSigmaLabel(Label):
    """scale · ln(σ/α).

    Reference: Karras et al. 2022, https://arxiv.org/abs/2206.00364, table 1, row c_noise.
    """

    scale: float = Field(0.25, gt=0, description="The factor.")

    def of(self, sde: SDE, t: Tensor) -> Tensor:
        return -self.scale * sde.log_snr(t)
