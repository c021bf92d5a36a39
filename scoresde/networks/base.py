"""What a network is: options that build a torch module."""

from abc import ABC, abstractmethod

from pydantic import Field
from torch import nn

from ..core.options import Options, Registry


class NetworkOptions(Options, ABC):
    """Options of an architecture. `build` makes the module, called as net(x, label), or net(x, label, classes)."""

    classes: int = Field(0, ge=0, description="Number of class labels that the network can be given.")
    extra_channels: int = Field(0, ge=0, description="Input channels beyond the image's, for a condition.")
    learned_variance: bool = Field(False, description="Give a second output of the image's shape, for the variance.")

    @abstractmethod
    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        """The module for images of shape (C, H, W), with fresh weights from torch's global generator.

        Args:
            shape: Channels, height and width of one image.
        """


networks: Registry[NetworkOptions] = Registry("network", "scoresde.networks")
