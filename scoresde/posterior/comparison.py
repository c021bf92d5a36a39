"""An overview of a restoration: the input, samples, their mean and standard deviation, and the truth."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..images import sheets
from ..images.read import SMOOTH
from .tasks import Case

SHOWN = 8
"""Samples of a picture that a sheet shows."""
CELL, GAP, HEADING = 256, 4, 20
"""Pixels of the longer side of a picture in the sheet, at least; between pictures; and above the columns."""
WHITE = 0.5
"""Standard deviation, in [-1, 1], that is white in the map of the spread; 0 is black."""

Row = dict[str, Image.Image]
"""Pictures by what stands above them."""


def row(case: Case, x: Tensor) -> Row:
    """The row of one picture.

    Args:
        case: What was known.
        x: The finished samples, (B, C, H, W).
    """
    cells = {"known": cell(case.seen)} | {f"sample {i + 1}": cell(image) for i, image in enumerate(x[:SHOWN])}
    if len(x) > 1:
        cells |= {"mean": cell(x.mean(0)), "spread": cell(spread(x))}
    return cells if case.truth is None else cells | {"truth": cell(case.truth)}


def spread(x: Tensor) -> Tensor:
    """The standard deviation of samples at each pixel, root mean square over the channels, as a picture (1, H, W).

    Args:
        x: Samples, at least two, (B, C, H, W) in [-1, 1].
    """
    deviation = x.var(0).mean(0, keepdim=True).sqrt()
    return 2 * (deviation / WHITE).clamp(0, 1) - 1


def cell(image: Tensor) -> Image.Image:
    """A picture as it is shown: enlarged by a whole number, without blur, or made smaller to fit.

    Args:
        image: (1|3, H, W) in [-1, 1].
    """
    picture = sheets.single(image)
    longer = max(picture.size)
    if longer > CELL:
        picture.thumbnail((CELL, CELL), SMOOTH)
        return picture
    zoom = -(-CELL // longer)
    return picture.resize((zoom * picture.width, zoom * picture.height), Image.Resampling.NEAREST)


def sheet(rows: Sequence[Row]) -> Image.Image:
    """The rows under each other, with headings above the columns.

    Args:
        rows: At least one.
    """
    names = list(dict.fromkeys(name for each in rows for name in each if name != "truth"))
    names += ["truth"] * any("truth" in each for each in rows)
    width, height = (max(picture.size[axis] for each in rows for picture in each.values()) for axis in (0, 1))
    size = (GAP + len(names) * (width + GAP), HEADING + len(rows) * (height + GAP))
    canvas = Image.new("RGB", size, (64, 64, 64))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for column, name in enumerate(names):
        left = GAP + column * (width + GAP)
        draw.text((left + width // 2, HEADING // 2), name, font=font, fill="white", anchor="mm")
        for i, each in enumerate(rows):
            if name in each:
                canvas.paste(each[name], (left, HEADING + i * (height + GAP)))
    return canvas
