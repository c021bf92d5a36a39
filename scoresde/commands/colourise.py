"""`scoresde colourise`: colours for grey pictures."""

from pathlib import Path
from typing import Any

import click

from .. import pictures
from ..errors import UsageError
from ..observations import Luma
from .conditional import command, run
from .results import Case


def run_colourise(files: tuple[Path, ...], fit: pictures.Way, **options: Any) -> None:
    """Draw colours for grey pictures: several for each, a sheet, and colourise.json with what they cost.

    A colour picture is reduced to its luma, and is the truth in the sheet.
    """

    def prepare(file: Path, shape: tuple[int, ...]) -> Case:
        if shape[0] != 3:
            raise UsageError(
                f"colourise needs a model of colour images, and those of {options['model']} have {shape[0]} channel: "
                "choose another --model"
            )
        picture = pictures.read(file)
        done = pictures.fit(picture.size, shape[1], shape[2], fit)
        cut, note = done.picture(picture), str(done)
        y = pictures.scaled(cut.convert("L"))[None]
        truth = None
        if not pictures.colourless(cut):
            truth, note = pictures.scaled(cut), f"{note}, reduced to its luma"
        return Case(y[0], y, Luma(), (3, *y.shape[2:]), note, truth)

    run("colourise", prepare, files, (), **options)


def colourise() -> click.Command:
    """`scoresde colourise`, also as `scoresde colorize`."""
    examples = """\
  scoresde colourise portrait.jpg
  scoresde colourise album/ --out coloured -n 8 --seed 7
  scoresde colourise portrait.jpg --fit tile --solver sde-dpm++ --steps 50
  scoresde colorize portrait.jpg --conditioner moment:products=3 --model runs/photos"""
    return command("colourise", run_colourise, (), examples)
