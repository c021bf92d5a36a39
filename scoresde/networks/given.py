"""Networks that Python hands over, as modules, in place of an architecture that a name stands for."""

import copy
from typing import Self

from pydantic import Field, PrivateAttr
from torch import nn

from ..core.errors import UsageError
from .base import NetworkOptions, networks


@networks("given")
class GivenNetwork(NetworkOptions):
    """A network that Python has handed over: only its class can be written down, from which nothing can be built."""

    kind: str = Field(description="Class of the module.")
    _net: nn.Module | None = PrivateAttr(None)

    @classmethod
    def of(cls, net: nn.Module, like: NetworkOptions) -> Self:
        """The network `net`, called in the way of another one: with as many classes and further channels.

        Args:
            net: Called as net(x, label), or as net(x, label, classes) where `like` has classes.
            like: Options of the network in whose place it is.
        """
        kind = f"{type(net).__module__}.{type(net).__qualname__}"
        made = cls(
            kind=kind, classes=like.classes, extra_channels=like.extra_channels, learned_variance=like.learned_variance
        )
        made._net = net
        return made

    def build(self, shape: tuple[int, ...]) -> nn.Module:
        """A copy of the module, with the weights that it has, so that the one that was given stays as it is.

        Raises:
            UsageError: Only the record of a network is left.
        """
        if self._net is None:
            raise UsageError(
                f"its network, a {self.kind}, was given in Python, and no folder can build it: give it again as net"
            )
        return copy.deepcopy(self._net)
