"""The polynomial kernel distance, of a domain extractor's features."""

from torch import Tensor

from .base import metrics
from .discrepancy import Kernel
from .domain import Domain


class Polynomial(Kernel):
    """The kernel distance of k(x, y) = (x·y / D + 1)³ on D features.

    Reference: Binkowski et al. 2018, https://arxiv.org/abs/1801.01401, section 4.
    """

    def width(self, y: Tensor) -> float:
        return float(y.shape[1])

    def kernel(self, x: Tensor, y: Tensor, width: float) -> Tensor:
        return (x @ y.mT / width + 1) ** 3


@metrics("kd")
class DomainKernel(Domain, Polynomial):
    """The polynomial MMD of the features of a domain extractor: a KID for images that Inception does not know."""
