"""Class labels and classifier-free guidance: models around a model with classes."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.sentences import many
from ..sde import expand
from .base import ScoreModel, WrapperModel
from .output import Output, class_labels, classless

Interval = tuple[float, float]
"""The times between which a scale of guidance holds."""
NO_CLASSES = "this model knows no classes: train one with network.classes on images with labels"


class LabelledModel(WrapperModel):
    """The model of p(x | c) for a class c of each row.

    Args:
        model: A model that knows classes.
        classes: Class of each row, (B,); the number of classes itself means no class.
    """

    def __init__(self, model: ScoreModel, classes: Tensor) -> None:
        super().__init__(model)
        self.labels = classes

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        return self.model.evaluate(x, t, self.labels if classes is None else classes)


class GuidedModel(WrapperModel):
    """ε_c + (w - 1) (ε_c - ε_∅) while low <= t <= high, and ε_c at other times, for the class c of each row.

    The scale w = 1 is the model of p(x | c), and w = 0 that of p(x). Above 1, samples become more typical of their
    class and less diverse, and do not follow p(x | c). A guided evaluation calls the model once, with twice the rows:
    it counts once in the NFE and twice in the work, with a scale of 0 or 1 once. A model that is bound to B samples is
    called twice. A learned variance is that of the class, but for w = 0.

    References: Ho and Salimans 2022, https://arxiv.org/abs/2207.12598, equation 6, whose w is ours less 1;
    Kynkäänniemi et al. 2024, https://arxiv.org/abs/2404.07724, for the interval.

    Args:
        model: A model with classes.
        classes: Class of each row, (B,), from 0.
        scale: w, at least 0.
        interval: Times between which the scale is used; by default all.

    Raises:
        UsageError: The model has no classes, or no "no class" label for a scale other than 1; it is guided already, or
            draws noise of its own at each evaluation; a class does not exist; the scale or the interval is not allowed.

    Example:
        >>> import scoresde, torch
        >>> class Net(torch.nn.Module):
        ...     def forward(self, x, label, classes):
        ...         return x / (1 + classes[:, None])
        >>> model = scoresde.NetworkModel(Net(), scoresde.VPSDE(), (4,), classes=10)
        >>> scoresde.GuidedModel(model, classes=[3, 7], scale=2.0).eps(torch.ones(2, 4), torch.ones(2)).shape
        torch.Size([2, 4])
    """

    forwarded = [name for name in WrapperModel.forwarded if name != "bound"]  # which it is, to as many as the classes

    def __init__(
        self,
        model: ScoreModel,
        classes: Tensor | Sequence[int],
        scale: float = 1.0,
        interval: Interval | None = None,
    ) -> None:
        super().__init__(model)
        if not model.classes:
            raise UsageError(NO_CLASSES)
        if scale != 1 and not model.null_class:
            raise UsageError(
                "guidance compares with samples of no class, and this network was never shown one: leave the scale at "
                "1, or guide it by a ClassifierGuidedModel"
            )
        if guided(model):
            raise UsageError("this model is guided to classes already: guide the model inside it")
        if model.draws:
            raise UsageError(
                "guidance compares two evaluations, and this model draws new noise at each: guide the model first, "
                "then condition it"
            )
        labels = class_labels(classes, model.classes, model.device)
        checked(scale, interval)
        if model.bound not in (None, len(labels)):
            raise UsageError(f"the model is bound to {many(model.bound, 'sample')}, got classes for {len(labels)}")
        self.labels, self.scale, self.interval = labels, scale, interval
        self.bound = len(labels)

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        if classes is not None:
            classless(self)
        if len(x) != len(self.labels):
            raise UsageError(f"the model is guided to the classes of {many(len(self.labels), 'sample')}, got {len(x)}")
        inside, none = held(t, self.interval), torch.full_like(self.labels, self.model.classes)
        if self.scale in (0, 1) or not bool(inside.any()):
            of_one = self.labels if self.scale else torch.where(inside.to(none.device), none, self.labels)
            return self.model.evaluate(x, t, of_one)
        if self.model.bound is None:
            both = self.model.evaluate(torch.cat([x, x]), torch.cat([t, t]), torch.cat([self.labels, none]))
            of_class, of_none = both.eps.chunk(2)
            share = None if both.share is None else both.share[: len(x)]
        else:
            (of_class, share), of_none = self.model.evaluate(x, t, self.labels), self.model.evaluate(x, t, none).eps
        more = expand(torch.where(inside, torch.full_like(t, self.scale - 1), 0.0), x)
        return Output(of_class + more * (of_class - of_none), share)


def checked(scale: float, interval: Interval | None) -> None:
    """Checks the scale of guidance, and the times between which it holds.

    Args:
        scale: The scale.
        interval: The times, or None for all.

    Raises:
        UsageError: The scale is negative or not finite, or the interval does not rise.
    """
    if not 0 <= scale < math.inf:
        raise UsageError(f"the scale of guidance is a number of at least 0, got {scale}")
    if interval is not None and not (len(interval) == 2 and interval[0] < interval[1]):
        raise UsageError(f"the interval of guidance rises from a time to a later one, got {interval}")


def held(t: Tensor, interval: Interval | None) -> Tensor:
    """Whether each time lies in the interval of guidance, (B,).

    Args:
        t: Times, (B,).
        interval: The first and the last time, or None for all times.
    """
    low, high = (-math.inf, math.inf) if interval is None else interval
    return (t >= low) & (t <= high)


def guided(model: ScoreModel) -> bool:
    """Whether there is guidance in a model, or in one inside it.

    Args:
        model: The model.
    """
    return isinstance(model, GuidedModel) or (isinstance(model, WrapperModel) and guided(model.model))
