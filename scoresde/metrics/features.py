"""The features of images by a network, in batches, with a cache."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from ..core.errors import NumericalError, ResourceError, out_of_memory

_kept: OrderedDict[tuple[str, str, torch.device], Tensor] = OrderedDict()
_watch: ContextVar[Callable[[int], object]] = ContextVar("_watch", default=lambda images: None)


@contextmanager
def watched(watch: Callable[[int], object]) -> Iterator[None]:
    """A context in which it is seen how far the features of a metric have come.

    Args:
        watch: Called with a number of images each time that their features have been found.
    """
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


@torch.no_grad()
def extract(images: Tensor, source: str, network: Callable[[Tensor], Tensor], *, batch: int = 64) -> Tensor:
    """The features of images by a network, (N, C, H, W) uint8 -> (N, D) float32, batch by batch.

    The last four results are cached under the digest of their images and the source, so several metrics share one
    pass. A batch that does not fit into the memory is halved.

    Args:
        images: (N, C, H, W) uint8, on the device of the network.
        source: Name of the network and digest of its weights.
        network: Maps images, (B, C, H, W) uint8, to features, (B, D).
        batch: Images at a time.

    Raises:
        NumericalError: A feature is not finite.
        ResourceError: Not even one image fits into the memory.
    """
    content = hashlib.sha256(images.cpu().contiguous().numpy().data)
    content.update(repr(images.shape).encode())
    key = source, content.hexdigest(), images.device
    if key not in _kept:
        parts: list[Tensor] = []
        first = 0
        while first < len(images):
            try:
                parts.append(network(images[first : first + batch]).float())
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if batch == 1:
                    raise ResourceError(f"the memory of {images.device} does not hold one image in {source}") from None
                batch //= 2
                continue
            if not bool((fine := parts[-1].isfinite().all(1)).all()):
                i = first + int((~fine).nonzero()[0, 0])
                raise NumericalError(f"the features of image {i} by {source} are not finite: check its weights")
            first += len(parts[-1])
            _watch.get()(len(parts[-1]))
        _kept[key] = torch.cat(parts)
    _kept.move_to_end(key)
    while len(_kept) > 4:
        _kept.popitem(last=False)
    return _kept[key]
