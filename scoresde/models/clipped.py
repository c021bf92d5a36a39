"""Predicted data kept within the range that data have: a model around a model."""

from torch import Tensor

from ..core.errors import UsageError
from ..sde import expand
from .base import Observer, ScoreModel


class ClippedModel(ScoreModel):
    """ε' = (x - α x̂_0')/σ, where x̂_0' is the predicted data cut off at the ends of [low, high].

    A network that predicts ε misses x̂_0 by its error times σ/α, a hundredfold at the start of the process, and short
    training or few steps end in saturated colours. Data in the range are not changed by it, so an exact model of such
    data is, nearly. It bends the probability flow: an adaptive solver may take more steps, and a likelihood is not the
    network's any more. Guide first, then clip, then condition: a clip around a condition would break it.

    References: Ho et al. 2020, https://arxiv.org/abs/2006.11239, whose code clips so; Saharia et al. 2022,
    https://arxiv.org/abs/2205.11487, section 2.3 (static thresholding).

    Raises:
        UsageError: The range is empty.
    """

    def __init__(self, model: ScoreModel, low: float = -1.0, high: float = 1.0) -> None:
        super().__init__()
        if not low < high:
            raise UsageError(f"predictions are cut off at a lower and a higher value, got {low:g} and {high:g}")
        self.model, self.low, self.high = model, low, high
        self.sde, self.shape, self.draws, self.condition = model.sde, model.shape, model.draws, model.condition

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        return self._clipped(x, t, self.model.eps(x, t))

    def eps_and_share(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        eps, share = self.model.eps_and_share(x, t)
        return self._clipped(x, t, eps), share

    def given(self, known: Tensor) -> ScoreModel:
        return ClippedModel(self.model.given(known), self.low, self.high)

    def _clipped(self, x: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        alpha, sigma = expand(self.sde.alpha(t), x), expand(self.sde.sigma(t), x)
        beyond = (x - sigma * eps) / alpha
        # As a change of ε, so that where nothing is cut off ε stays what it was, bit for bit.
        return eps + alpha / sigma * (beyond - beyond.clamp(self.low, self.high))

    def observed(self, *observers: Observer) -> ScoreModel:
        return ClippedModel(self.model.observed(*observers), self.low, self.high)

    def finish(self, x: Tensor) -> Tensor:
        return self.model.finish(x)
