"""Clipping of predicted data to their range: a model around a model."""

from torch import Tensor

from ..core.errors import UsageError
from ..sde import expand
from .base import ScoreModel, WrapperModel
from .latent import of_data
from .output import Output, denoised


class ClippedModel(WrapperModel):
    """ε' = (x - α x̂_0')/σ, where x̂_0' is the predicted data clipped to [low, high].

    For a network that predicts ε, the error of x̂_0 is larger by σ/α, a hundred times at the start of the process. If
    the training was short or the steps are few, clipping avoids saturated colours. It makes the probability flow less
    smooth, so an adaptive solver may take more steps, and the likelihood is not that of the network. Guide first, then
    clip, then condition. The other rule, which clips x̂_0 and keeps ε, is the option clip_x0 of `ddim`.

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
