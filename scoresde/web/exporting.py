"""The addresses that make files to show elsewhere: a small picture enlarged, and a path from noise as an animation."""

import math
from typing import Literal

from fastapi import FastAPI, Request
from fastapi.responses import Response
from PIL import Image
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from ..core.errors import UsageError
from ..core.options import Options
from ..images import sheets
from . import uploads
from .encoding import FRAMES, picture_of, png_bytes
from .reading import from_base64, table
from .tabs.base import MOST_PICTURES

SIDE = 512
"""Pixels of the longer side that a smaller picture gets."""
FRAME = 150
"""Milliseconds of a frame."""


class Enlarge(Options):
    """A picture."""

    picture: str


class Animate(Options):
    """The states of pictures on their way, a row for each state."""

    strip: str
    frames: int = Field(ge=2, le=FRAMES)
    across: int = Field(1, ge=1, le=MOST_PICTURES)
    kind: Literal["gif", "webp"] = "webp"
    pixels: bool = False

    def file(self) -> bytes:
        """The animation, whose frames have all pictures in a square, as large as `larger` makes them.

        Raises:
            UsageError: The strip cannot be divided into so many states and pictures.
            UploadError: It is no picture.
        """
        strip = picture_of(uploads.decode(from_base64("strip", self.strip))).convert("RGB")
        width, height = strip.width // self.across, strip.height // self.frames
        if (width * self.across, height * self.frames) != strip.size:
            size = f"{strip.width}x{strip.height}"
            raise UsageError(f"a strip of {size} has no {self.frames} rows of {self.across} equal pictures")
        columns = math.ceil(math.sqrt(self.across))
        resampling = Image.Resampling.NEAREST if self.pixels else Image.Resampling.LANCZOS

        def frame(row: int) -> Image.Image:
            parts = []
            for column in range(self.across):
                left, top = column * width, row * height
                part = strip.crop((left, top, left + width, top + height))
                parts.append(larger(part, SIDE // columns, resampling))
            canvas = Image.new("RGB", (columns * parts[0].width, -(self.across // -columns) * parts[0].height))
            for i, part in enumerate(parts):
                canvas.paste(part, (i % columns * part.width, i // columns * part.height))
            return canvas

        frames = [frame(row) for row in range(self.frames)]
        return sheets.animation(frames, self.kind, milliseconds=FRAME, exact=self.pixels)


def larger(picture: Image.Image, side: int, resampling: Image.Resampling = Image.Resampling.LANCZOS) -> Image.Image:
    """A picture whose longer side is at least so many pixels.

    Args:
        picture: The picture; one that is large enough is returned as it is.
        side: The pixels.
        resampling: How pixels between pixels are found.
    """
    scale = side / max(picture.size)
    if scale <= 1:
        return picture
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), resampling)


def enlarged(png: bytes) -> bytes:
    """A picture as PNG, its longer side at least `SIDE` pixels by Lanczos resampling.

    Args:
        png: The picture.

    Raises:
        UploadError: It is no picture.
    """
    return png_bytes(larger(picture_of(uploads.decode(png)), SIDE))


def serve_exports(app: FastAPI) -> None:
    """Adds the addresses.

    Args:
        app: The application, which is changed in place.
    """

    @app.post("/api/enlarge")
    async def enlarge(request: Request) -> Response:
        picture = from_base64("picture", Enlarge(**await table(request)).picture)
        return Response(await run_in_threadpool(enlarged, picture), media_type="image/png")

    @app.post("/api/animate")
    async def animate(request: Request) -> Response:
        asked = Animate(**await table(request))
        return Response(await run_in_threadpool(asked.file), media_type=f"image/{asked.kind}")
