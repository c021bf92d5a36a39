"""SciPy's own ODE solvers, as a reference."""

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import NumericalError
from ..core.random import Generators
from ..models.base import ScoreModel
from .base import Info, solvers
from .wrapped import LibrarySolver

METHODS = ("RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA")


@solvers("scipy")
class SciPySolver(LibrarySolver):
    """scipy.integrate.solve_ivp on the probability-flow ODE of the flattened batch, in float64 on the CPU.

    The whole batch has a common step, so a sample depends on the others. The implicit methods compute the Jacobian by
    finite differences, with one evaluation per value of the batch: they are for low-dimensional problems.

    References: Virtanen et al. 2020, https://arxiv.org/abs/1907.10121; Song et al. 2021,
    https://arxiv.org/abs/2011.13456, equation 13.
    """

    methods = METHODS
    examples = ({"method": "RK23"}, {"method": "DOP853"}, {"method": "LSODA"})
    method: str = Field("RK45", description="Method of that library, such as RK45 or LSODA, dopri5 or bosh3.")

    @property
    def claimed_order(self) -> float:
        return {"RK23": 3.0, "RK45": 5.0, "DOP853": 8.0, "Radau": 5.0}.get(self.method, 1.0)

    def _solve(
        self, model: ScoreModel, x: Tensor, start: float, stop: float, generator: Generators, info: Info
    ) -> Tensor:
        import scipy.integrate  # slow to import: only where it is used

        def velocity(t: float, y: np.ndarray) -> np.ndarray:
            state = torch.from_numpy(y).reshape(x.shape).to(x.device)
            drift = model.velocity(state, state.new_full((len(x),), t))
            return drift.detach().cpu().numpy().ravel()

        y = x.detach().double().cpu().numpy().ravel()
        solution = scipy.integrate.solve_ivp(
            velocity, (start, stop), y, method=self.method, rtol=self.tol, atol=self.absolute
        )
        if not solution.success:
            raise NumericalError(f"scipy's {self.method} stopped at t = {solution.t[-1]:.3g}: {solution.message}")
        info["steps"] = float(len(solution.t) - 1)
        return torch.from_numpy(solution.y[:, -1]).reshape(x.shape).to(x)
