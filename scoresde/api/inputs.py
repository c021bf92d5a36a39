"""Arrays and images as arguments: accepted if their meaning is clear, otherwise refused with what to write."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.errors import DataError, UsageError
from ..core.random import randn, stream
from ..data.levels import LOWEST
from ..data.numbers import real
from ..images.pictures import scaled
from ..models import ScoreModel
from ..models.latent import coded, data_shape
from ..observations import Blur, LinearObservation, NamedObservation, Observation, Pixels, Stacked
from ..observations.rounded import Rounded

Array = Tensor | np.ndarray[Any, Any]
ArrayLike = Array | Sequence[Any] | Image.Image
"""Numbers, or a picture, or a list of either."""
LEVELS = 8
"""Different even multiples of 1/255 that only a picture in [0, 1] has: in [-1, 1], the 256 levels are odd ones."""
FAR = 20.0
"""How many times beyond their range numbers are refused, of whatever sign; a poor network draws some that are near."""


def data_of(x: ArrayLike, model: ScoreModel) -> Tensor:
    """Data as a model of them takes it, (B, *), in the units of its network; as their latents, for a model of these.

    Args:
        x: Data in their own units: those of the training data; for pictures uint8 of 256 levels, or [-1, 1].
        model: The model.

    Raises:
        UsageError: They have another shape, or are numbers that cannot be such data.
    """
    shape = data_shape(model)
    found = arranged(numbers_of(x, shape, pictures(model), "x"), shape, "x").to(model.device)
    if pictures(model):
        in_range(found, "x", 1.0)
    return coded(model, found) if model.units is None else model.units.to_model(found)


def measured(y: ArrayLike, observation: Observation, model: ScoreModel) -> Tensor:
    """A measurement of a model's samples, (B, *m), in the data's own units.

    Args:
        y: The measurement; of a stack, a list with one for each part.
        observation: How it was made, of the model's data.
        model: The model.

    Raises:
        UsageError: It has another shape, or cannot be a measurement of pictures in [-1, 1].
    """
    if isinstance(observation, Stacked):
        return _together(y, observation, model)
    rows = observation.bound or 1
    draft = y if isinstance(y, Tensor) and y.is_floating_point() else torch.zeros(1)
    shape = tuple(observation.of(draft.new_zeros(rows, *data_shape(model), device=model.device)).shape[1:])
    found = arranged(numbers_of(y, shape, pictures(model), "y"), shape, "y").to(model.device)
    if not pictures(model):
        return found
    if isinstance(observation, Pixels):
        many = found.expand(rows, *shape) if len(found) == 1 else found
        in_range(many[observation.known(many).expand_as(many)], "y", 1.0, observation.noise)
    elif isinstance(observation, NamedObservation | Blur) and not isinstance(observation, Rounded):
        gain = float(observation.kernel.abs().sum()) if isinstance(observation, Blur) else 1.0
        in_range(found, "y", gain, observation.noise)
    else:
        possible(found, observation, data_shape(model))
    return found


def _together(y: ArrayLike, stack: Stacked, model: ScoreModel) -> Tensor:
    """The measurement of a stack, (B, M), of those of its parts, or as it is."""
    if isinstance(y, Tensor) and y.is_floating_point():
        return y.to(model.device)
    if not isinstance(y, list | tuple) or len(y) != len(stack.parts):
        raise UsageError(
            f"y of {stack} is a list of {len(stack.parts)} measurements, one for each part, in their order"
        )
    return stack.join(*(measured(own, part, model) for own, part in zip(y, stack.parts, strict=True)))


def pictures(model: ScoreModel) -> bool:
    """Whether a model's data are pictures in [-1, 1], (1|3, H, W).

    Args:
        model: The model.
    """
    shape = data_shape(model)
    return model.units is None and len(shape) == 3 and shape[0] in (1, 3)


def numbers_of(x: ArrayLike, shape: tuple[int, ...], picture: bool, name: str) -> Tensor:
    """Floating-point numbers in the shape that they have; pictures of 256 levels in [-1, 1].

    Args:
        x: What was handed over.
        shape: Of one row of what is expected, (C, H, W) if that may be a picture.
        picture: Whether the model is one of pictures.
        name: What an error calls it.

    Raises:
        UsageError: It holds no real numbers, or whole numbers of which it is not clear what they stand for.
    """
    several = list(x) if isinstance(x, list | tuple) else [x]
    drawable = picture and len(shape) == 3 and shape[0] in (1, 3)
    if several and all(isinstance(part, Image.Image) for part in several):
        return torch.stack([_picture(part, shape, drawable, name) for part in several])
    try:
        found = real(x)
    except DataError as error:
        raise UsageError(f"{name}: {error}") from None
    if found.is_floating_point():
        return found if found.dtype in (torch.float32, torch.float64) else found.float()
    if not picture:
        return found.float()
    if found.dtype == torch.bool:
        return 2 * found.float() - 1
    if found.dtype != torch.uint8 or not drawable:
        kind = str(found.dtype).removeprefix("torch.")
        what = "has no 256 grey levels" if found.dtype == torch.uint8 else "is not known to be grey levels"
        raise UsageError(
            f"{name} holds whole numbers of {kind}, of which one row, {shape}, {what}: give uint8 for a picture of 256 "
            "levels, or floats"
        )
    if (high := int(found.max())) == 1:
        raise UsageError(f"{name} holds only 0 and 1, nearly black among 256 levels: give 255 * {name} if 1 is white")
    if 1 < high < LOWEST:
        hint = f"give {name} / {high / 2:g} - 1 if {high} is white"
        warnings.warn(f"{name} goes from 0 to {high}, nearly black among 256 levels: {hint}", stacklevel=4)
    return found.float() / 127.5 - 1


def _picture(picture: Any, shape: tuple[int, ...], drawable: bool, name: str) -> Tensor:
    """A picture as (C, H, W) in [-1, 1]."""
    if not drawable:
        raise UsageError(f"{name} is no picture here, but numbers of the shape {shape} for each row")
    if picture.has_transparency_data or picture.mode not in ("1", "L", "P", "RGB"):
        raise UsageError(
            f"{name} is a picture of the mode {picture.mode}: picture.convert('RGB') makes it one of 8 bits"
        )
    if picture.size != (shape[2], shape[1]):
        size, wanted = ("{}x{}".format(*s) for s in (picture.size, (shape[2], shape[1])))
        raise UsageError(f"{name} is {size} and {wanted} is expected: picture.resize(({shape[2]}, {shape[1]})) fits it")
    return scaled(picture.convert("L" if shape[0] == 1 else "RGB"))


def arranged(x: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    """Rows of a shape, (B, *), from those or from a single one; of pictures also with the channels last, or without.

    Args:
        x: Numbers.
        shape: Of one row, *.
        name: What an error calls them.

    Raises:
        UsageError: They have another shape.
    """
    size = tuple(x.shape)
    if size[1:] == shape and x.ndim:
        return x
    if size == shape:
        return x[None]
    if len(shape) == 3:
        last = (*shape[1:], shape[0])
        if size == last or size[1:] == last:
            return x.movedim(-1, -3).reshape(-1, *shape)
        if shape[0] == 1 and shape[1:] in (size, size[1:]):
            return x.reshape(-1, *shape)
    hint = f": give {name}[:, None] for rows of one number" if len(shape) == 1 and shape[0] == 1 and x.ndim == 1 else ""
    raise UsageError(f"{name} is {('B', *shape)} for B rows, or {shape} for one, got {size}{hint}".replace("'", ""))


def in_range(x: Tensor, name: str, bound: float, noise: float = 0.0) -> None:
    """Checks that numbers can be pictures in [-1, 1], or what was measured of them; warns where it is likely not so.

    Args:
        x: Numbers.
        name: What an error calls them.
        bound: Greatest size without noise.
        noise: Standard deviation of their error.

    Raises:
        UsageError: They have another range for certain.
    """
    values = x[torch.isfinite(x)]
    if not values.numel():
        return
    low, high, limit = float(values.min()), float(values.max()), bound + 6 * noise
    positive = low > -0.02 * high
    if max(-low, high) > FAR * limit or (positive and high > 2 * limit):
        white, advice = high if high < LOWEST else 255 if high <= 260 else 65535, "black is -1 and white 1, scale it so"
        if positive and high <= 65535:
            advice = f"give {name} / {white / 2:.6g} - 1{', or uint8' if white == 255 else f' if {white:g} is white'}"
        raise UsageError(f"{name} goes from {low:.4g} to {high:.4g}, and pictures here from -1 to 1: {advice}")
    if low < 0 or high > 1:
        return
    steps = 255 * values.double()
    whole = steps.round()
    even = whole[(whole % 2 == 0) & (whole > 0)]
    if bool(((steps - whole).abs() < 1e-3).all()) and len(torch.unique(even)) >= LEVELS:
        raise UsageError(
            f"{name} goes from {low:.4g} to {high:.4g} in steps of 1/255, and pictures here from -1 to 1: give 2 * "
            f"{name} - 1, or uint8"
        )
    if low <= 0.1 and high >= 0.9:
        warnings.warn(
            f"{name} goes from {low:.4g} to {high:.4g}, and black is -1 here: give 2 * {name} - 1 if 0 is black in it",
            stacklevel=4,
        )


@torch.no_grad()
def possible(y: Tensor, observation: Observation, shape: tuple[int, ...]) -> None:
    """Checks that |y| <= ‖A‖ |x| with room to spare for some x in [-1, 1], whatever A is.

    Of what is not linear, the greatest |A x| of some pictures in [-1, 1] takes the place of ‖A‖ |x|, FAR times.

    Args:
        y: The measurement, (B, *m).
        observation: A, the same for all rows.
        shape: Shape of a sample.

    Raises:
        UsageError: No such x has it.
    """
    if observation.bound is not None or not bool(torch.isfinite(y).all()):
        return
    v, size, norm = randn((1, *shape), stream(0, "norm")).to(y), math.prod(shape), 0.0
    if isinstance(observation, LinearObservation):
        for _ in range(10):  # power iteration: ‖A‖ from below, which is why there is room to spare
            seen = observation.forward(v / v.norm().clamp_min(1e-30))
            norm, v = float(seen.norm()), observation.adjoint(seen)
        limit = 4 * norm * math.sqrt(size)
    else:
        probes = [v.clamp(-1, 1), v.sign(), *(torch.full_like(v, level) for level in (-1, 0, 1))]
        limit = FAR * max(float(observation.forward(x).norm()) for x in probes)
    limit += 6 * observation.noise * math.sqrt(y[0].numel())
    if (largest := float(y.reshape(len(y), -1).norm(dim=1).max())) > limit:
        raise UsageError(
            f"y has the length {largest:.4g}, and no picture in [-1, 1] has a measurement of more than {limit:.4g}: "
            "measure pictures in [-1, 1], as of x / 127.5 - 1 for those in [0, 255]"
        )
