"""Rows of numbers in a .csv or .tsv file."""

import torch

from .arrays import part
from .base import Dataset, Split, data
from .columns import columns, is_number
from .held_out import HeldOut
from .tensors import Tensors


@data("csv")
class Table(HeldOut):
    """The rows of a .csv or .tsv file as vectors, (N, D), in the units of the file.

    For the network each column has mean 0 and deviation 1. The first line may name the columns. A column called `label`
    or `class` holds the class of each row, by whole numbers from 0 or by names.
    """

    def load(self, split: Split) -> Dataset:
        """The rows of a split, with their classes.

        Raises:
            DataError: The file cannot be read, or a cell of it is not a number.
        """
        values, kinds = columns(self.path)
        numbered = all(is_number(kind) and float(kind) % 1 == 0 for kind in kinds)
        names = [] if numbered else sorted({*kinds})
        labels = [int(float(kind)) if numbered else names.index(kind) for kind in kinds]
        rows = Tensors(values, torch.tensor(labels) if kinds else None, class_names=tuple(names))
        train = part(rows, self.chosen(len(rows), "train"))
        return train if split == "train" else part(rows, self.chosen(len(rows), "test"), train)
