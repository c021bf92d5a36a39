"""Numbers for tests."""

import torch

from scoresde.core.random import stream


def draw(shape, *purpose):
    """Standard normal numbers in float64, a function of the purpose alone."""
    return torch.randn(shape, generator=stream(0, *purpose), dtype=torch.float64)
