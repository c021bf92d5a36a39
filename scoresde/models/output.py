"""What a model says of x_t."""

from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.sentences import an
from ..sde import SDE, expand


class Output(NamedTuple):
    """What a model says of x_t."""

    eps: Tensor
    """ε = E[z | x_t], the predicted noise, (B, *)."""
    share: Tensor | None = None
    """Where the log-variance of a step lies between log β̃ (0) and log β (1), (B, *); None if none was learned."""

    def learned(self) -> Tensor:
        """The share, for a solver or a bound with the learned variance.

        Raises:
            UsageError: The model has learned no variance.
        """
        if self.share is None:
            raise UsageError("the model has no learned variance: choose the variance small or large")
        return self.share


def detached(out: Output) -> Output:
    """The prediction without its history of derivatives.

    Args:
        out: The prediction.
    """
    return Output(out.eps.detach(), None if out.share is None else out.share.detach())


def output_of(out: object) -> Output:
    """What a model's `evaluate` returned.

    Args:
        out: Anything.

    Raises:
        UsageError: It is no `Output`.
    """
    if isinstance(out, Output):
        return out
    raise UsageError(f"evaluate must return scoresde.models.output.Output(eps), got {an(type(out).__name__)}")


def denoised(sde: SDE, x: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """(x - σ ε)/α, (B, *): the data that the noise ε in x_t leaves.

    Args:
        sde: The process.
        x: States, (B, *).
        t: Their times, (B,).
        eps: ε, (B, *).
    """
    alpha, sigma = (expand(v, x) for v in sde.alpha_sigma(t))
    return torch.addcmul(x, -sigma, eps) / alpha


def class_labels(classes: Tensor | Sequence[int], number: int | None, device: torch.device) -> Tensor:
    """Class labels of samples, (B,) int64.

    Args:
        classes: Class of each row, (B,), whole numbers from 0.
        number: Number of classes, if it is known.
        device: Device of the labels.

    Raises:
        UsageError: They are something else: fractions, numbers too large or none.
    """
    try:
        labels = torch.as_tensor(classes, device=device)
        whole = labels.ndim == 1 and len(labels) and not labels.is_floating_point() and labels.dtype != torch.bool
        right = whole and labels.min() >= 0 and (number is None or labels.max() < number)
    except (OverflowError, RuntimeError, TypeError, ValueError):  # what PyTorch makes no tensor of
        right = False
    if not right:
        allowed = "from 0" if number is None else f"from 0 to {number - 1}"
        raise UsageError(f"classes are whole numbers {allowed}, one per sample, got {classes}")
    return labels.long()


def classless(model: object) -> NoReturn:
    """Refuses class labels for a model that knows none.

    Args:
        model: The model.

    Raises:
        UsageError: Always.
    """
    raise UsageError(f"{type(model).__name__} knows no classes: use a model that was trained with them")
