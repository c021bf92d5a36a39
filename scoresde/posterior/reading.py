"""Restoration problems from image files: colours, holes, or other measurements."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..core.errors import UsageError
from ..core.random import stream
from ..images import pictures
from ..images.pictures import FitMode
from ..images.upsample import resized
from ..observations import Composed, Crop, Downsample, LinearObservation, Luma, Pixels, observations
from ..observations.composed import last
from ..observations.cosine import SIDE
from ..observations.holes import Hole
from ..observations.jpeg import JPEG
from ..observations.listed import WrittenObservation, is_picture
from ..observations.masks import Mask
from . import photograph
from .tasks import HOLE, Case, grey, hole, hole_picture


def read_grey(file: Path, shape: tuple[int, ...], mode: FitMode = "whole") -> Case:
    """The problem of the colours of a picture file, made to fit a model of images of a shape, (3, H, W).

    Args:
        file: The picture.
        shape: Of the model's images.
        mode: "whole" for colours at the size of the picture, see `photograph`; or how it is made to fit, see
            `pictures.fit`.

    Raises:
        DataError: The file cannot be read as a picture.
    """
    picture = pictures.load_picture(file)
    if mode == "whole":
        return photograph.coloured(picture, shape)
    done = pictures.fit(picture.size, shape[1], shape[2], mode)
    return grey(done.picture(picture), str(done))


def read_holed(file: Path, shape: tuple[int, ...], where: Hole, mode: FitMode = "whole", seed: int = 0) -> Case:
    """The problem of a picture file with a hole, made to fit a model of images of a shape, (C, H, W).

    Args:
        file: The picture.
        shape: Of the model's images.
        where: The hole, of the picture as it is in the file, or, if it is drawn, of what was made of it.
        mode: "whole" for the picture with its hole filled, see `photograph`; or how it is made to fit.
        seed: With the name of the file, what a drawn hole is a function of.

    Raises:
        DataError, UsageError: The file cannot be read as a picture, or the hole is not one of it.
    """
    picture, source = pictures.load_picture(file, "L" if shape[0] == 1 else "RGB"), stream(seed, "mask", file.name)
    if mode == "whole":
        return photograph.filled(picture, where.known(picture.size, source), shape)
    done = pictures.fit(picture.size, shape[1], shape[2], mode)
    y = pictures.scaled(done.picture(picture))[None]
    if isinstance(where.where, Mask):
        return hole(y, where.known((y.shape[3], y.shape[2]), source), str(done))
    return hole(y, done.known(where.known(picture.size, source)), str(done))


def read_measured(
    file: Path,
    shape: tuple[int, ...],
    observation: WrittenObservation | Composed,
    mode: FitMode = "whole",
    *,
    where: Hole | None = None,
    degrade: bool = False,
    seed: int = 0,
) -> Case:
    """The problem of a picture file that is a measurement, or of which one is made, for a model of images of a shape.

    Args:
        file: The picture: what is left of the original.
        shape: Of the model's images, (C, H, W).
        observation: What was done to the original.
        mode: "whole" for tiles of the picture at its own size; or how it is made to fit.
        where: A hole in what is left of the original, which then is not read there.
        degrade: Whether the file is the original, to which the observation is done first.
        seed: With the name of the file, what the noise of the measurement is a function of, and a hole that is drawn.

    Raises:
        DataError: The file cannot be read as a picture, or is too narrow.
        UsageError: The hole is not one of the picture, or of what the observation leaves of it.
    """
    if where is not None and not isinstance(observation, LinearObservation):
        raise UsageError(f"a hole goes with what is linear, which {observation} is not: leave the mask out")
    parts = observation.parts if isinstance(observation, Composed) else (observation,)
    blocks = isinstance(last(observation), JPEG)
    factor = math.prod(part.factor for part in parts if isinstance(part, Downsample))
    unit = factor * (SIDE if blocks and degrade else 1)
    # Tiles cover any size: that of the least picture is rounded up to what the observation divides.
    least = shape if mode == "resize" else (shape[0], *(-(side // -unit) * unit for side in shape[1:]))
    channels, height, width = least
    if not degrade:
        rest = torch.zeros(1, *least)
        for before in parts[:-1] if blocks else parts:  # the file of any picture is padded to blocks
            rest = before.forward(rest)
        observation.read(rest)  # what no file can hold is refused before one is read
        if not is_picture(rest):
            raise UsageError(
                f"{observation} leaves {tuple(rest.shape[1:])} of a picture, which no file holds: give the original, "
                "with --degrade, or the measurement to scoresde.condition in Python"
            )
        channels, height, width = rest.shape[1:]
    picture = pictures.load_picture(file, "L" if channels == 1 else "RGB")
    whole = mode == "whole" and picture.size != (width, height)
    if whole and where is None and observation == Luma():
        return photograph.coloured(picture, shape)
    done = pictures.fit(picture.size, height, width, "tile" if whole else mode, unit if degrade else 1)
    if blocks and not degrade and done.picture(picture).size != picture.size:
        raise UsageError(
            f"the blocks of a JPEG file are lost when it is fitted: {file} is {picture.size[0]}x{picture.size[1]}, and "
            f"must be at least {width}x{height}, with --fit whole or tile"
        )
    y, truth = pictures.scaled(done.picture(picture))[None], None
    found, given = tuple(y.shape[1:]), y.shape
    if degrade:
        truth = y[0]
        y = observation.measure(y, stream(seed, "noise", file.name))
    else:
        y = observation.read(y)
    if isinstance(observation, LinearObservation):
        found = tuple(observation.adjoint(y).shape[1:])
    shown, placed, beside = observation.shown(y), observation.of_shape(found), dict[str, Image.Image]()
    if spectral := not is_picture(shown):
        if not isinstance(observation, LinearObservation):
            raise UsageError(f"{observation} leaves {tuple(y.shape[1:])}, which no sheet shows: give its class `shown`")
        shown = observation.adjoint(y)
    if where is not None:
        source = stream(seed, "mask", file.name)
        known = where.known((y.shape[3], y.shape[2]) if isinstance(where.where, Mask) else picture.size, source)
        if not isinstance(where.where, Mask):
            known = done.known(known)
        holed = Composed(observation, Pixels(known[None, None]))
        if known.shape != y.shape[2:]:
            raise UsageError(
                f"{where} is one of {file}, of which {observation} leaves another size: draw the hole in that"
            )
        placed = holed.of_shape(found)
        shown, y = torch.where(known, shown, HOLE), torch.where(known, y, HOLE)
        beside = {"mask.png": hole_picture(known)}
    for part in reversed(parts):
        if isinstance(part, Crop | Downsample) and not spectral:  # back to the size of the original
            shown = part.pinv(shown)

    def finish(x: Tensor) -> Tensor:
        return x[..., : own[0], : own[1]] if padded else resized(x, own)

    own = (found[1] * picture.height // done.resized[1], found[2] * picture.width // done.resized[0])
    enlarged, padded = whole and done.resized != picture.size, blocks and y.shape != given
    if padded:
        own = (found[1] - factor * (y.shape[2] - given[2]), found[2] - factor * (y.shape[3] - given[3]))
        shown = finish(shown)
    ending = finish if enlarged or padded else None
    return Case(shown[0], y, placed, found, str(done), truth, finish=ending, beside=beside)


def done_to(texts: Sequence[str], noise: float | None) -> WrittenObservation | Composed:
    """The observation in texts such as "downsample:factor=4", of which the first was done first.

    "downsample:4" will do where there is one option.

    Args:
        texts: At least one.
        noise: That of the last one, if it is another than its own.

    Raises:
        UsageError: There is no such observation or option, or one cannot follow the others.
    """
    parts = list[WrittenObservation]()
    for text in texts:
        name, _, rest = text.partition(":")
        own = [key for key in observations[name].model_fields if key != "noise"] or ["noise"]
        parts.append(
            observations.parse(f"{name}:{own[0]}={rest}" if rest and "=" not in rest and len(own) == 1 else text)
        )
    if noise is not None:
        parts[-1] = type(parts[-1])(**{**parts[-1].model_dump(), "noise": noise})
    return parts[0] if len(parts) == 1 else Composed(*parts)
