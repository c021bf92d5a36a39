"""Base classes of metrics: features of images, a distance between features, and an estimate with its error."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import DataError, UsageError
from ..core.options import Options, Registry
from ..core.random import permutation, stream
from .moments import Statistics, student

BLOCKS = 20
"""Blocks that the samples are cut into for the interval."""
SPLITS = 10
"""Random splits of the real images that a floor is the mean of."""


@dataclass(frozen=True)
class Estimate:
    """The value of a metric, with the name of what was measured, its interval and its floor."""

    name: str
    """FID, FID-5000 where N is not 50,000, FD[digits@1a2b3c4d], KID, ..."""
    value: float
    """The value with all samples."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""
    floor: float | None
    """The value of N real images against others, if the reference has at least 2N images."""
    n: int
    """Number of samples."""
    marks: tuple[str, ...] = ()
    """Remarks that a reader needs in order to judge the value."""


class Metric(Options, ABC):
    """A distance between sets of images, or a score of one set.

    The interval is a block jackknife: with θ_g the value without block g of G, its half-width is t_{0.975, G-1} times
    the root of (G - 1)/G Σ (θ_g - mean θ)². It says how much the value would vary with other samples of the same
    number, against the same reference; it does not contain the bias of a distance at this number. By the inequality of
    Efron and Stein it is rather too wide than too narrow. Unlike the bootstrap it repeats no image, which would lower
    the rank of covariances and make every repeated image its own nearest neighbour.

    A floor is the mean over `SPLITS` random splits of the real images into N and the rest.

    Reference: Efron and Stein 1981, https://doi.org/10.1214/aos/1176345462.
    """

    kinds: ClassVar[tuple[str, ...]]
    """Short names of the values."""
    least: ClassVar[int] = 3
    """Fewest images of each set."""
    takes_statistics: ClassVar[bool] = False
    """Whether a mean and a covariance of features can stand for the real images."""

    @abstractmethod
    def ready(self, shape: tuple[int, int, int]) -> int:
        """The number of features of an image. All that can be checked without images is checked.

        Args:
            shape: Shape of one image, (C, H, W).
        """

    @abstractmethod
    def source(self) -> str:
        """What the features are, such as digits@1a2b3c4d."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """The features of images, (N, D).

        Args:
            images: (N, C, H, W) uint8.
        """

    @abstractmethod
    def prepare(self, real: Any, seed: int) -> Any:
        """What `values` needs of the real images.

        Args:
            real: Their features, (M, D), or the statistics of these.
            seed: Seed of what the metric draws.
        """

    @abstractmethod
    def values(self, x: Tensor, reference: Any) -> list[float]:
        """One value for each of `kinds`.

        Args:
            x: The features of the samples, (N, D).
            reference: What `prepare` returned.
        """

    def names(self, n: int) -> tuple[str, ...]:
        """The names of the values, which say what they were measured with.

        Args:
            n: Number of samples.
        """
        return tuple(f"{kind}[{self.source()}]" for kind in self.kinds)

    def marks(self, n: int, m: int | None, dimension: int) -> list[str]:
        """Remarks that a reader needs in order to judge the value.

        Args:
            n: Number of samples.
            m: Number of real images, or None if it is unknown.
            dimension: Number of features.
        """
        return []

    def leave_out(self, x: Tensor, block: Tensor, reference: Any) -> list[list[float]]:
        """The values without each block in turn.

        Args:
            x: The features of the samples, (N, D).
            block: The number of each sample's block, from 0, (N,).
            reference: What `prepare` returned.
        """
        return [self.values(x[block != g], reference) for g in range(int(block.max()) + 1)]

    def check(self, n: int, shape: tuple[int, int, int], reference: Tensor | Statistics) -> None:
        """Checks before any sampling that the metric can be computed afterwards.

        Args:
            n: Number of samples that there will be.
            shape: Shape of one of them, (C, H, W).
            reference: The real images, (M, C, H, W) uint8, or the statistics of their features.

        Raises:
            UsageError: There are too few samples, or the reference is of a kind that the metric does not take.
            DataError: The reference does not fit the samples.
            CheckpointError: The weights of a feature network are missing or damaged.
            ResourceError: The computation would not fit into memory.
        """
        if n < self.least:
            raise UsageError(f"{self.name} needs at least {self.least} samples, got {n}")
        if isinstance(reference, Statistics):
            if not self.takes_statistics:
                raise UsageError(f"{self.name} needs the real images themselves, not a file of their statistics")
        elif reference.ndim != 4 or reference.dtype != torch.uint8:
            raise DataError(f"images must be (N, C, H, W) uint8, got {tuple(reference.shape)} of {reference.dtype}")
        elif reference.shape[1:] != shape:
            real = "x".join(map(str, reference.shape[1:]))
            raise DataError(f"samples of {'x'.join(map(str, shape))} cannot be compared with real images of {real}")
        elif len(reference) < self.least:
            raise DataError(f"{self.name} needs at least {self.least} real images, got {len(reference)}")
        dimension = self.ready(shape)
        if isinstance(reference, Statistics):
            if len(reference.mu) != dimension or reference.source not in ("", self.source()):
                theirs = f"{len(reference.mu)} features{' of ' * bool(reference.source)}{reference.source}"
                raise DataError(f"the statistics are of {theirs}, {self.name} has {dimension} of {self.source()}")

    def measure(self, samples: Tensor, reference: Tensor | Statistics, *, seed: int = 0) -> list[Estimate]:
        """The values with their intervals and floors.

        Args:
            samples: (N, C, H, W) uint8; a feature network runs on their device.
            reference: The real images, (M, C, H, W) uint8, or the statistics of their features.
            seed: Of the blocks, the splits and what else the metric draws.

        Raises:
            NumericalError: A feature is not finite.
            UsageError, DataError, CheckpointError, ResourceError: As `check`.
        """
        if samples.ndim != 4 or samples.dtype != torch.uint8:
            raise DataError(f"images must be (N, C, H, W) uint8, got {tuple(samples.shape)} of {samples.dtype}")
        channels, height, width = samples.shape[1:]
        self.check(len(samples), (channels, height, width), reference)
        marks: list[str] = []
        floors = None
        x = self.chosen(samples, "samples", seed, marks)
        n = len(x)
        if isinstance(reference, Statistics):
            m, prepared = reference.n, self.prepare(reference.to(x.device), seed)
            marks.append("no floor: the statistics hold no images")
        else:
            real = self.chosen(reference.to(samples.device), "real images", seed, marks)
            m, prepared = len(real), self.prepare(real, seed)
            if m >= 2 * n:
                floors = self.floor(real, n, seed)
            else:
                marks.append(f"no floor: it takes {2 * n} real images, there are {m}")
        value = np.array(self.values(x, prepared))
        block = torch.empty(n, dtype=torch.int64)
        block[permutation(n, stream(seed, "blocks"))] = torch.arange(n) % min(BLOCKS, n)
        left = np.array(self.leave_out(x, block.to(x.device), prepared))
        spread = np.sqrt((len(left) - 1) * left.var(0))
        half = student(len(left)) * spread
        marks += self.marks(n, m, x.shape[1])
        return [
            Estimate(name, float(v), float(v - h), float(v + h), None if floors is None else float(f), n, tuple(marks))
            for name, v, h, f in zip(self.names(n), value, half, value if floors is None else floors, strict=True)
        ]

    def chosen(self, images: Tensor, what: str, seed: int, marks: list[str]) -> Tensor:
        """The features of the images that the metric uses, (N, D): of all, unless it sets a limit.

        Args:
            images: (N, C, H, W) uint8.
            what: What they are called in a remark.
            seed: Seed of the choice.
            marks: The remarks, to which one is added if images are left out.
        """
        return self.features(images)

    def floor(self, real: Tensor, n: int, seed: int) -> np.ndarray[Any, Any]:
        """The values of N real images against the rest, mean over the splits.

        Args:
            real: The features of the real images, (M, D).
            n: N.
            seed: Seed of the splits.
        """
        found = []
        for split in range(SPLITS):
            order = permutation(len(real), stream(seed, "floor", split)).to(real.device)
            found.append(self.values(real[order[:n]], self.prepare(real[order[n:]], seed)))
        mean: np.ndarray[Any, Any] = np.mean(found, axis=0)
        return mean


class Quadratic(Metric):
    """Base of the metrics that compare every image with every other, whose cost is quadratic."""

    most: int = Field(10_000, ge=20, description="Maximal number of images of each set; of more, random ones are used.")

    def chosen(self, images: Tensor, what: str, seed: int, marks: list[str]) -> Tensor:
        if len(images) > self.most:
            marks.append(f"{self.most} of {len(images)} {what} used")
            images = images[permutation(len(images), stream(seed, what))[: self.most].to(images.device)]
        return self.features(images)


metrics: Registry[Metric] = Registry("metric", "scoresde.metrics")
