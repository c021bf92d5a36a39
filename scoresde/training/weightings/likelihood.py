"""The weighting with which the loss bounds the likelihood."""

from typing import ClassVar

from torch import Tensor

from ...sde import SDE
from ..time_laws import TimeLaw
from .base import Weighting, weightings


@weightings("likelihood")
class Likelihood(Weighting):
    """w(t) = g²/σ² on the squared error of ε: since that is -2 dλ/dt, it is 1 at times that are even in λ = log α/σ.

    Reference: Song et al. 2021, https://arxiv.org/abs/2101.09258, theorem 1 and section 4.
    """

    law: ClassVar[str] = "logsnr"

    def weight(self, sde: SDE, t: Tensor, scale: Tensor) -> Tensor:
        return scale.square()

    def mistakes(self, sde: SDE, law: TimeLaw) -> list[str]:
        if sde.chain is not None:
            return ["train.weighting = likelihood is of continuous processes: in a chain, train.loss = hybrid has it"]
        if law.name != self.law:
            return [f"train.weighting = likelihood takes train.times = {self.law}, its weight, or auto, got {law}"]
        return []
