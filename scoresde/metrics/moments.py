"""Mean and covariance of features, in the .npz format that FID codebases share, and the interval of a mean."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import DataError
from ..core.files import write


@dataclass(frozen=True)
class Statistics:
    """Mean and covariance of the features of a set of images.

    A file holds `mu` and `sigma`, and if we wrote it also `n` and `source`; other arrays are left alone.
    """

    mu: Tensor
    """(D,) in float64."""
    sigma: Tensor
    """(D, D) in float64, over N - 1."""
    n: int | None = None
    """Number of images, where it is known."""
    source: str = ""
    """What the features are, such as digits@1a2b3c4d, where it is known."""

    def to(self, device: torch.device) -> "Statistics":
        """The same on a device.

        Args:
            device: The device.
        """
        return replace(self, mu=self.mu.to(device), sigma=self.sigma.to(device))

    def save(self, path: Path) -> None:
        """Writes the file whole or not at all.

        Args:
            path: The .npz file.

        Raises:
            ResourceError: The folder is not writable, or the disk is full.
        """
        arrays: dict[str, Any] = {"mu": self.mu.cpu().numpy(), "sigma": self.sigma.cpu().numpy()}
        if self.n:
            arrays["n"] = np.array(self.n)
        if self.source:
            arrays["source"] = np.array(self.source)

        def save(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, **arrays)

        write(path, save)

    @staticmethod
    def load(path: str | Path) -> "Statistics":
        """Reads a file of ours or of another codebase.

        Args:
            path: The .npz file.

        Raises:
            DataError: The file cannot be read, lacks an array, or holds what is no mean and covariance.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                wanted = ("mu", "sigma", "n", "source")
                found, arrays = archive.files, {key: archive[key] for key in wanted if key in archive.files}
        except Exception as error:  # numpy answers a damaged file with errors of many kinds
            raise DataError(f"{path} cannot be read as a file of statistics: {error}") from None
        if "mu" not in arrays or "sigma" not in arrays:
            raise DataError(f"{path} must hold the arrays mu and sigma, and holds {', '.join(found) or 'none'}")
        mu, sigma = arrays["mu"], arrays["sigma"]
        if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)) or mu.dtype.kind != "f" or sigma.dtype.kind != "f":
            raise DataError(f"{path} must hold mu (D,) and sigma (D, D) as floats, got {mu.shape} and {sigma.shape}")
        if not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
            raise DataError(f"{path} holds numbers that are not finite: make it again")
        scale = float(np.abs(sigma).max(initial=0))
        if float(np.abs(sigma - sigma.T).max(initial=0)) > 1e-4 * scale or (np.diag(sigma) < 0).any():
            raise DataError(f"sigma of {path} is not symmetric with a diagonal of at least 0, so it is no covariance")
        count = int(arrays["n"]) if "n" in arrays and arrays["n"].ndim == 0 else None
        source = str(arrays["source"]) if "source" in arrays else ""
        mean, covariance = (torch.from_numpy(array.astype(np.float64)) for array in (mu, sigma))
        return Statistics(mean, covariance, count, source)


def chunks(x: Tensor, most: int = 2**24) -> Iterator[Tensor]:
    """The rows of x in parts of at most `most` numbers, in float64, so that no copy of the whole is made.

    Args:
        x: Rows of any shape, (N, *).
        most: The largest number of values in a part.
    """
    rows = max(1, most // max(1, math.prod(x.shape[1:])))
    for first in range(0, len(x), rows):
        yield x[first : first + rows].double()


def moments(x: Tensor, source: str = "") -> Statistics:
    """The mean and the covariance, over N - 1, of features, computed part by part in float64.

    Args:
        x: Features, (N, D).
        source: What the features are, such as digits@1a2b3c4d.
    """
    mu = x.new_zeros(x.shape[1], dtype=torch.float64)
    for part in chunks(x):
        mu += part.sum(0) / len(x)
    sigma = x.new_zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for part in chunks(x):
        sigma.addmm_((part - mu).T, part - mu, alpha=1 / (len(x) - 1))
    return Statistics(mu, sigma, len(x), source)


def student(count: int) -> float:
    """Half-width of the 95 % interval of a mean, in standard errors: the quantile of Student's law.

    Args:
        count: Number of values that the standard error is from.
    """
    from scipy.special import stdtrit  # slow to import, and every training knows the metrics

    return float(stdtrit(count - 1, 0.975))
