"""Random masks for inpainting, whose hole covers a fraction of the image between two bounds."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..core.errors import UsageError
from ..core.options import Registry, WrittenOptions
from ..core.random import rand, stream


class Mask(WrittenOptions, ABC):
    """A law of masks. As text: "freeform" or "rectangle:most=0.25"."""

    least: float = Field(0.15, gt=0, lt=1, description="Minimal fraction of the image in the hole.")
    most: float = Field(0.5, gt=0, lt=1, description="Maximal fraction of the image in the hole.")

    def draw(self, height: int, width: int, generator: Sequence[torch.Generator]) -> Tensor:
        """One mask for each generator, (B, 1, H, W), true where a pixel is known and false in the hole.

        Args:
            height: Height of the picture, in pixels.
            width: Width of the picture, in pixels.
            generator: One generator for each mask.

        Raises:
            UsageError: No hole of whole pixels has a share between `least` and `most`.
        """
        fewest, greatest = math.ceil(self.least * height * width), math.floor(self.most * height * width)
        if fewest > greatest:
            raise UsageError(
                f"a picture of {height}x{width} has no hole of {self.least:g} to {self.most:g} of its pixels: "
                "put `least` and `most` further apart"
            )
        return ~torch.stack([self._hole(height, width, fewest, greatest, source) for source in generator])[:, None]

    @abstractmethod
    def _hole(self, height: int, width: int, fewest: int, greatest: int, source: torch.Generator) -> Tensor:
        """The pixels of the hole, (H, W), between `fewest` and `greatest` of them."""


masks: Registry[Mask] = Registry("mask", "scoresde.observations.masks", "scoresde.masks")


def holes(law: Mask, shape: tuple[int, ...], count: int, seed: int) -> Tensor:
    """Where the pixels of images are known, (N, 1, H, W), bool: hole i depends on (seed, i) alone.

    Args:
        law: What the holes look like.
        shape: Of one image, (C, H, W).
        count: N.
        seed: Any whole number.
    """
    return law.draw(shape[1], shape[2], [stream(seed, "hole", i) for i in range(count)])


def trained_masks(name: str, recipe: Mapping[str, Any]) -> Mask:
    """The law of the holes that a network was trained to fill, as its model folder has it.

    Args:
        name: Of the model, for the message.
        recipe: How it came about.

    Raises:
        UsageError: It does not say.
    """
    if "masks" not in recipe:
        raise UsageError(f"{name} does not say which holes it was trained to fill: choose them, as with freeform")
    law: Mask = masks.parse(recipe["masks"])
    return law


def whole(first: int, last: int, source: torch.Generator) -> int:
    """A whole number from first to last, all with the same probability.

    Args:
        first: Smallest value.
        last: Largest value.
        source: The generator.
    """
    return first + int(float(rand((), source, dtype=torch.float64)) * (last - first + 1))


@masks("rectangle")
class Rectangle(Mask):
    """One rectangle: its height is drawn from those that the share allows, then its width, then its place."""

    def _hole(self, height: int, width: int, fewest: int, greatest: int, source: torch.Generator) -> Tensor:
        sizes = [(h, math.ceil(fewest / h), min(width, greatest // h)) for h in range(1, height + 1)]
        possible = [size for size in sizes if size[1] <= size[2]]
        if not possible:
            raise UsageError(
                f"a picture of {height}x{width} has no rectangle of {fewest} to {greatest} pixels: "
                "put `least` and `most` further apart"
            )
        h, narrowest, widest = possible[whole(0, len(possible) - 1, source)]
        w = whole(narrowest, widest, source)
        top, left = whole(0, height - h, source), whole(0, width - w, source)
        hole = torch.zeros(height, width, dtype=torch.bool)
        hole[top : top + h, left : left + w] = True
        return hole


@masks("freeform")
class FreeForm(Mask):
    """Strokes of a brush that turns at random; the last one ends where the hole has the share drawn for it.

    Reference: Yu et al. 2019, https://arxiv.org/abs/1806.03589, appendix, on free-form masks; the bounds are ours.
    """

    width: float = Field(0.12, gt=0, le=1, description="Maximal width of a stroke, as a fraction of the shorter side.")
    length: float = Field(0.4, gt=0, le=1, description="Maximal length of a line, as a fraction of the shorter side.")
    lines: int = Field(6, ge=1, description="Number of lines per stroke.")

    def _hole(self, height: int, width: int, fewest: int, greatest: int, source: torch.Generator) -> Tensor:
        wanted, side = whole(fewest, greatest, source), min(height, width)
        rows, columns = np.indices((height, width), dtype=np.float64).reshape(2, -1)
        hole = np.zeros(height * width, dtype=bool)
        while True:
            row, column = map(float, divmod(whole(0, height * width - 1, source), width))
            angle, radius = uniform(0, 2 * math.pi, source), max(0.5, uniform(0.5, 1, source) * self.width * side / 2)
            for _ in range(self.lines):
                reach = uniform(0.25, 1, source) * self.length * side
                down, right = reach * math.sin(angle), reach * math.cos(angle)
                angle += uniform(-2 * math.pi / 3, 2 * math.pi / 3, source)
                share = (((rows - row) * down + (columns - column) * right) / reach**2).clip(0, 1)
                off = np.sqrt((rows - row - share * down) ** 2 + (columns - column - share * right) ** 2)
                new = np.flatnonzero((off <= radius) & ~hole)
                # Painted from the line's beginning, so that a stroke that is cut short still looks like one.
                order = np.argsort(share[new] * reach + off[new], kind="stable")
                hole[new[order][: wanted - hole.sum()]] = True
                if hole.sum() == wanted:
                    return torch.from_numpy(hole.reshape(height, width))
                row, column = min(max(row + down, 0), height - 1), min(max(column + right, 0), width - 1)


def uniform(low: float, high: float, source: torch.Generator) -> float:
    """A uniformly distributed number between low and high.

    Args:
        low: Lower end.
        high: Upper end.
        source: The generator.
    """
    return low + (high - low) * float(rand((), source, dtype=torch.float64))
