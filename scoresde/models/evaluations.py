"""The count of a model's evaluations, from which NFE comes."""

from torch import Tensor


class Evaluations:
    """Counts evaluations: `calls` is the sequential number (NFE), `rows` the samples in all of them.

    `vjps` is the number of vector-Jacobian products, each a backward pass through one of the evaluations.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.rows = 0
        self.vjps = 0

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        self.calls += 1
        self.rows += len(x)
        if eps.requires_grad:
            eps.register_hook(self._pulled_back)  # type: ignore[no-untyped-call]

    def _pulled_back(self, gradient: Tensor) -> None:
        self.vjps += 1
