"""What a metric is: features of images, a distance of features, and the estimate that is printed of it."""

import hashlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from scipy.special import stdtrit
from torch import Tensor

from ..core.errors import DataError, NumericalError, ResourceError, UsageError
from ..core.options import Options, Registry
from ..core.random import permutation, stream
from .moments import Statistics

BLOCKS = 20
"""Blocks that the samples are cut into for the interval."""
SPLITS = 10
"""Random splits of the real images that a floor is the mean of."""


@dataclass(frozen=True)
class Estimate:
    """A distance as it may be printed: with its honest name, its size, its uncertainty and its floor."""

    name: str
    """FID, FID-5000 where N is not 50,000, FD[digits@1a2b3c4d], KID, ..."""
    value: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""
    floor: float | None
    """The same of real images against other real images at this N, where the reference has at least 2N of them."""
    n: int
    """Number of samples."""
    marks: tuple[str, ...] = ()
    """What a reader has to know before trusting the value."""


class Metric(Options, ABC):
    """A distance between sets of images, or a score of one set.

    The interval is a block jackknife: with θ_g the value without block g of G, its half-width is t_{0.975, G-1} times
    the root of (G - 1)/G Σ (θ_g - mean θ)². It tells how far the value would move with other samples of the same
    number, against the same reference; the bias that a distance has at this number it does not tell. By the inequality
    of Efron and Stein it errs on the wide side. Unlike the bootstrap it repeats no image, which would lower the rank
    of covariances and make every repeated image its own nearest neighbour.

    A floor is the mean of `SPLITS` random splits of the real images into N and the rest.

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
        """The number of features of an image of shape (C, H, W), after checking all that can be checked without any."""

    @abstractmethod
    def source(self) -> str:
        """What the features are, such as digits@1a2b3c4d."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """The features of images, (N, C, H, W) uint8 -> (N, D)."""

    @abstractmethod
    def prepare(self, real: Any, seed: int) -> Any:
        """What `values` needs of the features of the real images, (M, D), or of their statistics."""

    @abstractmethod
    def values(self, x: Tensor, reference: Any) -> list[float]:
        """One value for each of `kinds`, from the features of the samples, (N, D)."""

    def names(self, n: int) -> tuple[str, ...]:
        """The honest names of the values at N samples."""
        return tuple(f"{kind}[{self.source()}]" for kind in self.kinds)

    def marks(self, n: int, m: int | None, dimension: int) -> list[str]:
        """What to say about N samples, M real images (None if unknown) and D features."""
        return []

    def leave_out(self, x: Tensor, block: Tensor, reference: Any) -> list[list[float]]:
        """The values without each block in turn; block, (N,), numbers them from 0."""
        return [self.values(x[block != g], reference) for g in range(int(block.max()) + 1)]

    def check(self, n: int, shape: tuple[int, int, int], reference: Tensor | Statistics) -> None:
        """Refuses before any sampling what could not be measured after it.

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
        half = stdtrit(len(left) - 1, 0.975) * spread
        marks += self.marks(n, m, x.shape[1])
        return [
            Estimate(name, float(v), float(v - h), float(v + h), None if floors is None else float(f), n, tuple(marks))
            for name, v, h, f in zip(self.names(n), value, half, value if floors is None else floors, strict=True)
        ]

    def chosen(self, images: Tensor, what: str, seed: int, marks: list[str]) -> Tensor:
        """The features of the images, of all of them unless the metric sets a limit."""
        return self.features(images)

    def floor(self, real: Tensor, n: int, seed: int) -> np.ndarray[Any, Any]:
        """The values of N real images against the rest, mean over the splits."""
        found = []
        for split in range(SPLITS):
            order = permutation(len(real), stream(seed, "floor", split)).to(real.device)
            found.append(self.values(real[order[:n]], self.prepare(real[order[n:]], seed)))
        mean: np.ndarray[Any, Any] = np.mean(found, axis=0)
        return mean


class Quadratic(Metric):
    """Base of the metrics that compare every image with every other, whose cost is quadratic."""

    most: int = Field(10_000, ge=20, description="Images of each set that are used; of more, so many random ones.")

    def chosen(self, images: Tensor, what: str, seed: int, marks: list[str]) -> Tensor:
        if len(images) > self.most:
            marks.append(f"{self.most} of {len(images)} {what} used")
            images = images[permutation(len(images), stream(seed, what))[: self.most].to(images.device)]
        return self.features(images)


_kept: OrderedDict[tuple[str, str, torch.device], Tensor] = OrderedDict()


@torch.no_grad()
def extract(images: Tensor, source: str, network: Callable[[Tensor], Tensor], *, batch: int = 64) -> Tensor:
    """The features of images by a network, (N, C, H, W) uint8 -> (N, D) float32, batch by batch.

    The last four results are kept, each under the digest of its images and the source, which names the weights: so
    several metrics share one pass, and none can meet the features of other images. A batch that does not fit into the
    memory is halved.

    Raises:
        NumericalError: A feature is not finite.
        ResourceError: Not even one image fits into the memory.
    """
    content = hashlib.sha256(images.cpu().contiguous().numpy().data)
    content.update(repr(images.shape).encode())
    key = source, content.hexdigest(), images.device
    if key not in _kept:
        parts: list[Tensor] = []
        first = 0
        while first < len(images):
            try:
                parts.append(network(images[first : first + batch]).float())
            except torch.OutOfMemoryError:
                if batch == 1:
                    raise ResourceError(f"the memory of {images.device} does not hold one image in {source}") from None
                batch //= 2
                continue
            if not bool((fine := parts[-1].isfinite().all(1)).all()):
                i = first + int((~fine).nonzero()[0, 0])
                raise NumericalError(f"the features of image {i} by {source} are not finite: the weights are no good")
            first += len(parts[-1])
        _kept[key] = torch.cat(parts)
    _kept.move_to_end(key)
    while len(_kept) > 4:
        _kept.popitem(last=False)
    return _kept[key]


metrics: Registry[Metric] = Registry("metric", "scoresde.metrics")
