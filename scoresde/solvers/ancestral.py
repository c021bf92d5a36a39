"""Ancestral sampling."""

from torch import Tensor

from ..models.base import ScoreModel
from ..sde import Level
from .base import MarkovSolver, solvers
from .exponential import combine
from .reverse_diffusion import forward_step


@solvers("ancestral")
class Ancestral(MarkovSolver):
    """DDPM's sampling: the forward step x_t = a x_s + b z gives x_s = (x + b² ∇log p)/a + b z.

    The variance is DDPM's larger choice, b² = β, as in score_sde's VP sampler.

    References: Ho et al. 2020, https://arxiv.org/abs/2006.11239, algorithm 2;
    Song et al. 2021, https://arxiv.org/abs/2011.13456, equation 4.
    """

    def kernel(self, model: ScoreModel, x: Tensor, t: Level, s: Level) -> tuple[Tensor, float]:
        a, b = forward_step(s, t)
        return combine(1 / a, x, [-(b**2) / (a * t.sigma)], [model.eps(x, t.rows(x))]), b
