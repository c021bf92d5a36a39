"""The state dict of a training, as a checkpoint holds it."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ..core.errors import CheckpointError
from ..models.network import NetworkModel
from . import shards
from .checkpoints import Checkpoint
from .loop import TrainState
from .sharding import everything, is_share

SCALER = ("scale", "_growth_tracker")
"""What changes in the state of a gradient scaler."""


def averages(state: TrainState) -> dict[str, NetworkModel]:
    """The averages of a training, by their names in a checkpoint.

    Args:
        state: The training.
    """
    further = {"ema": state.also, "power": state.powers}
    return {"ema": state.ema} | {f"{name}{i}": m for name, means in further.items() for i, m in enumerate(means, 1)}


def halved(state: TrainState) -> dict[str, Tensor]:
    """The averages of relative widths, in half precision where it has the range; buffers stay as they are.

    Args:
        state: The training.
    """
    found = dict[str, Tensor]()
    for name, model in averages(state).items():
        if name.startswith("power"):
            found |= {f"{name}.{key}": x for key, x in model.net.state_dict().items()}
            half = {f"{name}.{key}": x.detach().half() for key, x in model.net.named_parameters()}
            found |= {key: x for key, x in half.items() if bool(everything(x.isfinite().all()))}
    return found


def taken(state: TrainState) -> dict[str, Tensor]:
    """The state dict of a training: weights, averages, and the state of optimiser and gradient scaler. Nothing is
    copied.

    Args:
        state: The training.
    """
    nets = {"net": state.model, **averages(state)}
    found = {f"{part}.{name}": x for part, model in nets.items() for name, x in model.net.state_dict().items()}
    for index, moments in state.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{index}.{name}": x for name, x in moments.items()}
    scaler = state.scaler.state_dict()  # which is empty but for float16
    return found | {f"scaler.{name}": torch.tensor(scaler[name]) for name in SCALER if name in scaler}


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, by the rest of their names.

    Args:
        tensors: Tensors by name.
        prefix: The beginning of the names.
    """
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


def fetched(state: TrainState, found: Checkpoint) -> Mapping[str, Tensor]:
    """The tensors of a checkpoint, sharded as those of the training are.

    Args:
        state: The training.
        found: The checkpoint.
    """
    if not any(map(is_share, state.model.parameters())):
        return found.tensors
    alike = taken(state) | {f"optimizer.{i}": p.detach() for i, p in enumerate(state.model.parameters())}
    tensors = {}
    for name, x in shards.shapes(found.path).items():
        like = alike.get(name, alike.get(name.rpartition(".")[0]))
        if like is None or like.shape != x.shape:
            like = torch.empty_like(x, device="cpu")
        tensors[name] = torch.empty_like(like)
    shards.read_shards(found.path, tensors)
    return tensors


def put_back(state: TrainState, found: Checkpoint) -> None:
    """Sets a new training to the state of a checkpoint. If it is sharded, all processes have to call it.

    Args:
        state: The training, which is changed in place.
        found: The checkpoint.

    Raises:
        CheckpointError: It is of another network or optimiser.
    """
    tensors = fetched(state, found)
    try:
        for name, model in {"net": state.model, **averages(state)}.items():
            model.net.load_state_dict(under(tensors, f"{name}."))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, x in under(tensors, "optimizer.").items():
            place, name = key.split(".", 1)
            moments.setdefault(int(place), {})[name] = x
        parameters = list(state.model.parameters())
        for index, kept in moments.items():  # those that have never had a gradient have none
            for name, x in kept.items():
                if x.shape == parameters[index].shape:  # the fused optimiser reads moments in the parameter's own order
                    kept[name] = torch.empty_like(parameters[index]).copy_(x)
        groups = state.optimizer.state_dict()["param_groups"]
        state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        if scaler := under(tensors, "scaler."):
            kept = state.scaler.state_dict() | {name: x.item() for name, x in scaler.items()}
            state.scaler.load_state_dict(kept)  # nothing happens if the run was changed to another precision
    except (RuntimeError, LookupError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"the checkpoint does not fit the configuration: {reason}") from None
