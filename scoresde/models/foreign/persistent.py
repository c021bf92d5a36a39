"""Networks that NVIDIA's `torch_utils.persistence` has pickled together with their source: all but the source."""

from typing import Any

from torch import Tensor

from ...core.errors import CheckpointError
from ...core.sentences import an
from .pickles import PERSISTENT, Record, tensor_of

PARTS = ("_parameters", "_buffers", "_modules")


def module_of(record: Any) -> tuple[str, dict[str, Any]]:
    """Class and attributes of a module. The source that is kept with it is not looked at.

    Args:
        record: Of a module of torch, or of one made persistent.

    Raises:
        CheckpointError: It is of something else.
    """
    name, state = getattr(record, "path", type(record).__name__), getattr(record, "state", None)
    if name == PERSISTENT:
        said = record.args[0] if record.args and isinstance(record.args[0], dict) else {}
        name, state = str(said.get("class_name")), said.get("state")
    if not isinstance(state, dict) or not all(isinstance(state.get(part), dict) for part in PARTS):
        raise CheckpointError(f"the pickle has {an(name)} where a module should be")
    return name, state


def options_of(record: Any) -> dict[str, Any]:
    """What a persistent module was built with, by name.

    Args:
        record: Of a module.

    Raises:
        CheckpointError: It does not say so.
    """
    name, state = module_of(record)
    options = state.get("_init_kwargs")
    if not isinstance(options, dict) or state.get("_init_args"):
        raise CheckpointError(f"the pickle does not say by name what its {name} was built with")
    return {str(key): value for key, value in options.items()}


def weights_of(record: Any) -> dict[str, Tensor]:
    """Parameters and buffers of a module and its parts, by the names of its state dict.

    Args:
        record: Of a module.

    Raises:
        CheckpointError: A part is no module or is there twice, or a tensor cannot be read.
    """
    found, waiting, seen = dict[str, Tensor](), [("", record)], set[int]()
    while waiting:
        prefix, module = waiting.pop()
        if id(module) in seen:
            raise CheckpointError(f"the part {prefix[:60]} of the network is there twice")
        seen.add(id(module))
        _, state = module_of(module)
        passing = state.get("_non_persistent_buffers_set")
        passing = passing.args[0] if isinstance(passing, Record) and passing.args else passing
        left_out = list(passing) if isinstance(passing, set | list | tuple) else []
        for name, value in [*state["_parameters"].items(), *state["_buffers"].items()]:
            if value is not None and name not in left_out:
                found[f"{prefix}{name}"] = tensor_of(value)
        waiting += [(f"{prefix}{name}.", part) for name, part in state["_modules"].items() if part is not None]
    return found
