"""The user's own pictures, in a folder or a zip file."""

import io
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import torch
from pydantic import Field

from ..core.errors import DataError
from ..images.read import SUFFIXES, leave_out, picture_names, read_picture
from .base import Images, Split, data
from .held_out import HeldOut

Opened = tuple[list[str], Callable[[str], BinaryIO]]
"""The sorted names of the pictures, and a function that opens a name."""


class Pictures(HeldOut):
    """Base of the sets of picture files. Each is resized by its shorter side, and its middle square cut out."""

    size: int = Field(32, ge=8, description="Height and width that the images get.")
    channels: Literal[1, 3] = Field(3, description="3 for colour, 1 for grey.")
    skip_bad: bool = Field(False, description="Leave out pictures that cannot be read, if they are at most 1 %.")

    @abstractmethod
    def opened(self) -> AbstractContextManager[Opened]:
        """A context in which the pictures can be opened."""

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.size, self.size

    def load(self, split: Split) -> Images:
        """The images (channels, size, size) of a split, without labels.

        Raises:
            DataError: There are no pictures, or one of them cannot be read, or more than 1 % with `skip_bad`.
        """
        with self.opened() as (names, opener):
            if not names:
                raise DataError(f"{self.path} holds no pictures, files that end in {', '.join(sorted(SUFFIXES))}")
            index = self.chosen(len(names), split).tolist()
            pixels = torch.empty(len(index), self.channels, self.size, self.size, dtype=torch.uint8)
            good = torch.ones(len(index), dtype=torch.bool)
            for row, i in enumerate(index):
                try:
                    with opener(names[i]) as file:
                        pixels[row] = read_picture(file, f"{self.path}: {names[i]}", self.size, self.channels)
                except DataError as error:
                    good[row] = False
                    leave_out(error, int((~good).sum()), len(index) if self.skip_bad else 0)
        return Images(pixels[good])


@data("folder")
class Folder(Pictures):
    """All pictures in a folder and the folders inside it."""

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """The pictures by their path inside the folder."""
        root = Path(self.path)
        if not root.is_dir():
            raise DataError(f"{self.path} is not a folder: give the path of a folder of pictures")
        names = [file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file()]
        yield picture_names(names), lambda name: (root / name).open("rb")


@data("zip")
class Zip(Pictures):
    """All pictures in a zip file, which is read without being unpacked."""

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """The pictures by their path inside the zip file."""
        try:
            archive = zipfile.ZipFile(self.path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{self.path} cannot be read as a zip file: {error}") from error

        def read(name: str) -> BinaryIO:
            try:
                return io.BytesIO(archive.read(name))
            except (OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
                raise DataError(f"{self.path}: {name} cannot be unpacked: {error}") from error

        with archive:
            yield picture_names(archive.namelist()), read
