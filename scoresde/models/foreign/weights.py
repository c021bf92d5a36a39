"""Weights of other projects: read without running anything, and put into a network whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ...core.errors import CheckpointError
from ...core.sentences import an


def read_weights(path: Path) -> dict[str, Any]:
    """What a file of weights holds: tensors by name, in `.pt` files possibly within further dictionaries.

    Args:
        path: A safetensors file, or one that `torch.save` has written.

    Raises:
        CheckpointError: The file is missing or damaged, or holds more than tensors and plain values.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(str(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except UnpicklingError as error:
        reason = next((line.strip() for line in str(error).splitlines() if "GLOBAL" in line or "class" in line), "")
        raise CheckpointError(
            f"{path} is damaged, or holds more than tensors and plain values and is not opened, since that could run "
            f"code of it. {reason}"
        ) from None
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(f"{path} is unreadable: {error}") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} holds {an(type(found).__name__)}: weights are a dictionary of tensors")
    return found


def fill(net: nn.Module, tensors: Mapping[str, Any], where: object) -> None:
    """Puts weights into a network, each of them and nothing else.

    Args:
        net: The network, whose state dict has the same names.
        tensors: The weights by name.
        where: Where they are from, for the message.

    Raises:
        CheckpointError: A weight is missing, unknown, of another shape, or not finite.
    """
    own = net.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in tensors]
    wrong += [f"{name} is unknown" for name in tensors if name not in own]
    for name in own.keys() & tensors.keys():
        value = tensors[name]
        if not isinstance(value, Tensor) or value.shape != own[name].shape:
            found = tuple(value.shape) if isinstance(value, Tensor) else an(type(value).__name__)
            wrong.append(f"{name} has the shape {found}, not {tuple(own[name].shape)}")
        elif not torch.isfinite(value).all():
            wrong.append(f"{name} is not finite")
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise CheckpointError(f"the weights of {where} do not fit the network: {sorted(wrong)[0]}{more}")
    net.load_state_dict(dict(tensors))
