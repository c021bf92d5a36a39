"""The Inception score, by torch-fidelity."""

from typing import ClassVar

from torch import Tensor

from .base import metrics
from .inception import Inception, network


@metrics("is")
class InceptionScore(Inception):
    """exp E KL(p(y|x) | p(y)) of Inception's classes y, mean over ten parts of the samples: higher is better.

    It uses no real images, and rises with N. Its floor is the score of N real images, which can be above the value.

    Reference: Salimans et al. 2016, https://arxiv.org/abs/1606.03498, section 4.
    """

    kinds: ClassVar[tuple[str, ...]] = ("IS",)
    least: ClassVar[int] = 11

    def prepare(self, real: Tensor, seed: int) -> Tensor:
        weight: Tensor = network(self.path())[0].fc.weight.to(real.device)
        return weight

    def values(self, x: Tensor, reference: Tensor) -> list[float]:
        from torch_fidelity.metric_isc import isc_features_to_metric

        return [isc_features_to_metric(x @ reference.T)["inception_score_mean"]]
