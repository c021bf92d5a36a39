"""Data that are already arrays, in an .npz or .npy file."""

from typing import Any

import numpy as np
from pydantic import Field
from torch import Tensor

from ..core.errors import DataError
from .base import Dataset, Images, Reduce, Split, data, reduced
from .held_out import HeldOut
from .levels import Levels, graded
from .meaning import meant
from .tensors import Tensors

Arrayed = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]
NAMES = {"train": ("images", "data", "x", "x_train", "arr_0"), "test": ("x_test",)}
"""What the array of a split is called in a file; that of the training split may also be the only one."""
LABELS = {"train": ("labels", "y", "y_train"), "test": ("y_test",)}
"""What the array of its labels is called."""


@data("npz")
class Arrays(HeldOut):
    """The array `images`, `data`, `x`, `x_train` or the only one of an .npz or .npy file, (N, *), with its labels.

    Bytes (N, H, W), (N, H, W, C) or (N, C, H, W) are images. Other numbers have mean 0 and deviation 1 for the network.
    Labels, (N,) whole numbers, are called `labels`, `y` or `y_train`; an array `x_test` is the test split.
    """

    test_path: str | None = Field(None, description="File of test items, instead of a held-out fraction of path.")
    reduce: Reduce = 1
    levels: Levels = None

    def load(self, split: Split) -> Dataset:
        """The items of a split, with their labels.

        Raises:
            DataError: The file cannot be read, or its arrays have another shape or type.
        """
        own = _arrays(self.path)
        apart = _arrays(self.test_path)["train"] if self.test_path else own.get("test")
        whole = self._meant(own["train"], f"the array of {self.path}")
        train = whole if apart else part(whole, self.chosen(len(whole), "train"))
        if split == "train":
            return train
        if apart:
            return self._meant(apart, f"the array of {self.test_path or self.path}", train)
        return part(whole, self.chosen(len(whole), "test"), train)

    def _meant(self, arrays: Arrayed, what: str, like: Dataset | None = None) -> Dataset:
        if self.reduce == 1:
            return meant(*arrays, what, like, self.levels)
        found = meant(*arrays, what, levels=256)  # means of few levels are more levels
        if not isinstance(found, Images):
            raise DataError(f"{self.path} holds other numbers than pictures, which cannot be reduced: leave out reduce")
        levels = like.levels if isinstance(like, Images) else self.levels
        return Images(*graded(reduced(found.pixels, self.reduce), levels, what), found.labels)


def part(whole: Dataset, index: Tensor, train: Dataset | None = None) -> Dataset:
    """Some of the items: with units of their own, or those of the training split.

    Args:
        whole: All of the items.
        index: Which of them, (B,).
        train: The training split.
    """
    items, labels = whole.items[index].contiguous(), None if whole.labels is None else whole.labels[index]
    if isinstance(whole, Tensors):
        return Tensors(items, labels, None if train is None else train.units, whole.class_names)
    return whole.having(items, labels)


def _arrays(path: str) -> dict[str, Arrayed]:
    """The arrays of the splits in a file, with their labels."""
    try:
        with open(path, "rb") as file:
            found = np.load(file, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return {"train": (found, None)}
            names = {name.lower(): name for name in found.files}
            chosen = {
                split: next((names[name] for name in NAMES[split] if name in names), None)
                for split in ("train", "test")
            }
            if chosen["train"] is None and len(names) == 1:
                (chosen["train"],) = names.values()
            picked = {split: name for split, name in chosen.items() if name is not None}
            arrays = {split: (found[name], _labels(found, names, split)) for split, name in picked.items()}
    except Exception as error:  # numpy answers a damaged file with errors of many kinds
        raise DataError(f"{path} cannot be read as an .npz or .npy file: {error}") from error
    if "train" not in arrays:
        holds = ", ".join(names.values()) or "nothing"
        raise DataError(f"{path} has no array called 'images' or 'x', and holds {holds}: numpy.savez(path, images=...)")
    return arrays


def _labels(found: Any, names: dict[str, str], split: str) -> np.ndarray[Any, Any] | None:
    return next((found[names[name]] for name in LABELS[split] if name in names), None)
