"""Guidance by the gradient of a classifier: a model around a model."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..core.devices import like
from ..core.errors import UsageError
from ..core.sentences import many
from ..sde import expand
from ..sde.labels import Label
from .base import ScoreModel, WrapperModel
from .border import differentiable, label_of, time_input
from .guided import Interval, checked, held
from .output import Output, class_labels
from .trained_classifier import Classifier


class ClassifierGuidedModel(WrapperModel):
    """ε - w σ ∇ log p(c | x_t) for the class c of each row, with a classifier p(c | x_t) of noisy data.

    By Bayes' rule, w = 1 is the model of p(x | c) if the classifier is exact. Above 1, samples become more typical of
    their class and less diverse. The model needs no classes; if it has some, put a `GuidedModel` inside this one. Each
    evaluation takes one gradient of the classifier, which is not counted in the NFE. With an interval, w is used at its
    times and 1 at all others.

    Reference: Dhariwal and Nichol 2021, https://arxiv.org/abs/2105.05233, section 4.2 and algorithm 2.

    Args:
        model: The model of p(x).
        classifier: One that `fit_classifier` has trained or `load_classifier` read; or any module, called as
            classifier(x, label), x (B, *) in its own dtype and label (B,), which returns logits, (B, K).
        scale: w, at least 0.
        classes: Class of each row, (B,), from 0.
        label: The time input of such a module, as for `NetworkModel`.
        interval: Times between which the scale is used; by default all.

    Raises:
        UsageError: The classes are not integers from 0, the scale or the interval is not allowed, or the classifier was
            trained on other data or another process.

    Example:
        >>> import scoresde, torch
        >>> class Sign(torch.nn.Module):  # whether the first value is negative or positive
        ...     def forward(self, x, label):
        ...         return torch.stack([-x[:, 0], x[:, 0]], 1)
        >>> normal = scoresde.GaussianModel(torch.zeros(2), torch.eye(2), scoresde.VPSDE())
        >>> model = scoresde.ClassifierGuidedModel(normal, Sign(), 5.0, [0, 1])
        >>> (scoresde.sample(model, n=2).x[:, 0] > 0).tolist()
        [False, True]
    """

    forwarded = [name for name in WrapperModel.forwarded if name != "bound"]  # which it is, to as many as the classes

    def __init__(
        self,
        model: ScoreModel,
        classifier: nn.Module,
        scale: float,
        classes: Tensor | Sequence[int],
        *,
        label: Label | Callable[[Tensor], Tensor] | str | None = None,
        interval: Interval | None = None,
    ) -> None:
        super().__init__(model)
        known = classifier.classes if isinstance(classifier, Classifier) else None
        wanted = class_labels(classes, known, model.device)
        checked(scale, interval)
        if isinstance(classifier, Classifier):
            classifier.fits(model)
        if model.bound not in (None, len(wanted)):
            raise UsageError(f"the model is bound to {many(model.bound, 'sample')}, got classes for {len(wanted)}")
        self.classifier, self.scale, self.interval, self.labels = classifier, scale, interval, wanted
        self.label = label_of(label, model.sde)
        self.bound = len(wanted)

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        if len(x) != len(self.labels):
            raise UsageError(f"the model is guided to the classes of {many(len(self.labels), 'sample')}, got {len(x)}")
        out = self.model.evaluate(x, t, classes)
        scale = torch.where(held(t, self.interval), torch.full_like(t, self.scale), 1.0)
        if not bool(scale.any()):
            return out
        return out._replace(eps=out.eps - expand(scale * self.sde.sigma(t), x) * self.gradient(x, t))

    def gradient(self, x: Tensor, t: Tensor) -> Tensor:
        """∇ log p(c | x_t) of each row's class, (B, *); with its own derivative where x requires one.

        Args:
            x: States, (B, *).
            t: Their times, (B,), float64.

        Raises:
            UsageError: The classifier does not return logits (B, K) of the classes asked for, or derivatives are ruled
                out here.
        """
        differentiable("guidance by a classifier")
        again = torch.is_grad_enabled() and x.requires_grad
        with torch.enable_grad():
            seen = x if again else x.detach().requires_grad_()
            logits = self.logits(seen, t)
            rows = torch.arange(len(x), device=logits.device)
            log_p = logits.log_softmax(1)[rows, self.labels.to(logits.device)].sum()
            (found,) = torch.autograd.grad(log_p, seen, create_graph=again)
        return like(found, x)

    def logits(self, x: Tensor, t: Tensor) -> Tensor:
        """What the classifier says of x_t, (B, K).

        Args:
            x: States, (B, *).
            t: Their times, (B,), float64.

        Raises:
            UsageError: It is something else, or there are fewer classes than asked for.
        """
        parameter = next((part for part in self.classifier.parameters() if part.is_floating_point()), x)
        if isinstance(self.classifier, Classifier):
            time = t
        else:
            time = time_input(self.label, self.sde, t)
            wide = torch.promote_types(parameter.dtype, torch.float32)
            time = (time.to(wide) if time.is_floating_point() else time).to(parameter.device)
        found = self.classifier(like(x, parameter), time)
        if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(x):
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise UsageError(f"the classifier must return logits of shape ({len(x)}, K), got {got}")
        if (last := int(self.labels.max())) >= found.shape[1]:
            raise UsageError(f"classes are whole numbers from 0 to {found.shape[1] - 1}, one per sample, got {last}")
        return found
