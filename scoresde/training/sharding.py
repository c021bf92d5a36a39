"""Networks of which each process holds a share, and borrows the rest block by block while it computes.

Reference: Rajbhandari et al. 2020, https://arxiv.org/abs/1910.02054, section 5.3; Zhao et al. 2023,
https://arxiv.org/abs/2304.11277. The work is done by torch.distributed.fsdp.fully_shard.
"""

import copy
from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..core.parallel import processes

Module = TypeVar("Module", bound=nn.Module)


def blocks(net: nn.Module) -> list[nn.Module]:
    """The parts of a network that are gathered by themselves, inner ones first: those that directly hold layers."""

    def holds_layers(part: nn.Module) -> bool:
        return any(not [*child.children()] and [*child.parameters()] for child in part.children())

    lists = nn.ModuleList | nn.ModuleDict  # which are never called
    return [part for part in [*net.modules()][:0:-1] if holds_layers(part) and not isinstance(part, lists)]


def spread(net: nn.Module, copies: Iterable[nn.Module], device: torch.device) -> None:
    """Leaves each process its share of a network's weights, on a device, and as much of those of copies of it.

    Weights are cut along their first dimension. The network goes on to take and to give whole tensors; a copy does
    not: it only keeps weights, see `whole`. Buffers are those of process 0.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (processes().world,))
    for part in (*blocks(net), net):
        fully_shard(part, mesh=mesh)
    net.register_forward_pre_hook(agree)
    for other in copies:
        for name, weight in net.named_parameters():
            place(other, name, weight.detach().clone())
        other.to(device)  # its buffers


def agree(net: nn.Module, *_: object) -> None:
    """Gives all processes the buffers of process 0, such as the statistics of a batch normalisation."""
    for buffer in net.buffers():
        torch.distributed.broadcast(buffer, 0)


def whole(module: Module) -> Module:
    """A copy, with whole weights in process 0, of what `spread` calls a copy; a module that is not spread, as it is.

    All processes have to call it.
    """
    if not any(is_share(parameter) for parameter in module.parameters()):
        return module
    gathered = copy.deepcopy(module)
    for name, weight in module.named_parameters():
        found = everything(weight.detach())
        if processes().first:  # one after the other, so that the other processes never hold more than one
            place(gathered, name, found)
    return gathered


def place(module: nn.Module, name: str, weight: Tensor) -> None:
    """Puts a weight that is not trained into a module."""
    owner, _, last = name.rpartition(".")
    setattr(module.get_submodule(owner), last, nn.Parameter(weight, requires_grad=False))


def is_share(x: Tensor) -> bool:
    """Whether a tensor is a process's share of a larger one, a DTensor."""
    return hasattr(x, "to_local")  # to import the class takes time, which only those who need it should spend


def local(x: Tensor) -> Tensor:
    """What this process holds of a tensor."""
    held: Tensor = x.to_local() if is_share(x) else x  # type: ignore[attr-defined]
    return held


def everything(x: Tensor) -> Tensor:
    """The whole of a tensor; if it is spread, all processes have to call it."""
    found: Tensor = x.full_tensor() if is_share(x) else x  # type: ignore[attr-defined]
    return found
