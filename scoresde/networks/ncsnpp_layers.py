"""The layers of NCSN++. Feature maps are (B, C, H, W), embeddings (B, E); parameters bear score_sde's names."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Self, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..core.devices import double, like
from ..core.errors import UsageError
from ..core.random import randn

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)
Activation = Literal["swish", "elu", "relu", "lrelu"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "swish": functional.silu,
    "elu": functional.elu,
    "relu": functional.relu,
    "lrelu": lambda x: functional.leaky_relu(x, 0.2),
}


class Style(NamedTuple):
    """What every layer of one NCSN++ shares."""

    embedding: int
    """Length E of the embedding of time."""
    activation: Activation
    """The nonlinearity."""
    dropout: float
    """Dropout rate in each block."""
    init_scale: float
    """Factor of the variance of the fresh weights that end a residual branch."""
    rescale: bool
    """Whether a sum of two branches is divided by √2."""
    groups: int | None
    """Groups of the normalisations; None for a quarter of the channels, and at most 32."""
    taps: tuple[float, ...]
    """The filter of resampling; empty for repeated pixels and plain means."""

    def norm(self, channels: int) -> nn.GroupNorm:
        """The group normalisation of a feature map.

        Args:
            channels: Its channels.

        Raises:
            UsageError: The groups do not divide the channels.
        """
        groups = min(channels // 4, 32) if self.groups is None else self.groups
        if channels % groups:
            raise UsageError(f"{groups} groups must divide the {channels} channels: change channels or multipliers")
        return nn.GroupNorm(groups, channels, eps=1e-6)

    def act(self, x: Tensor) -> Tensor:
        """The nonlinearity of x.

        Args:
            x: Any features, *.
        """
        return ACTIVATIONS[self.activation](x)

    def sum(self, x: Tensor, y: Tensor) -> Tensor:
        """x + y, or (x + y)/√2 where sums are rescaled.

        Args:
            x: One branch, (B, C, H, W).
            y: The other, (B, C, H, W).
        """
        return (x + y) / math.sqrt(2) if self.rescale else x + y


def fresh(layer: Layer, scale: float = 1.0) -> Layer:
    """The layer with uniform weights of variance 2 scale/(inputs + outputs) and a bias of zero.

    Args:
        layer: The layer, which is changed in place.
        scale: Factor of the variance; 0 stands for 1e-10.
    """
    nn.init.xavier_uniform_(layer.weight, gain=math.sqrt(scale or 1e-10))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def conv3(inputs: int, outputs: int, scale: float = 1.0) -> nn.Conv2d:
    """A convolution of 3x3 pixels that keeps the size, with fresh weights.

    Args:
        inputs: Channels of x.
        outputs: Channels of the output.
        scale: Factor of the variance of the weights.
    """
    return fresh(nn.Conv2d(inputs, outputs, 3, padding=1), scale)


class Fourier(nn.Module):
    """[sin(2π w log σ), cos(2π w log σ)] with fixed random frequencies w, (B,) -> (B, 2 channels).

    Args:
        channels: Number of frequencies.
        scale: Their standard deviation.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, appendix C.
    """

    W: Tensor

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        # No parameter: it is not trained, and the averages of score_sde do not hold it.
        self.register_buffer("W", scale * randn((channels,), None))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # Frequencies that are rounded to 16 bits are others: the network keeps those that it was trained with.
        kept, untyped = self.W, cast(Any, super())
        untyped._apply(fn, recurse)
        if self.W.dtype.itemsize < kept.dtype.itemsize:
            self.W = kept.to(self.W.device)
        return self

    def forward(self, sigma: Tensor) -> Tensor:
        """The waves, (B, 2 channels).

        Args:
            sigma: The noise level, (B,).
        """
        # Angles reach thousands: in 32 bits they would depend on how the processor rounds a logarithm.
        angles = 2 * math.pi * double(self.W) * double(sigma).log()[:, None]
        return like(torch.cat([angles.sin(), angles.cos()], dim=1), sigma)


class NIN(nn.Module):
    """A linear map of the channels of each pixel, (B, inputs, H, W) -> (B, outputs, H, W).

    Args:
        inputs: Channels of x.
        outputs: Channels of the output.
        scale: Factor of the variance of the fresh weights.
    """

    def __init__(self, inputs: int, outputs: int, scale: float = 0.1) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(inputs, outputs))
        self.b = nn.Parameter(torch.zeros(outputs))
        nn.init.xavier_uniform_(self.W, gain=math.sqrt(scale or 1e-10))

    def forward(self, x: Tensor) -> Tensor:
        """W x + b at every pixel.

        Args:
            x: The feature map, (B, inputs, H, W).
        """
        return functional.conv2d(x, self.W.t()[:, :, None, None], self.b)


class Combine(nn.Module):
    """conv(x) + y, or [conv(x), y], for an image x and features y of one size.

    Args:
        inputs: Channels of x.
        outputs: Channels of y.
        cat: Whether the two are put beside each other and not added.
    """

    def __init__(self, inputs: int, outputs: int, *, cat: bool) -> None:
        super().__init__()
        self.Conv, self.cat = fresh(nn.Conv2d(inputs, outputs, 1)), cat

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, outputs, H, W), or with `cat` (B, 2 outputs, H, W).

        Args:
            x: The image, (B, inputs, H, W).
            y: The features, (B, outputs, H, W).
        """
        h: Tensor = self.Conv(x)
        return torch.cat([h, y], dim=1) if self.cat else h + y
