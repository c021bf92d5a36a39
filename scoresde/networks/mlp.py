"""A residual network of fully connected layers, for vectors."""

import math

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..core.errors import UsageError
from .base import NetworkOptions, networks
from .blocks import zeroed
from .embedding import Embedding


@networks("mlp")
class MLPOptions(NetworkOptions):
    """Residual blocks of two fully connected layers, scaled and shifted by the time. Other shapes are flattened.

    The defaults have 59,074 parameters on vectors of two values, and were chosen on 1,000 points of two moons.
    """

    width: int = Field(64, ge=4, multiple_of=2, description="Features of each layer.")
    blocks: int = Field(3, ge=1, description="Residual blocks.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate in each block.")

    def build(self, shape: tuple[int, ...]) -> "MLP":
        """The module for samples of any shape, with fresh weights from torch's global generator.

        Raises:
            UsageError: Channels of a condition are asked for.
        """
        if self.extra_channels:
            raise UsageError("the mlp takes no further channels: set network.extra_channels = 0, or take conv or unet")
        return MLP(self, shape)


class Block(nn.Module):
    """h + W₂ silu(norm(W₁ silu(norm(h))) (1 + scale) + shift), (B, width) -> (B, width).

    Args:
        width: Features.
        dropout: Share of features dropped while training.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm_1, self.linear_1 = nn.LayerNorm(width), nn.Linear(width, width)
        self.norm_2, self.linear_2 = nn.LayerNorm(width, elementwise_affine=False), zeroed(nn.Linear(width, width))
        self.time, self.dropout = nn.Linear(width, 2 * width), nn.Dropout(dropout)

    def forward(self, h: Tensor, emb: Tensor) -> Tensor:
        """The block's output, (B, width).

        Args:
            h: The features, (B, width).
            emb: The embedding of time and class, (B, width).
        """
        scale, shift = self.time(functional.silu(emb)).chunk(2, dim=1)
        inner = self.norm_2(self.linear_1(functional.silu(self.norm_1(h)))) * (1 + scale) + shift
        out: Tensor = h + self.linear_2(self.dropout(functional.silu(inner)))
        return out


class MLP(nn.Module):
    """net(x, label): x (B, *) and label (B,) -> (B, *), or (B, 2C, *) with the variance. A fresh network gives zeros.

    Args:
        options: The architecture.
        shape: Shape of one sample, *.
    """

    def __init__(self, options: MLPOptions, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.options, self.shape, width = options, tuple(shape), options.width
        copies = 2 if options.learned_variance else 1
        self.embedding = Embedding(width, options.classes)
        self.first = nn.Linear(math.prod(shape), width)
        self.blocks = nn.ModuleList([Block(width, options.dropout) for _ in range(options.blocks)])
        self.norm, self.last = nn.LayerNorm(width), zeroed(nn.Linear(width, copies * math.prod(shape)))

    def forward(self, x: Tensor, label: Tensor, classes: Tensor | None = None) -> Tensor:
        """The network's output.

        Args:
            x: The states, (B, *).
            label: The time as the network takes it, (B,); it may be fractional.
            classes: Class of each row, (B,), from 0; the number of classes itself means "no class", as None does.

        Raises:
            UsageError: x has another shape, or there are classes and the network knows none.
        """
        if tuple(x.shape[1:]) != self.shape:
            wanted = ", ".join(["B", *map(str, self.shape)])
            raise UsageError(f"this network takes inputs of shape ({wanted}), got {tuple(x.shape)}")
        emb, h = self.embedding(label, classes, x), self.first(x.flatten(1))
        for block in self.blocks:
            h = block(h, emb)
        out: Tensor = self.last(functional.silu(self.norm(h)))
        return out.reshape(len(x), -1, *self.shape[1:])
