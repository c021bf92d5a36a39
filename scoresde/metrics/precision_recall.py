"""Precision and recall, by torch-fidelity: of Inception's features, and of a domain extractor's."""

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from ..core.errors import UsageError
from .base import BLOCKS, Quadratic, metrics
from .domain import Domain
from .inception import Inception
from .moments import Statistics


class PrecisionRecall(Quadratic):
    """The share of samples near real images, and the share of real images near samples.

    Near is in some ball around an image of the other set, whose radius is the distance to its own k-th neighbour. Both
    are 1 at best, and rise or fall with the sizes of the sets: compare them at equal N, and with the floor, which is
    what N real images reach. At exactly 0 or 1 the interval has no width and means nothing.

    Reference: Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991, equations 1 and 2.
    """

    kinds: ClassVar[tuple[str, ...]] = ("precision", "recall")
    neighbours: int = Field(3, ge=1, description="k, the neighbour whose distance is the radius of a ball.")

    def check(self, n: int, shape: tuple[int, int, int], reference: Tensor | Statistics) -> None:
        k = self.neighbours
        needed = k + 2 + max(1, k // (BLOCKS - 1))  # a block less, each sample still has k others
        if n < needed or not isinstance(reference, Statistics) and len(reference) < needed:
            raise UsageError(f"{self.name} with {k} neighbours needs {needed} samples and real images")
        super().check(n, shape, reference)

    def prepare(self, real: Tensor, seed: int) -> Tensor:
        return real

    def values(self, x: Tensor, reference: Tensor) -> list[float]:
        from torch_fidelity.metric_prc import prc_features_to_metric

        found = prc_features_to_metric(
            x, reference, prc_neighborhood=self.neighbours, prc_batch_size=1000, save_cpu_ram=True, verbose=False
        )
        return [found["precision"], found["recall"]]


@metrics("prc")
class InceptionPrecisionRecall(Inception, PrecisionRecall):
    """Precision and recall of Inception's 2048 features; the paper's are of a VGG-16, whose values differ."""


@metrics("domain-prc")
class DomainPrecisionRecall(Domain, PrecisionRecall):
    """Precision and recall of the features of a domain extractor."""
