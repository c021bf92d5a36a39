"""The levels of the U-Net: blocks on the way down, in the middle and on the way up. Feature maps are (B, C, *)."""

import torch
from torch import Tensor, nn

from .blocks import Attention, Downsample, Resnet, Style, Upsample


class DownBlock(nn.Module):
    """One level on the way down: residual blocks, each followed by attention if wanted, and a downsampling.

    Args:
        widths: Channels of the input and of each residual block.
        style: What all layers of the network share.
        attention: Whether attention follows each residual block.
        downsample: Whether the level ends with a downsampling.
    """

    def __init__(self, widths: list[int], style: Style, *, attention: bool, downsample: bool) -> None:
        super().__init__()
        pairs = list(zip(widths, widths[1:], strict=False))
        self.resnets = nn.ModuleList([Resnet(a, b, style) for a, b in pairs])
        self.attentions = nn.ModuleList([Attention(b, style) for _, b in pairs] if attention else [])
        self.downsamplers = nn.ModuleList([Downsample(widths[-1], style)] if downsample else [])

    def forward(self, x: Tensor, emb: Tensor, skips: list[Tensor]) -> Tensor:
        """The level's output; each feature map on the way is put on the stack `skips`.

        Args:
            x: The feature map, (B, C, *).
            emb: The embedding of time and class, (B, E).
            skips: The stack of feature maps for the way up, which grows.
        """
        for i, resnet in enumerate(self.resnets):
            x = resnet(x, emb)
            if self.attentions:
                x = self.attentions[i](x)
            skips.append(x)
        for downsample in self.downsamplers:
            x = downsample(x)
            skips.append(x)
        return x


class MiddleBlock(nn.Module):
    """A residual block, attention and a residual block; then an upsampling if the bottleneck is halved.

    Args:
        width: Channels.
        style: What all layers of the network share.
        upsample: Whether the block ends with an upsampling.
    """

    def __init__(self, width: int, style: Style, *, upsample: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(width, width, style) for _ in range(2)])
        self.attentions = nn.ModuleList([Attention(width, style)])
        self.upsamplers = nn.ModuleList([Upsample(width, style)] if upsample else [])

    def forward(self, x: Tensor, emb: Tensor, size: torch.Size) -> Tensor:
        """The middle's output, of the size of the last level.

        Args:
            x: The feature map, (B, C, *).
            emb: The embedding of time and class, (B, E).
            size: Sides of the last level.
        """
        x = self.resnets[1](self.attentions[0](self.resnets[0](x, emb)), emb)
        for upsample in self.upsamplers:
            x = upsample(x, size)
        return x


class UpBlock(nn.Module):
    """One level on the way up: residual blocks, each on the concatenation with a skip, and an upsampling.

    Args:
        width: Channels of the output.
        inputs: Channels of the input of each residual block, its skip included.
        style: What all layers of the network share.
        attention: Whether attention follows each residual block.
        upsample: Whether the level ends with an upsampling.
    """

    def __init__(self, width: int, inputs: list[int], style: Style, *, attention: bool, upsample: bool) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(n, width, style) for n in inputs])
        self.attentions = nn.ModuleList([Attention(width, style) for _ in inputs] if attention else [])
        self.upsamplers = nn.ModuleList([Upsample(width, style)] if upsample else [])

    def forward(self, x: Tensor, emb: Tensor, skips: list[Tensor], scale: float) -> Tensor:
        """The level's output, of the size of the next skip; its own skips are taken off the stack and scaled.

        Args:
            x: The feature map, (B, C, *).
            emb: The embedding of time and class, (B, E).
            skips: The stack of feature maps from the way down, which shrinks.
            scale: Factor of the skips.
        """
        for i, resnet in enumerate(self.resnets):
            skip = skips.pop()
            x = resnet(torch.cat([x, skip if scale == 1 else scale * skip], dim=1), emb)
            if self.attentions:
                x = self.attentions[i](x)
        for upsample in self.upsamplers:
            x = upsample(x, skips[-1].shape[2:])
        return x
