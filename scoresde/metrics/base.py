"""What a metric is."""

from abc import ABC, abstractmethod

from torch import Tensor

from ..registry import Options, Registry


class Metric(Options, ABC):
    """A distance between two sets of images."""

    @abstractmethod
    def __call__(self, samples: Tensor, reference: Tensor) -> float:
        """The distance of samples, (N, C, H, W), from reference, (M, C, H, W), both in [-1, 1]."""


metrics: Registry[Metric] = Registry("metric", "scoresde.metrics")
