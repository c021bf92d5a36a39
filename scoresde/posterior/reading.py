"""Problems made of picture files: their colours, what is in a hole, or what a measurement has lost."""

from pathlib import Path

import torch
from torch import Tensor

from ..core.random import randn, stream
from ..images import pictures
from ..images.pictures import FitMode
from ..images.upsample import resized
from ..observations import Downsample, Luma, NamedObservation
from ..observations.holes import Hole
from ..observations.masks import Mask
from . import photograph
from .tasks import Case, grey, hole


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
    observation: NamedObservation,
    mode: FitMode = "whole",
    *,
    degrade: bool = False,
    seed: int = 0,
) -> Case:
    """The problem of a picture file that is a measurement, or of which one is made, for a model of images of a shape.

    Args:
        file: The picture: what is left of the original.
        shape: Of the model's images, (C, H, W).
        observation: What was done to the original.
        mode: "whole" for tiles of the picture at its own size; or how it is made to fit.
        degrade: Whether the file is the original, to which the observation is done first.
        seed: With the name of the file, what the noise of the measurement is a function of.

    Raises:
        DataError: The file cannot be read as a picture, or is too narrow.
    """
    rest = tuple(observation.forward(torch.zeros(1, *shape)).shape[1:])
    channels, height, width = shape if degrade else rest
    multiple = observation.factor if degrade and isinstance(observation, Downsample) else 1
    picture = pictures.load_picture(file, "L" if channels == 1 else "RGB")
    whole = mode == "whole" and picture.size != (width, height)
    if whole and observation == Luma():
        return photograph.coloured(picture, shape)
    done = pictures.fit(picture.size, height, width, "tile" if whole else mode, multiple)
    y, truth = pictures.scaled(done.picture(picture))[None], None
    if degrade:
        truth = y[0]
        y = observation.forward(y)
        y = y + observation.noise * randn(y.shape, stream(seed, "noise", file.name))
    found = tuple(observation.adjoint(y).shape[1:])
    seen = y if y.shape[2:] == found[1:] else observation.pinv(y)  # at the size of the samples

    def finish(x: Tensor) -> Tensor:
        return resized(x, own)

    own = (found[1] * picture.height // done.resized[1], found[2] * picture.width // done.resized[0])
    enlarged = whole and done.resized != picture.size
    return Case(seen[0], y, observation, found, str(done), truth, finish=finish if enlarged else None)
