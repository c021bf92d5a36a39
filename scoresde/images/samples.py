"""Folders of samples: images of one size and kind."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..core.errors import DataError
from .listing import list_folder
from .read import pixels


def find_samples(folder: Path) -> tuple[list[Path], tuple[int, int, int]]:
    """The pictures in a folder and the folders inside it, and the shape they share.

    Of a folder that `scoresde sample` has written, those named by their seeds.

    Args:
        folder: The folder.

    Raises:
        DataError: There are none, one cannot be read, or they differ in size, colour or depth.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: give one of pictures, such as `scoresde sample` writes")
    listing = list_folder(folder, results=True)
    found = [folder / name for name in listing.pictures]
    drawn = {path: (path / "samples.json").exists() for path in {path.parent for path in found}}
    found = [path for path in found if path.stem.isdecimal() or not drawn[path.parent]]
    first: tuple[str, tuple[int, int]] | None = None
    for path in found:
        try:
            with Image.open(path) as picture:
                kind = picture.mode, picture.size
        except OSError as error:
            raise DataError(f"{path} cannot be read as a picture: {error}; repair or remove it") from None
        first = first or kind
        if kind[0] not in ("L", "RGB"):
            raise DataError(f"{path} has the mode {kind[0]}: save the samples as grey or RGB of 8 bits")
        if kind != first:
            (mode, (width, height)), (mode_0, (width_0, height_0)) = kind, first
            raise DataError(
                f"{path} is {width}x{height} {mode} where {found[0].name} is {width_0}x{height_0} {mode_0}: "
                "samples must have one size and one number of channels"
            )
    if first is None:
        raise listing.nothing(str(folder))
    return found, (3 if first[0] == "RGB" else 1, first[1][1], first[1][0])


def read_samples(paths: list[Path], shape: tuple[int, int, int]) -> Tensor:
    """The pictures as they are, (N, C, H, W) uint8.

    Args:
        paths: Files of pictures.
        shape: What they share, (C, H, W), as from `find_samples`.

    Raises:
        DataError: One cannot be read.
    """
    x = torch.empty(len(paths), *shape, dtype=torch.uint8)
    for row, path in zip(x, paths, strict=True):
        try:
            with Image.open(path) as picture:
                row.copy_(pixels(picture))
        except OSError as error:
            raise DataError(f"{path} cannot be read as a picture: {error}; repair or remove it") from None
    return x
