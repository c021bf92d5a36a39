"""Whether tensors are finite, cheaply."""

import math

import torch
from torch import Tensor


def all_finite(x: Tensor) -> bool:
    """Whether x holds no NaN and no infinity."""
    # One sum sees every NaN and infinity, but can also overflow by itself.
    total = (x.detach() if x.requires_grad else x).sum()
    return math.isfinite(total.item()) or bool(torch.isfinite(x).all())


def non_finite(x: Tensor) -> Tensor:
    """Which rows of x, (B, *), hold a NaN or an infinity, (B,)."""
    bad = ~torch.isfinite(x.flatten(1).sum(1, dtype=torch.promote_types(x.dtype, torch.float32)))
    # The sum of a row sees every NaN and infinity at a tenth of the cost, but can also overflow by itself.
    return ~torch.isfinite(x.flatten(1)).all(1) if bool(bad.any()) else bad
