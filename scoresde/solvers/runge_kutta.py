"""Embedded Runge-Kutta pairs on the probability-flow ODE."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel
from .adaptive import PerSampleSolver
from .base import solvers
from .embedded_pair import pair_stepping
from .stepping import Stepping

if TYPE_CHECKING:
    from scipy.integrate import OdeSolver


class RungeKutta(PerSampleSolver):
    """Base of the pairs: dx/dt = f x - ½ g² ∇log p, stepped in t on the model's device.

    The error of one or two values can be small by chance on a long step. Of samples of two modes some in a thousand end
    off any mode at a tol of 1e-3, and up to a fifth at 1e-2: take control="max" there, or adams.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, equation 13.
    """

    scipys: ClassVar[str]

    @property
    def pair(self) -> "type[OdeSolver]":
        """SciPy's class of the pair, which holds its tableau."""
        import scipy.integrate  # slow to import: only where it is used

        found: type[OdeSolver] = getattr(scipy.integrate, self.scipys)
        return found

    @property
    def claimed_order(self) -> float:
        return float(self.pair.order)

    def stepping(self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators) -> Stepping:
        sde = model.sde

        def fields(t: Tensor) -> list[Callable[[Tensor], Tensor]]:
            flat = t.flatten()
            half_g2 = 0.5 * sde.g(flat) ** 2 / sde.sigma(flat)
            drifts, gains = (v.to(x).reshape(*t.shape, *[1] * (x.ndim - 1)) for v in (sde.f(flat), half_g2))

            def field(y: Tensor, i: int) -> Tensor:
                return torch.addcmul(drifts[i] * y, gains[i], model.eps(y, t[i]))

            return [partial(field, i=i) for i in range(len(t))]

        return pair_stepping(
            lambda y, t: fields(t[None])[0](y),
            x,
            start,
            stop,
            pair=self.pair,
            tol=self.tol,
            atol=self.absolute,
            control=self.control,
            fields=fields,
        )


@solvers("rk23")
class RK23(RungeKutta):
    """Bogacki-Shampine 3(2) on the probability-flow ODE.

    Reference: Bogacki and Shampine 1989, https://doi.org/10.1016/0893-9659(89)90079-7.
    """

    scipys = "RK23"


@solvers("rk45")
class RK45(RungeKutta):
    """Dormand-Prince 5(4) on the probability-flow ODE.

    Reference: Dormand and Prince 1980, https://doi.org/10.1016/0771-050X(80)90013-3.
    """

    scipys = "RK45"


@solvers("dop853")
class DOP853(RungeKutta):
    """Dormand-Prince 8(5,3) on the probability-flow ODE.

    Reference: Hairer, Norsett and Wanner 1993, Solving Ordinary Differential Equations I, section II.10,
    https://doi.org/10.1007/978-3-540-78862-1.
    """

    scipys = "DOP853"
