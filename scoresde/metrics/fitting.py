"""The training loop of extractors and of classifiers of noisy data."""

import math
from collections.abc import Callable, Iterable

import torch
from pydantic import Field
from torch import Tensor, nn

from ..core.errors import NumericalError
from ..core.options import Options
from ..core.random import permutation, stream

Watch = Callable[[int, float], None]
"""Called after each step with the number of items seen so far and the loss."""


class Training(Options):
    """Options of a short training."""

    images: int = Field(100_000, ge=1, description="Images seen in training, with repetitions.")
    batch: int = Field(100, ge=2, description="Images per step; all, if there are fewer.")
    learning_rate: float = Field(2e-3, gt=0, description="Highest learning rate; it falls to 0 as a cosine.")
    seed: int = Field(0, ge=0, description="Seed of the weights and of the order of the images.")


def minimise(
    loss: Callable[[Tensor, int], Tensor],
    parameters: Iterable[nn.Parameter],
    count: int,
    options: Training,
    watch: Watch = lambda seen, loss: None,
) -> None:
    """Makes a loss small by AdamW, over batches of items in an order that is another in each epoch.

    Args:
        loss: Called with the numbers of a batch of items, (B,) int64, and with how many items were seen before.
        parameters: What is trained.
        count: Number of items.
        options: The training.
        watch: Called after each step with the items seen so far and the loss.

    Raises:
        NumericalError: The loss is not finite.
    """
    optimizer = torch.optim.AdamW(parameters, lr=options.learning_rate, weight_decay=0.01)
    batch, epoch, seen, order = min(options.batch, count), 0, 0, torch.empty(0, dtype=torch.int64)
    while seen < options.images:
        if len(order) < batch:  # an incomplete batch at the end of an epoch is left out
            order, epoch = permutation(count, stream(options.seed, "order", epoch)), epoch + 1
        index, order = order[:batch], order[batch:]
        found = loss(index, seen)
        if not math.isfinite(found.item()):
            raise NumericalError(f"the loss is {found.item()} after {seen} images: lower the learning rate")
        for group in optimizer.param_groups:
            group["lr"] = 0.5 * options.learning_rate * (1 + math.cos(math.pi * seen / options.images))
        optimizer.zero_grad(set_to_none=True)
        found.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        seen += batch
        watch(seen, found.item())
