"""What stops a solver whose predictions are not finite, or that spends too much."""

from torch import Tensor

from ..core.errors import NumericalError
from ..core.finite import DeferredFiniteCheck, all_finite, non_finite


class Guard:
    """An observer that stops a solver when a prediction is not finite or the budget is spent.

    On a GPU it looks at a prediction when the next one has been asked for, and at the last one in `settle`.
    """

    def __init__(self, solver: str, *, finite: bool, budget: float) -> None:
        self.solver, self.finite, self.budget = solver, finite, budget
        self.calls = 0
        self.waiting: tuple[DeferredFiniteCheck, Tensor, Tensor, int] | None = None

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        self.calls += 1
        if self.finite and lags(eps):
            self.settle()
            self.waiting = DeferredFiniteCheck(eps), eps, t, self.calls
        elif self.finite and not all_finite(eps):
            raise not_finite(self.solver, non_finite(eps), t, self.calls)
        if self.calls > self.budget:
            raise NumericalError(
                f"{self.solver} has not ended after max_nfe = {self.budget:g} evaluations, at t = {t.min():.3g}: "
                "raise tol or max_nfe, or use a solver with fixed steps"
            )

    def settle(self) -> None:
        """Looks at the last evaluation, if its answer was left until later.

        Raises:
            NumericalError: It was not finite.
        """
        if self.waiting:
            (later, eps, t, calls), self.waiting = self.waiting, None
            if not later.fine():
                raise not_finite(self.solver, non_finite(eps), t, calls)


def lags(eps: Tensor) -> bool:
    """Whether the device works by itself, so that each evaluation is looked at while the next one runs."""
    return eps.is_cuda


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
