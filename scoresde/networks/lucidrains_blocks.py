"""The layers of the U-Net of denoising-diffusion-pytorch. Feature maps are (B, C, H, W), embeddings (B, E)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..core.random import randn
from .embedding import sinusoids

MEMORIES = 4
"""Learned keys and values that every attention has beside those of the feature map."""


class RMSNorm(nn.Module):
    """√C g x/|x|, with |x| over the channels of each position.

    Args:
        channels: Channels C of the feature map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The feature map, normalised, (B, C, H, W).

        Args:
            x: The feature map, (B, C, H, W).
        """
        out: Tensor = functional.normalize(x, dim=1) * self.g * len(self.g[0]) ** 0.5
        return out


class Sinusoids(nn.Module):
    """[sin(ω label), cos(ω label)] with ω from 1 down to 1/theta in equal ratios, (B,) -> (B, channels).

    Args:
        channels: Length of the result.
        theta: The largest wavelength, over 2π.
    """

    def __init__(self, channels: int, theta: float) -> None:
        super().__init__()
        self.channels, self.theta = channels, theta

    def forward(self, label: Tensor) -> Tensor:
        """The sinusoids, (B, channels).

        Args:
            label: The time as the network takes it, (B,).
        """
        return sinusoids(label, self.channels, self.theta)


class Fourier(nn.Module):
    """[label, sin(2π w label), cos(2π w label)] with weights w, (B,) -> (B, channels + 1).

    Args:
        channels: Twice the number of weights, which are drawn from N(0, 1).
        learned: Whether they are trained.
    """

    def __init__(self, channels: int, *, learned: bool) -> None:
        super().__init__()
        self.weights = nn.Parameter(randn((channels // 2,), None), requires_grad=learned)

    def forward(self, label: Tensor) -> Tensor:
        """The features, (B, channels + 1).

        Args:
            label: The time as the network takes it, (B,).
        """
        angles = label[:, None] * self.weights * (2 * math.pi)
        return torch.cat([label[:, None], angles.sin(), angles.cos()], dim=1)


class Half(nn.Module):
    """silu(norm(conv(x)) (1 + scale) + shift), the half of a residual block.

    Args:
        inputs: Channels of x.
        outputs: Channels of the output.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = RMSNorm(outputs)

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """The output, (B, outputs, H, W).

        Args:
            x: The feature map, (B, inputs, H, W).
            time: Scales and shifts, (B, 2 outputs), or None for neither.
        """
        x = self.norm(self.proj(x))
        if time is not None:
            scale, shift = time[:, :, None, None].chunk(2, dim=1)
            x = x * (scale + 1) + shift
        return functional.silu(x)


class Resnet(nn.Module):
    """x + half(dropout(half(x, time))), (B, inputs, H, W) -> (B, outputs, H, W).

    Args:
        inputs: Channels of x.
        outputs: Channels of the output.
        embedding: Length E of the time embedding.
        dropout: Share of features dropped between the halves while training.
    """

    def __init__(self, inputs: int, outputs: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * outputs))
        self.block1, self.block2 = Half(inputs, outputs), Half(outputs, outputs)
        self.dropout = nn.Dropout(dropout)
        self.res_conv = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """The block's output, (B, outputs, H, W).

        Args:
            x: The feature map, (B, inputs, H, W).
            emb: The time embedding, (B, E).
        """
        out: Tensor = self.block2(self.dropout(self.block1(x, self.mlp(emb)))) + self.res_conv(x)
        return out


class LinearAttention(nn.Module):
    """x + norm(out(softmax_n(k)ᵀ v · softmax_d(q)/√d)): the positions n exchange what they have in O(H W).

    Args:
        channels: Channels of the feature map.
        heads: Number of heads.
        width: Channels d of each head.

    Reference: Shen et al. 2018, https://arxiv.org/abs/1812.01243, equation 4.
    """

    def __init__(self, channels: int, heads: int, width: int) -> None:
        super().__init__()
        self.norm = RMSNorm(channels)
        self.mem_kv = nn.Parameter(randn((2, heads, width, MEMORIES), None))
        self.to_qkv = nn.Conv2d(channels, 3 * heads * width, 1, bias=False)
        self.to_out = nn.Sequential(nn.Conv2d(heads * width, channels, 1), RMSNorm(channels))

    def forward(self, x: Tensor) -> Tensor:
        """The feature map after attention, (B, C, H, W).

        Args:
            x: The feature map, (B, C, H, W).
        """
        _, heads, width, _ = self.mem_kv.shape
        q, k, v = self.to_qkv(self.norm(x)).unflatten(1, (3, heads, width)).flatten(4).unbind(1)
        k, v = (torch.cat([m.expand(len(x), -1, -1, -1), a], -1) for m, a in zip(self.mem_kv, (k, v), strict=True))
        context = k.softmax(-1) @ v.transpose(-2, -1)
        seen = context.transpose(-2, -1) @ (q.softmax(-2) * width**-0.5)
        out: Tensor = self.to_out(seen.reshape(len(x), -1, *x.shape[2:]))
        return x + out


class FullAttention(nn.Module):
    """x + out(softmax(q kᵀ/√d) v) over the positions of a feature map.

    Args:
        channels: Channels of the feature map.
        heads: Number of heads.
        width: Channels d of each head.
    """

    def __init__(self, channels: int, heads: int, width: int) -> None:
        super().__init__()
        self.norm = RMSNorm(channels)
        self.mem_kv = nn.Parameter(randn((2, heads, MEMORIES, width), None))
        self.to_qkv = nn.Conv2d(channels, 3 * heads * width, 1, bias=False)
        self.to_out = nn.Conv2d(heads * width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The feature map after attention, (B, C, H, W).

        Args:
            x: The feature map, (B, C, H, W).
        """
        _, heads, _, width = self.mem_kv.shape
        qkv = self.to_qkv(self.norm(x)).unflatten(1, (3, heads, width)).flatten(4)
        q, k, v = qkv.transpose(-2, -1).unbind(1)
        k, v = (torch.cat([m.expand(len(x), -1, -1, -1), a], -2) for m, a in zip(self.mem_kv, (k, v), strict=True))
        seen = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.to_out(seen.transpose(-2, -1).reshape(len(x), -1, *x.shape[2:]))
        return x + out
