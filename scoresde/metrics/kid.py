"""The kernel Inception distance."""

from .base import metrics
from .inception import Inception
from .kernel import Polynomial


@metrics("kid")
class KID(Inception, Polynomial):
    """The kernel Inception distance, with torch-fidelity's network: the polynomial MMD of Inception's 2048 features.

    All pairs of images are used, where torch-fidelity draws subsets of 1,000: the expectation is the same, the spread
    smaller. It has no bias at any N, so it suits the thousands of samples that are too few for fid.
    """
