"""Whether a picture is like the training data of a model, from its luma."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core import files
from ..images.seams import membrane
from ..observations import Luma, Pixels
from ..observations.cosine import cosines
from ..observations.covariance import Covariance
from . import store
from .tasks import Case

KEY, COUNT, LIMIT, LEAST = "energies", 10_000, 0.99, 0.5
"""Name in the record of a model's covariances; training images that are looked at; the share of them that counts as
usual; and the share of a picture that has to be known for it to be judged."""


def luma(x: Tensor) -> Tensor:
    """The luma of pictures, or grey pictures themselves, (B, 1, H, W).

    Args:
        x: (B, 1|3, H, W).
    """
    return Luma().forward(x) if x.shape[1] == 3 else x


def energies(covariance: Covariance, grey: Tensor) -> Tensor:
    """log mean c²/v over the cosine frequencies of each octave, (B, octaves), float64: c of the luma, v its variance.

    v = Σ_k (w·u_k)² v_k, u_k the principal colours: the whitened energy of the luma under the covariance, by octaves.

    Args:
        covariance: That of the data, of the kind dct.
        grey: Luma, (B, 1, H, W), of any size; frequencies are counted in those of the covariance's pictures.
    """
    own = covariance.resized((covariance.shape[0], *grey.shape[2:]))
    weights = grey.new_tensor(Luma.weights if own.shape[0] == 3 else [1.0], dtype=torch.float64)
    variances = ((weights @ own.factors[0]).square()[:, None, None] * own.variances).sum(0)
    rows, columns = (cosines(n) for n in grey.shape[2:])
    whitened = (rows.T @ grey[:, 0].double() @ columns).square() / variances
    sides = zip(grey.shape[2:], covariance.shape[1:], strict=True)
    at = [(torch.arange(n) * (full / n)).clamp_max(full - 1) for n, full in sides]
    octave = torch.maximum(at[0][:, None], at[1]).add(1).log2().ceil()
    octaves = sorted(set(octave.flatten().tolist()))
    return torch.stack([whitened[:, octave == k].mean(1).add(1e-6).log() for k in octaves], 1)


def usual(covariances: Sequence[Covariance], x: Tensor) -> dict[str, Any]:
    """What is kept of the energies of training images beside their covariances: nothing without the kind dct.

    Args:
        covariances: Of the images.
        x: The images, (N, 1|3, H, W), in any order.
    """
    found = next((one for one in covariances if one.kind == "dct"), None)
    if found is None or x.shape[1] not in (1, 3) or len(x) < 100:
        return {}
    e = torch.cat([energies(found, luma(part)) for part in torch.split(x[:: math.ceil(len(x) / COUNT)], 1000)])
    mean, inverse = e.mean(0), torch.linalg.pinv(torch.cov(e.T), hermitian=True)
    distances = torch.einsum("ni,ij,nj->n", e - mean, inverse, e - mean)
    limit = float(np.quantile(distances.numpy(), LIMIT))
    numbers = {"mean": mean.tolist(), "inverse": inverse.flatten().tolist(), "limit": [limit]}
    return {KEY: {key: [float(f"{n:.6g}") for n in each] for key, each in numbers.items()}}


def distance(folder: Path, grey: Tensor, known: Tensor | None = None) -> Tensor | None:
    """How far pictures are from a model's training data, (B,): above 1, further than 99 % of them; None if not known.

    It is Mahalanobis' distance of `energies`, squared, in units of the one that 1 % of the training images exceed.

    Args:
        folder: The model's.
        grey: Luma, (B, 1, H, W).
        known: Which pixels are known, (H, W), bool; the others are filled smoothly. None if all are.
    """
    kept = files.read_json(folder / store.RECORD).get(KEY) if (folder / store.RECORD).exists() else None
    if kept is None or (known is not None and float(known.float().mean()) < LEAST):
        return None
    whole = grey if known is None else membrane(grey, known)
    mean, inverse, limit = (torch.tensor(kept[key], dtype=torch.float64) for key in ("mean", "inverse", "limit"))
    offset = energies(store.load(folder, "dct"), whole) - mean
    return torch.einsum("ni,ij,nj->n", offset, inverse.reshape(len(mean), -1), offset) / limit


def warning(case: Case, folder: Path, shape: tuple[int, ...]) -> str:
    """A sentence for a picture that is unlike the training data, else nothing.

    Pictures in colour or with a hole are judged, at the resolution of the model.

    Args:
        case: What is known of the picture.
        folder: The model's.
        shape: Of the model's images, (C, H, W).
    """
    seen = case.observation
    if not isinstance(seen, Luma | Pixels) or not set(case.shape[1:]) & set(shape[1:]):
        return ""
    known = seen.mask.reshape(case.shape[1:]).bool() if isinstance(seen, Pixels) else None
    found = distance(folder, luma(case.y), known)
    if found is None or float(found) <= 1:
        return ""
    data = files.read_json(folder / store.RECORD).get("data", "its images")
    return (
        f"this picture is unlike those that the model was trained on ({data}), {float(found):.1f} times as far as all "
        "but 1 % of them: expect little of the result, or give --model one that was trained on such pictures"
    )
