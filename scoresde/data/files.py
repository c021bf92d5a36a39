"""The user's own images, in a folder or a zip file."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from lzma import LZMAError
from pathlib import Path
from typing import BinaryIO

from ..core.errors import DataError
from ..images.listing import list_folder, printable, sort_out
from .base import data
from .pictures import Opened, Pictures

MEMBER = 2**30
"""Bytes of the largest file that is unpacked from a zip file, which is done in memory."""


@data("folder")
class Folder(Pictures):
    """All pictures in a folder and the folders inside it, linked ones too."""

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """The pictures by their path inside the folder."""
        root = Path(self.path)
        if not root.is_dir():
            raise DataError(f"{self.path} is not a folder: give the path of a folder of pictures")

        def read(name: str) -> BinaryIO:
            try:
                return (root / name).open("rb")
            except OSError as error:
                raise DataError(f"{printable(name)} cannot be opened: {error.strerror}") from error

        yield list_folder(root), read


@data("zip")
class Zip(Pictures):
    """All pictures in a zip file, which is read without being unpacked."""

    @contextmanager
    def opened(self) -> Iterator[Opened]:
        """The pictures by their path inside the zip file."""
        try:
            archive = zipfile.ZipFile(self.path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DataError(f"{self.path} cannot be read as a zip file: {error}") from error
        members = {called(info): info for info in archive.infolist() if not info.is_dir()}

        def read(name: str) -> BinaryIO:
            if members[name].file_size > MEMBER:
                raise DataError(f"{printable(name)} unpacks to more than {MEMBER:,} bytes")
            try:
                return io.BytesIO(archive.read(members[name]))
            except (OSError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, LZMAError) as error:
                raise DataError(f"{printable(name)} cannot be unpacked: {error}") from error

        with archive:
            yield sort_out(members), read


def called(info: zipfile.ZipInfo) -> str:
    """The path of a file in a zip file, with / between folders.

    Some programs write UTF-8 without saying so, which is then read as the code page 437, and some write \\ for /.

    Args:
        info: What the zip file says of the file.
    """
    name = info.filename
    if not info.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")
