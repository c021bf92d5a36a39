"""How near each picture is to its own original: PSNR and SSIM, for reports of tasks.

They rank nothing. A mean of all that would fit what is known has the best values and is no picture: a grey picture
beats most colours.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from ..core.errors import UsageError
from .base import Estimate
from .moments import student

WINDOW, SPREAD = 11, 1.5
"""Side of the normal window of SSIM, and its deviation, in pixels."""
LEVEL = 255.0
"""The largest value."""
MARK = "PSNR and SSIM compare each sample with its own original and rank nothing: a mean of all answers has the best"


def _both(x: Tensor, original: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64, if they are pictures of one shape."""
    if x.shape != original.shape or x.ndim != 4 or x.dtype != torch.uint8 or original.dtype != torch.uint8:
        raise UsageError(
            "pictures and their originals are compared as bytes of one shape, (N, C, H, W), got "
            f"{tuple(x.shape)} {x.dtype} and {tuple(original.shape)} {original.dtype}"
        )
    return x.double(), original.double()


def psnr(x: Tensor, original: Tensor) -> Tensor:
    """10 log10(255²/MSE) of each picture, (N,), in dB; equal ones as if one value were off by one level.

    Args:
        x: Pictures, (N, C, H, W) uint8.
        original: What each of them should be, (N, C, H, W) uint8.

    Raises:
        UsageError: They are not bytes of one shape.
    """
    a, b = _both(x, original)
    errors = (a - b).square().flatten(1)
    return 10 * torch.log10(LEVEL**2 / errors.mean(1).clamp_min(1 / errors.shape[1]))


def ssim(x: Tensor, original: Tensor) -> Tensor:
    """(2 m m' + c)(2 s + c')/((m² + m'² + c)(v + v' + c')) of each picture, (N,): its mean over windows and channels.

    m, v and s are means, variances and covariance under a normal window of 11 pixels, c = (0.01 · 255)² and
    c' = (0.03 · 255)². Windows lie within the picture.

    Args:
        x: Pictures, (N, C, H, W) uint8, with at least 11 rows and columns.
        original: What each of them should be, (N, C, H, W) uint8.

    Raises:
        UsageError: They are not bytes of one shape, or too small.

    Reference: Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861, equation 13.
    """
    a, b = _both(x, original)
    if min(a.shape[2:]) < WINDOW:
        raise UsageError(f"SSIM needs pictures of at least {WINDOW} rows and columns, got {tuple(a.shape[2:])}")
    place = torch.arange(WINDOW, dtype=torch.float64, device=a.device) - WINDOW // 2
    weights = torch.exp(-0.5 * (place / SPREAD).square())
    weights = weights / weights.sum()

    def mean(values: Tensor) -> Tensor:
        each = values.flatten(0, 1)[:, None]
        return conv2d(conv2d(each, weights[None, None, :, None]), weights[None, None, None])

    m, n = mean(a), mean(b)
    v, w, s = mean(a * a) - m * m, mean(b * b) - n * n, mean(a * b) - m * n
    c, d = (0.01 * LEVEL) ** 2, (0.03 * LEVEL) ** 2
    found = (2 * m * n + c) * (2 * s + d) / ((m * m + n * n + c) * (v + w + d))
    return found.reshape(len(x), -1).mean(1)


def beside(x: Tensor, original: Tensor) -> list[Estimate]:
    """The means of PSNR and, of pictures that are large enough, SSIM, with a remark that they rank nothing.

    Args:
        x: Pictures, (N, C, H, W) uint8, with N at least 2.
        original: What each of them should be, (N, C, H, W) uint8.

    Raises:
        UsageError: They are not bytes of one shape.
    """
    found = {"PSNR": psnr(x, original)}
    found |= {"SSIM": ssim(x, original)} if min(x.shape[2:]) >= WINDOW else {}
    return [_mean(name, values) for name, values in found.items()]


def _mean(name: str, values: Tensor) -> Estimate:
    value, count = float(values.mean()), len(values)
    half = student(count) * float(values.std()) / count**0.5
    return Estimate(name, value, value - half, value + half, None, count, (MARK,))
