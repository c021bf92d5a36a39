"""Conditioning of networks that were trained for a task."""

from torch import Tensor

from ..core.errors import UsageError
from ..core.random import Generators
from ..models.base import ScoreModel
from ..observations import Observation
from ..observations.tasks import trained_task
from .base import ConditionedModel, Conditioner, conditioners


@conditioners("trained")
class Trained(Conditioner):
    """ε(x_t, y, t) as the network gives it, for one that was trained for a task on such measurements.

    For `inpaint` the network gets the known pixels in place of those of x_t, as in its training, and those of the state
    move to them along x_t = α y + σ z. The only approximation is that of the training.

    References: Saharia et al. 2022, https://arxiv.org/abs/2111.05826, section 3, for networks that are given the
    measurement as further channels.
    """

    def _condition(
        self, model: ScoreModel, observation: Observation, y: Tensor, generator: Generators
    ) -> ConditionedModel:
        task = trained_task(model)
        known = task.answer(observation, y)
        if known is None:
            raise UsageError(
                f"the network was trained to be given {task.gives}, not {type(observation).__name__}: "
                "choose another model, or another conditioner"
            )
        return ConditionedModel(model.bind(known), observation, y, lambda bound, x, t: bound.evaluate(x, t))
