"""torchdiffeq's ODE solvers, as a reference."""

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import NumericalError, reason
from ..core.random import Generators
from ..models.base import ScoreModel
from .base import Info, solvers
from .embedded_pair import first_step
from .wrapped import LibrarySolver

METHODS = {"dopri8": 8.0, "dopri5": 5.0, "bosh3": 3.0, "fehlberg2": 2.0, "adaptive_heun": 2.0}


@solvers("torchdiffeq")
class TorchdiffeqSolver(LibrarySolver):
    """torchdiffeq.odeint on the probability-flow ODE, with the end of the interval as a forced step.

    Otherwise the library would step beyond the end, into t < 0, where the process does not exist, and interpolate. The
    whole batch has a common step, so a sample depends on the others. Its dopri8 is not DOP853.

    References: Chen et al. 2018, https://arxiv.org/abs/1806.07366; Song et al. 2021,
    https://arxiv.org/abs/2011.13456, equation 13.
    """

    methods = METHODS
    examples = ({"method": "bosh3"}, {"method": "dopri8"})
    method: str = Field("dopri5", description="Method of that library, such as RK45 or LSODA, dopri5 or bosh3.")

    @property
    def claimed_order(self) -> float:
        return METHODS[self.method]

    def _solve(
        self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators, info: Info
    ) -> Tensor:
        import torchdiffeq  # slow to import

        low, high = min(start, stop), max(start, stop)
        library = f"torchdiffeq's {self.method}"
        slack = high * torch.finfo(x.dtype).eps  # the library has its times in the dtype of x

        def velocity(t: Tensor, y: Tensor) -> Tensor:
            now = float(t)
            if not low - slack <= now <= high + slack:
                raise NumericalError(f"{library} left the interval [{low:g}, {high:g}] at t = {now:g}")
            inside = min(max(now, low), high)
            return model.velocity(y, torch.full((len(y),), inside, dtype=torch.float64))

        span = torch.tensor([start, stop], dtype=torch.float64, device=x.device)
        # The library's own rule for the first step probes past the end.
        order, atol = int(METHODS[self.method]) - 1, self.absolute
        f = velocity(span[0], x)
        first = first_step(model.velocity, x, f, start, stop, order=order, tol=self.tol, atol=atol, control="batch")
        options = {"step_t": span[1:], "first_step": float(first[0]), "max_num_steps": self.max_nfe}
        try:
            states = torchdiffeq.odeint(
                velocity, x, span, rtol=self.tol, atol=self.absolute, method=self.method, options=options
            )
        except AssertionError as error:  # its guards are assertions
            raise NumericalError(f"{library} gave up: {reason(error)}; raise tol or use another solver") from None
        result: Tensor = states[-1]
        return result
