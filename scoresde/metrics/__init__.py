"""Distances between sets of images. One file per family of metrics; adding a file adds its metrics."""

from typing import TYPE_CHECKING

from .base import Estimate, Metric, metrics
from .moments import Statistics

if TYPE_CHECKING:  # for editors; at run time a class is imported when it is asked for
    from .fid import FID as FID
    from .frechet import DomainFrechet as DomainFrechet
    from .frechet import PixelFrechet as PixelFrechet
    from .inception_score import InceptionScore as InceptionScore
    from .kernel import DomainKernel as DomainKernel
    from .kid import KID as KID
    from .mmd import PixelMMD as PixelMMD
    from .precision_recall import DomainPrecisionRecall as DomainPrecisionRecall
    from .precision_recall import InceptionPrecisionRecall as InceptionPrecisionRecall
    from .sliced import SlicedWasserstein as SlicedWasserstein
else:
    __getattr__, __dir__ = metrics.members(globals())

__all__ = ["Estimate", "Metric", "Statistics", "metrics"]
