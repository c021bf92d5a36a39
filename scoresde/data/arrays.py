"""Images that are already arrays, in an .npz file."""

from typing import Any

import numpy as np
import torch
from pydantic import Field

from ..core.errors import DataError
from .base import Images, Reduce, Split, data, reduced
from .held_out import HeldOut


@data("npz")
class Arrays(HeldOut):
    """The array `images`, (N, H, W, C) or (N, H, W) uint8, of an .npz file, with `labels`, (N,), if it has them."""

    test_path: str | None = Field(None, description="File of the test images, in place of a share held out of path.")
    reduce: Reduce = 1

    def load(self, split: Split) -> Images:
        """The images (C, H, W) of a split, with their labels.

        Raises:
            DataError: The file cannot be read, or its arrays have another shape or type.
        """
        images, labels = _arrays(self.test_path if self.test_path and split == "test" else self.path)
        index = torch.arange(len(images)) if self.test_path else self.chosen(len(images), split)
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2)[index].contiguous()
        return Images(reduced(pixels, self.reduce), labels=None if labels is None else torch.from_numpy(labels)[index])


def _arrays(path: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("images", "labels") if name in archive.files}
    except Exception as error:  # numpy answers a damaged file with errors of many kinds
        raise DataError(f"{path} cannot be read as an .npz file: {error}") from error
    images, labels = arrays.get("images"), arrays.get("labels")
    if images is None:
        raise DataError(f"{path} has no array called 'images': save one with numpy.savez(path, images=...)")
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] not in (1, 3) or not len(images):
        raise DataError(
            f"'images' of {path} must be (N, H, W), (N, H, W, 1) or (N, H, W, 3) of uint8, "
            f"got {arrays['images'].shape} of {images.dtype}"
        )
    if labels is not None and (labels.shape != images.shape[:1] or labels.dtype.kind not in "iu"):
        raise DataError(
            f"'labels' of {path} must be one whole number for each of {len(images)} images, "
            f"got {labels.shape} of {labels.dtype}"
        )
    return images, None if labels is None else labels.astype(np.int64)
