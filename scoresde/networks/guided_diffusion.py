"""The U-Net of guided-diffusion and improved-diffusion (ADM), with the parameter names of OpenAI's code."""

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from .base import NetworkOptions, networks, picture
from .blocks import zeroed
from .embedding import cosines
from .guided_diffusion_blocks import Attention, Order, Residual, Stage, Style, encoder, middle, norm, resizing
from .inputs import classed, fitting, halvable, labelled


@networks("guided-diffusion")
class GuidedDiffusionOptions(NetworkOptions):
    """Residual blocks and self-attention at falling, then rising resolution, told the time and if wanted a class.

    The defaults are improved-diffusion's network for 64x64 pixels. There is no "no class": a network with classes is
    given one for every sample.

    References: Nichol and Dhariwal 2021, https://arxiv.org/abs/2102.09672; Dhariwal and Nichol 2021,
    https://arxiv.org/abs/2105.05233, section 3.
    """

    channels: int = Field(
        128, ge=32, multiple_of=2, description="Channels of the time's waves, and unit of the widths."
    )
    multipliers: tuple[PositiveFloat, ...] = Field(
        (1.0, 2.0, 3.0, 4.0), min_length=1, description="Channels of each level, as multiples of channels."
    )
    blocks: int = Field(3, ge=1, description="Residual blocks per level of the encoder; one more in the decoder.")
    attention: tuple[PositiveInt, ...] = Field(
        (16, 8), description="Heights of the feature maps that self-attention is applied to, besides the smallest."
    )
    heads: int = Field(4, ge=1, description="Heads of each self-attention.")
    heads_up: int | None = Field(None, ge=1, description="Heads on the way up; none takes heads.")
    head_channels: int | None = Field(
        None, ge=1, description="Channels of a head, which then says how many heads there are; none takes heads."
    )
    order: Order = Field(
        "legacy", description="Whether queries, keys and values lie head by head, or one by one (new)."
    )
    scale_shift: bool = Field(
        True, description="Let the time embedding scale and shift features instead of being added."
    )
    resample_blocks: bool = Field(False, description="Join levels by residual blocks, and not by convolutions.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout rate in each block.")

    @property
    def null_class(self) -> bool:
        return False

    def build(self, shape: tuple[int, ...]) -> "GuidedDiffusion":
        """The module for images of shape (C, H, W), with fresh weights from torch's global generator.

        Attention is where a level of an image of height H has one of the heights in `attention`.

        Raises:
            UsageError: The samples are no images that can be halved often enough, or groups or heads do not divide
                the channels.
        """
        picture(shape)
        return GuidedDiffusion(self, shape)


class GuidedDiffusion(nn.Module):
    """net(x, label): x (B, C + extra, H, W) and label (B,) -> (B, C, H, W), or (B, 2C, H, W) with the variance.

    Height and width are multiples of 2^(levels - 1). With classes it is called as net(x, label, classes).

    Args:
        options: The architecture.
        shape: Channels, height and width of one image.
    """

    def __init__(self, options: GuidedDiffusionOptions, shape: tuple[int, ...]) -> None:
        super().__init__()
        o = self.options = options
        self.inputs = shape[0] + o.extra_channels
        halvable(shape[1:], len(o.multipliers) - 1)
        widths = [int(m * o.channels) for m in o.multipliers]
        attends = [shape[1] // 2**level in o.attention for level in range(len(widths))]
        style = Style(4 * o.channels, o.heads, o.head_channels, o.order, o.scale_shift, o.dropout)
        first = nn.Linear(o.channels, style.embedding), nn.SiLU(), nn.Linear(style.embedding, style.embedding)
        self.time_embed = nn.Sequential(*first)
        self.label_emb = nn.Embedding(o.classes, style.embedding) if o.classes else None
        down = list(encoder(self.inputs, widths, o.blocks, attends, style, blocks=o.resample_blocks))
        self.input_blocks = nn.ModuleList([stage for stage, _ in down])
        skips, width = [outputs for _, outputs in down], widths[-1]
        self.middle_block = middle(width, style)
        self.output_blocks = nn.ModuleList()
        upward = style._replace(heads=o.heads_up or o.heads)
        for level in reversed(range(len(widths))):
            for i in range(o.blocks + 1):
                layers: list[nn.Module] = [Residual(width + skips.pop(), widths[level], style)]
                width = widths[level]
                layers += [Attention(width, upward)] if attends[level] else []
                if level and i == o.blocks:
                    layers.append(resizing(width, style, up=True, blocks=o.resample_blocks))
                self.output_blocks.append(Stage(layers))
        outputs = (2 if o.learned_variance else 1) * shape[0]
        self.out = nn.Sequential(norm(width), nn.SiLU(), zeroed(nn.Conv2d(width, outputs, 3, padding=1)))

    def forward(self, x: Tensor, label: Tensor, classes: Tensor | None = None) -> Tensor:
        """The network's output.

        Args:
            x: The image and the channels of a condition, (B, C + extra, H, W).
            label: The time as the network takes it, (B,); it may be fractional.
            classes: Class of each row, (B,), from 0; None only for a network without classes.

        Raises:
            UsageError: x has not the expected channels or size, label not one entry per row, or the classes are missing
                or too many.
        """
        fitting(x, self.inputs)
        labelled(label, x)
        halvable(x.shape[2:], len(self.options.multipliers) - 1)
        emb = self.time_embed(cosines(label, self.options.channels, endpoint=False).to(x.dtype))
        classes = classed(classes, x, self.options.classes, null=False)
        if self.label_emb is not None:
            emb = emb + self.label_emb(classes)
        h, skips = x, list[Tensor]()
        for stage in self.input_blocks:
            h = stage(h, emb)
            skips.append(h)
        h = self.middle_block(h, emb)
        for stage in self.output_blocks:
            h = stage(torch.cat([h, skips.pop()], dim=1), emb)
        out: Tensor = self.out(h)
        return out
