"""A training as named tensors, as a checkpoint holds it, and back."""

from collections.abc import Mapping

import torch
from torch import Tensor

from .errors import CheckpointError
from .model import NetworkModel
from .train import TrainState

SCALER = ("scale", "_growth_tracker")
"""What changes in the state of a gradient scaler."""


def averages(state: TrainState) -> dict[str, NetworkModel]:
    """The averages of a training by their names in a checkpoint."""
    return {"ema": state.ema} | {f"ema{i}": mean for i, mean in enumerate(state.also, 1)}


def taken(state: TrainState) -> dict[str, Tensor]:
    """The weights, their averages and what the optimiser keeps, as they are: nothing is copied."""
    nets = {"net": state.model, **averages(state)}
    found = {f"{part}.{name}": x for part, model in nets.items() for name, x in model.net.state_dict().items()}
    for index, moments in state.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{index}.{name}": x for name, x in moments.items()}
    scaler = state.scaler.state_dict()  # which is empty but for float16
    return found | {f"scaler.{name}": torch.tensor(scaler[name]) for name in SCALER if name in scaler}


def put_back(state: TrainState, tensors: Mapping[str, Tensor]) -> None:
    """Sets a fresh training to what was taken.

    Raises:
        CheckpointError: It is of another network or optimiser.
    """

    def part(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): x for k, x in tensors.items() if k.startswith(prefix)}

    try:
        for name, model in {"net": state.model, **averages(state)}.items():
            model.net.load_state_dict(part(f"{name}."))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, x in part("optimizer.").items():
            index, name = key.split(".", 1)
            moments.setdefault(int(index), {})[name] = x
        for parameter, kept in zip(state.model.parameters(), (moments[i] for i in sorted(moments)), strict=True):
            for name, x in kept.items():
                if x.shape == parameter.shape:  # the fused optimiser reads moments in the parameter's own order
                    kept[name] = torch.empty_like(parameter).copy_(x)
        groups = state.optimizer.state_dict()["param_groups"]
        state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        if scaler := part("scaler."):
            kept = state.scaler.state_dict() | {name: x.item() for name, x in scaler.items()}
            state.scaler.load_state_dict(kept)  # nothing happens if the run was changed to another precision
    except (RuntimeError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"the checkpoint does not fit the configuration: {reason}") from None
