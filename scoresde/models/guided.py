"""Class labels and classifier-free guidance: a model around a model that knows classes."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..sde import expand
from .base import Observer, ScoreModel


class GuidedModel(ScoreModel):
    """ε_c + (w - 1) (ε_c - ε_∅) while low <= t <= high, and ε_c at other times, for the class c of each row.

    The scale w = 1 is the model of p(x | c), w = 0 that of p(x); above 1, samples become more typical of their class
    and less diverse, and follow no p(x | c) of the model any more. A guided evaluation asks the model once, for both
    halves together: it counts once in the NFE and twice in the work.

    References: Ho and Salimans 2022, https://arxiv.org/abs/2207.12598, equation 6, whose w is ours less 1;
    Kynkäänniemi et al. 2024, https://arxiv.org/abs/2404.07724, for the interval.

    Args:
        classes: Class of each row, (B,), from 0.
        scale: w, at least 0.
        interval: The times between which the scale holds.

    Raises:
        UsageError: The model knows no classes, a class does not exist, or the scale or the interval is not allowed.
    """

    def __init__(
        self,
        model: ScoreModel,
        classes: Tensor | Sequence[int],
        scale: float = 1.0,
        interval: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__()
        labels = torch.as_tensor(classes, dtype=torch.int64, device=model.device)
        if not model.classes:
            raise UsageError("this model knows no classes: train one with network.classes on images with labels")
        if labels.ndim != 1 or not len(labels) or labels.min() < 0 or labels.max() >= model.classes:
            raise UsageError(f"classes are whole numbers from 0 to {model.classes - 1}, one per sample, got {classes}")
        if not 0 <= scale < math.inf:
            raise UsageError(f"the scale of guidance is a number of at least 0, got {scale}")
        if not interval[0] < interval[1]:
            raise UsageError(f"the interval of guidance rises from a time to a later one, got {interval}")
        self.model, self.labels, self.scale, self.interval = model, labels, scale, interval
        self.sde, self.shape, self.draws = model.sde, model.shape, model.draws

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        if len(x) != len(self.labels):
            raise UsageError(f"the model is guided to the classes of {len(self.labels)} samples, got {len(x)}")
        low, high = self.interval
        guided = (t >= low) & (t <= high)
        if self.scale == 1 or not bool(guided.any()):
            return self.model.class_eps(x, t, self.labels)
        none = torch.full_like(self.labels, self.model.classes)
        both = self.model.class_eps(torch.cat([x, x]), torch.cat([t, t]), torch.cat([self.labels, none]))
        of_class, of_none = both.chunk(2)
        return of_class + expand(torch.where(guided, self.scale - 1, 0.0), x) * (of_class - of_none)

    def observed(self, *observers: Observer) -> ScoreModel:
        return GuidedModel(self.model.observed(*observers), self.labels, self.scale, self.interval)

    def finish(self, x: Tensor) -> Tensor:
        return self.model.finish(x)
