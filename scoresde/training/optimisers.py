"""Optimisers."""

from collections.abc import Iterable

import torch
from torch.nn import Parameter

from ..core.errors import UsageError
from .options import TrainOptions


def optimiser(options: TrainOptions, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
    """The optimiser of a run.

    Args:
        options: The table [train] of the configuration.
        parameters: What is trained.

    References: Kingma and Ba 2015, https://arxiv.org/abs/1412.6980 (Adam, AdaMax); Loshchilov and Hutter 2019,
    https://arxiv.org/abs/1711.05101 (AdamW); Chen et al. 2023, https://arxiv.org/abs/2302.06675 (Lion).

    Raises:
        UsageError: Its package is not installed, or it takes no weight decay.
    """
    rate, decay = options.learning_rate, options.weight_decay
    if options.optimizer == "lion":
        try:
            from lion_pytorch import Lion
        except ImportError:
            raise UsageError("train.optimizer = lion needs another package: pip install 'scoresde[lion]'") from None
        lion: torch.optim.Optimizer = Lion(parameters, lr=rate, weight_decay=decay)
        return lion
    if options.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
    if decay:
        raise UsageError(f"train.weight_decay is of adamw and lion, train.optimizer = {options.optimizer} takes none")
    if options.optimizer == "adamax":
        return torch.optim.Adamax(parameters, lr=rate, foreach=True)
    return torch.optim.Adam(parameters, lr=rate, fused=True)
