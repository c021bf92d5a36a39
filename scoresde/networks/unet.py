"""The U-Net of denoising diffusion models, with the parameter names of diffusers' UNet2DModel."""

import functools
import math
from collections.abc import Callable
from typing import Literal

from pydantic import Field, PositiveInt, ValidationInfo, field_validator, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ..core.errors import UsageError
from .base import NetworkOptions, networks
from .blocks import CONVOLUTIONS, InceptionStem, Resampling, Style, divisor, zeroed
from .embedding import TimeEmbedding, sinusoids
from .inputs import classed, fitting, labelled
from .levels import DownBlock, MiddleBlock, UpBlock


@networks("unet")
class UNetOptions(NetworkOptions):
    """Residual blocks with time embedding at falling, then rising resolution, joined by skip connections.

    The defaults are the CIFAR-10 network of Ho et al. 2020, https://arxiv.org/abs/2006.11239, but for its dropout.
    """

    channels: int = Field(128, ge=4, multiple_of=4, description="Channels at full resolution.")
    multipliers: tuple[PositiveInt, ...] = Field(
        (1, 2, 2, 2), min_length=1, description="Channels of each level, as multiples of channels."
    )
    blocks: int = Field(2, ge=1, description="Residual blocks per level of the encoder; one more in the decoder.")
    attention: tuple[PositiveInt, ...] = Field(
        (16,),
        description="Heights of the feature maps that self-attention is applied to, besides the smallest; "
        "of series the lengths, of volumes the depths.",
    )
    heads: int = Field(1, ge=1, description="Heads of each self-attention.")
    scale_shift: bool = Field(
        False, description="Let the time embedding scale and shift features instead of being added."
    )
    resampling: Resampling = Field(
        "conv", description="Resampling between levels: by convolutions, or by plain averages."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate in each block.")
    skip_scale: float = Field(
        1.0, gt=0, description="Factor of the skip connections; 1/√2 keeps the variance of a sum."
    )
    stem: Literal["conv", "inception"] = Field(
        "conv", description="First layer: a convolution, or parallel kernels of 1, 3 and 5 and a pooling."
    )
    stem_kernel: Literal[3, 5, 7] = Field(3, description="Kernel size of the first convolution.")
    bottleneck: Literal["same", "halved"] = Field(
        "same", description="Resolution of the middle: that of the last level, or half of it."
    )
    groups: int | None = Field(
        None,
        ge=1,
        description="Groups of every normalisation; none takes the most, up to 32, with whole groups of 4 channels or "
        "more at every width.",
    )
    group_channels: int | None = Field(
        None,
        ge=1,
        description="In place of one number of groups, at each width the most, up to 32, with so many channels or "
        "more: as in the models of version 0.1.0.",
    )

    @field_validator("heads")
    @classmethod
    def _heads_fit(cls, heads: int, info: ValidationInfo) -> int:
        channels = info.data.get("channels", heads)
        if channels % heads:
            raise ValueError(f"heads must divide the {channels} channels, got {heads}")
        return heads

    @model_validator(mode="after")
    def _kernel_fits(self) -> "UNetOptions":
        if self.stem == "inception" and self.stem_kernel != 3:
            raise ValueError(f"stem = inception has kernels of its own: leave out stem_kernel, got {self.stem_kernel}")
        return self

    @model_validator(mode="after")
    def _groups_fit(self) -> "UNetOptions":
        if self.groups is None:
            return self
        if self.group_channels is not None:
            raise ValueError("the groups are chosen by groups or by group_channels: set one of the two")
        if math.gcd(*self.widths) % self.groups:
            raise ValueError(f"groups must divide the widths {self.widths} of all levels, got {self.groups}")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.channels * m for m in self.multipliers)

    def build(self, shape: tuple[int, ...]) -> "UNet":
        """The module for series, images or volumes, (C, *), with fresh weights from torch's global generator.

        Attention is where a level of an image of height H has one of the heights in `attention`.

        Raises:
            UsageError: The samples have another number of dimensions, or the stem is one of images.
        """
        if len(shape) - 1 not in CONVOLUTIONS:
            raise UsageError(f"the unet takes samples (C, L), (C, H, W) or (C, D, H, W), got {shape}: take the mlp")
        if self.stem == "inception" and len(shape) != 3:
            raise UsageError(f"stem = inception takes images (C, H, W), got a shape of {shape}: leave it out")
        return UNet(self, shape)


