"""What the blocks of a network are told beside x: the time, and the class."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .inputs import classed, labelled


def sinusoids(label: Tensor, channels: int, theta: float = 10_000.0) -> Tensor:
    """[sin(ω label), cos(ω label)] with ω from 1 down to 1/theta in equal ratios; label (B,) -> (B, channels).

    Args:
        label: The time as the network takes it, (B,).
        channels: Length of the result, an even number of at least 4.
        theta: The largest wavelength, over 2π.

    Reference: Ho et al. 2020, https://arxiv.org/abs/2006.11239, appendix B.
    """
    half = channels // 2
    label = label.to(torch.promote_types(label.dtype, torch.float32))  # in 16 bits, neighbouring labels can be equal
    steps = torch.arange(half, dtype=torch.float32, device=label.device)
    angles = label[:, None] * torch.exp(-math.log(theta) / (half - 1) * steps)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


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


class TimeEmbedding(nn.Module):
    """Two linear layers on the sinusoids of the label, (B, channels) -> (B, E).

    Args:
        channels: Length of the sinusoids.
        embedding: Length E of the embedding.
    """

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(channels, embedding)
        self.linear_2 = nn.Linear(embedding, embedding)

    def forward(self, x: Tensor) -> Tensor:
        """The embedding that every residual block receives.

        Args:
            x: The sinusoids, (B, channels).
        """
        out: Tensor = self.linear_2(functional.silu(self.linear_1(x)))
        return out


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
        labelled(label, x)
        emb: Tensor = self.time(sinusoids(label, self.width).to(x.dtype))
        classes = classed(classes, x, self.classes)
        return emb if self.kind is None else emb + self.kind(classes)
