"""Features that need no download: those of a domain extractor, and the pixels themselves."""

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import DataError
from . import extractors
from .base import Metric
from .features import extract


class Domain(Metric):
    """Base of the metrics of a domain extractor's features; their names carry the extractor's and its digest."""

    extractor: str = Field("digits", min_length=1, description="Extractor: a folder, or the name of a bundled one.")

    def ready(self, shape: tuple[int, int, int]) -> int:
        net = extractors.load(self.extractor)
        if net.shape != shape:
            theirs, ours = ("x".join(map(str, s)) for s in (net.shape, shape))
            raise DataError(
                f"the extractor {self.extractor} takes images of {theirs}, got {ours}: choose another with "
                "--extractor, or make one with `scoresde features fit`"
            )
        return net.dimension

    def source(self) -> str:
        return extractors.load(self.extractor).source

    def features(self, images: Tensor) -> Tensor:
        net = extractors.load(self.extractor).to(images.device)
        return extract(images, net.source, lambda x: net(x.float() / 127.5 - 1), batch=500)


class PixelMetric(Metric):
    """Base of the metrics of the pixels, scaled to [-1, 1]."""

    def ready(self, shape: tuple[int, int, int]) -> int:
        return shape[0] * shape[1] * shape[2]

    def source(self) -> str:
        return "pixels"

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1).to(torch.float32) / 127.5 - 1
