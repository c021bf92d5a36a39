"""Pictures to begin with, some with a hole, from what is installed anyway: photographs, digits and a drawing."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Example:
    """A picture, and what is to be drawn anew in it."""

    label: str
    """What it shows, in a word or two."""
    told: str
    """A sentence about it."""
    picture: Callable[[], Image.Image]
    """Makes it."""
    strokes: tuple[Points, ...]
    """Of the hole, each through points in shares of the width and the height."""
    width: float
    """Width of the strokes, in shares of the shorter side."""
    model: str = ""
    """The model that it is for; by default, any of colours."""

    @property
    def coloured(self) -> bool:
        """Whether there are colours that may be drawn anew."""
        return not self.model

    def hole(self) -> Image.Image:
        """The hole as a picture: white is to be drawn anew."""
        size = self.picture().size
        made = Image.new("L", size)
        pen, width = ImageDraw.Draw(made), max(1, round(self.width * min(size)))
        for stroke in self.strokes:
            places = [(x * size[0], y * size[1]) for x, y in stroke]
            pen.line(places, 255, width, "curve")
            for x, y in places if width > 8 else ():
                pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), 255)
        return made


def _photograph(name: str, box: tuple[int, int, int, int]) -> Image.Image:
    from ..data.embedded import photograph

    return photograph(name).crop(box)


def _digit() -> Image.Image:
    from ..data.embedded import Digits

    digits = Digits().load("test")
    labels = [] if digits.labels is None else digits.labels.tolist()
    levels = digits.pixels[labels.index(3), 0].numpy().astype(float)
    return Image.fromarray((levels * 255 / (digits.levels - 1)).round().astype(np.uint8))


def _evening() -> Image.Image:
    """A sun above hills."""
    width, height = 480, 320
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    top, low, sun = np.array([58, 70, 130]), np.array([250, 176, 112]), np.array([255, 236, 180])
    sky = top + (low - top) * np.clip(y / 0.7, 0, 1)[..., None]
    glow = np.exp(-((1.5 * (x - 0.68)) ** 2 + (y - 0.42) ** 2) / 0.03)[..., None]
    found = sky + (sun - sky) * np.clip(1.3 * glow, 0, 1)
    for ridge, colour in ((0.66 + 0.05 * np.sin(7 * x), (92, 96, 120)), (0.8 + 0.06 * np.sin(5 * x + 2), (44, 62, 66))):
        found = np.where((y > ridge)[..., None], np.array(colour), found)
    return Image.fromarray(found.round().clip(0, 255).astype(np.uint8))


SEEN = "“photos” learned from small pieces of this photograph; “cifar10” has never seen it."
EXAMPLES = {
    "flower": Example(
        "Flower", SEEN, lambda: _photograph("flower.jpg", (150, 60, 470, 300)),
        (((0.3, 0.36), (0.38, 0.5)),), 0.12,
    ),
    "temple": Example(
        "Temple", SEEN, lambda: _photograph("china.jpg", (0, 0, 640, 427)),
        (((0.28, 0.12), (0.33, 0.2), (0.4, 0.17)),), 0.07,
    ),
    "evening": Example(
        "Drawing", "This is drawn by a formula, and no model has seen it.", _evening,
        (((0.12, 0.6), (0.2, 0.72)), ((0.2, 0.6), (0.12, 0.72))), 0.06,
    ),
    "digit": Example(
        "Half a digit", "A hand-written digit that the model has not seen; its lower half is hidden.", _digit,
        (((-0.1, 0.74), (1.1, 0.74)),), 0.5, "digits",
    ),
}  # fmt: skip


def offered(*, hole: bool) -> list[dict[str, Any]]:
    """What the page is told of the examples.

    Args:
        hole: Whether they are offered with their holes, or for their colours.
    """
    return [
        {"name": name, "label": each.label, "told": each.told, "model": each.model}
        for name, each in EXAMPLES.items()
        if hole or each.coloured
    ]


@functools.lru_cache(maxsize=16)
def shown(name: str, what: str, side: int = 0) -> Image.Image:
    """The picture of an example, or its hole.

    Args:
        name: Of the example.
        what: "picture" or "hole".
        side: Pixels of the longer side that it is reduced to; 0 leaves it as it is.
    """
    example = EXAMPLES[name]
    made = example.picture() if what == "picture" else example.hole()
    if side:
        made.thumbnail((side, side))
    return made
