"""Whether samples stay in the range of pictures."""

import logging
from dataclasses import replace

from torch import Tensor

from ..models.base import ScoreModel
from ..solvers.few_steps import network_of
from .samples import Samples

FAR, OFTEN = 0.1, 0.5
"""Samples whose rms distance from [-1, 1] is beyond FAR are named, where more than the share OFTEN of them are."""


def beyond(x: Tensor) -> Tensor:
    """rms distance of each picture's values from [-1, 1], (B,): 0 for one that lies inside.

    Args:
        x: Pictures, (B, *).
    """
    return (x.detach().abs() - 1).clamp_min(0).flatten(1).square().mean(1).sqrt()


def watched(found: Samples, model: ScoreModel) -> Samples:
    """The samples with the mean of `beyond` in `info`; a warning is logged where most of them left the range.

    Args:
        found: The samples, before they are decoded or brought into other units.
        model: What they were drawn from. Only a network that makes pictures in [-1, 1] has that range.
    """
    network = network_of(model)
    shape = model.shape
    if network is None or network.units or network.autoencoder or len(shape) != 3 or shape[0] not in (1, 3):
        return found
    far = beyond(found.x)
    share = float((far > FAR).double().mean())
    if share > OFTEN:
        logging.getLogger("scoresde").warning(
            "%.0f %% of the samples by %s leave the range [-1, 1] of pictures, by %.2g root mean square: take more "
            "steps, --steps alone, which chooses the method for their number, or adams, the default",
            *(100 * share, found.solver, float(far.mean())),
        )
    return replace(found, info={**found.info, "beyond": float(far.mean())})
