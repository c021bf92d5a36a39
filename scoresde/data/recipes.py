"""The data set that a model was trained on, as its recipe names it."""

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from ..core.errors import DataError, UsageError
from ..core.options import table
from .base import DataOptions, Dataset, Images, Split, data, pictures
from .given import digest
from .held_out import HeldOut


def trained_on(recipe: Mapping[str, Any], model: str) -> DataOptions:
    """The data set in a model's recipe.

    Args:
        recipe: What the model's folder says of how it came about.
        model: What an error calls the model.

    Raises:
        UsageError: The recipe names none.
    """
    if "data" not in recipe:
        raise UsageError(f"{model} does not say what it was trained on: name a data set or files (--data)")
    return data.build(recipe["data"])


def digests(options: DataOptions, training: str) -> dict[str, str]:
    """What a recipe keeps of the splits of a set, by which `loaded` notices that they are others.

    Args:
        options: The set. Only what is read from files of the user can change.
        training: Digest of its training items.
    """
    if not isinstance(options, HeldOut):
        return {}
    found = {"train": training}
    with contextlib.suppress(DataError):  # nothing is held out
        found["test"] = digest(options.load("test"))
    return found


def loaded(options: DataOptions, split: Split, recipe: Mapping[str, Any], model: str) -> Dataset:
    """The items of a split of a set. If a model was trained on this set, other items than then are a warning.

    Args:
        options: The set.
        split: "train" or "test".
        recipe: What the model's folder says of how it came about.
        model: What a warning calls the model.

    Raises:
        UsageError, DataError: The set cannot be read.
    """
    found = options.load(split)
    known = recipe.get("digests", {}).get(split) if recipe.get("data") == table(options) else None
    if known is not None and digest(found) != known:
        logging.getLogger("scoresde").warning(
            "the %s data of %s are not those of the training of %s: some were added, taken away or changed, or the "
            "path leads elsewhere now%s",
            *("held-out" if split == "test" else "training", getattr(options, "path", options.name), model),
            "; some may have been trained on" if split == "test" else "",
        )
    return found


def images_of(recipe: Mapping[str, Any], model: str, name: str | None, split: Split) -> tuple[str, Images]:
    """What a split of a data set is called, and its images.

    Args:
        recipe: As for `trained_on`.
        model: As for `trained_on`.
        name: The data set, such as "digits" or "npz:path=images.npz"; None is the one that the model was trained on.
        split: "train" or "test".

    Raises:
        UsageError, DataError: There is no such set, or it cannot be read.
    """
    options: DataOptions = trained_on(recipe, model) if name is None else data.parse(name)
    return f"{options.name} {split}", pictures(loaded(options, split, recipe, model))
