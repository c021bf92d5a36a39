"""The network of guided diffusion as EDM builds it."""

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ..core.errors import UsageError
from .base import networks
from .edm_base import EDMNetwork, EDMOptions, Multipliers
from .edm_blocks import Conv, Style, norm
from .embedding import cosines
from .inputs import fitting, halvable


@networks("edm-adm")
class DhariwalOptions(EDMOptions):
    """The network of guided diffusion, whose attention has heads of 64 channels.

    Reference: Karras et al. 2022, https://arxiv.org/abs/2206.00364, table 7.
    """

    model_channels: int = Field(192, ge=8, multiple_of=8, description="Channels, up to the factor of a level.")
    channel_mult: Multipliers = Field((1, 2, 3, 4), min_length=1, description="Factors of the channels of each level.")
    num_blocks: int = Field(3, ge=1, description="Blocks of each level on the way down; one more on the way up.")
    attn_resolutions: tuple[PositiveInt, ...] = Field((32, 16, 8), description="Heights that have attention.")

    def build(self, shape: tuple[int, ...]) -> "DhariwalUNet":
        """The module for images of shape (C, H, W), with fresh weights from torch's global generator.

        Raises:
            UsageError: As `checked`, or channels of an attention that heads of 64 do not make up.
        """
        self.checked(shape)
        for level, factor in enumerate(self.channel_mult):
            width, last = factor * self.model_channels, level == len(self.channel_mult) - 1
            if (last or shape[1] >> level in self.attn_resolutions) and width % 64:
                raise UsageError(f"attention has heads of 64 channels, which do not make up the {width} of a level")
        return DhariwalUNet(self, shape)


class DhariwalUNet(EDMNetwork):
    """net(x, label, classes): x (B, C + extra, H, W), label and classes (B,) -> (B, C, H, W).

    Args:
        options: The architecture.
        shape: Channels, height and width of one image.
    """

    options: DhariwalOptions

    def __init__(self, options: DhariwalOptions, shape: tuple[int, ...]) -> None:
        embedding, first = options.model_channels * options.channel_mult_emb, options.channel_mult[0]
        super().__init__(options, shape, options.model_channels, embedding, bias=False)
        style = Style(embedding, (1, 1), options.dropout, True, 1.0, 64, 1e-5, False)
        named, skips = self.falling(style, shape[1], first * options.model_channels)
        self.enc = nn.ModuleDict(dict(named))
        self.dec = nn.ModuleDict(dict(self.rising(style, shape[1], skips, last=False)))
        self.out_norm = norm(first * options.model_channels, 1e-5)
        self.out_conv = Conv(first * options.model_channels, shape[0], 3, zero=True)

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
        emb = functional.silu(self.map_layer0(cosines(label, self.noise, endpoint=False).to(x.dtype)))
        emb = functional.silu(self.map_layer1(emb) + self.class_embedding(classes, x, 1.0))
        skips = list[Tensor]()
        for name, block in self.enc.items():
            x = block(x) if name.endswith("_conv") else block(x, emb)
            skips.append(x)
        for name, block in self.dec.items():
            x = block(torch.cat([x, skips.pop()], dim=1) if "_block" in name else x, emb)
        out: Tensor = self.out_conv(functional.silu(self.out_norm(x)))
        return out
