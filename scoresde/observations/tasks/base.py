"""Base class of trained tasks, which define the condition that a network is given beside x_t."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, PlainSerializer
from torch import Tensor

from ...core.options import Registry, WrittenOptions
from ...models.base import ScoreModel
from ...models.known import Known
from ..base import Observation


class Task(WrittenOptions, ABC):
    """What a network of p(x | y) is given. As text: "inpaint", or with options "name:key=value"."""

    gives: ClassVar[str]
    """What the network is given, for a sentence: "the luma"."""
    masked: ClassVar[bool] = False
    """Whether each image comes with a mask of its known pixels."""
    conditional: ClassVar[bool] = True
    """Whether the network is given anything at all."""

    @abstractmethod
    def extra_channels(self, channels: int) -> int:
        """How many further input channels the network has.

        Args:
            channels: Those of an image.
        """

    @abstractmethod
    def known(self, x0: Tensor, mask: Tensor | None) -> Known | None:
        """What the network is given in training, and where the truth is known; None if that is nothing.

        Args:
            x0: Images in [-1, 1], (B, C, H, W).
            mask: Where their pixels are known, (B, 1, H, W), bool, for a task that is `masked`.
        """

    @abstractmethod
    def answer(self, observation: Observation, y: Tensor) -> Known | None:
        """What the network is given for measurements; None if it was not trained on such ones.

        Args:
            observation: How they were made.
            y: Measurements, (B, *m).
        """

    def mistakes(self, shape: tuple[int, ...]) -> list[str]:
        """Why images of a shape do not fit the task, a sentence each; here all of them do.

        Args:
            shape: (C, H, W).
        """
        return []


tasks: Registry[Task] = Registry("trained task", "scoresde.observations.tasks", "scoresde.tasks")

TaskOption = Annotated[
    Task,
    BeforeValidator(tasks.parse),
    PlainSerializer(str),
    Field(
        validate_default=True,
        description="What the network is given beside x: none, colour (the luma), inpaint (the picture with a hole).",
    ),
]


def trained_task(model: ScoreModel) -> Task:
    """The task that a model was trained for.

    Args:
        model: Any model; the task of one that takes nothing beside x is `none`.
    """
    task: Task = tasks.parse(model.condition)
    return task
