"""Pictures: sheets of samples, single images, strips and animations."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..core.files import write


def to_uint8(x: Tensor) -> Tensor:
    """Images in [-1, 1], (B, C, H, W), as uint8, rounded to the nearest of 256 levels and clipped to [0, 255].

    Args:
        x: Images in [-1, 1], (B, C, H, W), on any device.
    """
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()


def sheet(x: Tensor, columns: int | None = None, *, zoom: int = 1) -> Image.Image:
    """A grid of images, each pixel enlarged to zoom x zoom without blur.

    Args:
        x: Images in [-1, 1], (B, 1|3, H, W).
        columns: Images in a row; by default about as many as there are rows.
        zoom: Enlargement, a whole number.
    """
    pixels = to_uint8(x).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    count, height, width, _ = pixels.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, 3), 64, dtype=np.uint8)  # lines between them
    for i, image in enumerate(pixels):
        top, left = 1 + i // columns * (height + 1), 1 + i % columns * (width + 1)
        canvas[top : top + height, left : left + width] = image
    picture = Image.fromarray(canvas)
    return picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST)


def zoom_for(height: int, width: int) -> int:
    """The enlargement with which images have about as many pixels as one of 64x64.

    Args:
        height: Height of the images, in pixels.
        width: Width of the images, in pixels.
    """
    return max(1, int(64 / math.sqrt(height * width)))


def single(x: Tensor) -> Image.Image:
    """One image as a picture, without enlargement.

    Args:
        x: An image in [-1, 1], (1|3, H, W).
    """
    pixels = to_uint8(x[None])[0].permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def save(picture: Image.Image, path: Path) -> None:
    """Writes a PNG whole or not at all.

    Args:
        picture: The picture.
        path: The file, whose name should end in .png.

    Raises:
        ResourceError: The folder is not writable, or the disk is full.
    """
    write(path, lambda temporary: picture.save(temporary, format="PNG"))


def animation(frames: Sequence[Image.Image], kind: str, *, milliseconds: int = 200, exact: bool = True) -> bytes:
    """An animation that shows its last frame five times as long as the others.

    Args:
        frames: Pictures of one size.
        kind: "gif", which has at most 256 colours in a frame, or "webp".
        milliseconds: Time that each frame is shown.
        exact: Whether "webp" keeps every pixel; if not, files are smaller, and the colours of neighbours blend.
    """
    durations = [milliseconds] * (len(frames) - 1) + [5 * milliseconds]
    file = io.BytesIO()
    how = {"lossless": exact} if kind == "webp" else {}
    if kind == "gif":  # Pillow's own choice of colours takes seconds for each frame of noise
        frames = [f if f.getcolors() else f.quantize(256, Image.Quantize.FASTOCTREE) for f in frames]
    frames[0].save(file, format=kind, save_all=True, append_images=frames[1:], duration=durations, loop=0, **how)
    return file.getvalue()


def save_animation(frames: Sequence[Image.Image], path: Path, *, milliseconds: int = 200) -> None:
    """Writes an `animation` whole or not at all.

    Args:
        frames: Pictures of one size.
        path: The file, whose name ends in .gif or .webp.
        milliseconds: Time that each frame is shown.
    """
    made = animation(frames, path.suffix.removeprefix("."), milliseconds=milliseconds)
    write(path, lambda temporary: temporary.write_bytes(made))


def labelled(rows: Mapping[str, Tensor], *, headings: Sequence[str] = (), zoom: int = 1) -> Image.Image:
    """A sheet with one row of images for each label, the labels at the left, and headings above as many columns as fit.

    Args:
        rows: Images in [-1, 1], (B, 1|3, H, W), by label.
        headings: What stands above each column; none leaves no room for it.
        zoom: Enlargement, a whole number.
    """
    pictures = {label: sheet(x, len(x), zoom=zoom) for label, x in rows.items()}
    font = ImageFont.load_default(12)
    margin = 16 + int(max(font.getlength(label) for label in pictures))
    width = margin + max(picture.width for picture in pictures.values())
    top = 20 if headings else 0
    canvas = Image.new("RGB", (width, top + sum(picture.height for picture in pictures.values())), (64, 64, 64))
    draw, column = ImageDraw.Draw(canvas), zoom * (1 + next(iter(rows.values())).shape[-1])
    every = math.ceil(max(map(font.getlength, headings), default=1) / column)  # 1, unless columns are narrower
    for i, heading in list(enumerate(headings))[::every]:
        draw.text((margin + zoom + column * (i + 0.5), top // 2), heading, font=font, fill="white", anchor="mm")
    for label, picture in pictures.items():
        draw.text((8, top + picture.height // 2), label, font=font, fill="white", anchor="lm")
        canvas.paste(picture, (margin, top))
        top += picture.height
    return canvas
