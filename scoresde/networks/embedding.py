"""What the blocks of a network are told beside x: the time, and the class."""

import math

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from .blocks import TimeEmbedding, sinusoids


def cosines(label: Tensor, channels: int, *, endpoint: bool) -> Tensor:
    """[cos(ω label), sin(ω label)] with ω from 1 down to 10⁻⁴, or just short of it, in equal ratios: (B, channels).

    Args:
        label: The time as the network takes it, (B,).
        channels: Length of the result.
        endpoint: Whether the last ω is 10⁻⁴.
    """
    half = channels // 2
    steps = torch.arange(half, dtype=torch.float32, device=label.device) / (half - endpoint)
    angles = label.to(torch.promote_types(label.dtype, torch.float32))[:, None] * torch.exp(-math.log(10_000) * steps)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class Embedding(nn.Module):
    """The sum of an embedding of the time and one of the class, (B,) -> (B, width).

    Args:
        width: Length of the embedding.
        classes: Number of classes; 0 for a network without.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.width, self.classes, self.time = width, classes, TimeEmbedding(width, width)
        # One more row than there are classes: the last stands for "no class".
        self.kind = nn.Embedding(classes + 1, width) if classes else None

    def forward(self, label: Tensor, classes: Tensor | None, x: Tensor) -> Tensor:
        """The embedding, (B, width), in the dtype of x.

        Args:
            label: The time as the network takes it, (B,); it may be fractional.
            classes: Class of each row, (B,), from 0; the number of classes itself means "no class", as None does.
            x: The states, (B, *).

        Raises:
            UsageError: The label is not one entry for each row, or the network knows no classes.
        """
        if label.shape != x.shape[:1]:
            raise UsageError(f"the label must be one number for each of {len(x)} rows, got shape {tuple(label.shape)}")
        emb: Tensor = self.time(sinusoids(label, self.width).to(x.dtype))
        if self.kind is None:
            if classes is not None:
                raise UsageError("this network was built without classes: set its option classes, or give none")
            return emb
        none = torch.full((len(x),), self.classes, device=x.device)
        summed: Tensor = emb + self.kind(none if classes is None else classes)
        return summed
