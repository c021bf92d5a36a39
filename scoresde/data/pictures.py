"""Picture files that become images of one size, with what their folders and tables say of them."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import BinaryIO, Literal

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import DataError
from ..images.decode import look
from ..images.listing import Listing, printable, summary
from ..images.read import read_picture
from .base import Images, Split
from .held_out import HeldOut
from .layout import Labels, layout
from .levels import LOWEST, Levels, graded, levels_of
from .tables import tables

LOG = logging.getLogger("scoresde")

Opened = tuple[Listing, Callable[[str], BinaryIO]]
"""What the names are, and a function that opens one."""


class Pictures(HeldOut):
    """Base of the sets of picture files. Each is resized by its shorter side, and its middle square cut out.

    Folders called train and test, or val, are the splits, in place of a share held out; folders that hold all
    pictures, each in one, are their classes. So is what the column `label` of metadata.csv or metadata.jsonl says; the
    column `file_name` of such a table names the pictures, and those below its folder without a row are left out.
    """

    size: int = Field(32, ge=8, description="Height and width to which images are resized.")
    channels: Literal[1, 3] = Field(3, description="3 for colour, 1 for grey.")
    labels: Labels = Field(
        None,
        description="Source of classes: folders, table, or false for none; by default it is detected.",
    )
    levels: Levels = None
    skip_bad: bool = Field(False, description="Leave out pictures that cannot be read, if they are fewer than half.")

    @abstractmethod
    def opened(self) -> AbstractContextManager[Opened]:
        """A context in which the pictures can be opened."""

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.size, self.size

    def load(self, split: Split) -> Images:
        """The images (channels, size, size) of a split, with labels where folders or a table name classes.

        Raises:
            DataError: There are no pictures, or one of them cannot be read, or half of them with `skip_bad`; or a table
                does not fit them; or they are of 16 bits and so dark that 8 hold few levels.
        """
        with self.opened() as (listing, opener):
            if not listing.pictures:
                raise listing.nothing(self.path)
            beside = tables(listing, opener, self.path)
            for sentence in (*listing.left_out(), *beside.left_out):
                LOG.warning("%s: %s", self.path, sentence)
            found = layout(beside.pictures, beside, self.labels, self.path)
            if self.labels and not found.classes:
                raise DataError(f"{self.path} names no classes of its pictures: {found.why}")

            def names(split: Split) -> list[str]:
                if found.test:
                    return found.train if split == "train" else found.test
                return [found.train[i] for i in self.chosen(len(found.train), split).tolist()]

            def read(name: str) -> Tensor:
                with opener(name) as file:
                    return read_picture(file, printable(name), self.size, self.channels)

            good, pixels = self._read(names(split), read)
            levels = self.levels
            if levels is None and split == "test":  # those of the training pictures, of which few show that it is 256
                levels = levels_of(picture for name in names("train") for picture in _if_good(read, name))
            elif levels is None and good and (largest := int(pixels.max())) < LOWEST:
                for name in good:
                    with opener(name) as file:
                        if look(file, printable(name))[1].startswith("I"):
                            raise DataError(
                                f"{self.path}: of 16 bits, as {printable(name)} has them, 8 are kept, and these are 0 "
                                f"to {largest} of 255: stretch the pictures to 0 to 65535, or give their numbers as an "
                                ".npy array, (N, 1, H, W)"
                            )
        labels = found.labels(good)
        kept, levels = graded(pixels, levels, f"the pictures of {self.path}")
        if labels is None:
            return Images(kept, levels)
        return Images(kept, levels, torch.tensor(labels), found.classes)

    def _read(self, names: list[str], read: Callable[[str], Tensor]) -> tuple[list[str], Tensor]:
        """The names of the pictures that can be read, and their pixels."""
        pixels = torch.empty(len(names), *self.shape, dtype=torch.uint8)
        bad: dict[str, DataError] = {}
        for row, name in zip(pixels, names, strict=True):
            try:
                row.copy_(read(name))
            except DataError as error:
                bad[name] = error
                if not self.skip_bad:
                    raise DataError(f"{self.path}: {error}; skip_bad=true leaves out what is bad") from error
                if 2 * len(bad) >= len(names):
                    raise DataError(f"{self.path}: {summary(bad.values(), len(names))}: half or more") from error
        if bad:
            LOG.warning("%s: left out: %s", self.path, summary(bad.values(), len(names)))
            pixels = pixels[torch.tensor([name not in bad for name in names])]
        return [name for name in names if name not in bad], pixels


def _if_good(read: Callable[[str], Tensor], name: str) -> Iterator[Tensor]:
    with suppress(DataError):
        yield read(name)
