"""The data set that a model was trained on, as its recipe names it."""

from collections.abc import Mapping
from typing import Any

from ..core.errors import UsageError
from .base import DataOptions, Images, Split, data, pictures


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
    return f"{options.name} {split}", pictures(options.load(split))
