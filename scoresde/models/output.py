"""What a model says of x_t."""

from typing import NamedTuple, NoReturn

import torch
from torch import Tensor

from ..core.errors import UsageError
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


def denoised(sde: SDE, x: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """(x - σ ε)/α, (B, *): the data that the noise ε in x_t leaves.

    Args:
        sde: The process.
        x: States, (B, *).
        t: Their times, (B,).
        eps: ε, (B, *).
    """
    return torch.addcmul(x, -expand(sde.sigma(t), x), eps) / expand(sde.alpha(t), x)


def classless(model: object) -> NoReturn:
    """Refuses class labels for a model that knows none.

    Args:
        model: The model.

    Raises:
        UsageError: Always.
    """
    raise UsageError(f"{type(model).__name__} knows no classes: use a model that was trained with them")
