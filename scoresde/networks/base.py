"""What a network is: options that build a torch module."""

from abc import ABC, abstractmethod

from torch import nn

from ..registry import Options, Registry


class NetworkOptions(Options, ABC):
    """Options of an architecture. `build` makes the module, called as net(x, label)."""

    @abstractmethod
    def build(self, shape: tuple[int, int, int]) -> nn.Module:
        """The module for images of shape (C, H, W), with fresh weights from torch's global generator."""


networks: Registry[NetworkOptions] = Registry("network", "scoresde.networks")
