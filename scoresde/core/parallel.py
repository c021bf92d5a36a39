"""Process groups: several processes that train one network or share other work, under torchrun."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from .errors import ResourceError, ScoreSDEError, UsageError

T = TypeVar("T")
VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells each process."""
PATIENCE = timedelta(hours=1)
"""How long a process waits for the others. Process 0 takes longest, as it also draws sheets and evaluates."""


class Processes(NamedTuple):
    """The processes that work together, seen from this one. With one process, every method does nothing special."""

    rank: int = 0
    """Its number; process 0 alone prints and writes files."""
    world: int = 1
    """How many there are."""

    @property
    def first(self) -> bool:
        """Whether this is process 0."""
        return self.rank == 0

    def only_first(self, work: Callable[[], T]) -> T:
        """What `work` returns in process 0, given to all processes. An error in process 0 ends all of them.

        Args:
            work: Called in process 0 alone; the result must be picklable.

        Raises:
            ScoreSDEError: `work` has, in process 0.
        """
        if self.world == 1:
            return work()
        outcome: list[Any] = [None, 0]
        if not self.first:
            torch.distributed.broadcast_object_list(outcome)
            if outcome[1]:
                sys.exit(outcome[1])
            value: T = outcome[0]
            return value
        try:
            outcome[0] = work()
        except ScoreSDEError as error:
            outcome[1] = error.exit_code
            raise
        finally:
            torch.distributed.broadcast_object_list(outcome)
        done: T = outcome[0]
        return done

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set in any process; so all processes learn of a signal at the same step.

        Args:
            flag: The flag of this process.
            device: Device of the tensor that is exchanged: of the GPU for NCCL.
        """
        if self.world == 1:
            return flag
        flags = torch.tensor([float(flag)], device=device)
        torch.distributed.all_reduce(flags)
        return bool(flags.item())

    def mean(self, x: Tensor) -> Tensor:
        """The mean of x over the processes.

        Args:
            x: A tensor that has the same shape in every process.
        """
        if self.world > 1:
            x = x.clone()
            torch.distributed.all_reduce(x)
            x /= self.world
        return x

    def gather(self, value: T) -> list[T]:
        """The values of all processes in the order of their ranks, in process 0; in the others, an empty list.

        Args:
            value: The value of this process, picklable.
        """
        if self.world == 1:
            return [value]
        found: list[Any] | None = [None] * self.world if self.first else None
        torch.distributed.gather_object(value, found)
        return found or []

    def joined(self, net: nn.Module) -> nn.Module:
        """The network, with gradients that are the mean over the processes.

        Args:
            net: The network, on the device of this process.
        """
        if self.world == 1:
            return net
        return nn.parallel.DistributedDataParallel(net)


ALONE = Processes()


def held_back(net: nn.Module, hold: bool) -> contextlib.AbstractContextManager[None]:
    """A context in which the gradients of a network from `Processes.joined` are not exchanged.

    Args:
        net: The network.
        hold: Whether to hold the exchange back, while gradients are accumulated; else the context does nothing.
    """
    if hold and isinstance(net, nn.parallel.DistributedDataParallel):
        context: contextlib.AbstractContextManager[None] = net.no_sync()
        return context
    return contextlib.nullcontext()


def grouped() -> bool:
    """Whether this process belongs to a process group of torch.distributed."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def processes() -> Processes:
    """The processes of the group that this one belongs to, or this one alone.

    Raises:
        UsageError: Several processes were started but not joined: each would do the whole work by itself.
    """
    if grouped():
        return Processes(torch.distributed.get_rank(), torch.distributed.get_world_size())
    if _number("WORLD_SIZE", 1) > 1:
        raise UsageError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but no process group is up, so every process would train a "
            "network of its own: start with torchrun, and train inside scoresde.core.parallel.group()"
        )
    return ALONE


def leads() -> bool:
    """Whether this process is the first of its group, or of those that torchrun started: the one that speaks."""
    return processes().first if grouped() else _number("RANK", 0) == 0


@contextlib.contextmanager
def group(device: str = "auto") -> Iterator[str]:
    """A context in which the processes that torchrun started are joined; gives the name of this process's device.

    On GPUs they exchange by NCCL, and each takes the GPU of its local rank; on the CPU they exchange by Gloo.

    Args:
        device: Device of a process that was started alone; among several, "auto" and "cuda" take this process's GPU.

    Raises:
        UsageError: Some of torchrun's variables are set and others are not.
        ResourceError: The machine has fewer GPUs than processes.
    """
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if {"RANK", "WORLD_SIZE"} <= set(missing) or (os.environ.get("WORLD_SIZE") == "1"):
        yield device
        return
    if missing:
        raise UsageError(
            f"this looks like one of several processes, but {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not set: start with torchrun, which sets them all"
        )
    local = _number("LOCAL_RANK", 0)
    if gpu := device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
        if local >= torch.cuda.device_count():
            raise ResourceError(
                f"process {local} of this machine has no GPU, for there are {torch.cuda.device_count()}: lower "
                "--nproc-per-node, or train with --device cpu"
            )
        torch.cuda.set_device(local)
    torch.distributed.init_process_group("nccl" if gpu else "gloo", timeout=PATIENCE)
    yield f"cuda:{local}" if gpu else device
    torch.distributed.destroy_process_group()  # not after an error, where it would wait for what never comes


def share() -> tuple[int, int]:
    """The number of this process and of how many that share the work: from torchrun, a SLURM array, or both.

    Raises:
        UsageError: A variable is no whole number, or the numbers of the array have gaps.
    """
    first, tasks = _number("SLURM_ARRAY_TASK_MIN", 0), _number("SLURM_ARRAY_TASK_COUNT", 1)
    world, step = _number("WORLD_SIZE", 1), max(1, _number("SLURM_ARRAY_TASK_STEP", 1))
    task, last = _number("SLURM_ARRAY_TASK_ID", first) - first, first + (tasks - 1) * step
    if task % step or not 0 <= task // step < tasks or _number("SLURM_ARRAY_TASK_MAX", last) != last:
        raise UsageError(
            f"the numbers of the {tasks} tasks of this SLURM array have gaps, so that some work would be done "
            f"twice and some never: submit it as --array=0-{tasks - 1}"
        )
    return task // step * world + _number("RANK", 0), tasks * world


def _number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal():
        raise UsageError(f"the variable {name} must be a whole number, got {text!r}: leave it unset")
    return int(text)
