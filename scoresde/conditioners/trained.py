"""Networks that were trained to be given what is known."""

from torch import Tensor

from ..core.errors import UsageError
from ..core.random import Generators
from ..models.base import Observer, ScoreModel
from ..observations import Luma, Observation, Pixels
from ..observations.channels import colour, holed
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
            known = colour(y)
        elif model.condition == "inpaint" and isinstance(observation, Pixels) and not observation.noise:
            known = holed(y, observation.mask.to(y.device))
        else:
            knows = {"colour": "the luma", "inpaint": "exact pixels"}.get(model.condition, "nothing")
            raise UsageError(
                f"the network was trained to be given {knows}, not {type(observation).__name__}: "
                "choose another model, or another conditioner"
            )
        return TrainedModel(model.given(known), observation, y, lambda around, x, t: around.eps(x, t))


class TrainedModel(ConditionedModel):
    """A network with what it is given, bound to the measurements of B samples, with its learned variance if any."""

    def eps_and_share(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.eps_and_share(x, t)

    def observed(self, *observers: Observer) -> ScoreModel:
        return TrainedModel(self.model.observed(*observers), self.observation, self.y, self.rule)
