"""Training that starts from the weights of a model."""

from typing import Any

import torch

from .. import models
from ..core.errors import UsageError
from ..core.files import read_json
from ..models.folder import CONFIG
from .loop import TrainState
from .sharding import is_share
from .state import averages


def begin_from(state: TrainState, name: str) -> dict[str, Any]:
    """Sets weights and averages of a fresh training to those of a model; returns its name and digest.

    Args:
        state: A training that has not begun, which is changed in place.
        name: A run, a model folder or a bundled name.

    Raises:
        UsageError: There is no such model, or its process, prediction, task, shape or network is another.
        CheckpointError: Its folder is damaged.
    """
    found, ours = models.load(name), state.model
    for what in ("shape", "sde", "predicts", "condition", "label"):
        theirs, wanted = (getattr(model, what) for model in (found, ours))
        if what == "label":
            t = torch.linspace(ours.sde.t_min, ours.sde.t_max, 5, dtype=torch.float64)
            theirs, wanted = found.time_input(t).tolist(), ours.time_input(t).tolist()
        if theirs != wanted:
            raise UsageError(
                f"{name} cannot begin this training: its {what} is {theirs}, that of the configuration {wanted}"
            )
    if any(map(is_share, ours.parameters())):
        raise UsageError("train.init_from does not go with train.shard = true: begin on one process and resume with it")
    weights = found.net.state_dict()
    for model in (ours, *averages(state).values()):
        try:
            model.net.load_state_dict(weights)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise UsageError(f"{name} cannot begin this training: its network is another ({reason})") from None
    folder = models.locate(name)
    return {"name": folder.name, "sha256": read_json(folder / CONFIG)["sha256"]}
