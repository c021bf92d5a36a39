"""Image sets that torchvision downloads once and checks: CIFAR-10, MNIST and Fashion-MNIST."""

import importlib
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field

from ..core.errors import DataError
from .base import DataOptions, Images, Reduce, Split, data, reduced


class Downloaded(DataOptions):
    """Base of the sets that torchvision knows.

    The images are read from `root`, laid out as torchvision lays them out, and downloaded if they are not there.
    """

    root: str = Field("data", min_length=1, description="Folder of the data set.")
    download: bool = Field(True, description="Download the data set if it is not in root.")
    reduce: Reduce = 1

    kind: ClassVar[str]
    """Name of the class in torchvision.datasets."""
    home: ClassVar[str]
    """Where below `root` the files lie."""
    image: ClassVar[tuple[int, int, int]] = (1, 28, 28)
    """Shape of one image, (C, H, W)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.image
        return channels, height // self.reduce, width // self.reduce

    def load(self, split: Split) -> Images:
        """The images of a split, with labels.

        Raises:
            DataError: The files are missing and not downloaded, or damaged.
        """
        folder = Path(self.root) / self.home
        try:
            source = getattr(importlib.import_module("torchvision.datasets"), self.kind)
        except ImportError as error:
            raise DataError(f"{self.name} needs torchvision, which cannot be imported ({error})") from error
        try:
            loaded: Any = source(self.root, train=split == "train", download=self.download)
        except Exception as error:  # torchvision, pickle, gzip and the network each raise errors of their own
            raise DataError(f"{self.name} cannot be loaded: {self._advice(folder)} ({error})") from error
        pixels = torch.as_tensor(loaded.data)
        # MNIST is (N, H, W), CIFAR-10 (N, H, W, C).
        pixels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()
        labels = torch.as_tensor(loaded.targets, dtype=torch.int64)
        names = tuple(name.removeprefix(f"{label} - ") for label, name in enumerate(loaded.classes))  # "0 - zero"
        return Images(reduced(pixels, self.reduce), labels=labels, class_names=names)

    def _advice(self, folder: Path) -> str:
        if not self.download:
            return f"its files are missing from {folder} or damaged; give the right root, or set download to true"
        return f"its files in {folder} are damaged (remove them) or could not be downloaded (put them there by hand)"


@data("cifar10")
class CIFAR10(Downloaded):
    """60,000 photographs of 32x32 pixels in ten classes: 50,000 to train with, 10,000 to test with.

    Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
    """

    shows: ClassVar[str] = "50,000 photographs of ten kinds of animals and vehicles (CIFAR-10)"
    kind: ClassVar[str] = "CIFAR10"
    home: ClassVar[str] = "cifar-10-batches-py"
    image: ClassVar[tuple[int, int, int]] = (3, 32, 32)


@data("mnist")
class MNIST(Downloaded):
    """70,000 hand-written digits of 28x28 pixels, grey: 60,000 to train with, 10,000 to test with.

    Source: LeCun et al. 1998, http://yann.lecun.com/exdb/mnist.
    """

    shows: ClassVar[str] = "60,000 hand-written digits (MNIST)"
    kind: ClassVar[str] = "MNIST"
    home: ClassVar[str] = "MNIST/raw"


@data("fashion-mnist")
class FashionMNIST(Downloaded):
    """70,000 pictures of clothes of 28x28 pixels, grey: 60,000 to train with, 10,000 to test with.

    Source: Xiao et al. 2017, https://arxiv.org/abs/1708.07747, under the MIT licence.
    """

    shows: ClassVar[str] = "60,000 pictures of ten kinds of clothes (Fashion-MNIST)"
    kind: ClassVar[str] = "FashionMNIST"
    home: ClassVar[str] = "FashionMNIST/raw"
