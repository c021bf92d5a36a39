"""`scoresde colourise`: colours for grey pictures."""

from pathlib import Path
from typing import Any

import click

from ..images import pictures
from ..posterior.tasks import Case, colourful, grey
from .conditional import command, run


def run_colourise(files: tuple[Path, ...], fit: pictures.FitMode, **options: Any) -> None:
    """Draw colours for grey pictures: several for each, a sheet, and colourise.json with what they cost.

    A colour picture is reduced to its luma, and is the truth in the sheet.
    """

    def prepare(file: Path, shape: tuple[int, ...]) -> Case:
        colourful(options["model"], shape)
        picture = pictures.load_picture(file)
        done = pictures.fit(picture.size, shape[1], shape[2], fit)
        return grey(done.picture(picture), str(done))

    run("colourise", prepare, files, (), **options)


def colourise() -> click.Command:
    """`scoresde colourise`, also as `scoresde colorize`."""
    examples = """\
  scoresde colourise portrait.jpg
  scoresde colourise album/ --out coloured -n 8 --seed 7
  scoresde colourise portrait.jpg --fit tile --solver sde-dpm++ --steps 50
  scoresde colorize portrait.jpg --conditioner moment:products=3 --model runs/photos"""
    return command("colourise", run_colourise, (), examples)
