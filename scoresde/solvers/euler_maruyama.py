"""Euler-Maruyama."""

from torch import Tensor

from ..models.base import ScoreModel
from ..sde import Level
from .base import MarkovSolver, solvers
from .exponential import combine


@solvers("em")
class EulerMaruyama(MarkovSolver):
    """The reverse SDE stepped explicitly: x_s = x + (f x - g² ∇log p)(s - t) + g √(t - s) z.

    score_sde's grid is `grid="time"`, which needs about a thousand steps: its last one is too long where
    the score grows as 1/σ. The quadratic grid, our default, shortens the steps towards t = 0.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, equation 6 and appendix E.
    """

    def kernel(self, model: ScoreModel, x: Tensor, t: Level, s: Level) -> tuple[Tensor, float]:
        span = t.time - s.time
        mean = combine(1 - t.f * span, x, [-(t.g**2) / t.sigma * span], [model.eps(x, t.rows(x))])
        return mean, t.g * span**0.5
