"""What the page may ask for, checked like any other options."""

import base64
import binascii
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..conditioners import conditioners
from ..core.errors import UsageError
from ..core.options import Options
from ..posterior.tasks import SOLVER, STEPS

MOST_PICTURES = 16
QUICK: dict[str, Any] = {"name": "unipc", "steps": 15}
"""The solver of new pictures: 16 evaluations, which end within 2 of 255 levels of the flow on digits and CIFAR-10."""
SOLVERS = (2, 4)
"""Fewest and most solvers of a race."""
Seed = Annotated[int, Field(ge=0, le=2**53 - 1 - MOST_PICTURES, description="Picture i has the seed + i.")]
Count = Annotated[int, Field(ge=1, le=MOST_PICTURES, description="Number of pictures.")]
Table = Annotated[dict[str, Any], Field(description="A name and options.")]


class Request(Options):
    """What all requests share."""

    model: str = Field(description="Name of a model that is served.")
    seed: Seed = 0
    count: Count = 4
    clip: bool = Field(False, description="Cut predicted data off at black and white.")


class Generate(Request):
    """New pictures."""

    solver: Table = QUICK
    classes: list[int] | None = Field(None, max_length=MOST_PICTURES, description="Picture i has class i modulo them.")
    guidance: float = Field(1.0, ge=0, le=100, description="Scale of guidance to the class; 1 is none.")


class Restore(Request):
    """Pictures that agree with what is known of one."""

    solver: Table = {"name": SOLVER, "steps": STEPS}
    conditioner: Table | None = None
    picture: str = Field(description="A PNG of the model's size, in base64.")


class Inpaint(Restore):
    """Fillings of a hole."""

    mask: str = Field(description="A bit for each pixel, set in the hole, row by row, in base64.")

    def known(self, height: int, width: int) -> Tensor:
        """Which pixels are known, (H, W).

        Args:
            height: Height of the model's images.
            width: Width of the model's images.

        Raises:
            UsageError: The mask is not one of that size.
        """
        bits = np.unpackbits(np.frombuffer(decoded("mask", self.mask), np.uint8))
        if len(bits) != -(height * width // -8) * 8:
            raise UsageError(f"the mask of a picture of {width}x{height} has {height * width} bits, got {len(bits)}")
        return torch.from_numpy(bits[: height * width] == 0).reshape(height, width)


class Colourise(Restore):
    """Colours for a picture."""


class Race(Request):
    """Several solvers from the same noise."""

    count: Count = 1
    solvers: list[Table] = Field(min_length=SOLVERS[0], max_length=SOLVERS[1], description="Names and options.")


def decoded(name: str, text: str) -> bytes:
    """The bytes of a text in base64.

    Args:
        name: What the text is, for the message.
        text: The text.

    Raises:
        UsageError: It is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UsageError(f"the {name} is not written in base64") from None


def offered() -> list[str]:
    """The conditioners that a page can offer: not those for known mixtures alone, or for networks trained so."""
    return [name for name in conditioners.all() if name not in ("oracle", "trained")]
