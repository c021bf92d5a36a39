"""A small U-Net with batch normalisation, as in the notebooks that teach diffusion."""

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from ..core.errors import UsageError
from .base import NetworkOptions, networks, picture
from .embedding import sinusoids
from .inputs import halvable


@networks("basic")
class BasicOptions(NetworkOptions):
    """Blocks of two convolutions with batch normalisation, each halving or doubling the resolution.

    The defaults have 3,712,257 parameters on images of one channel; widths = 24/48/96, embedding = 192, kernel = 2 and
    middle = true make a network of 678,961, which learns faster on Fashion-MNIST. On images of three channels, widths =
    64/128/256/512/1024 and embedding = 32 have 62,438,883.
    """

    widths: tuple[PositiveInt, ...] = Field((64, 128, 256), min_length=2, description="Channels of each resolution.")
    embedding: int = Field(64, ge=4, multiple_of=2, description="Length of the time embedding.")
    kernel: int = Field(3, ge=1, le=7, description="Kernel size of the first convolution.")
    middle: bool = Field(False, description="A convolution at the lowest resolution.")
    skip_scale: float = Field(
        1.0, gt=0, description="Factor of the skip connections; 1/√2 keeps the variance of a sum."
    )

    def build(self, shape: tuple[int, ...]) -> "BasicUNet":
        """The module for images of shape (C, H, W), with fresh weights from torch's global generator.

        Raises:
            UsageError: The samples are no images, a side cannot be halved as often as there are resolutions, or
                classes are asked for.
        """
        picture(shape)
        halvable(shape[1:], len(self.widths) - 1)
        if self.classes:
            raise UsageError("the basic network takes no classes: set network.classes = 0, or take the unet")
        return BasicUNet(self, shape)


class Block(nn.Module):
    """norm(relu(conv(x))) + time, a second norm(relu(conv)), and a (transposed) convolution of stride 2.

    Args:
        inputs: Channels of x.
        width: Channels of the output.
        embedding: Length E of the time embedding.
        up: Whether the resolution is doubled; otherwise it is halved.
    """

    def __init__(self, inputs: int, width: int, embedding: int, *, up: bool) -> None:
        super().__init__()
        self.time = nn.Linear(embedding, width)
        self.conv1, self.norm1 = nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        resample = nn.ConvTranspose2d if up else nn.Conv2d
        self.resample = resample(width, width, 4, stride=2, padding=1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """(B, inputs, H, W) and (B, E) -> (B, width, H/2, W/2), or twice H and W on the way up.

        Args:
            x: The feature map, (B, inputs, H, W).
            emb: The time embedding, (B, E).
        """
        h = self.norm1(functional.relu(self.conv1(x)))
        h = h + functional.relu(self.time(emb))[:, :, None, None]
        out: Tensor = self.resample(self.norm2(functional.relu(self.conv2(h))))
        return out


class BasicUNet(nn.Module):
    """net(x, label): x (B, C + extra, H, W) and label (B,) -> (B, C, H, W), or (B, 2C, H, W) with the variance.

    Args:
        options: The architecture.
        shape: Channels, height and width of one image.
    """

    def __init__(self, options: BasicOptions, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.options, widths, embedding = options, options.widths, options.embedding
        self.time = nn.Linear(embedding, embedding)
        self.first = nn.Conv2d(shape[0] + options.extra_channels, widths[0], options.kernel)
        self.down = nn.ModuleList([Block(a, b, embedding, up=False) for a, b in zip(widths, widths[1:], strict=False)])
        self.middle = nn.Conv2d(widths[-1], widths[-1], 3, padding=1) if options.middle else nn.Identity()
        falling = widths[::-1]
        self.up = nn.ModuleList(
            [Block(2 * a, b, embedding, up=True) for a, b in zip(falling, falling[1:], strict=False)]
        )
        self.last = nn.Conv2d(widths[0], (2 if options.learned_variance else 1) * shape[0], 1)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """The network's output at the times label, (B,).

        Args:
            x: The image and the channels of a condition, (B, C + extra, H, W).
            label: The time as the network takes it, (B,).
        """
        emb = functional.relu(self.time(sinusoids(label, self.options.embedding).to(x.dtype)))
        left, right = (self.options.kernel - 1) // 2, self.options.kernel // 2
        x = self.first(functional.pad(x, (left, right, left, right)))
        skips, scale = [], self.options.skip_scale
        for block in self.down:
            x = block(x, emb)
            skips.append(x)
        x = self.middle(x)
        for block in self.up:
            x = block(torch.cat([x, skips.pop() if scale == 1 else scale * skips.pop()], 1), emb)
        out: Tensor = self.last(x)
        return out
