"""The covariance of the training images, stored with the model for conditioning."""

import logging
import math
from pathlib import Path

from ..core.errors import CheckpointError, ScoreSDEError
from ..core.files import read_json
from ..data import Dataset, Images
from ..observations.covariance import estimate
from ..posterior import store, typicality
from .recorded import folders
from .run import Run

LOG = logging.getLogger("scoresde")

VALUES = 2**23
"""Values of pixels from which it is estimated: one or two seconds of one core, and half a gigabyte."""


def keep_covariances(run: Run, training: Dataset) -> None:
    """Writes the covariances of a run's images into its folder, those that `scoresde stats` estimates by default.

    They are of a random choice of the images if these have more than `VALUES` values. What `scoresde stats` has written
    stays, and so does what is of the same images. No failure ends a training: it is warned of.

    Args:
        run: The run, after its last step.
        training: Its images. Of other data nothing is kept, nor of networks that are given the measurement.
    """
    if not isinstance(training, Images) or len(training) < 2 or run.config.train.condition.conditional:
        return
    try:
        places = [place for place in folders(run.folder, run.config) if _wanted(place, run.digest)]
        if not places:
            return
        x = training.drawn(max(2, min(store.COUNT, VALUES // math.prod(training.shape)))).scaled()
        found = [estimate(x, kind) for kind in store.USUAL]
        record = {"data": f"{run.config.data.name} train", "images": len(x), "digest": run.digest}
        record |= typicality.usual(found, x)
        for place in places:
            store.save(place, found, record)
    except (ScoreSDEError, RuntimeError, MemoryError) as error:
        LOG.warning("the covariance of the images was not kept, and `scoresde stats` can make it: %s", error)


def _wanted(folder: Path, digest: str) -> bool:
    """Whether a folder has no covariances, or those of other images that an earlier training kept."""
    if not (folder / store.RECORD).exists():
        return True
    try:
        return bool(read_json(folder / store.RECORD).get("digest", digest) != digest)
    except CheckpointError:
        return False  # whoever needs it is told
