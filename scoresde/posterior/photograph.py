"""Photographs of any size: drawn at the model's resolution, returned at their own size."""

from dataclasses import replace

import torch
from PIL import Image
from torch import Tensor

from ..images import pictures
from ..images.seams import blended
from ..images.upsample import guided, resized, with_luma
from ..observations import Luma
from .tasks import Case, grey, hole

CONTEXT = 2.0
"""Side of the square that is drawn, in sides of the hole."""
Box = tuple[int, int, int, int]
"""First and last column, first and last row, as x0, y0, x1, y1, the last ones exclusive."""


def coloured(picture: Image.Image, shape: tuple[int, ...]) -> Case:
    """The problem of the colours of a photograph: they are drawn for all of it reduced, and follow its own luma.

    The luma of the result is that of the photograph at every pixel. A long one is drawn in tiles side by side; one of
    the model's own size is drawn as it is.

    Args:
        picture: The photograph, grey or in colours.
        shape: Of the model's images, (3, H, W).
    """
    case = grey(picture, "{}x{}".format(*picture.size))
    if case.shape == tuple(shape):
        return case
    done = pictures.fit(picture.size, shape[1], shape[2], "whole")
    small = pictures.scaled(done.picture(picture.convert("L")))[None]

    def finish(x: Tensor) -> Tensor:
        return with_luma(case.y, guided(x, small.to(x), case.y), Luma.weights)

    note = f"{case.note}, its colours drawn at {size_of(small)}"
    return replace(case, y=small, shape=(3, *small.shape[2:]), note=note, finish=finish)


def filled(picture: Image.Image, known: Tensor, shape: tuple[int, ...]) -> Case:
    """The problem of a hole in a photograph: a square around it is drawn, brought up, and blended in without a seam.

    One of the model's own size is drawn as it is.

    Args:
        picture: The photograph.
        known: Which of its pixels are known, (H, W), bool.
        shape: Of the model's images, (C, H, W).
    """
    y = pictures.scaled(picture)[None]
    case = hole(y, known, "{}x{}".format(*picture.size))
    if case.solved or case.shape == tuple(shape):
        return case
    box = square_around(known, (shape[1], shape[2]))
    x0, y0, x1, y1 = box
    done = pictures.fit((x1 - x0, y1 - y0), shape[1], shape[2], "whole")
    own, seen = y[..., y0:y1, x0:x1], known[y0:y1, x0:x1]
    small = pictures.scaled(done.picture(picture.crop(box)))[None]
    inner = hole(small, done.known(seen), "")

    def finish(x: Tensor) -> Tensor:
        found = y.repeat(len(x), 1, 1, 1)
        found[..., y0:y1, x0:x1] = blended(resized(x, (y1 - y0, x1 - x0)), own, seen)
        return found

    note = f"{case.note}, filled in the part {x0},{y0},{x1},{y1} at {size_of(small)}"
    return replace(inner, seen=case.seen, truth=case.truth, note=note, beside=case.beside, finish=finish)


def square_around(known: Tensor, least: tuple[int, int]) -> Box:
    """The part of a picture in which its hole is drawn: a square with enough around the hole, as far as there is room.

    Its side is that of the model's images, or larger: `CONTEXT` times that of the hole.

    Args:
        known: Which pixels are known, (H, W), bool, not all of them.
        least: Height and width of the model's images.
    """
    spans = [torch.nonzero((~known).any(axis)).flatten() for axis in (0, 1)]  # columns, rows
    hole_sides = [int(span[-1] - span[0]) + 1 for span in spans]
    scale = max(1.0, CONTEXT * max(hole_sides) / min(least))
    sides = [round(scale * least[1]), round(scale * least[0])]
    starts, ends = list[int](), list[int]()
    for span, side, whole in zip(spans, sides, (known.shape[1], known.shape[0]), strict=True):
        side, middle = min(side, whole), (int(span[0]) + int(span[-1]) + 1) // 2
        start = min(max(0, middle - side // 2), whole - side)
        starts, ends = [*starts, start], [*ends, start + side]
    return starts[0], starts[1], ends[0], ends[1]


def size_of(y: Tensor) -> str:
    """The size of pictures, as width x height.

    Args:
        y: (B, C, H, W).
    """
    return f"{y.shape[3]}x{y.shape[2]}"
