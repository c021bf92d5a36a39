"""DDPM++ and NCSN++ as EDM builds them."""

import math
from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ..core.random import randn
from .base import networks
from .edm_base import EDMNetwork, EDMOptions
from .edm_blocks import Conv, Style, norm
from .embedding import cosines
from .inputs import fitting, halvable


@networks("edm-song")
class SongOptions(EDMOptions):
    """DDPM++ by its defaults; NCSN++ with fourier times, a residual encoder, the filter 1/3/3/1 and twice the noise.

    Reference: Karras et al. 2022, https://arxiv.org/abs/2206.00364, table 7.
    """

    embedding_type: Literal["positional", "fourier"] = Field("positional", description="What the time enters by.")
    channel_mult_noise: int = Field(1, ge=1, description="Length of what the time enters by over model_channels.")
    encoder_type: Literal["standard", "skip", "residual"] = Field("standard", description="How x enters each level.")
    decoder_type: Literal["standard", "skip"] = Field("standard", description="How the output leaves each level.")
    resample_filter: tuple[PositiveInt, ...] = Field((1, 1), min_length=2, description="Filter between levels.")

    def build(self, shape: tuple[int, ...]) -> "SongUNet":
        """The module for images of shape (C, H, W), with fresh weights from torch's global generator.

        Raises:
            UsageError: As `checked`.
        """
        self.checked(shape)
        return SongUNet(self, shape)


class Fourier(nn.Module):
    """[cos(2π w label), sin(2π w label)] with fixed weights w from N(0, 16²), (B,) -> (B, channels).

    Args:
        channels: Length of the result.
    """

    freqs: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("freqs", 16 * randn((channels // 2,), None))

    def forward(self, label: Tensor) -> Tensor:
        """The features, (B, channels).

        Args:
            label: The time as the network takes it, (B,).
        """
        angles = label[:, None] * (2 * math.pi * self.freqs)
        return torch.cat([angles.cos(), angles.sin()], dim=1)


class SongUNet(EDMNetwork):
    """net(x, label, classes): x (B, C + extra, H, W), label and classes (B,) -> (B, C, H, W).

    Args:
        options: The architecture.
        shape: Channels, height and width of one image.
    """

    options: SongOptions

    def __init__(self, options: SongOptions, shape: tuple[int, ...]) -> None:
        noise, taps = options.model_channels * options.channel_mult_noise, options.resample_filter
        super().__init__(options, shape, noise, noise, bias=True)
        embedding = options.model_channels * options.channel_mult_emb
        style = Style(embedding, taps, options.dropout, False, 0.5**0.5, None, 1e-6, True)
        self.map_noise = Fourier(noise) if options.embedding_type == "fourier" else None
        named, skips = self.falling(style, shape[1], options.model_channels)
        self.enc, aux = nn.ModuleDict(dict(named)), self.inputs
        widths = [options.model_channels * m for m in options.channel_mult]
        self.sides = sides = [shape[1] >> level for level in range(len(widths))]
        for side, width in zip(sides[1:], widths, strict=False):  # the width of the level above
            if options.encoder_type == "skip":
                self.enc[f"{side}x{side}_aux_down"] = Conv(aux, aux, 0, change=0.5, resample_filter=taps)
                self.enc[f"{side}x{side}_aux_skip"] = Conv(aux, width, 1)
            elif options.encoder_type == "residual":
                self.enc[f"{side}x{side}_aux_residual"] = Conv(
                    aux, width, 3, change=0.5, resample_filter=taps, fused=True
                )
                aux = width
        self.dec = nn.ModuleDict(dict(self.rising(style, shape[1], skips, last=True)))
        for level, (side, width) in enumerate(zip(sides, widths, strict=True)):
            if options.decoder_type == "skip" and level < len(sides) - 1:
                up = Conv(shape[0], shape[0], 0, change=2, resample_filter=taps)
                self.dec[f"{side}x{side}_aux_up"] = up
            if options.decoder_type == "skip" or level == 0:
                self.dec[f"{side}x{side}_aux_norm"] = norm(width, 1e-6)
                self.dec[f"{side}x{side}_aux_conv"] = Conv(width, shape[0], 3, zero=True)

    def forward(self, x: Tensor, label: Tensor, classes: Tensor | None = None) -> Tensor:
        """The network's output at the times label, (B,).

        Args:
            x: The image and the channels of a condition, (B, C + extra, H, W).
            label: The time as the network takes it, (B,).
            classes: Class of each row, (B,), from 0; the number of classes itself means "no class", as None does.

        Raises:
            UsageError: x has not the expected channels or size; or as `class_embedding`.
        """
        fitting(x, self.inputs)
        halvable(x.shape[2:], len(self.options.channel_mult) - 1)
        waves = cosines(label, self.noise, endpoint=True) if self.map_noise is None else self.map_noise(label)
        cos, sin = waves.to(x.dtype).chunk(2, dim=1)
        emb = torch.cat([sin, cos], dim=1) + self.class_embedding(classes, x, max(1, self.options.classes) ** 0.5)
        emb = functional.silu(self.map_layer1(functional.silu(self.map_layer0(emb))))
        skips, aux = list[Tensor](), x
        for side in self.sides:
            first = f"{side}x{side}_conv" if side == self.sides[0] else f"{side}x{side}_down"
            x = self.enc[first](x, emb) if skips else self.enc[first](x)
            if skips and self.options.encoder_type == "skip":
                aux = self.enc[f"{side}x{side}_aux_down"](aux)
                x = x + self.enc[f"{side}x{side}_aux_skip"](aux)
            elif skips and self.options.encoder_type == "residual":
                x = aux = (x + self.enc[f"{side}x{side}_aux_residual"](aux)) * 0.5**0.5
            skips.append(x)
            for i in range(self.options.num_blocks):
                x = self.enc[f"{side}x{side}_block{i}"](x, emb)
                skips.append(x)
        out = torch.zeros_like(x[:1, :1, :1, :1])
        for side in reversed(self.sides):
            for name in ("in0", "in1") if side == self.sides[-1] else ("up",):
                x = self.dec[f"{side}x{side}_{name}"](x, emb)
            for i in range(self.options.num_blocks + 1):
                x = self.dec[f"{side}x{side}_block{i}"](torch.cat([x, skips.pop()], dim=1), emb)
            if self.options.decoder_type == "skip" and side != self.sides[-1]:
                out = self.dec[f"{side}x{side}_aux_up"](out)
            if self.options.decoder_type == "skip" or side == self.sides[0]:
                seen = functional.silu(self.dec[f"{side}x{side}_aux_norm"](x))
                out = out + self.dec[f"{side}x{side}_aux_conv"](seen)
        return out
