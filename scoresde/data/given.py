"""Data given in Python, as arrays or data sets."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from pydantic import Field, PrivateAttr
from torch import Tensor
from torch.utils.data import Dataset as Pairs
from torch.utils.data import TensorDataset

from ..core.errors import DataError, UsageError
from .base import DataOptions, Dataset, Images, Split, data
from .meaning import kind_of, listed, meant, pairs
from .tensors import Tensors


@data("given")
class GivenData(DataOptions):
    """Data that Python has handed over: no file holds them, so only their number and a digest can be written down."""

    count: int = Field(ge=1, description="Number of training items.")
    sha256: str = Field(description="Digest of the training items and their labels.")
    _splits: Mapping[str, Dataset] | None = PrivateAttr(None)

    @classmethod
    def of(cls, train: Dataset, test: Dataset | None = None) -> Self:
        """The set with these training items and, for measurements, these held-out ones, in the units of the first.

        Args:
            train: Items that are trained on.
            test: Items that are not, or None if nothing will be measured on any.

        Raises:
            DataError: The two differ in kind, shape or grey levels.
        """
        made = cls(count=len(train), sha256=digest(train))
        if test is not None and kind_of(test) != kind_of(train):
            kinds = f"the held-out data are {kind_of(test)}, and the training data {kind_of(train)}"
            raise DataError(f"{kinds}: give both alike")
        if isinstance(test, Tensors):
            test = replace(test, measure=train.units)
        made._splits = {"train": train} | ({} if test is None else {"test": test})
        return made

    @property
    def shape(self) -> tuple[int, ...] | None:
        return self._splits["train"].shape if self._splits else None

    def load(self, split: Split) -> Dataset:
        """The items of a split.

        Raises:
            UsageError: The split was not given, or what is loaded is only the record of a set.
        """
        if self._splits is None:
            raise UsageError(f"the {self.count} items were given in Python and are in no file: name another data set")
        if split not in self._splits:
            raise UsageError("there are no held-out data to measure with: give held_out, or measure nothing")
        return self._splits[split]


def digest(found: Dataset) -> str:
    """The SHA-256 of the shape, levels, items and labels of a set.

    Args:
        found: The set.
    """
    kind = found.levels if isinstance(found, Images) else "float32"
    sha256 = hashlib.sha256(f"{tuple(found.items.shape)} {kind}".encode())
    for tensor in (found.items, found.labels):
        if tensor is not None:
            sha256.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return sha256.hexdigest()


def as_dataset(x: Any, like: Dataset | None = None) -> Dataset:
    """Data as they are, or what an array, a list, pictures or a data set of PyTorch or Hugging Face mean; see `meant`.

    Args:
        x: `Images`, `Tensors`, an array or tensor (N, *), such an array with its labels as a tuple, or a data set of
            items or of pairs (item, label).
        like: The training data, for held-out ones.

    Raises:
        DataError: It could mean two things, or nothing.
    """
    if isinstance(x, Dataset):
        return x
    if isinstance(x, TensorDataset):
        x = x.tensors[:2]
    elif listed(x) or (hasattr(x, "__len__") and (isinstance(x, Pairs) or hasattr(x, "column_names"))):
        x = pairs(x)
    if isinstance(x, tuple) and len(x) == 1:
        return meant(x[0], like=like)
    if isinstance(x, tuple) and len(x) == 2 and all(isinstance(part, Tensor | np.ndarray) for part in x):
        return meant(x[0], x[1], like=like)
    return meant(x, like=like)
