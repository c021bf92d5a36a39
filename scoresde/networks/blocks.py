"""The layers of the U-Net. Feature maps are (B, C, *), embeddings (B, E); parameters bear diffusers' names."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

Resampling = Literal["conv", "pool"]
CONVOLUTIONS: dict[int, type[nn.Conv1d | nn.Conv2d | nn.Conv3d]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
"""By the number of dimensions beside the channels."""
MEANS: dict[int, Callable[..., Tensor]] = dict(
    enumerate((functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d), 1)
)
"""By the number of dimensions beside the channels."""


class Style(NamedTuple):
    """What every layer of one U-Net shares."""

    embedding: int
    """Length of the time embedding, E."""
    groups: Callable[[int], int]
    """How many groups a normalisation of so many channels has."""
    heads: int
    """Heads of each self-attention."""
    scale_shift: bool
    """Whether the embedding scales and shifts features instead of being added."""
    dropout: float
    """Dropout rate in each block."""
    resampling: Resampling
    """How levels are joined: "conv" or "pool"."""
    dims: int = 2
    """Dimensions beside the channels: 1 for series, 2 for images, 3 for volumes."""

    def norm(self, channels: int) -> nn.GroupNorm:
        """The group normalisation of a feature map.

        Args:
            channels: Channels of the feature map.
        """
        return nn.GroupNorm(self.groups(channels), channels, eps=1e-6)


def divisor(channels: int, most: int) -> int:
    """The largest number of groups, up to 32, that divides the channels and is no larger than `most`, or 1.

    Args:
        channels: Number that is divided.
        most: Upper bound.
    """
    return max(g for g in range(1, max(1, min(32, most)) + 1) if channels % g == 0)


def zeroed(layer: nn.Module) -> nn.Module:
    """The layer with all parameters zero, so that a fresh residual branch adds nothing.

    Args:
        layer: The layer, which is changed in place.
    """
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class InceptionStem(nn.Module):
    """Convolutions of 1x1, 3x3 and 5x5 pixels and a 3x3 mean before one of 1x1, a quarter of the outputs each.

    Args:
        inputs: Channels of x.
        outputs: Channels of the output.

    Reference: Szegedy et al. 2015, https://arxiv.org/abs/1409.4842, figure 2a, with a mean in place of the maximum.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        quarter = outputs // 4
        self.parts = nn.ModuleList([nn.Conv2d(inputs, quarter, k, padding=k // 2) for k in (1, 3, 5)])
        self.pooled = nn.Conv2d(inputs, outputs - 3 * quarter, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W).

        Args:
            x: The feature map, (B, inputs, H, W).
        """
        around = self.pooled(functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False))
        return torch.cat([*(part(x) for part in self.parts), around], dim=1)


class Resnet(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x))) + embedding))), (B, C, *) -> (B, outputs, *).

    With `scale_shift` the embedding scales and shifts the second norm's output instead of being added before it.

    Args:
        inputs: Channels of x.
        outputs: Channels of the output.
        style: What all layers of the network share.

    References: Ho et al. 2020, https://arxiv.org/abs/2006.11239, appendix B; Nichol and Dhariwal 2021,
    https://arxiv.org/abs/2102.09672, section 2, for the scale and shift.
    """

    def __init__(self, inputs: int, outputs: int, style: Style) -> None:
        super().__init__()
        self.scale_shift = style.scale_shift
        self.norm1 = style.norm(inputs)
        conv = CONVOLUTIONS[style.dims]
        self.conv1 = conv(inputs, outputs, 3, padding=1)
        self.time_emb_proj = nn.Linear(style.embedding, 2 * outputs if style.scale_shift else outputs)
        self.norm2 = style.norm(outputs)
        self.dropout = nn.Dropout(style.dropout)
        self.conv2 = zeroed(conv(outputs, outputs, 3, padding=1))
        self.conv_shortcut = conv(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """The block's output, (B, outputs, *).

        Args:
            x: The feature map, (B, inputs, *).
            emb: The embedding of time and class, (B, E).
        """
        h: Tensor = self.conv1(functional.silu(self.norm1(x)))
        time = self.time_emb_proj(functional.silu(emb)).reshape(len(x), -1, *[1] * (x.ndim - 2))
        if self.scale_shift:
            scale, shift = time.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + time)
        h = self.conv2(self.dropout(functional.silu(h)))
        shortcut: Tensor = x if self.conv_shortcut is None else self.conv_shortcut(x)
        return h + shortcut


class Attention(nn.Module):
    """x + out(softmax(q kᵀ/√d) v) over the positions of a feature map, with `heads` heads of d channels.

    Args:
        channels: Channels of the feature map.
        style: What all layers of the network share.
    """

    def __init__(self, channels: int, style: Style) -> None:
        super().__init__()
        self.heads = style.heads
        self.group_norm = style.norm(channels)
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        # A list because diffusers keeps a dropout behind the layer: the parameter is called to_out.0.
        self.to_out = nn.ModuleList([zeroed(nn.Linear(channels, channels))])

    def forward(self, x: Tensor) -> Tensor:
        """The feature map after each position has attended to all others, (B, C, *).

        Args:
            x: The feature map, (B, C, *).
        """
        rows = self.group_norm(x).flatten(2).transpose(1, 2)
        q, k, v = (
            layer(rows).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.to_q, self.to_k, self.to_v)
        )
        seen = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        out: Tensor = self.to_out[0](seen)
        return x + out.transpose(1, 2).reshape(x.shape)


class Downsample(nn.Module):
    """Halves all sides, rounding up: a convolution of stride 2, or the mean of two neighbours along each side.

    Args:
        channels: Channels of the feature map.
        style: What all layers of the network share.
    """

    def __init__(self, channels: int, style: Style) -> None:
        super().__init__()
        conv = CONVOLUTIONS[style.dims]
        self.conv = conv(channels, channels, 3, stride=2) if style.resampling == "conv" else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, ⌈H/2⌉, ⌈W/2⌉), and so on for other numbers of sides.

        Args:
            x: The feature map, (B, C, *).
        """
        if self.conv is None:
            return MEANS[x.ndim - 2](x, [min(2, side) for side in x.shape[2:]], ceil_mode=True)
        # DDPM's padding, TensorFlow's "SAME": at the end only where a side is even, at both where it is odd.
        out: Tensor = self.conv(functional.pad(x, [pad for side in x.shape[:1:-1] for pad in (side % 2, 1)]))
        return out


class Upsample(nn.Module):
    """Repeats values until the map has given sides, then convolves if the resampling is "conv".

    Args:
        channels: Channels of the feature map.
        style: What all layers of the network share.
    """

    def __init__(self, channels: int, style: Style) -> None:
        super().__init__()
        conv = CONVOLUTIONS[style.dims]
        self.conv = conv(channels, channels, 3, padding=1) if style.resampling == "conv" else None

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        """(B, C, *) -> (B, C, *size).

        Args:
            x: The feature map, (B, C, *).
            size: Sides of the result.
        """
        x = functional.interpolate(x, size=tuple(size), mode="nearest")
        return x if self.conv is None else self.conv(x)
