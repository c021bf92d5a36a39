"""Conversion between the units of data and the normalised units of a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from .devices import like
from .errors import UsageError


@dataclass(frozen=True, eq=False)
class Units:
    """x = centre + spread u: the affine map between the data's own units, x, and those of the network, u.

    Data of any range have mean 0 and deviation 1 in the units of the network. Verbs such as `sample` speak the data's
    own units; models, solvers, observations and conditioners those of the network.

    Args:
        centre: Float64 on the CPU, broadcastable to one sample: (D,) for vectors, (C, 1, ...) for (C, *).
        spread: As the centre; all above 0.

    Raises:
        UsageError: A number is not finite, a spread is not above 0, or the two differ in shape.
    """

    centre: Tensor
    """Float64 on the CPU, broadcastable to one sample: (D,) for vectors, (C, 1, ...) for (C, *)."""
    spread: Tensor
    """As the centre; all above 0."""

    def __post_init__(self) -> None:
        for name in ("centre", "spread"):
            value = torch.as_tensor(getattr(self, name)).detach().to("cpu", torch.float64)
            object.__setattr__(self, name, value)
            if not bool(value.isfinite().all()):
                raise UsageError(f"the {name} of units must be finite numbers, got {value.flatten().tolist()[:8]}")
        if self.centre.shape != self.spread.shape:
            shapes = f"{tuple(self.centre.shape)} and {tuple(self.spread.shape)}"
            raise UsageError(f"the centre and the spread of units must have one shape, got {shapes}")
        if not bool((self.spread > 0).all()):
            raise UsageError(f"the spread of units must be above 0, got {float(self.spread.min()):g}")

    def to_data(self, u: Tensor) -> Tensor:
        """centre + spread u, (B, *) or (*), in the dtype and on the device of u.

        Args:
            u: Numbers in the units of the network.
        """
        return like(self.centre, u) + like(self.spread, u) * u

    def to_model(self, x: Tensor) -> Tensor:
        """(x - centre)/spread, (B, *) or (*), in the dtype and on the device of x.

        Args:
            x: Numbers in the data's own units.
        """
        return (x - like(self.centre, x)) / like(self.spread, x)

    def log_volume(self, shape: tuple[int, ...]) -> float:
        """Σ log spread over one sample: log p(u) - log p(x), in nats.

        Args:
            shape: Shape of one sample, *.
        """
        return float(self.spread.log().expand(shape).sum())

    def lists(self) -> dict[str, Any]:
        """Both as nested lists, for JSON; `of` makes the same units of them."""
        return {"centre": self.centre.tolist(), "spread": self.spread.tolist()}

    @classmethod
    def of(cls, lists: dict[str, Sequence[Any]]) -> Self:
        """The units that `lists` wrote down.

        Args:
            lists: The centre and the spread as nested lists.
        """
        centre, spread = (torch.tensor(lists[name], dtype=torch.float64) for name in ("centre", "spread"))
        return cls(centre, spread)
