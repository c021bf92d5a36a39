"""Classical Runge-Kutta methods with fixed steps on the probability-flow ODE."""

from itertools import pairwise

from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel
from ..sde import Level
from .base import GridSolver, OneStepSolver, solvers
from .exponential import combine, inside, runge_kutta


@solvers("heun")
class Heun(OneStepSolver):
    """dx/dt = f x + ½ g²/σ ε, by the trapezoidal rule on an Euler step in t. Two evaluations per step.

    References: Song et al. 2021, https://arxiv.org/abs/2011.13456, equation 13;
    Hairer, Norsett and Wanner 1993, https://doi.org/10.1007/978-3-540-78862-1, section II.1.
    """

    @property
    def claimed_order(self) -> float:
        return 2.0

    def step(self, model: ScoreModel, x: Tensor, t: Level, s: Level, generator: Generators) -> Tensor:
        def slope(x: Tensor, stage: int) -> Tensor:
            at = (t, s)[stage]
            return combine(at.f, x, [0.5 * at.g**2 / at.sigma], [model.eps(x, at.rows(x))])

        return runge_kutta(slope, x, s.time - t.time, [[1.0]], [0.5, 0.5])


@solvers("rk4")
class RK4(GridSolver):
    """dx/dλ = -σ ε - 2 f σ²/g² x, by the classical method of order 4 in λ = log α/σ. Four evaluations per step.

    In t the flow has a square-root singularity at the data; in λ it is smooth.

    References: Kutta 1901, https://doi.org/10.1007/978-3-540-78862-1 (Hairer, Norsett and Wanner 1993, table II.1.2);
    Lu et al. 2022, https://arxiv.org/abs/2206.00927, section 3.1.
    """

    @property
    def claimed_order(self) -> float:
        return 4.0

    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        middles = inside(model.sde, levels, [0.5])
        for (t, s), (middle,) in zip(pairwise(levels), middles, strict=True):
            stages = (t, middle, middle, s)

            def slope(x: Tensor, stage: int, stages: tuple[Level, ...] = stages) -> Tensor:
                at = stages[stage]
                return combine(-2 * at.f * (at.sigma / at.g) ** 2, x, [-at.sigma], [model.eps(x, at.rows(x))])

            rows = [[0.5], [0.0, 0.5], [0.0, 0.0, 1.0]]
            x = runge_kutta(slope, x, s.log_snr - t.log_snr, rows, [1 / 6, 1 / 3, 1 / 3, 1 / 6])
        return x
