"""Stops a solver whose predictions are not finite, or that needs too many evaluations."""

from torch import Tensor

from ..core.errors import NumericalError
from ..core.finite import DeferredFiniteCheck, all_finite, non_finite


class Guard:
    """An observer that stops a solver when a prediction is not finite or the budget is spent.

    On a GPU a prediction is checked when the next one has been started, and the last one in `settle`.

    Args:
        solver: Name of the solver, for error messages.
        finite: Whether predictions that are not finite are errors.
        budget: The largest number of evaluations.
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
        """Checks the last prediction, if that has not been done yet.

        Raises:
            NumericalError: It was not finite.
        """
        if self.waiting:
            (later, eps, t, calls), self.waiting = self.waiting, None
            if not later.fine():
                raise not_finite(self.solver, non_finite(eps), t, calls)


def lags(eps: Tensor) -> bool:
    """Whether the device runs asynchronously, so that a prediction is checked while the next one is computed.

    Args:
        eps: A prediction, (B, *).
    """
    return eps.is_cuda


def not_finite(solver: str, bad: Tensor, t: Tensor, calls: int) -> NumericalError:
    """The error that says where a prediction is not finite.

    Args:
        solver: Name of the solver.
        bad: Which rows are not finite, (B,) bool.
        t: Their times, (B,).
        calls: Evaluations up to this one.
    """
    return NumericalError(
        f"{solver}: the model's prediction for {rows(bad)} is not finite at t = {t[bad][0]:.3g} "
        f"(evaluation {calls}): the model is broken there, or an earlier step was too long"
    )


def rows(bad: Tensor) -> str:
    """The numbers of the marked rows, in words.

    Args:
        bad: The marked rows, (B,) bool.
    """
    found = bad.nonzero().flatten().tolist()
    return f"sample{'s' * (len(found) > 1)} {', '.join(map(str, found[:5]))}{', ...' * (len(found) > 5)} of {len(bad)}"
