"""A residual network of dilated convolutions, for series, maps and volumes."""

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ..core.errors import UsageError
from .base import NetworkOptions, networks
from .blocks import CONVOLUTIONS, zeroed
from .embedding import Embedding


@networks("conv")
class ConvOptions(NetworkOptions):
    """Residual blocks with dilations 1, 2, 4, ..., which see the whole of a series, map or volume.

    Reference: van den Oord et al. 2016, https://arxiv.org/abs/1609.03499, for the dilations.
    """

    width: int = Field(64, ge=4, multiple_of=4, description="Channels of each layer.")
    blocks: int = Field(8, ge=1, description="Residual blocks; the dilation doubles with each, up to a quarter.")

    def build(self, shape: tuple[int, ...]) -> "Conv":
        """The module for samples (C, L), (C, H, W) or (C, D, H, W), with weights from torch's global generator.

        Raises:
            UsageError: The samples have another number of dimensions.
        """
        if len(shape) - 1 not in CONVOLUTIONS:
            raise UsageError(f"the conv takes samples (C, L), (C, H, W) or (C, D, H, W), got {shape}: take the mlp")
        return Conv(self, shape)


class Block(nn.Module):
    """h + conv₁(silu(norm(conv₃(silu(norm(h)))) (1 + scale) + shift)): 3 taps at a distance, then one.

    Args:
        width: Channels.
        dilation: Distance of the taps.
        dims: Dimensions beside the channels.
    """

    def __init__(self, width: int, dilation: int, dims: int) -> None:
        super().__init__()
        conv = CONVOLUTIONS[dims]
        self.norm_1, self.norm_2 = nn.GroupNorm(4, width), nn.GroupNorm(4, width, affine=False)
        self.conv_1 = conv(width, width, 3, padding=dilation, dilation=dilation)
        self.conv_2 = zeroed(conv(width, width, 1))
        self.time = nn.Linear(width, 2 * width)

    def forward(self, h: Tensor, emb: Tensor) -> Tensor:
        """The block's output, (B, width, *).

        Args:
            h: The features, (B, width, *).
            emb: The embedding of time and class, (B, width).
        """
        scale, shift = self.time(functional.silu(emb)).reshape(len(h), -1, *[1] * (h.ndim - 2)).chunk(2, dim=1)
        inner = self.norm_2(self.conv_1(functional.silu(self.norm_1(h)))) * (1 + scale) + shift
        out: Tensor = h + self.conv_2(functional.silu(inner))
        return out


class Conv(nn.Module):
    """net(x, label): x (B, C + extra, *) and label (B,) -> (B, C, *), or (B, 2C, *) with the variance.

    Args:
        options: The architecture.
        shape: Shape of one sample, (C, *).
    """

    def __init__(self, options: ConvOptions, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.options, (channels, *sides), width = options, shape, options.width
        conv, levels = CONVOLUTIONS[len(sides)], max(1, (max(sides) // 2).bit_length() - 1)
        self.embedding = Embedding(width, options.classes)
        self.first = conv(channels + options.extra_channels, width, 3, padding=1)
        self.blocks = nn.ModuleList([Block(width, 2 ** (i % levels), len(sides)) for i in range(options.blocks)])
        self.norm = nn.GroupNorm(4, width)
        self.last = zeroed(conv(width, (2 if options.learned_variance else 1) * channels, 3, padding=1))

    def forward(self, x: Tensor, label: Tensor, classes: Tensor | None = None) -> Tensor:
        """The network's output.

        Args:
            x: The states and the channels of a condition, (B, C + extra, *).
            label: The time as the network takes it, (B,); it may be fractional.
            classes: Class of each row, (B,), from 0; the number of classes itself means "no class", as None does.
        """
        emb, h = self.embedding(label, classes, x), self.first(x)
        for block in self.blocks:
            h = block(h, emb)
        out: Tensor = self.last(functional.silu(self.norm(h)))
        return out
