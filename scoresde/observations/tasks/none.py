"""No task: a model of p(x)."""

from typing import ClassVar

from torch import Tensor

from ...models.known import Known
from ..base import Observation
from .base import Task, tasks


@tasks("none")
class Unconditional(Task):
    """The network is given x_t alone."""

    gives: ClassVar[str] = "nothing"
    conditional: ClassVar[bool] = False

    def extra_channels(self, channels: int) -> int:
        return 0

    def known(self, x0: Tensor, mask: Tensor | None) -> Known | None:
        return None

    def answer(self, observation: Observation, y: Tensor) -> Known | None:
        return None
