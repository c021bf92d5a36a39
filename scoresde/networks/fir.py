"""Halving and doubling of feature maps through a filter, alone or joined with a convolution of 3x3 pixels."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class FIR(nn.Module):
    """Convolution with k kᵀ, for a filter k with the sum 1, after zeros between pixels or before every second.

    Args:
        taps: The filter k, at least two numbers, up to its scale.

    Reference: Karras et al. 2020, https://arxiv.org/abs/1912.04958, appendix B.
    """

    kernel: Tensor

    def __init__(self, taps: tuple[float, ...]) -> None:
        super().__init__()
        k = torch.tensor(taps, dtype=torch.float64)
        kernel = (k[:, None] * k / k.sum().square()).float()
        self.register_buffer("kernel", kernel, persistent=False)

    def _weight(self, x: Tensor) -> Tensor:
        return self.kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)

    def _filtered(self, x: Tensor, before: int, after: int, stride: int = 1) -> Tensor:
        x = functional.pad(x, (before, after, before, after))
        return functional.conv2d(x, self._weight(x).flip(2, 3), stride=stride, groups=x.shape[1])

    def down(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H/2, W/2): filtered, then every second pixel.

        Args:
            x: The feature map, with even sides.
        """
        more = len(self.kernel) - 2
        return self._filtered(x, (more + 1) // 2, more // 2, stride=2)

    def up(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W): zeros between the pixels, then filtered, at the scale of x.

        Args:
            x: The feature map.
        """
        more, (height, width) = len(self.kernel) - 2, x.shape[2:]
        out = functional.conv_transpose2d(x, 4 * self._weight(x), stride=2, groups=x.shape[1])
        first = more - (more + 1) // 2
        return out[:, :, first : first + 2 * height, first : first + 2 * width]

    def conv_down(self, x: Tensor, conv: nn.Conv2d) -> Tensor:
        """(B, C, H, W) -> (B, C', H/2, W/2): filtered, then a convolution at every second pixel.

        Args:
            x: The feature map, with even sides.
            conv: From C to C' channels, of 3x3 pixels with stride 2 and no padding.
        """
        taps = len(self.kernel)
        out: Tensor = conv(self._filtered(x, (taps + 1) // 2, taps // 2))
        return out

    def conv_up(self, x: Tensor, conv: nn.Conv2d) -> Tensor:
        """(B, C, H, W) -> (B, C', 2H, 2W): a convolution of the pixels with zeros between them, then filtered.

        Args:
            x: The feature map.
            conv: Whose weight (C', C, 3, 3) and bias are taken.
        """
        more = len(self.kernel) - 4
        x = functional.conv_transpose2d(x, conv.weight.flip(2, 3).transpose(0, 1), stride=2)
        x = 4 * self._filtered(x, (more + 1) // 2 + 1, more // 2 + 1)
        return x if conv.bias is None else x + conv.bias[:, None, None]
