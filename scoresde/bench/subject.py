"""What is benchmarked: a model, with what its samples are compared with."""

import hashlib
import json
from abc import ABC, abstractmethod
from typing import Any

from PIL import Image
from torch import Tensor

from ..metrics.base import Estimate
from ..model import ScoreModel
from ..solvers import Solver
from .estimates import median, root

SHOWN = 16
"""Samples in the picture of a cell."""


class Subject(ABC):
    """A model under benchmark, with what its samples are compared with."""

    name: str
    model: ScoreModel
    denoise: bool
    identity: dict[str, Any]
    """What determines the model's predictions."""

    @property
    def sha256(self) -> str:
        """Digest of the identity."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    @property
    def device(self) -> str:
        """Kind of the device the model is on."""
        return self.model.device.type

    @abstractmethod
    def keep(self, x: Tensor) -> Tensor:
        """What is kept of samples, (B, *), for the measurement, on the CPU."""

    @property
    @abstractmethod
    def flowed(self) -> Tensor:
        """The first `paths` samples at the true end of their paths, (K, *), float64 on the CPU."""

    def errors(self, first: Tensor, solver: Solver) -> list[Estimate]:
        """The distance of the first samples, (K, *), from the true ends of their paths, if the solver follows them."""
        if solver.noisy or not len(first):
            return []
        squares = (first - self.flowed).flatten(1).square().mean(1)
        return [median("error", squares.sqrt()), root("rms error", squares)]

    @abstractmethod
    def measure(self, x: Tensor, first: Tensor, solver: Solver) -> list[Estimate]:
        """What samples of the seeds `seed` .. `seed` + N - 1 are worth.

        Args:
            x: What was kept of them, (N, *).
            first: The first `paths` of them as they are, (K, *), float64 on the CPU.
        """

    @property
    @abstractmethod
    def own(self) -> tuple[Tensor, int | None]:
        """Data that the model should find likely, (K, *) float64, and their grey levels if they have any."""

    @abstractmethod
    def truth(self) -> list[float] | None:
        """log p of its own data in nats, where it is known."""

    @abstractmethod
    def picture(self, x: Tensor) -> Image.Image | None:
        """The first samples, if they are images."""
