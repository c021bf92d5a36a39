"""What a network is made of: the shape of every feature map, its size, and its cost."""

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..core.devices import finished
from ..core.errors import UsageError, reason


@dataclass(frozen=True)
class FeatureMap:
    """The output of one module."""

    module: str
    """Name of the module inside the network; empty for the network itself."""
    kind: str
    """Class of the module, and of a convolution the sides of its kernel."""
    shape: tuple[int, ...]
    """Shape of one sample's output, without the batch."""

    @property
    def depth(self) -> int:
        """How deep the module lies: 1 for conv_in, 2 for down_blocks.0."""
        return self.module.count(".") + 1 if self.module else 0


@dataclass(frozen=True)
class Description:
    """A network, run once."""

    input: tuple[int, ...]
    """Shape of one input, without the batch."""
    batch: int
    """Inputs in one forward."""
    rows: list[FeatureMap]
    """In the order in which the outputs were ready: a block comes after its parts."""
    parameters: int
    """Number of parameters."""
    flops: int
    """Floating-point operations of one forward of the batch; a multiplication and an addition count as two.

    As torch counts them: those of convolutions, matrix products and attention.
    """
    milliseconds: float | None
    """Median time of one forward of the batch on the network's device, or None if it was not measured."""

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return asdict(self)

    def text(self, depth: int | None = None) -> str:
        """A table of the rows that are no deeper than `depth`, or of all, followed by the totals.

        Args:
            depth: The deepest rows that are shown, as `FeatureMap.depth` counts; None shows all.
        """
        rows = [row for row in self.rows if depth is None or row.depth <= depth]
        cells = [("module", "kind", "output"), ("input", "", _times(self.input))]
        cells += [(row.module or "(network)", row.kind, _times(row.shape)) for row in rows]
        first, second = (max(len(cell[i]) for cell in cells) for i in (0, 1))
        lines = [f"{a:<{first}}  {b:<{second}}  {c}".rstrip() for a, b, c in cells]
        lines += ["", f"parameters   {self.parameters:,}", f"operations   {self.flops:,} per forward of {self.batch}"]
        if self.milliseconds is not None:
            lines.append(f"time         {self.milliseconds:.2f} ms per forward of {self.batch}")
        return "\n".join(lines)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def describe(
    net: nn.Module,
    shape: tuple[int, ...],
    *,
    batch: int = 1,
    timed: bool = True,
    repeats: int = 5,
    classes: bool = False,
) -> Description:
    """Runs net(x, label) and reports what comes out of each of its parts.

    Shapes and operations come from torch's meta device, where nothing is computed or stored, so that a large
    input costs nothing; only the timing runs the network. The network is left as it was.

    Args:
        net: The network, called as net(x, label).
        shape: Shape of one input, (C, H, W), with the channels of a condition where the network takes one.
        batch: Inputs in one forward.
        timed: Whether to measure the time as well, in eval mode and without gradients.
        repeats: Forwards that are timed, after one that is not.
        classes: Whether the network needs a class for each input: then it is called as net(x, label, classes).

    Raises:
        UsageError: batch or repeats is below 1, or the network does not take an input of this shape.
    """
    if batch < 1 or repeats < 1:
        raise UsageError(f"batch and repeats must be at least 1, got {batch} and {repeats}")
    rows: list[FeatureMap] = []
    with _evaluating(net), _recording(net, rows), FlopCounterMode(display=False) as counter:
        tensors = {name: t.to("meta") for name, t in [*net.named_parameters(), *net.named_buffers()]}
        try:
            torch.func.functional_call(net, tensors, _inputs(net, shape, batch, torch.device("meta"), classes))
        except (RuntimeError, ValueError) as error:
            raise UsageError(f"the network does not take an input of shape {_times(shape)}: {reason(error)}") from error
    parameters = sum(p.numel() for p in net.parameters())
    milliseconds = _milliseconds(net, shape, batch, repeats, classes) if timed else None
    return Description(tuple(shape), batch, rows, parameters, counter.get_total_flops(), milliseconds)


def _inputs(
    net: nn.Module, shape: tuple[int, ...], batch: int, device: torch.device, classes: bool
) -> tuple[Tensor, ...]:
    dtype = next((p.dtype for p in net.parameters()), torch.float32)
    x = torch.empty(batch, *shape, dtype=dtype, device=device)
    # A ramp: some processors multiply zeros faster.
    torch.linspace(-1, 1, x.numel(), dtype=dtype, device=device, out=x.view(-1))
    of_class = (torch.zeros(batch, dtype=torch.int64, device=device),) if classes else ()
    return x, torch.full((batch,), 500.0, dtype=dtype, device=device), *of_class


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    """Puts every module into eval mode, and afterwards back into the mode it was in."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _recording(net: nn.Module, rows: list[FeatureMap]) -> Iterator[None]:
    """Files a row for each output that is new: normalisations, activations and dropouts only redo their input."""

    def watch(name: str, module: nn.Module) -> Any:
        is_leaf = next(module.children(), None) is None
        mixes = any(p.ndim > 1 for p in module.parameters(recurse=False))
        kernel = module.weight.shape[2:] if isinstance(module, nn.modules.conv._ConvNd) else ()
        kind = f"{type(module).__name__} {'x'.join(map(str, kernel))}".strip()

        def hook(_: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
            same = inputs and isinstance(inputs[0], Tensor) and getattr(output, "shape", None) == inputs[0].shape
            if isinstance(output, Tensor) and not (is_leaf and same and not mixes):
                rows.append(FeatureMap(name, kind, tuple(output.shape[1:])))

        return module.register_forward_hook(hook)

    with ExitStack() as stack:
        for name, module in net.named_modules():
            stack.callback(watch(name, module).remove)
        yield


def _milliseconds(net: nn.Module, shape: tuple[int, ...], batch: int, repeats: int, classes: bool) -> float:
    """Median over `repeats` forwards on the device of the network's parameters."""
    device = next((p.device for p in net.parameters()), torch.device("cpu"))
    inputs, seconds = _inputs(net, shape, batch, device, classes), []
    with _evaluating(net):
        for _ in range(repeats + 1):
            start = time.perf_counter()
            net(*inputs)
            finished(device)
            seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds[1:])
