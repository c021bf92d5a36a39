"""`scoresde inpaint`: pictures with a hole, filled."""

from pathlib import Path
from typing import Any

import click

from ..core.random import stream
from ..images import pictures
from ..observations.masks import masks
from ..posterior.tasks import Case, hole
from .conditional import command, run
from .holes import hole_options, known_by, one_hole


def run_inpaint(
    files: tuple[Path, ...],
    fit: pictures.FitMode,
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
    one_hole(mask, box, random_mask, invert, least=1)
    drawn = masks.parse(random_mask) if random_mask else None

    def prepare(file: Path, shape: tuple[int, ...]) -> Case:
        picture = pictures.load_picture(file, "L" if shape[0] == 1 else "RGB")
        done = pictures.fit(picture.size, shape[1], shape[2], fit)
        y = pictures.scaled(done.picture(picture))[None]
        if drawn:
            source = stream(options["seed"], "mask", file.name)
            known = drawn.draw(y.shape[2], y.shape[3], [source])[0, 0]
        else:
            known = done.known(known_by(mask, box, invert, picture.size))
        return hole(y, known, str(done))

    run("inpaint", prepare, files, () if mask is None else (mask,), **options)


def inpaint() -> click.Command:
    """`scoresde inpaint`."""
    examples = """\
  scoresde inpaint photo.png --mask hole.png
  scoresde inpaint photo.png --box 8,8,24,24 -n 8
  scoresde inpaint album/ --random-mask freeform --out filled
  scoresde inpaint photo.png --random-mask rectangle:least=0.2,most=0.3 --fit tile"""
    return command("inpaint", run_inpaint, hole_options("the file's name"), examples)
