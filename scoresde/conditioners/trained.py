"""Networks that were trained to be given what is known."""

import torch
from torch import Tensor

from ..conditions import colour, holed
from ..errors import UsageError
from ..model import Observer, ScoreModel
from ..observations import Luma, Observation, Pixels
from ..random import Generators
from ..sde import expand
from .base import ConditionedModel, Conditioner, conditioners


@conditioners("trained")
class Trained(Conditioner):
    """ε(x_t, y, t) as the network gives it, for one trained with train.condition = colour or inpaint.

    For `inpaint` the network sees the known pixels themselves in place of those of x_t, as in its training, and the
    state's own move straight to them along x_t = α y + σ z. Nothing is approximated but by the training itself.

    References: Saharia et al. 2022, https://arxiv.org/abs/2111.05826, section 3, for networks that are given the
    measurement as further channels.
    """

    def _condition(
        self, model: ScoreModel, observation: Observation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        if model.condition == "colour" and isinstance(observation, Luma):
            return TrainedModel(model.given(colour(y)), observation, y, None)
        if model.condition == "inpaint" and isinstance(observation, Pixels) and not observation.noise:
            known = observation.mask.to(y.device)
            return TrainedModel(model.given(holed(y, known)), observation, y, known)
        knows = {"colour": "the luma", "inpaint": "exact pixels"}.get(model.condition, "nothing")
        raise UsageError(
            f"the network was trained to be given {knows}, not {type(observation).__name__}: "
            "choose another model, or another conditioner"
        )


class TrainedModel(ConditionedModel):
    """A network with what it is given, bound to the measurements of B samples.

    Args:
        known: Where pixels are known, (1, 1, H, W) or (B, 1, H, W), bool; None if none are.
    """

    def __init__(self, model: ScoreModel, observation: Observation, y: Tensor, known: Tensor | None) -> None:
        super().__init__(model, observation, y, lambda around, x, t: self._met(x, t, around.eps(self._seen(x), t)))
        self.known = known

    def eps_and_share(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        eps, share = self.model.eps_and_share(self._seen(x), t)
        return self._met(x, t, eps), share

    def observed(self, *observers: Observer) -> ScoreModel:
        return TrainedModel(self.model.observed(*observers), self.observation, self.y, self.known)

    def _seen(self, x: Tensor) -> Tensor:
        """What the network is given for x."""
        return x if self.known is None else torch.where(self.known, self.y.to(x), x)

    def _met(self, x: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """The noise that takes known pixels to what they are, and others where the network says."""
        if self.known is None:
            return eps
        alpha, sigma = expand(self.sde.alpha(t), x), expand(self.sde.sigma(t), x)
        return torch.where(self.known, (x - alpha * self.y.to(x)) / sigma, eps)
