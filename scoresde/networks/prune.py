"""Weights taken away from a trained network: which, what that saves, and training what is left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torchs

from ..core.errors import UsageError
from ..core.options import hint
from ..core.random import seed_global, undisturbed

PruneMethod = Literal["l1", "random", "ln"]
library: Any = torchs  # which has no types
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


@dataclass(frozen=True)
class Pruned:
    """How many weights a network has, how many are 0, and what it costs."""

    weights: int
    """Weights of the layers that can be pruned: convolutions and linear maps."""
    zeros: int
    """Those of them that are 0."""
    flops: int
    """Operations of these layers for one image, a multiplication and an addition counting as two."""
    useful: int
    """Those with a weight that is not 0, which is what hardware for sparse weights would do."""

    @property
    def sparsity(self) -> float:
        """Share of the weights that are 0."""
        return self.zeros / self.weights


def layers(net: nn.Module) -> dict[str, Any]:
    """The layers of a network that can be pruned, by name.

    Args:
        net: The network.
    """
    return {name: module for name, module in net.named_modules() if isinstance(module, LAYERS)}


def chosen(net: nn.Module, modules: Sequence[str]) -> dict[str, Any]:
    """The layers in some modules of a network, by name.

    Args:
        net: The network.
        modules: Patterns of names, such as "mid_block" or "*.conv1": a layer is chosen by its own name, or by that of a
            module that it is in. None at all choose every layer.

    Raises:
        UsageError: A pattern fits none.
    """
    found = layers(net)

    def fits(name: str, pattern: str) -> bool:
        parts = name.split(".")
        return any(fnmatchcase(".".join(parts[: i + 1]), pattern) for i in range(len(parts)))

    for pattern in modules:
        if not any(fits(name, pattern) for name in found):
            raise UsageError(
                f"no layer is in a module {pattern!r}. {hint(pattern, [n for n, _ in net.named_modules() if n])}"
            )
    return {name: layer for name, layer in found.items() if not modules or any(fits(name, p) for p in modules)}


def prune(
    net: nn.Module, method: PruneMethod, amount: float, *, seed: int = 0, modules: Sequence[str] = ()
) -> dict[str, Tensor]:
    """Sets a share of each layer's weights to 0, and returns which weights are left, a mask (bool) by layer.

    "l1" removes the smallest weights, "random" any, and "ln" whole output channels, those of the smallest Euclidean
    length. "ln" leaves the last layer alone, whose outputs are the channels of the image.

    Args:
        net: The network, which is changed in place.
        method: "l1", "random" or "ln".
        amount: The share, between 0 and 1.
        seed: Seed of "random".
        modules: In which modules, as `chosen` takes them; by default in all.

    Raises:
        UsageError: The share is not between 0 and 1, or no layer is left to be pruned.

    References: Han et al. 2015, https://arxiv.org/abs/1506.02626; Li et al. 2017, https://arxiv.org/abs/1608.08710.
    """
    if not 0 < amount < 1:
        raise UsageError(f"--amount must be between 0 and 1, got {amount:g}")
    found = chosen(net, modules)
    last, kept = list(layers(net))[-1], dict[str, Tensor]()
    if method == "ln" and list(found) == [last]:
        raise UsageError(f"ln leaves the last layer alone, and {last} is all that was chosen: take l1 or random")
    with undisturbed():
        seed_global(seed)
        for name, layer in found.items():
            if method == "ln" and name == last:
                continue
            if method == "ln":
                outputs = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
                library.ln_structured(layer, "weight", amount, n=2, dim=outputs)
            elif method == "l1":
                library.l1_unstructured(layer, "weight", amount)
            else:
                library.random_unstructured(layer, "weight", amount)
            kept[name] = layer.weight_mask.bool()
            library.remove(layer, "weight")
    return kept


@torch.no_grad()
def hold(net: nn.Module, kept: Mapping[str, Tensor]) -> None:
    """Sets pruned weights to 0 again, after a training step has moved them.

    Args:
        net: The network, which is changed in place.
        kept: Which weights are left, by layer, as `prune` returns it.
    """
    for name, mask in kept.items():
        weight: Any = net.get_submodule(name).weight
        weight.mul_(mask)


def each(net: nn.Module) -> list[dict[str, Any]]:
    """A line for each layer: its name, its kernel, how many weights it has and are 0, and its size in memory.

    Args:
        net: The network.
    """
    lines = []
    for name, layer in layers(net).items():
        count, zeros = layer.weight.numel(), int((layer.weight == 0).sum())
        shape = " x ".join(map(str, layer.weight.shape))
        size = sum(p.numel() * p.element_size() for p in layer.parameters())
        line = {"layer": name, "weight": shape, "weights": count, "zeros": zeros, "sparsity": round(zeros / count, 4)}
        lines.append(line | {"KiB": round(size / 1024, 1)})
    return lines


@torch.no_grad()
def measure(net: nn.Module, shape: tuple[int, ...]) -> Pruned:
    """What is left of a pruned network.

    Args:
        net: The network, called as net(x, label).
        shape: Shape of one input, (C, H, W), with the channels of a condition.
    """
    counts, hooks = [], []

    def count(layer: Any, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        weight = layer.weight
        # Every weight meets each position of the map on its side that is not strided.
        side = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else out
        positions = side[0].numel() // side.shape[-1 if isinstance(layer, nn.Linear) else 1]
        counts.append((2 * positions * weight.numel(), 2 * positions * int(weight.count_nonzero())))

    for layer in layers(net).values():
        hooks.append(layer.register_forward_hook(count))
    training = net.training
    try:
        first = next(net.parameters())
        net.eval()(torch.zeros(1, *shape).to(first), torch.zeros(1).to(first))
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    weights = [layer.weight for layer in layers(net).values()]
    total = sum(w.numel() for w in weights)
    left = sum(int(w.count_nonzero()) for w in weights)
    return Pruned(total, total - left, sum(a for a, _ in counts), sum(b for _, b in counts))
