"""A fixed random part of an image set, held out for testing."""

from pydantic import Field
from torch import Tensor

from ..core.errors import DataError
from ..core.random import permutation, stream
from ..core.sentences import many
from .base import DataOptions, Split


class HeldOut(DataOptions):
    """Base of the sets without a test split of their own: a fixed random share is held out for testing."""

    path: str = Field(min_length=1, description="Path of the images.")
    held_out: float = Field(0.1, ge=0, lt=1, description="Fraction of the images that is held out for testing.")

    def chosen(self, count: int, split: Split) -> Tensor:
        """Which of `count` images belong to a split, in rising order; it depends on the count and the share alone.

        Args:
            count: How many images there are.
            split: "train" or "test".

        Raises:
            DataError: The split has no image.
        """
        test = min(max(1, round(count * self.held_out)), count - 1) if self.held_out else 0
        if split == "test" and test == 0:
            raise DataError(
                f"none of the {many(count, 'image')} of {self.path} is held out for testing at a share of "
                f"{self.held_out:g}: give at least two images and a share above 0"
            )
        order = permutation(count, stream(0, "held out"))
        return (order[:test] if split == "test" else order[test:]).sort().values
