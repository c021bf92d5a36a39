"""Problems whose posterior is known: a mixture of normal laws, and what is measured of its samples."""

import hashlib
from abc import ABC, abstractmethod
from functools import cached_property
from importlib import metadata
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BeforeValidator, Field, PlainSerializer
from torch import Tensor

from ...core.errors import DataError
from ...core.options import Registry, WrittenOptions, table
from ...core.random import permutation, rand, randn, stream
from ...data import DataOptions, data
from ...data.base import pictures, reduced
from ...data.downloaded import CIFAR10
from ...data.embedded import Photos
from ...models.gaussian import GaussianMixtureModel
from ...observations import Blur, ChannelMean, Downsample, LinearObservation, LinearOperator, Luma, Pixels
from ..problems import image_mixture
from .mixtures import FITTED, GRID_SCALE, GRID_SIZE, fitted, grid25

SIDE = 8
"""Height and width of the images that a mixture is fitted to."""
BINOMIAL = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)

DataOption = Annotated[
    DataOptions,
    BeforeValidator(data.parse),
    PlainSerializer(table),
]


class PosteriorProblem(WrittenOptions, ABC):
    """A mixture, and what is measured of its samples. As text: "grid25:rows=2" or "colour16:task=inpaint"."""

    @property
    def title(self) -> str:
        """The problem in a word."""
        return str(self)

    @abstractmethod
    def model(self) -> GaussianMixtureModel:
        """The prior.

        Raises:
            DataError: The images that it is fitted to cannot be loaded, or are none that it can be fitted to.
        """

    @abstractmethod
    def observation(self, number: int) -> LinearObservation:
        """The observation of one group of measurements.

        Args:
            number: Number of the group.
        """

    def identity(self) -> dict[str, Any]:
        """What determines the prior and the measurements, as JSON holds it."""
        return table(self)


problems: Registry[PosteriorProblem] = Registry("posterior problem", "scoresde.bench.conditional")


@problems("grid25")
class Grid25(PosteriorProblem):
    """A grid of 25 modes in 8 dimensions, y = A x + σ_y n with few rows; each measurement has its own A and σ_y.

    The means are (-8 i, -8 j), i, j = -2 .. 2, repeated up to 8 dimensions, the covariances I, the weights χ²; A has
    random axes and singular values U(0, 1), and σ_y is U(0, 1) times the largest. All is divided by 16, so that data
    are in [-1, 1] or near it.

    Reference: Cardoso et al. 2024, https://arxiv.org/abs/2308.07983 (MCGDiff), section 4.
    """

    rows: int = Field(2, ge=1, le=GRID_SIZE, description="Numbers that are measured: the rows of A.")

    @property
    def title(self) -> str:
        return f"{self.name}:rows={self.rows}"

    def model(self) -> GaussianMixtureModel:
        return grid25()

    def observation(self, number: int) -> LinearObservation:
        source = stream(0, "grid25", self.rows, number)
        left, right = (
            torch.linalg.qr(randn((size, self.rows), source, dtype=torch.float64)).Q for size in (self.rows, GRID_SIZE)
        )
        *values, share = rand((self.rows + 1,), source, dtype=torch.float64).tolist()
        a = left * torch.tensor(values, dtype=torch.float64) @ right.T
        return LinearOperator(lambda x: x @ a.T.to(x), lambda y: y @ a.to(y), share * max(values) / GRID_SCALE)


class ImageProblem(PosteriorProblem):
    """Base of the problems on small colour images."""

    side: ClassVar[int]
    task: Literal["luma", "mean", "inpaint", "downsample", "blur"] = Field(
        "luma", description="What is seen: luma, mean of channels, the left half, means of 2x2, or all through a blur."
    )
    noise: float = Field(0.02, gt=0, description="σ_y, for images in [-1, 1].")

    @property
    def title(self) -> str:
        noise = "" if self.noise == type(self).model_fields["noise"].default else f" at {self.noise:g}"
        return f"{self.name} {self.task}{noise}"

    def observation(self, number: int) -> LinearObservation:
        if self.task == "inpaint":
            mask = torch.ones(1, 1, self.side, self.side)
            mask[..., self.side // 2 :] = 0
            return Pixels(mask, self.noise)
        if self.task == "blur":
            return Blur(torch.outer(BINOMIAL, BINOMIAL), self.noise)
        if self.task == "downsample":
            return Downsample(factor=2, noise=self.noise)
        return (Luma if self.task == "luma" else ChannelMean)(noise=self.noise)


@problems("colour16")
class Colour16(ImageProblem):
    """Sixteen modes with the spectrum of images, (3, 4, 4), made as gm192 is."""

    side: ClassVar[int] = 4

    def model(self) -> GaussianMixtureModel:
        return image_mixture(4, 16, 1)


class FittedProblem(ImageProblem):
    """Base of the mixtures that are fitted to real images: means of squares of their pixels, (3, 8, 8), in clusters."""

    side: ClassVar[int] = SIDE
    data: DataOption
    modes: int = Field(64, ge=2, description="Clusters, each with its centre and its share, and one covariance.")

    @cached_property
    def images(self) -> Tensor:
        """At most `FITTED` training images, (N, 3, 8, 8) uint8."""
        pixels = pictures(self.data.load("train")).pixels
        factor, rest = divmod(pixels.shape[-1], SIDE)
        if pixels.shape[1] != 3 or pixels.shape[2] != pixels.shape[3] or rest:
            shape = "x".join(map(str, pixels.shape[1:]))
            raise DataError(f"{self.name} takes square colour images whose side is a multiple of {SIDE}, got {shape}")
        chosen = permutation(len(pixels), stream(0, "fitted"))[:FITTED]
        return reduced(pixels[chosen], factor)

    def model(self) -> GaussianMixtureModel:
        return fitted(self.images.float() / 127.5 - 1, self.modes)

    @property
    def title(self) -> str:
        modes = "" if self.modes == type(self).model_fields["modes"].default else f", {self.modes} modes"
        return super().title + modes

    def identity(self) -> dict[str, Any]:
        content = hashlib.sha256(self.images.contiguous().numpy().data).hexdigest()
        found = {**table(self), "images": content, "scikit-learn": metadata.version("scikit-learn")}
        del found["data"]  # where they were found does not matter
        return found


@problems("photos8")
class Photos8(FittedProblem):
    """A mixture fitted to crops of the two photographs of scikit-learn: no download."""

    data: DataOption = Field(Photos(stride=8), description="The images.")


@problems("cifar8")
class Cifar8(FittedProblem):
    """A mixture fitted to CIFAR-10."""

    data: DataOption = Field(CIFAR10(), description="The images: a set that holds CIFAR-10.")
