"""The Inception network that FID is defined by, in torch-fidelity's version, from a local file."""

import functools
import hashlib
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import CheckpointError, DataError, reason
from ..core.random import undisturbed
from .base import Metric
from .features import extract

FILE = "weights-inception-2015-12-05-6726825d.pth"
"""The weights that FID is defined by; the name ends with the beginning of the file's sha256."""
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
OFFICIAL = {"FD": "FID", "KD": "KID"}


def network(path: Path) -> tuple[Any, str]:
    """The network and the first 8 digits of the sha256 of its weights.

    The file is read as tensors alone, so that no code in it runs, and nothing is downloaded.

    Args:
        path: The file of the weights.

    Raises:
        CheckpointError: The file is missing, unreadable, or not this network's.
    """
    if not path.is_file():
        raise CheckpointError(
            f"there is no file of Inception weights {path}: download {URL} to that place or give the path of yours "
            "with --weights, or as fid:weights=PATH where metrics are texts; "
            "without them, fd, kd, sw, mmd and pixel-frechet are available"
        )
    stat = path.stat()
    return _network(path.resolve(), stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=1)
def _network(path: Path, changed: int, size: int) -> tuple[Any, str]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not all(bool(tensor.isfinite().all()) for tensor in state.values()):
            raise CheckpointError(f"the Inception weights {path} hold numbers that are not finite")
    except CheckpointError:
        raise
    except Exception as error:  # torch answers a damaged file, and one that is none of its own, in many ways
        raise CheckpointError(f"{path} cannot be read as Inception weights: {reason(error)}") from None
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    try:
        with undisturbed():  # torch-fidelity draws weights from torch's generator before it loads
            net = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
    except RuntimeError as error:
        raise CheckpointError(f"{path} holds other weights than Inception's: {str(error).splitlines()[-1]}") from None
    return net, hashlib.sha256(path.read_bytes()).hexdigest()[:8]


class Inception(Metric):
    """Base of the metrics of Inception's last pooled features, 2048 of them; grey images are repeated in 3 channels.

    With other weights than those of the definition of FID, the value has another name.
    """

    weights: str | None = Field(None, description=f"File of the Inception weights. [default: torch's folder, {FILE}]")

    def path(self) -> Path:
        """Where the weights are expected."""
        return Path(self.weights) if self.weights else Path(torch.hub.get_dir()) / "checkpoints" / FILE

    def ready(self, shape: tuple[int, int, int]) -> int:
        if shape[0] not in (1, 3):
            raise DataError(f"{self.name} takes images of 1 or 3 channels, got {shape[0]}")
        network(self.path())
        return 2048

    def source(self) -> str:
        return f"inception@{network(self.path())[1]}"

    def names(self, n: int) -> tuple[str, ...]:
        if not FILE.endswith(f"-{self.source().split('@')[1]}.pth"):
            return super().names(n)
        size = "" if n == 50_000 else f"-{n}"
        return tuple(OFFICIAL.get(kind, kind) + size * (kind in ("FD", "IS")) for kind in self.kinds)

    def features(self, images: Tensor) -> Tensor:
        net, sha8 = network(self.path())
        net.to(images.device)
        return extract(images, f"inception@{sha8}", lambda x: net(x.expand(-1, 3, -1, -1))[0])
