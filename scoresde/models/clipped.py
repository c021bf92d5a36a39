"""Predicted data kept within the range that data have: a model around a model."""

from torch import Tensor

from ..core.errors import UsageError
from ..sde import expand
from .base import ScoreModel, WrapperModel
from .latent import of_data
from .output import Output, denoised


class ClippedModel(WrapperModel):
    """ε' = (x - α x̂_0')/σ, where x̂_0' is the predicted data cut off at the ends of [low, high].

    A network that predicts ε misses x̂_0 by its error times σ/α, a hundredfold at the start of the process, and short
    training or few steps end in saturated colours. Data in the range are not changed by it, so an exact model of such
    data is, nearly. It bends the probability flow: an adaptive solver may take more steps, and a likelihood is not the
    network's any more. Guide first, then clip, then condition: what is known may lie beyond the range. The other rule,
    which keeps ε where x̂_0' is cut off, has a meaning in `ddim` alone: its option clip_x0.

    References: Ho et al. 2020, https://arxiv.org/abs/2006.11239, whose code clips so; Saharia et al. 2022,
    https://arxiv.org/abs/2205.11487, section 2.3 (static thresholding).

    Args:
        model: The model.
        low: Lower end of the range.
        high: Upper end.

    Raises:
        UsageError: The range is empty, or the data are latents, which have no range.

    Example:
        >>> import scoresde
        >>> model = scoresde.ClippedModel(scoresde.load("digits"))
        >>> bool(scoresde.sample(model, "euler", n=2, steps=5).x.abs().max() < 1.001)
        True
    """

    def __init__(self, model: ScoreModel, low: float = -1.0, high: float = 1.0) -> None:
        super().__init__(model)
        if not low < high:
            raise UsageError(f"predictions are cut off at a lower and a higher value, got {low:g} and {high:g}")
        of_data(model, "predictions are cut off at the ends of the range of pictures")
        self.low, self.high = low, high

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        out = self.model.evaluate(x, t, classes)
        beyond = denoised(self.sde, x, t, out.eps)
        ratio = expand(self.sde.alpha(t), x) / expand(self.sde.sigma(t), x)
        # As a change of ε, so that where nothing is cut off ε stays what it was, bit for bit.
        return out._replace(eps=out.eps + ratio * (beyond - beyond.clamp(self.low, self.high)))
