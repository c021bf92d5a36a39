"""How a network is evaluated: precision, memory layout, and compilation."""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from ..core.errors import UsageError

Precision = Literal["float32", "bfloat16", "float16"]
LOW = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""Precisions of 16 bits, by their names."""


@dataclass(frozen=True)
class Inference:
    """How a network is evaluated. Its own weights stay as they are: another precision or layout has a copy of them.

    Raises:
        UsageError: There is no such precision.
    """

    precision: Precision = "float32"
    """Of the weights and features; float32 is the network as it is. States, times and results keep their own dtype."""
    channels_last: bool = False
    """Whether the channels of a pixel lie together: the same numbers but for rounding."""
    compile: bool = False
    """Whether torch.compile makes kernels for it, for batches of any size."""

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            names = ", ".join(get_args(Precision))
            raise UsageError(f"the precision of a network is auto or one of {names}, got {self.precision!r}")

    @property
    def dtype(self) -> torch.dtype | None:
        """That of the network's input; None for the dtype of its weights."""
        return LOW.get(self.precision)

    @property
    def record(self) -> dict[str, Any]:
        """What a result is noted with."""
        return asdict(self)

    def of(self, net: nn.Module) -> Callable[..., Any] | None:
        """What is called in place of a network, as it is now; None for the network itself.

        Args:
            net: The network.
        """
        if self == Inference():
            return None
        if self.precision in LOW or self.channels_last:
            net = copy.deepcopy(net).requires_grad_(False).to(self.dtype)
        if self.channels_last:
            net = net.to(memory_format=torch.channels_last)
        return compiled(net) if self.compile else net.__call__

    def __str__(self) -> str:
        also = " in the layout channels_last" if self.channels_last else ""
        return f"{self.precision}{also}{', compiled' if self.compile else ''}"


def compiled(net: nn.Module) -> Callable[..., Any]:
    """The network compiled at its first call, for batches of all sizes: one of 1 and one of any other size.

    Args:
        net: The network, called with tensors whose first dimension is the batch.
    """
    from torch._functorch import config  # which takes a while to import

    # A divergence takes several products with one graph, whose memory must not be given back after the first. The
    # switch is read again at each of them, so it cannot be one of this network alone.
    config.donated_buffer = False
    run = torch.compile(net)

    def call(*inputs: Tensor) -> Any:
        for each in inputs:
            torch._dynamo.maybe_mark_dynamic(each, 0)
        return run(*inputs)

    return call