def _groups(options: UNetOptions) -> Callable[[int], int]:
    """How many groups a normalisation of so many channels has.

    Feature maps have the width of a level or, where skips join them, that of two: what divides all levels divides both.
    """
    if (least := options.group_channels) is not None:
        return lambda channels: divisor(channels, channels // least)
    found = options.groups or divisor(math.gcd(*options.widths), min(options.widths) // 4)
    return lambda channels: found


class UNet(nn.Module):
    """net(x, label): x (B, C + extra, *) and label (B,) -> (B, C, *), or (B, 2C, *) with the variance.

    Any sides will do: an odd side is halved rounding up, and doubled to the size of its skip. A fresh network gives
    zeros, and every residual branch adds nothing (Ho et al. 2020).

    Args:
        options: The architecture.
        shape: Shape of one sample, (C, L), (C, H, W) or (C, D, H, W).
    """

    def __init__(self, options: UNetOptions, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.options, self.inputs = options, shape[0] + options.extra_channels
        first = options.channels * options.multipliers[0]
        embedding = 4 * first
        o, self.dims = options, len(shape) - 1
        style = Style(embedding, _groups(o), o.heads, o.scale_shift, o.dropout, o.resampling, self.dims)
        conv = CONVOLUTIONS[self.dims]
        widths = options.widths
        levels, halved = len(widths), options.bottleneck == "halved"
        attention = [-(-shape[1] // 2**level) in options.attention for level in range(levels)]

        self.time_embedding = TimeEmbedding(first, embedding)
        # One more row than there are classes: the last stands for "no class".
        self.class_embedding = nn.Embedding(options.classes + 1, embedding) if options.classes else None
        k = options.stem_kernel
        plain = functools.partial(conv, kernel_size=k, padding=k // 2)
        stem = InceptionStem if options.stem == "inception" else plain
        self.conv_in = stem(self.inputs, first)
        skips = [first]
        self.down_blocks = nn.ModuleList()
        for level, width in enumerate(widths):
            chain = [skips[-1], *[width] * options.blocks]
            smaller = level < levels - 1
            block = DownBlock(chain, style, attention=attention[level], downsample=smaller or halved)
            self.down_blocks.append(block)
            skips += [*chain[1:], width] if smaller else chain[1:]
        self.mid_block = MiddleBlock(widths[-1], style, upsample=halved)
        self.up_blocks = nn.ModuleList()
        before = widths[-1]
        for level in reversed(range(levels)):
            width = widths[level]
            inputs = [skips.pop() + (width if i else before) for i in range(options.blocks + 1)]
            self.up_blocks.append(UpBlock(width, inputs, style, attention=attention[level], upsample=level > 0))
            before = width
        self.conv_norm_out = style.norm(first)
        self.conv_out = zeroed(conv(first, (2 if options.learned_variance else 1) * shape[0], 3, padding=1))

    def forward(self, x: Tensor, label: Tensor, classes: Tensor | None = None) -> Tensor:
        """The network's output.

        Args:
            x: The states and the channels of a condition, (B, C + extra, *).
            label: The time as the network takes it, (B,); it may be fractional.
            classes: Class of each row, (B,), from 0; the number of classes itself means "no class", as None does.

        Raises:
            UsageError: x has not the expected channels, label not one entry per row, or the network knows no classes.
        """
        fitting(x, self.inputs, self.dims)
        labelled(label, x)
        emb = self.time_embedding(sinusoids(label, self.time_embedding.linear_1.in_features).to(x.dtype))
        classes = classed(classes, x, self.options.classes)
        if self.class_embedding is not None:
            emb = emb + self.class_embedding(classes)

        x = self.conv_in(x)
        skips = [x]
        for down in self.down_blocks:
            x = down(x, emb, skips)
        if self.options.bottleneck == "halved":
            skips.pop()  # the middle's own input; its residual blocks carry it already
        x = self.mid_block(x, emb, skips[-1].shape[2:])
        for up in self.up_blocks:
            x = up(x, emb, skips, self.options.skip_scale)
        out: Tensor = self.conv_out(functional.silu(self.conv_norm_out(x)))
        return out
