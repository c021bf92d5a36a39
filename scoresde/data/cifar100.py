"""CIFAR-100."""

from typing import ClassVar

from .base import data
from .downloaded import Downloaded


@data("cifar100")
class CIFAR100(Downloaded):
    """60,000 photographs of 32x32 pixels in a hundred classes: 50,000 to train with, 10,000 to test with.

    Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
    """

    shows: ClassVar[str] = "50,000 photographs of a hundred kinds of things (CIFAR-100)"
    kind: ClassVar[str] = "CIFAR100"
    home: ClassVar[str] = "cifar-100-python"
    image: ClassVar[tuple[int, int, int]] = (3, 32, 32)
