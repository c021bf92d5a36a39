"""`scoresde inpaint`: pictures with a hole, filled."""

from pathlib import Path
from typing import Any

import click

from .. import pictures
from ..errors import UsageError
from ..masks import masks
from ..random import stream
from ..restoration import Case, hole
from .conditional import command, run


def corners(text: str) -> tuple[int, int, int, int]:
    """The box in a text such as "8,8,24,24".

    Raises:
        UsageError: It is something else.
    """
    try:
        x0, y0, x1, y1 = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--box must be four whole numbers x0,y0,x1,y1, such as 8,8,24,24, got {text!r}") from None
    return x0, y0, x1, y1


def run_inpaint(
    files: tuple[Path, ...],
    fit: pictures.Way,
    mask: Path | None,
    box: str | None,
    random_mask: str | None,
    invert: bool,
    **options: Any,
) -> None:
    """Fill a hole in pictures: several fillings for each, the mask, a sheet, and inpaint.json with what they cost.

    The hole is where the mask is white. What is not in the hole comes back unchanged, bit for bit, from a picture of
    the model's size, or with --fit tile of any larger one; of a resized picture, what the resizing made of it does.
    """
    if sum(given is not None for given in (mask, box, random_mask)) != 1:
        raise UsageError("give the hole by one of --mask FILE, --box x0,y0,x1,y1 and --random-mask freeform")
    if invert and mask is None:
        raise UsageError("--invert changes the meaning of a --mask, and there is none")
    drawn, area = masks.parse(random_mask) if random_mask else None, corners(box) if box else None

    def prepare(file: Path, shape: tuple[int, ...]) -> Case:
        picture = pictures.read(file, "L" if shape[0] == 1 else "RGB")
        done = pictures.fit(picture.size, shape[1], shape[2], fit)
        y = pictures.scaled(done.picture(picture))[None]
        if drawn:
            source = stream(options["seed"], "mask", file.name)
            known = drawn.draw(y.shape[2], y.shape[3], [source])[0, 0]
        elif area:
            known = done.known(pictures.box_known(area, picture.size))
        elif mask:
            known = done.known(pictures.read_hole(mask, picture.size, invert=invert))
        return hole(y, known, str(done))

    run("inpaint", prepare, files, () if mask is None else (mask,), **options)


def inpaint() -> click.Command:
    """`scoresde inpaint`."""
    own = [
        click.Option(["--mask"], type=click.Path(path_type=Path), metavar="FILE",
                     help="Picture of the same size: white is the hole that is drawn, black is kept."),
        click.Option(["--box"], metavar="X0,Y0,X1,Y1", help="The hole: columns X0 to X1 - 1 of rows Y0 to Y1 - 1."),
        click.Option(["--random-mask"], metavar="NAME[:KEY=VALUE,...]",
                     help="A hole drawn from --seed and the file's name: freeform or rectangle."),
        click.Option(["--invert"], is_flag=True, help="Black is the hole in --mask, and white is kept."),
    ]  # fmt: skip
    examples = """\
  scoresde inpaint photo.png --mask hole.png
  scoresde inpaint photo.png --box 8,8,24,24 -n 8
  scoresde inpaint album/ --random-mask freeform --out filled
  scoresde inpaint photo.png --random-mask rectangle:least=0.2,most=0.3 --fit tile"""
    return command("inpaint", run_inpaint, own, examples)
