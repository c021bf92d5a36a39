"""The Frechet Inception distance."""

from .base import metrics
from .frechet import Frechet
from .inception import Inception


@metrics("fid")
class FID(Inception, Frechet):
    """The Frechet Inception distance, with torch-fidelity's network: the Frechet distance of Inception's 2048 features.

    It is called FID where N is 50,000, and FID-N elsewhere. Below 10,000 samples its bias exceeds the differences of
    good models: prefer kid there.

    Reference: Heusel et al. 2017, https://arxiv.org/abs/1706.08500, equation 6.
    """

    def marks(self, n: int, m: int | None, dimension: int) -> list[str]:
        few = [f"biased at N = {n}: prefer kid below 10000"] if n < 10_000 else []
        return few + super().marks(n, m, dimension)
