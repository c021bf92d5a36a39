"""The U-Net of denoising-diffusion-pytorch, version 2, with its parameter names."""

from typing import Any, Literal, Self, cast

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn

from ..core.errors import UsageError
from .base import NetworkOptions, networks, picture
from .inputs import halvable
from .lucidrains_blocks import Fourier, FullAttention, LinearAttention, Resnet, Sinusoids

Times = Literal["sinusoidal", "learned", "random"]


@networks("lucidrains")
class LucidrainsOptions(NetworkOptions):
    """Residual blocks with normalisation by the root mean square, and attention at every resolution.

    The names of the options are those of the original, and so are the defaults.

    Reference: https://github.com/lucidrains/denoising-diffusion-pytorch, class Unet.
    """

    dim: int = Field(64, ge=4, multiple_of=2, description="Channels at full resolution.")
    init_dim: PositiveInt | None = Field(None, description="Channels after the first convolution; none takes dim.")
    dim_mults: tuple[PositiveInt, ...] = Field(
        (1, 2, 4, 8), min_length=1, description="Channels of each level's output, as multiples of dim."
    )
    attn_heads: tuple[PositiveInt, ...] = Field(
        (4,), min_length=1, description="Heads of the attention: one number, or one for each level."
    )
    attn_dim_head: tuple[PositiveInt, ...] = Field(
        (32,), min_length=1, description="Channels of a head: one number, or one for each level."
    )
    full_attn: tuple[bool, ...] = Field(
        (), description="Whether a level has full attention instead of linear: one word, or one for each level; "
        "none gives it to the last level."
    )  # fmt: skip
    self_condition: bool = Field(
        False, description="Whether it was trained with its own last x_0 as further input, which is then zero here."
    )
    times: Times = Field("sinusoidal", description="What the time enters by: fixed sinusoids, or Fourier features.")
    learned_sinusoidal_dim: int = Field(16, ge=2, multiple_of=2, description="Number of Fourier features.")
    theta: float = Field(10_000.0, gt=1, description="Ratio of the longest of the sinusoids to the shortest.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate in each block.")

    @model_validator(mode="after")
    def _one_for_each_level(self) -> Self:
        for name in ("attn_heads", "attn_dim_head", "full_attn"):
            given, levels = len(getattr(self, name)), len(self.dim_mults)
            if given not in (1, levels) and not (name == "full_attn" and given == 0):
                raise ValueError(f"{name} takes one value, or one for each of {levels} levels, got {given}")
        return self

    def level(self, i: int) -> tuple[bool, int, int]:
        """Whether the attention of a level is full, its heads, and the channels of a head.

        Args:
            i: The level, from 0.
        """
        heads, width = (values[i % len(values)] for values in (self.attn_heads, self.attn_dim_head))
        full = self.full_attn[i % len(self.full_attn)] if self.full_attn else i == len(self.dim_mults) - 1
        return full, heads, width

    def build(self, shape: tuple[int, ...]) -> "LucidrainsUNet":
        """The module for images of shape (C, H, W), with fresh weights from torch's global generator.

        Raises:
            UsageError: The samples are no images, a side cannot be halved as often as there are levels below the
                first, or classes are asked for.
        """
        picture(shape)
        if self.classes:
            raise UsageError("the lucidrains network takes no classes: set network.classes = 0, or take the unet")
        halvable(shape[1:], len(self.dim_mults) - 1)
        return LucidrainsUNet(self, shape)


class LucidrainsUNet(nn.Module):
    """net(x, label): x (B, C + extra, H, W) and label (B,) -> (B, C, H, W), or (B, 2C, H, W) with the variance.

    Args:
        options: The architecture.
        shape: Channels, height and width of one image.
    """

    def __init__(self, options: LucidrainsOptions, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.options, self.channels = options, shape[0]
        inputs = shape[0] * (2 if options.self_condition else 1) + options.extra_channels
        dim, first, embedding = options.dim, options.init_dim or options.dim, 4 * options.dim
        widths = [first, *(dim * m for m in options.dim_mults)]
        pairs = list(zip(widths, widths[1:], strict=False))
        levels = [options.level(i) for i in range(len(pairs))]

        def block(inputs: int, outputs: int) -> Resnet:
            return Resnet(inputs, outputs, embedding, options.dropout)

        def attention(channels: int, full: bool, heads: int, width: int) -> nn.Module:
            return (FullAttention if full else LinearAttention)(channels, heads, width)

        self.init_conv = nn.Conv2d(inputs, first, 7, padding=3)
        fourier = options.times != "sinusoidal"
        features = options.learned_sinusoidal_dim + 1 if fourier else dim
        self.time_mlp = nn.Sequential(
            Fourier(features - 1, learned=options.times == "learned") if fourier else Sinusoids(dim, options.theta),
            nn.Linear(features, embedding),
            nn.GELU(),
            nn.Linear(embedding, embedding),
        )
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for i, (a, b) in enumerate(pairs):
            smaller = i < len(pairs) - 1
            down = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * a, b, 1)) if smaller else _same(a, b)
            self.downs.append(nn.ModuleList([block(a, a), block(a, a), attention(a, *levels[i]), down]))
        last = widths[-1]
        self.mid_block1, self.mid_block2 = block(last, last), block(last, last)
        self.mid_attn = attention(last, True, *levels[-1][1:])
        for i, (a, b) in reversed(list(enumerate(pairs))):
            up = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), _same(b, a)) if i else _same(b, a)
            blocks = [block(a + b, b), block(a + b, b), attention(b, *levels[i]), up]
            self.ups.append(nn.ModuleList(blocks))
        self.final_res_block = block(2 * first, first)
        self.final_conv = nn.Conv2d(first, (2 if options.learned_variance else 1) * shape[0], 1)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """The network's output at the times label, (B,).

        Args:
            x: The image and the channels of a condition, (B, C + extra, H, W).
            label: The time as the network takes it, (B,).

        Raises:
            UsageError: A side of the image does not fit.
        """
        halvable(x.shape[2:], len(self.downs) - 1)
        if self.options.self_condition:
            x = torch.cat([torch.zeros_like(x[:, : self.channels]), x], dim=1)
        emb = self.time_mlp[1:](self.time_mlp[0](label).to(x.dtype))  # in 16 bits, neighbouring labels can be equal
        x = self.init_conv(x)
        skips = [x]
        for first, second, attention, down in cast(Any, self.downs):
            x = first(x, emb)
            skips.append(x)
            x = attention(second(x, emb))
            skips.append(x)
            x = down(x)
        x = self.mid_block2(self.mid_attn(self.mid_block1(x, emb)), emb)
        for first, second, attention, up in cast(Any, self.ups):
            x = first(torch.cat([x, skips.pop()], dim=1), emb)
            x = attention(second(torch.cat([x, skips.pop()], dim=1), emb))
            x = up(x)
        out: Tensor = self.final_conv(self.final_res_block(torch.cat([x, skips.pop()], dim=1), emb))
        return out


def _same(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)
