"""Whether tensors are finite, cheaply."""

import math

import torch
from torch import Tensor


def all_finite(x: Tensor) -> bool:
    """Whether x holds no NaN and no infinity.

    Args:
        x: A tensor of any shape.
    """
    # One sum sees every NaN and infinity, but can also overflow by itself.
    total = (x.detach() if x.requires_grad else x).sum()
    return math.isfinite(total.item()) or bool(torch.isfinite(x).all())


class DeferredFiniteCheck:
    """The check of `all_finite`, started on a GPU now and answered later, so that the GPU need not wait for the answer.

    Args:
        x: A tensor of any shape on a GPU.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x.detach()
        total = self.x.sum()
        self.total = torch.empty((), dtype=total.dtype, pin_memory=True).copy_(total, non_blocking=True)
        self.copied = torch.cuda.current_stream(x.device).record_event()

    def fine(self) -> bool:
        """Whether x holds no NaN and no infinity; waits until the device has the answer."""
        self.copied.synchronize()
        return math.isfinite(self.total.item()) or all_finite(self.x)


def non_finite(x: Tensor) -> Tensor:
    """Which rows of x, (B, *), hold a NaN or an infinity, (B,).

    Args:
        x: Rows of any shape, (B, *).
    """
    bad = ~torch.isfinite(x.flatten(1).sum(1, dtype=torch.promote_types(x.dtype, torch.float32)))
    # The sum of a row sees every NaN and infinity at a tenth of the cost, but can also overflow by itself.
    return ~torch.isfinite(x.flatten(1)).all(1) if bool(bad.any()) else bad
