"""Averages of weights that are chosen after the training, computed from the snapshots of a run."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .. import models
from ..core.errors import CheckpointError, UsageError
from ..models.network import NetworkModel
from .checkpoints import Checkpoints, read
from .profiles import WIDEST, Profile, combination, exponent
from .recorded import recorded_config
from .run import SNAPSHOTS
from .state import under


class Average(NamedTuple):
    """An average of the weights of a run."""

    model: NetworkModel
    """The model with the averaged weights."""
    images: int
    """Where its profile ends."""
    error: float
    """Distance of the profile that the snapshots allow from the one wanted, relative to the norm of the latter."""


def relative(width: float) -> None:
    """Checks a relative width.

    Args:
        width: The standard deviation of a profile as a fraction of the training, above 0 and below `WIDEST`.

    Raises:
        UsageError: There is no profile of this width.
    """
    if not 0 < width < WIDEST:
        raise UsageError(f"a relative width must be above 0 and below {WIDEST:.3f}, got {width:g}")


def averaged(run: str | Path, width: float, at: int | None = None) -> Average:
    """The average Σ x_i θ_i of a relative width, from all snapshots θ_i of a run, by `profiles.combination`.

    It is summed up in float64. Buffers, such as the statistics of batch normalisation, are not averaged: they are those
    of the last snapshot up to the end.

    Args:
        run: A run folder.
        width: Relative width of the average, between 0 and 1/√12.
        at: The images seen at which the profile ends; all that the snapshots reach if it is not given.

    Raises:
        UsageError: The run has no snapshots, or none of this width and end.
        CheckpointError: The run, or a snapshot, is incomplete, damaged or of another network.

    Reference: Karras et al. 2024, https://arxiv.org/abs/2312.02696, section 3.2.
    """
    relative(width)
    folder = models.locate(run)
    options, found = recorded_config(folder).train, Checkpoints(folder / SNAPSHOTS).all()
    if not found:
        often = max(options.batch, options.images // 20)
        raise UsageError(f"{run} holds no snapshots: train with train.snapshot_every, such as {often}")
    ends = [int(path.name[5:]) * options.batch for path in found]
    end = ends[-1] if at is None else at
    if not 0 < end <= ends[-1]:
        raise UsageError(f"the snapshots of {run} reach from 1 to {ends[-1]} images, got {end}")
    profiles = [Profile(exponent(each), images) for images in ends for each in options.widths]
    shares, error = combination(profiles, Profile(exponent(width), end))
    model, buffers = models.load(folder), dict[str, Tensor]()
    sums = {name: torch.zeros_like(x, dtype=torch.float64) for name, x in model.net.named_parameters()}
    for path, images, row in zip(found, ends, torch.tensor(shares).view(len(found), -1).tolist(), strict=True):
        held = read(path).tensors
        try:
            for number, x in enumerate(row, 1):
                for name, total in sums.items():
                    total.add_(held[f"power{number}.{name}"].double(), alpha=x)
            if images <= end or not buffers:
                buffers = {name: x for name, x in under(held, "power1.").items() if name not in sums}
        except (KeyError, RuntimeError):
            raise CheckpointError(f"{path} is of another network than the model of {run}") from None
    model.net.load_state_dict({**buffers, **sums})
    return Average(model, end, error)
