"""What a network is: options that build a torch module."""

from abc import ABC, abstractmethod

from pydantic import Field
from torch import nn

from ..core.errors import UsageError
from ..core.options import Options, Registry


class NetworkOptions(Options, ABC):
    """Options of an architecture. `build` makes the module, called as net(x, label), or net(x, label, classes)."""

    classes: int = Field(0, ge=0, description="Number of classes; 0 for a network without classes.")
    extra_channels: int = Field(0, ge=0, description="Additional input channels, for a condition.")
    learned_variance: bool = Field(False, description="Add a second output of the sample's shape, for the variance.")

    @property
    def null_class(self) -> bool:
        """Whether class number `classes` means no class. If not, a network with classes needs one for each sample."""
        return True

    @abstractmethod
    def build(self, shape: tuple[int, ...]) -> nn.Module:
        """The module for samples of a shape, with fresh weights from torch's global generator.

        Args:
            shape: Shape of one sample: (C, H, W) for images, (D,) for vectors, (C, L) for series and so on.

        Raises:
            UsageError: The network does not take this shape.
        """


def picture(shape: tuple[int, ...]) -> None:
    """Refuses a shape that is not that of an image.

    Args:
        shape: Shape of one sample.

    Raises:
        UsageError: It is not (C, H, W).
    """
    if len(shape) != 3:
        other = "mlp" if len(shape) < 2 else "unet"
        raise UsageError(f"this network takes images (C, H, W), and a sample has the shape {shape}: take the {other}")


networks: Registry[NetworkOptions] = Registry("network", "scoresde.networks")
