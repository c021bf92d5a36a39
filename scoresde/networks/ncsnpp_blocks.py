"""The blocks of NCSN++. Feature maps are (B, C, H, W), embeddings (B, E); parameters bear score_sde's names."""

from torch import Tensor, nn
from torch.nn import functional

from .fir import FIR
from .ncsnpp_layers import NIN, Style, conv3, fresh


class Attention(nn.Module):
    """x + W softmax(q kᵀ/√C) v over the H W positions of a feature map, in one head.

    Args:
        channels: Channels C of the feature map.
        style: What all layers of the network share.
    """

    def __init__(self, channels: int, style: Style) -> None:
        super().__init__()
        self.style, self.GroupNorm_0 = style, style.norm(channels)
        self.NIN_0, self.NIN_1, self.NIN_2 = (NIN(channels, channels) for _ in range(3))
        self.NIN_3 = NIN(channels, channels, style.init_scale)

    def forward(self, x: Tensor) -> Tensor:
        """The feature map after each position has attended to all others, (B, C, H, W).

        Args:
            x: The feature map, (B, C, H, W).
        """
        h = self.GroupNorm_0(x)
        q, k, v = (nin(h).flatten(2).transpose(1, 2) for nin in (self.NIN_0, self.NIN_1, self.NIN_2))
        seen = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        return self.style.sum(x, self.NIN_3(seen))


class Resample(nn.Module):
    """Doubles or halves height and width, with a convolution of 3x3 pixels where there are channels for it.

    Args:
        style: What all layers of the network share.
        up: Whether it doubles.
        channels: Channels of x and of the output, for a convolution; None for none.
    """

    def __init__(self, style: Style, *, up: bool, channels: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.up, self.fir = up, FIR(style.taps) if style.taps else None
        self.Conv_0: nn.Conv2d | None = None
        self.Conv2d_0: nn.Conv2d | None = None
        conv = None
        if channels:
            conv = conv3(*channels) if up else fresh(nn.Conv2d(*channels, 3, stride=2))
        if style.taps:
            self.Conv2d_0 = conv
        else:
            self.Conv_0 = conv

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', 2H, 2W) or (B, C', H/2, W/2).

        Args:
            x: The feature map, with even sides where it halves.
        """
        if self.fir is not None:
            if self.Conv2d_0 is None:
                return self.fir.up(x) if self.up else self.fir.down(x)
            return self.fir.conv_up(x, self.Conv2d_0) if self.up else self.fir.conv_down(x, self.Conv2d_0)
        if self.up:
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            return x if self.Conv_0 is None else self.Conv_0(x)
        if self.Conv_0 is None:
            return functional.avg_pool2d(x, 2)
        out: Tensor = self.Conv_0(functional.pad(x, (0, 1, 0, 1)))  # TensorFlow's padding "SAME"
        return out


class Resnet(nn.Module):
    """x + conv(act(norm(conv(act(norm(x))) + embedding))), (B, C, H, W) -> (B, outputs, H, W), or at another size.

    Args:
        inputs: Channels of x.
        outputs: Channels of the output.
        style: What all layers of the network share.
        biggan: Whether a shortcut between different channels is a convolution and not a linear map, as in BigGAN.
        resample: What both branches pass through; None keeps the size.
    """

    def __init__(
        self, inputs: int, outputs: int, style: Style, *, biggan: bool, resample: Resample | None = None
    ) -> None:
        super().__init__()
        self.style, self.resample = style, resample
        self.GroupNorm_0, self.Conv_0 = style.norm(inputs), conv3(inputs, outputs)
        self.Dense_0 = fresh(nn.Linear(style.embedding, outputs))
        self.GroupNorm_1, self.Dropout_0 = style.norm(outputs), nn.Dropout(style.dropout)
        self.Conv_1 = conv3(outputs, outputs, style.init_scale)
        self.Conv_2: nn.Conv2d | None = None
        self.NIN_0: NIN | None = None
        if biggan and (inputs != outputs or resample is not None):
            self.Conv_2 = fresh(nn.Conv2d(inputs, outputs, 1))
        elif inputs != outputs:
            self.NIN_0 = NIN(inputs, outputs)

    def forward(self, x: Tensor, emb: Tensor | None) -> Tensor:
        """The block's output, (B, outputs, H', W').

        Args:
            x: The feature map, (B, inputs, H, W).
            emb: The embedding of time, (B, E); None in a network that is not told the time.
        """
        h = self.style.act(self.GroupNorm_0(x))
        if self.resample is not None:
            h, x = self.resample(h), self.resample(x)
        h = self.Conv_0(h)
        if emb is not None:
            h = h + self.Dense_0(self.style.act(emb))[:, :, None, None]
        h = self.Conv_1(self.Dropout_0(self.style.act(self.GroupNorm_1(h))))
        shortcut = self.Conv_2 or self.NIN_0
        return self.style.sum(x if shortcut is None else shortcut(x), h)
