"""What stops a solver whose predictions are not finite, or that spends too much."""

import math

from torch import Tensor

from ..errors import NumericalError
from ..model import Evaluations, non_finite


class Guard:
    """An observer that stops a solver when a prediction is not finite or the budget is spent."""

    def __init__(self, solver: str, *, finite: bool, budget: float) -> None:
        self.solver, self.finite, self.budget = solver, finite, budget
        self.count = Evaluations()

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        self.count(x, t, eps)
        # One sum sees every NaN and infinity; the rows are looked at only if it is one.
        if self.finite and not math.isfinite(float(eps.detach().sum())) and (bad := non_finite(eps)).any():
            raise not_finite(self.solver, bad, t, self.count.calls)
        if self.count.calls > self.budget:
            raise NumericalError(
                f"{self.solver} has not ended after max_nfe = {self.budget:g} evaluations, at t = {t.min():.3g}: "
                "raise tol or max_nfe, or use a solver with fixed steps"
            )


def not_finite(solver: str, bad: Tensor, t: Tensor, calls: int) -> NumericalError:
    """The error that says where a prediction left the finite numbers; bad and t are (B,)."""
    return NumericalError(
        f"{solver}: the model's prediction for {rows(bad)} is not finite at t = {t[bad][0]:.3g} "
        f"(evaluation {calls}): the model is broken there, or an earlier step was too long"
    )


def rows(bad: Tensor) -> str:
    """The rows that are bad, (B,), in words."""
    found = bad.nonzero().flatten().tolist()
    return f"sample{'s' * (len(found) > 1)} {', '.join(map(str, found[:5]))}{', ...' * (len(found) > 5)} of {len(bad)}"
