"""Data sets. One file per source; adding a file adds a data set."""

from typing import TYPE_CHECKING

from .base import DataOptions, Dataset, Images, data
from .tensors import Tensors

if TYPE_CHECKING:  # for editors; at run time a class is imported when it is asked for
    from .arrays import Arrays as Arrays
    from .cifar100 import CIFAR100 as CIFAR100
    from .downloaded import CIFAR10 as CIFAR10
    from .downloaded import MNIST as MNIST
    from .downloaded import FashionMNIST as FashionMNIST
    from .embedded import Digits as Digits
    from .embedded import Photos as Photos
    from .files import Folder as Folder
    from .files import Zip as Zip
    from .given import GivenData as GivenData
else:
    __getattr__, __dir__ = data.members(globals())

__all__ = ["DataOptions", "Dataset", "Images", "Tensors", "data"]
