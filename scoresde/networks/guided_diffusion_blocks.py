"""The blocks of guided-diffusion. Feature maps are (B, C, H, W), embeddings (B, E); names are the original's."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from ..core.errors import UsageError
from .blocks import zeroed

Order = Literal["legacy", "new"]


class Style(NamedTuple):
    """What every block of one network shares."""

    embedding: int
    """Length E of the embedding of time and class."""
    heads: int
    """Heads of each self-attention."""
    head_channels: int | None
    """Channels of a head, from which the number of heads follows; None for `heads`."""
    order: Order
    """How the channels of queries, keys and values lie: by heads ("legacy"), or by kinds ("new")."""
    scale_shift: bool
    """Whether the embedding scales and shifts features instead of being added."""
    dropout: float
    """Dropout rate in each block."""

    def heads_of(self, channels: int) -> int:
        """The number of heads at a width.

        Args:
            channels: The width.

        Raises:
            UsageError: The heads do not divide it.
        """
        heads = self.heads if self.head_channels is None else channels // self.head_channels
        if not heads or channels % heads or self.head_channels not in (None, channels // heads):
            what = f"heads of {self.head_channels} channels" if self.head_channels else f"{self.heads} heads"
            raise UsageError(
                f"{what} must divide the {channels} channels of a self-attention: change heads or channels"
            )
        return heads


def norm(channels: int) -> nn.GroupNorm:
    """A group normalisation of 32 groups.

    Args:
        channels: Channels of the feature map.

    Raises:
        UsageError: 32 does not divide them.
    """
    if channels % 32:
        raise UsageError(f"the 32 groups must divide the {channels} channels: change channels or multipliers")
    return nn.GroupNorm(32, channels)


def attended(qkv: Tensor, heads: int, order: Order) -> Tensor:
    """softmax(q kᵀ/√d) v in `heads` heads of d channels, (B, 3C, T) -> (B, C, T).

    Args:
        qkv: Queries, keys and values of T positions, (B, 3C, T).
        heads: Number of heads.
        order: "legacy": the channels are (heads, 3, d); "new": (3, heads, d).
    """
    batch, width, length = qkv.shape
    parts = (heads, 3, width // (3 * heads)) if order == "legacy" else (3, heads, width // (3 * heads))
    q, k, v = qkv.reshape(batch, *parts, length).transpose(-1, -2).unbind(2 if order == "legacy" else 1)
    return functional.scaled_dot_product_attention(q, k, v).transpose(-1, -2).reshape(batch, -1, length)


class Attention(nn.Module):
    """x + W softmax(q kᵀ/√d) v over the H W positions of a feature map, (B, C, H, W).

    Args:
        channels: Channels of the feature map.
        style: What all blocks of the network share.
    """

    def __init__(self, channels: int, style: Style) -> None:
        super().__init__()
        self.heads, self.order = style.heads_of(channels), style.order
        self.norm, self.qkv = norm(channels), nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The feature map after each position has attended to all others, (B, C, H, W).

        Args:
            x: The feature map, (B, C, H, W).
        """
        seen = attended(self.qkv(self.norm(x.flatten(2))), self.heads, self.order)
        out: Tensor = x + self.proj_out(seen).reshape(x.shape)
        return out


class Resized(nn.Module):
    """Halves or doubles height and width, by a mean or repeated pixels; with a convolution of 3x3 pixels if wanted.

    Args:
        channels: Channels of the feature map.
        up: Whether it doubles.
        conv: Whether a convolution halves, or follows the doubling.
    """

    def __init__(self, channels: int, *, up: bool, conv: bool) -> None:
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if conv and up else None
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1) if conv and not up else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W) or (B, C, H/2, W/2).

        Args:
            x: The feature map.
        """
        if self.up:
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            return x if self.conv is None else self.conv(x)
        return functional.avg_pool2d(x, 2) if self.op is None else self.op(x)


class Residual(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x))) + embedding))), (B, C, H, W) -> (B, outputs, H, W), or at another size.

    With `scale_shift` the embedding scales and shifts the second norm's output instead of being added before it.

    Args:
        inputs: Channels of x.
        outputs: Channels of the output.
        style: What all blocks of the network share.
        resized: What both branches pass through; None keeps the size.

    Reference: Dhariwal and Nichol 2021, https://arxiv.org/abs/2105.05233, section 3.
    """

    def __init__(self, inputs: int, outputs: int, style: Style, resized: Resized | None = None) -> None:
        super().__init__()
        self.scale_shift, self.resized = style.scale_shift, resized
        self.in_layers = nn.Sequential(norm(inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(style.embedding, (1 + style.scale_shift) * outputs))
        last = zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.out_layers = nn.Sequential(norm(outputs), nn.SiLU(), nn.Dropout(style.dropout), last)
        self.skip_connection = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """The block's output, (B, outputs, H', W').

        Args:
            x: The feature map, (B, inputs, H, W).
            emb: The embedding of time and class, (B, E).
        """
        h = self.in_layers[:-1](x)
        if self.resized is not None:
            h, x = self.resized(h), self.resized(x)
        h, told = self.in_layers[-1](h), self.emb_layers(emb)[:, :, None, None]
        if self.scale_shift:
            scale, shift = told.chunk(2, dim=1)
            h = self.out_layers[1:](self.out_layers[0](h) * (1 + scale) + shift)
        else:
            h = self.out_layers(h + told)
        out: Tensor = h + (x if self.skip_connection is None else self.skip_connection(x))
        return out


class Stage(nn.ModuleList):
    """Layers in a row, of which residual blocks are given the embedding."""

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """The last layer's output, (B, C, H, W).

        Args:
            x: The feature map, (B, C', H', W').
            emb: The embedding of time and class, (B, E).
        """
        for layer in self:
            x = layer(x, emb) if isinstance(layer, Residual) else layer(x)
        return x


def resizing(width: int, style: Style, *, up: bool, blocks: bool) -> nn.Module:
    """What joins two levels: a residual block, or a convolution.

    Args:
        width: Channels.
        style: What all blocks of the network share.
        up: Whether the size is doubled, and not halved.
        blocks: Whether it is a residual block.
    """
    return (
        Residual(width, width, style, Resized(width, up=up, conv=False)) if blocks else Resized(width, up=up, conv=True)
    )


def encoder(
    inputs: int, widths: list[int], depth: int, attends: list[bool], style: Style, *, blocks: bool
) -> Iterator[tuple[Stage, int]]:
    """The way down, with the channels after each stage.

    Args:
        inputs: Channels of the image.
        widths: Channels of each level.
        depth: Residual blocks of each level.
        attends: Whether self-attention follows them, for each level.
        style: What all blocks of the network share.
        blocks: Whether levels are joined by residual blocks.
    """
    width = widths[0]
    yield Stage([nn.Conv2d(inputs, width, 3, padding=1)]), width
    for level, outputs in enumerate(widths):
        for _ in range(depth):
            attention = [Attention(outputs, style)] if attends[level] else []
            yield Stage([Residual(width, outputs, style), *attention]), outputs
            width = outputs
        if level < len(widths) - 1:
            yield Stage([resizing(width, style, up=False, blocks=blocks)]), width


def middle(width: int, style: Style) -> Stage:
    """A residual block, attention and a residual block.

    Args:
        width: Channels.
        style: What all blocks of the network share.
    """
    return Stage([Residual(width, width, style), Attention(width, style), Residual(width, width, style)])
