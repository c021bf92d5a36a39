"""The layers of EDM's networks, with its parameter names. Feature maps are (B, C, H, W), embeddings (B, E)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Style(NamedTuple):
    """What all blocks of one network share."""

    embedding: int
    """Length E of the embedding."""
    resample_filter: tuple[int, ...]
    """The filter of a change of resolution, along one side, up to its sum."""
    dropout: float
    """Dropout rate in each block."""
    adaptive: bool
    """Whether the embedding scales and shifts features, instead of being added to them."""
    skip_scale: float
    """Factor of the sum of a block and its input."""
    heads_of: int | None
    """Channels of a head of the attention; None for one head."""
    eps: float
    """What normalisations add to a variance."""
    projected: bool
    """Whether the way around a change of resolution has a convolution even where channels stay the same."""


def norm(channels: int, eps: float) -> nn.GroupNorm:
    """A group normalisation of at most 32 groups, of at least 4 channels.

    Args:
        channels: Channels of the feature map.
        eps: What is added to a variance.
    """
    return nn.GroupNorm(min(32, max(1, channels // 4)), channels, eps=eps)


class Conv(nn.Module):
    """A change of resolution by a factor of 2 through a filter, and a convolution.

    Args:
        inputs: Channels of x.
        outputs: Channels of the output.
        kernel: Side of the convolution's kernel; 0 for no convolution.
        change: 2 to double the resolution, 0.5 to halve it, 1 to leave it.
        resample_filter: The filter along one side, up to its sum.
        fused: Whether the convolution comes before the filter of a halving, both on padding of the input.
        zero: Whether a fresh convolution gives zeros.
    """

    resample_filter: Tensor | None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        change: float = 1,
        resample_filter: tuple[int, ...] = (1, 1),
        fused: bool = False,
        zero: bool = False,
    ) -> None:
        super().__init__()
        self.change, self.fused = change, fused
        weight = torch.zeros(outputs, inputs, kernel, kernel) if kernel else None
        if weight is not None and not zero:
            nn.init.xavier_uniform_(weight)
        self.weight = None if weight is None else nn.Parameter(weight)
        self.bias = None if weight is None else nn.Parameter(torch.zeros(outputs))
        line = torch.tensor(resample_filter, dtype=torch.float32)
        square = torch.outer(line, line) / line.sum().square()
        self.register_buffer("resample_filter", None if change == 1 else square[None, None])

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, change · H, change · W).

        Args:
            x: The feature map, (B, inputs, H, W).
        """
        pad = 0 if self.weight is None else self.weight.shape[-1] // 2
        if self.resample_filter is not None:
            square = self.resample_filter.to(x.dtype)
            inner = (square.shape[-1] - 1) // 2
            if self.fused and self.weight is not None:
                x = functional.conv2d(x, self.weight, padding=pad + inner)
                squares = square.expand(x.shape[1], -1, -1, -1)
                return functional.conv2d(x, squares, self.bias, stride=2, groups=x.shape[1])
            squares = square.expand(x.shape[1], -1, -1, -1)
            if self.change > 1:
                x = functional.conv_transpose2d(x, 4 * squares, stride=2, padding=inner, groups=x.shape[1])
            else:
                x = functional.conv2d(x, squares, stride=2, padding=inner, groups=x.shape[1])
        return x if self.weight is None else functional.conv2d(x, self.weight, self.bias, padding=pad)


class Block(nn.Module):
    """s (x + conv(silu(norm(conv(silu(norm(x)))) with the embedding))), then the same with attention.

    Args:
        inputs: Channels of x.
        outputs: Channels of the output.
        style: What all blocks of the network share.
        change: 2 to double the resolution, 0.5 to halve it, 1 to leave it.
        attention: Whether attention follows.

    Reference: Karras et al. 2022, https://arxiv.org/abs/2206.00364, tables 6 and 7.
    """

    def __init__(self, inputs: int, outputs: int, style: Style, *, change: float = 1, attention: bool = False) -> None:
        super().__init__()
        self.style, taps = style, style.resample_filter
        self.norm0, self.norm1 = norm(inputs, style.eps), norm(outputs, style.eps)
        self.conv0 = Conv(inputs, outputs, 3, change=change, resample_filter=taps)
        self.affine = nn.Linear(style.embedding, outputs * (2 if style.adaptive else 1))
        self.conv1 = Conv(outputs, outputs, 3, zero=True)
        self.dropout = nn.Dropout(style.dropout)
        self.skip = None
        if inputs != outputs or change != 1:
            kernel = 1 if inputs != outputs or style.projected else 0
            self.skip = Conv(inputs, outputs, kernel, change=change, resample_filter=taps)
        self.heads = (1 if style.heads_of is None else outputs // style.heads_of) if attention else 0
        if attention:
            self.norm2 = norm(outputs, style.eps)
            self.qkv, self.proj = Conv(outputs, 3 * outputs, 1), Conv(outputs, outputs, 1, zero=True)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """The block's output, (B, outputs, change · H, change · W).

        Args:
            x: The feature map, (B, inputs, H, W).
            emb: The embedding of time and class, (B, E).
        """
        h: Tensor = self.conv0(functional.silu(self.norm0(x)))
        told = self.affine(emb)[:, :, None, None].to(h.dtype)
        if self.style.adaptive:
            scale, shift = told.chunk(2, dim=1)
            h = self.norm1(h) * (scale + 1) + shift
        else:
            h = self.norm1(h + told)
        h = self.conv1(self.dropout(functional.silu(h)))
        x = (h + (x if self.skip is None else self.skip(x))) * self.style.skip_scale
        return (x + self._attention(x)) * self.style.skip_scale if self.heads else x

    def _attention(self, x: Tensor) -> Tensor:
        """out(softmax(q kᵀ/√d) v) over the positions, with q, k and v beside each other for each channel."""
        qkv = self.qkv(self.norm2(x)).unflatten(1, (self.heads, -1, 3)).flatten(4)
        q, k, v = qkv.transpose(2, 4).unbind(3)
        seen = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(seen.transpose(2, 3).reshape(x.shape))
        return out
