"""Whether samples stay in the range of images."""

import logging
from dataclasses import replace

from torch import Tensor

from ..models.base import ScoreModel
from ..models.network import network_of
from ..solvers import solvers
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
    """The samples with the mean of `beyond` in `info`, if the model makes pictures.

    Args:
        found: The samples, before they are decoded or brought into other units.
        model: What they were drawn from. Only a network that makes pictures in [-1, 1] has that range.
    """
    if not ranged(model):
        return found
    return replace(found, info={**found.info, "beyond": float(beyond(found.x).mean())})


def warn(found: Samples, model: ScoreModel) -> None:
    """Logs a warning where most samples left the range of pictures.

    Args:
        found: As for `watched`.
        model: As for `watched`.
    """
    if not ranged(model):
        return
    far = beyond(found.x)
    if (share := float((far > FAR).double().mean())) > OFTEN:
        name = found.solver.partition(":")[0]
        advice = "take more steps, --steps alone, which chooses the method for their number, or adams, the default"
        if name in solvers and solvers[name].adaptive:  # which took the steps that it needed
            advice = "train the network longer, take a smaller tolerance, or clip the predictions with --clip"
        logging.getLogger("scoresde").warning(
            "%.0f %% of the samples by %s leave the range [-1, 1] of pictures, by %.2g root mean square: %s",
            *(100 * share, found.solver, float(far.mean()), advice),
        )


def ranged(model: ScoreModel) -> bool:
    """Whether samples of a model are pictures in [-1, 1].

    Args:
        model: Any model.
    """
    network, shape = network_of(model), model.shape
    return bool(network and not network.units and not network.autoencoder and len(shape) == 3 and shape[0] in (1, 3))
