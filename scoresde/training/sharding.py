"""Sharded networks: each process holds a part of every weight, and gathers whole weights block by block.

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
    """The parts of a network that are gathered one by one, inner ones first: those that directly hold layers.

    Args:
        net: The network.
    """

    def holds_layers(part: nn.Module) -> bool:
        return any(not [*child.children()] and [*child.parameters()] for child in part.children())

    lists = nn.ModuleList | nn.ModuleDict  # which are never called
    return [part for part in [*net.modules()][:0:-1] if holds_layers(part) and not isinstance(part, lists)]


def spread(net: nn.Module, copies: Iterable[nn.Module], device: torch.device) -> None:
    """Shards a network's weights over the processes, and the weights of its copies in the same way.

    Weights are cut along their first dimension. The network still takes and gives whole tensors. A copy does not: it
    only keeps weights, see `whole`. Buffers are those of process 0.

    Args:
        net: The network, which is changed in place.
        copies: Networks of the same architecture, which are changed in place.
        device: The device of this process.
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
    """Gives all processes the buffers of process 0, such as the statistics of batch normalisation.

    Args:
        net: The network.
    """
    for buffer in net.buffers():
        torch.distributed.broadcast(buffer, 0)


def whole(module: Module) -> Module:
    """A copy of a sharded module, with whole weights in process 0; a module that is not sharded is returned as it is.

    All processes have to call it.

    Args:
        module: What `spread` calls a copy, or any other module.
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
    """Replaces a weight of a module by one that is not trained.

    Args:
        module: The module, which is changed in place.
        name: Name of the weight.
        weight: The new weight.
    """
    owner, _, last = name.rpartition(".")
    setattr(module.get_submodule(owner), last, nn.Parameter(weight, requires_grad=False))


def is_share(x: Tensor) -> bool:
    """Whether a tensor is one process's shard of a larger one, a DTensor.

    Args:
        x: A tensor.
    """
    return hasattr(x, "to_local")  # to import the class takes time, which only those who need it should spend


def local(x: Tensor) -> Tensor:
    """The part of a tensor that this process holds.

    Args:
        x: A tensor, sharded or not.
    """
    held: Tensor = x.to_local() if is_share(x) else x  # type: ignore[attr-defined]
    return held


def everything(x: Tensor) -> Tensor:
    """The whole of a tensor. If it is sharded, all processes have to call it.

    Args:
        x: A tensor, sharded or not.
    """
    found: Tensor = x.full_tensor() if is_share(x) else x  # type: ignore[attr-defined]
    return found
