"""Known values of a sample: pixels around a hole, columns of a table, the past of a series."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.errors import UsageError
from ..core.sentences import an, many
from .base import OrthogonalObservation
from .given import not_negative

MaskLike = Tensor | np.ndarray[Any, Any] | Sequence[Any] | Image.Image


class Pixels(OrthogonalObservation):
    """Inpainting and imputation: y is a sample, which is known where the mask is 1.

    Samples may have any shape. The mask has the same shape, or lacks the first axis, as (H, W) for images (C, H, W); it
    then applies to all channels. Or there is one such mask for each of B samples. In a mask file of the command line
    white is the hole; here 1, true and white mean known.

    Args:
        mask: bool, zeros and ones, or 0 and 255, such as (H, W), (B, 1, H, W), (D,) for vectors or (C, L) for series;
            or a picture of black and white.
        noise: σ_y, the standard deviation of the measurement's error; 0 for exact pixels.

    Raises:
        UsageError: The mask has other values.

    Example:
        >>> import numpy as np, scoresde, torch
        >>> mask = np.zeros((4, 4), dtype=bool)
        >>> mask[:2] = True  # the upper half is known
        >>> float(scoresde.Pixels(mask).forward(torch.ones(1, 3, 4, 4)).mean())
        0.5
        >>> scoresde.Pixels([True, False]).forward(torch.ones(1, 2))
        tensor([[1., 0.]])
    """

    shape: tuple[int, ...] | None = None
    """Shape of one sample, once it is known."""

    @property
    def gain(self) -> float:
        return 1.0

    def __init__(self, mask: MaskLike, noise: float = 0.0) -> None:
        self.mask, self.noise = bits(mask), not_negative(noise)

    @property
    def bound(self) -> int | None:
        # Before the shape of the samples is known, (B, 1, H, W) is for pictures, and all else one mask.
        rows = self.shape is not None or (self.mask.ndim == 4 and self.mask.shape[1] == 1)
        return len(self.mask) if rows and len(self.mask) > 1 else None

    def of_shape(self, shape: tuple[int, ...]) -> "Pixels":
        if self.shape == shape:
            return self
        return self._with(placed(self.mask, shape), shape)

    def of_rows(self, rows: Sequence[int]) -> "Pixels":
        return self if self.bound is None else self._with(self.mask[list(rows)], self.shape)

    def _with(self, mask: Tensor, shape: tuple[int, ...] | None) -> "Pixels":
        found = Pixels(mask, self.noise)
        found.shape = shape
        return found

    def known(self, x: Tensor) -> Tensor:
        """Where samples are known, (1 or B, *) or (1 or B, 1, ...) for all channels, bool, on the device of x.

        Args:
            x: Samples, (B, *).

        Raises:
            UsageError: The mask does not fit them.
        """
        mask = self.of_shape(tuple(x.shape[1:])).mask
        if len(mask) not in (1, len(x)):
            raise UsageError(
                f"there are masks for {many(len(mask), 'sample')}, got {len(x)}: give one, or one for each"
            )
        return mask.to(x.device)

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.known(x), x, 0)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.forward(y)

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.where(self.known(x), y - x, 0)

    def write(self, x: Tensor, y: Tensor) -> Tensor:
        return x if self.noise else torch.where(self.known(x), y, x)


def bits(mask: MaskLike) -> Tensor:
    """A mask of two values as bool, in the shape that it has.

    Args:
        mask: bool, zeros and ones, or 0 and 255; or a picture.

    Raises:
        UsageError: It holds other values, or none.
    """
    if isinstance(mask, Image.Image):
        if mask.has_transparency_data:
            raise UsageError("a mask that is a picture has no transparency: mask.convert('L') takes it away")
        mask = np.array(mask.convert("L"))
    try:
        found = (
            mask if isinstance(mask, Tensor) else torch.from_numpy(np.array(mask))
        )  # a copy, which can be written to
    except (TypeError, ValueError):
        raise UsageError(
            f"a mask is an array, a tensor or a picture, got {an(type(mask).__name__)} of other things: several "
            "observations are Stacked(a, b)"
        ) from None
    most = 255 if found.numel() and bool((found == 255).any()) else 1
    if not found.numel() or not bool(((found == 0) | (found == most)).all()):
        raise UsageError(
            "a mask holds only 1, for known pixels, and 0, for those to be drawn, or 255 and 0: compare the values "
            "with a threshold, as mask > 0.5"
        )
    return found.bool()


def placed(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A mask on samples of a shape: (B, *), or (B, 1, ...) where the channels agree, with B = 1 for all samples.

    Args:
        mask: As `Pixels` takes it, bool.
        shape: Of one sample, *.

    Raises:
        UsageError: It does not fit.
    """
    places, inner = len(shape) > 1, mask
    while True:
        size = tuple(inner.shape)
        if places and size == shape[1:]:
            return inner[None, None]
        if size == shape or (places and size == (1, *shape[1:])):
            return _merged(inner[None], places)
        if size[1:] == shape or (places and size[1:] == (1, *shape[1:])):
            return _merged(inner, places)
        if len(shape) == 3 and size[:-1] == shape[1:] and bool((inner == inner[..., :1]).all()):
            return inner[None, None, ..., 0]  # a picture (H, W, C)
        if len(size) < 2 or size[0] != 1:
            break
        inner = inner[0]
    alike = [f"{shape}", *([f"{shape[1:]} for all channels"] if places else [])]
    raise UsageError(
        f"a mask of shape {tuple(mask.shape)} does not fit samples of shape {shape}: it has the shape "
        f"{' or '.join(alike)}, or {('B', *shape)} for one each".replace("'", "")
    )


def _merged(mask: Tensor, places: bool) -> Tensor:
    """(B, 1, ...) of (B, *) where all channels agree."""
    return mask[:, :1] if places and bool((mask == mask[:, :1]).all()) else mask
