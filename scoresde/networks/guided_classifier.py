"""guided-diffusion's classifiers of noisy images, with the parameter names of OpenAI's code."""

from typing import Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.options import Options
from ..core.random import randn
from .base import picture
from .blocks import zeroed
from .embedding import cosines
from .guided_diffusion_blocks import Style, attended, encoder, middle, norm
from .inputs import halvable


class ClassifierOptions(Options):
    """The way down of guided-diffusion's U-Net, and logits of what arrives there.

    The defaults are those of its classifier for 64x64 pixels, but for the depth of the published one, 4.

    Reference: Dhariwal and Nichol 2021, https://arxiv.org/abs/2105.05233, section 4.
    """

    classes: int = Field(1000, ge=2, description="Number of classes.")
    channels: int = Field(
        128, ge=32, multiple_of=2, description="Channels of the time's waves, and unit of the widths."
    )
    multipliers: tuple[PositiveFloat, ...] = Field(
        (1.0, 2.0, 3.0, 4.0), min_length=1, description="Channels of each level, as multiples of channels."
    )
    blocks: int = Field(2, ge=1, description="Residual blocks of each level.")
    attention: tuple[PositiveInt, ...] = Field(
        (32, 16, 8), description="Heights of the feature maps that self-attention is applied to, besides the smallest."
    )
    head_channels: int = Field(64, ge=1, description="Channels of a head of self-attention.")
    scale_shift: bool = Field(
        True, description="Let the time embedding scale and shift features instead of being added."
    )
    resample_blocks: bool = Field(True, description="Join levels by residual blocks, and not by convolutions.")
    pool: Literal["attention", "adaptive"] = Field(
        "attention", description="How a feature map becomes logits: by what its mean attends to, or by its mean."
    )

    def build(self, shape: tuple[int, ...]) -> "GuidedClassifier":
        """The module for images of shape (C, H, W), with fresh weights from torch's global generator.

        Args:
            shape: Shape of one image.

        Raises:
            UsageError: The samples are no images that can be halved often enough, or groups or heads do not divide
                the channels.
        """
        picture(shape)
        return GuidedClassifier(self, shape)


class AttentionPool(nn.Module):
    """What the mean of a feature map, with the place that it has beside the others, attends to; (B, C, H, W) -> (B, K).

    Args:
        positions: Number H W of positions.
        channels: Channels of the feature map.
        heads: Heads of the attention.
        outputs: K.
    """

    def __init__(self, positions: int, channels: int, heads: int, outputs: int) -> None:
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(randn((channels, positions + 1), None) / channels**0.5)
        self.qkv_proj, self.c_proj = nn.Conv1d(channels, 3 * channels, 1), nn.Conv1d(channels, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs, (B, K).

        Args:
            x: The feature map, (B, C, H, W).
        """
        rows = x.flatten(2)
        rows = torch.cat([rows.mean(2, keepdim=True), rows], dim=2) + self.positional_embedding
        seen = attended(self.qkv_proj(rows), self.heads, "new")
        out: Tensor = self.c_proj(seen[:, :, :1])[:, :, 0]
        return out


class GuidedClassifier(nn.Module):
    """classifier(x, label): x (B, C, H, W) and label (B,) -> logits of p(class | x_t), (B, K).

    Args:
        options: The architecture.
        shape: Channels, height and width of one image.
    """

    def __init__(self, options: ClassifierOptions, shape: tuple[int, ...]) -> None:
        super().__init__()
        o, self.shape, levels = options, tuple(shape), len(options.multipliers)
        halvable(shape[1:], levels - 1)
        self.channels = o.channels
        style = Style(4 * o.channels, 1, o.head_channels, "legacy", o.scale_shift, 0.0)
        widths = [int(m * o.channels) for m in o.multipliers]
        attends = [shape[1] // 2**level in o.attention for level in range(levels)]
        first = nn.Linear(o.channels, style.embedding), nn.SiLU(), nn.Linear(style.embedding, style.embedding)
        self.time_embed = nn.Sequential(*first)
        down = encoder(shape[0], widths, o.blocks, attends, style, blocks=o.resample_blocks)
        self.input_blocks = nn.ModuleList([stage for stage, _ in down])
        self.middle_block = middle(widths[-1], style)
        last: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), zeroed(nn.Conv2d(widths[-1], o.classes, 1)), nn.Flatten()]
        if o.pool == "attention":
            positions = (shape[1] >> levels - 1) * (shape[2] >> levels - 1)
            last = [AttentionPool(positions, widths[-1], style.heads_of(widths[-1]), o.classes)]
        self.out = nn.Sequential(norm(widths[-1]), nn.SiLU(), *last)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """The logits, (B, K).

        Args:
            x: The noisy image, (B, C, H, W).
            label: The time as the network takes it, (B,).

        Raises:
            UsageError: x has not the expected shape.
        """
        if x.shape[1:] != self.shape:
            raise UsageError(f"the classifier takes images of shape {self.shape}, got {tuple(x.shape[1:])}")
        emb = self.time_embed(cosines(label, self.channels, endpoint=False).to(x.dtype))
        for stage in self.input_blocks:
            x = stage(x, emb)
        out: Tensor = self.out(self.middle_block(x, emb))
        return out
