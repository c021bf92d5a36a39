"""Base class of importers, which make a score model of a checkpoint of another project."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from ...core.errors import UsageError
from ...core.options import Registry, WrittenOptions
from ...core.random import undisturbed
from ...networks import NetworkOptions
from ...sde import SDE
from ..autoencoders import Autoencoder
from ..network import NetworkModel
from .weights import fill

N = TypeVar("N", bound=NetworkOptions)


@dataclass(frozen=True)
class Imported:
    """A checkpoint as a score model."""

    model: NetworkModel
    """On the CPU, in evaluation mode, without gradients."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the model does not say itself, as JSON: which weights were taken, what the source says of sampling, what was
    left out, the terms of use of the weights."""


class Family(WrittenOptions, ABC):
    """The checkpoints of one project. Its fields are what a file does not say, and it asks for them by name."""

    folders: ClassVar[bool] = False
    """Whether a checkpoint is a folder; else it is a file."""

    @classmethod
    @abstractmethod
    def claims(cls, source: Path) -> bool:
        """Whether a file or folder is of this family, as its names and keys show; no code of it is run.

        Args:
            source: The file or folder, which exists.
        """

    @abstractmethod
    def read(self, source: Path) -> Imported:
        """The score model of a checkpoint.

        Args:
            source: The file or folder.

        Raises:
            UsageError: It has an option that is not covered, or an option is missing or contradicts it.
            CheckpointError: It is damaged, incomplete, or holds what could run code.
        """


class Setting(NamedTuple, Generic[N]):
    """What a checkpoint says of its network, as `NetworkModel` takes it."""

    network: N
    shape: tuple[int, ...]
    sde: SDE
    label: str
    predicts: str


def model_of(
    said: Setting[Any], weights: Mapping[str, Any], source: Path, autoencoder: Autoencoder | None = None
) -> NetworkModel:
    """The score model of a checkpoint, in evaluation mode, without gradients.

    Args:
        said: What it says of its network.
        weights: Weights of the network by name, each of them and no others.
        source: Where they are from, for messages.
        autoencoder: What makes pictures of its samples, if they are latents.

    Raises:
        UsageError: The network does not take samples of the shape.
        CheckpointError: The weights do not fit.
    """
    network, shape, sde, label, predicts = said
    with undisturbed():  # the fresh weights are drawn and written over
        net = network.build(shape)
    fill(net, weights, source)
    classes, coder = network.classes, autoencoder
    model = NetworkModel(
        net, sde, shape, label=label, predicts=predicts, classes=classes, options=network, autoencoder=coder
    )
    return model.eval().requires_grad_(False)


families: Registry[Family] = Registry("family", "scoresde.models.foreign", "scoresde.families")


def family_of(source: Path) -> type[Family]:
    """The family of a checkpoint.

    Args:
        source: A file or folder.

    Raises:
        UsageError: There is none, or several could be meant.
    """
    if not source.exists():
        raise UsageError(f"there is no file or folder {source}")
    found = [cls for cls in families.values() if cls.claims(source)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(cls.name for cls in found or families.values())
    what = f"could be of several families ({names})" if found else f"is of no family that is known ({names})"
    raise UsageError(f"{source} {what}: name its family")
