"""Checkpoints of score_sde_pytorch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ...core.errors import CheckpointError, UsageError
from .base import Family, Imported, families, model_of
from .glance import mentions
from .score_sde_configs import PUBLISHED, USED, configuration, setting
from .weights import fill, read_weights

ROUNDED = "between two of its levels the network is given a fraction; the original rounds to the nearest"


@families("score_sde")
class ScoreSDE(Family):
    """`checkpoint_N.pth` of score_sde_pytorch: NCSN++, DDPM++ and DDPM on `vpsde`, `subvpsde` and `vesde`.

    The file holds no configuration. A network of data in [0, 1] becomes one of the same data in [-1, 1], exactly.

    Reference: Song et al. 2021, https://github.com/yang-song/score_sde_pytorch.
    """

    config: str | None = Field(
        None, description="Its configuration: a name such as vp/cifar10_ddpmpp_continuous, or a JSON file."
    )
    weights: Literal["averages", "raw"] = Field("averages", description="Averaged weights, or the last ones.")

    @classmethod
    def claims(cls, source: Path) -> bool:
        return mentions(source, "shadow_params", "all_modules.0.")

    def read(self, source: Path) -> Imported:
        if self.config is None:
            raise UsageError(
                f"{source} does not say its configuration: give config, a JSON file or one of {', '.join(PUBLISHED)}"
            )
        config = configuration(self.config)
        said = setting(config)
        network = said.network
        content = read_weights(source)
        raw = tensors_of(content, source)
        same_levels(raw.get("sigmas"), network.sigmas, source)
        model = model_of(said, raw, source)
        if self.weights == "averages":
            fill(model.net, {**raw, **averages(content, model.net, source)}, source)
        notes = {
            "config": self.config if self.config in PUBLISHED else {name: config[name] for name in USED},
            "weights": self.weights,
            "step": step if isinstance(step := content.get("step"), int) else None,
            "sampling": dict(config.get("sampling", {})),
            **({} if said.label != f"reversed:scale={network.levels - 1}" else {"levels": ROUNDED}),
            **({"data": "the original's data are in [0, 1], ours in [-1, 1]"} if network.unit_interval else {}),
        }
        return Imported(model, notes)


def tensors_of(content: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """The weights without averages, by the names of the network.

    Args:
        content: What the file holds.
        source: The file, for messages.

    Raises:
        CheckpointError: It holds none.
    """
    found = content.get("model")
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{source} has no entry model: it is no checkpoint of score_sde")
    return {str(name).removeprefix("module."): value for name, value in found.items()}


def same_levels(found: Any, expected: Tensor, source: Path) -> None:
    """Refuses a configuration whose levels of noise are not those that the checkpoint was trained with.

    Args:
        found: The levels in the file.
        expected: Those of the configuration, (N,), falling.
        source: The file, for the message.

    Raises:
        UsageError: They differ: the configuration is that of another checkpoint.
    """
    if not isinstance(found, Tensor) or found.ndim != 1 or not len(found):
        raise CheckpointError(f"{source} has no levels of noise, sigmas: it is no checkpoint of score_sde")
    if found.shape != expected.shape or not torch.allclose(found.double(), expected.double(), rtol=1e-4, atol=0):
        theirs, ours = (f"{len(each)} from {float(each[-1]):g} to {float(each[0]):g}" for each in (found, expected))
        raise UsageError(
            f"{source} has {theirs} as levels of noise, and the configuration {ours}: it is that of another checkpoint "
            "(model.sigma_min, model.sigma_max, model.num_scales)"
        )


def averages(content: Mapping[str, Any], net: nn.Module, source: Path) -> dict[str, Any]:
    """The averages of the weights by name. The file has them without, in the order of the parameters.

    Args:
        content: What the file holds.
        net: The network, with its parameters as they are trained.
        source: The file, for messages.

    Raises:
        CheckpointError: There are none, or not one for each parameter.
    """
    names, ema = [name for name, _ in net.named_parameters()], content.get("ema")
    found = ema.get("shadow_params") if isinstance(ema, Mapping) else None
    if not isinstance(found, list) or len(found) != len(names):
        has = f"{len(found)} averages" if isinstance(found, list) else "no averages"
        raise CheckpointError(f"{source} has {has}, and the network {len(names)} parameters: choose weights = raw")
    return dict(zip(names, found, strict=True))
