"""Whether tensors are finite, cheaply."""

import math

import torch
from torch import Tensor


def all_finite(x: Tensor) -> bool:
    """Whether x holds no NaN and no infinity."""
    # One sum sees every NaN and infinity, but can also overflow by itself.
    total = (x.detach() if x.requires_grad else x).sum()
    return math.isfinite(total.item()) or bool(torch.isfinite(x).all())


class DeferredFiniteCheck:
    """Whether x holds no NaN and no infinity, as `all_finite`, asked of a GPU now and answered when somebody wants it.

    To wait for the answer would leave the GPU idle until the next kernels come.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x.detach()
        total = self.x.sum()
        self.total = torch.empty((), dtype=total.dtype, pin_memory=True).copy_(total, non_blocking=True)
        self.copied = torch.cuda.current_stream(x.device).record_event()

    def fine(self) -> bool:
        """The answer, once the device has it."""
        self.copied.synchronize()
        return math.isfinite(self.total.item()) or all_finite(self.x)


def non_finite(x: Tensor) -> Tensor:
    """Which rows of x, (B, *), hold a NaN or an infinity, (B,)."""
    bad = ~torch.isfinite(x.flatten(1).sum(1, dtype=torch.promote_types(x.dtype, torch.float32)))
    # The sum of a row sees every NaN and infinity at a tenth of the cost, but can also overflow by itself.
    return ~torch.isfinite(x.flatten(1)).all(1) if bool(bad.any()) else bad
