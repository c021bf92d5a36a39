"""Uniform times."""

from torch import Tensor

from ...sde import SDE
from .base import TimeLaw, time_laws


@time_laws("uniform")
class Uniform(TimeLaw):
    """t = earliest + u (t_max - earliest); in a chain its levels, each as often.

    References: Ho et al. 2020, https://arxiv.org/abs/2006.11239, algorithm 1; Song et al. 2021,
    https://arxiv.org/abs/2011.13456, equation 7.
    """

    def times(self, sde: SDE, u: Tensor, earliest: float) -> Tensor:
        return sde.training_times(u, earliest)
