"""`scoresde restore`: pictures that were made smaller, blurred or cut, as they may have been."""

from pathlib import Path
from typing import Any

import click
import torch

from ..core.random import randn, stream
from ..images import pictures
from ..observations import Downsample, LinearObservation, NamedObservation, observations
from ..posterior.tasks import Case
from .conditional import command, run


def task(text: str, noise: float | None) -> NamedObservation:
    """The observation in a text such as "downsample:factor=4"; "downsample:4" will do where there is one option."""
    name, _, rest = text.partition(":")
    own = [key for key in observations[name].model_fields if key != "noise"] or ["noise"]
    if rest and "=" not in rest and len(own) == 1:
        text = f"{name}:{own[0]}={rest}"
    found: NamedObservation = observations.parse(text)
    return found if noise is None else type(found)(**{**found.model_dump(), "noise": noise})


def run_restore(
    files: tuple[Path, ...],
    fit: pictures.FitMode,
    task_name: str,
    noise: float | None,
    degrade: bool,
    **options: Any,
) -> None:
    """Restore pictures: several ways for each, a sheet, and restore.json with what they cost.

    IMAGE is what is left of the original: for downsample:4, a picture of a quarter of its height and width. With
    --degrade it is the original, to which the task is done first, and the truth in the sheet.
    """
    seen = task(task_name, noise)

    def prepare(file: Path, shape: tuple[int, ...]) -> Case:
        rest = tuple(seen.forward(torch.zeros(1, *shape)).shape[1:])
        channels, height, width = shape if degrade else rest
        multiple = seen.factor if degrade and isinstance(seen, Downsample) else 1
        picture = pictures.load_picture(file, "L" if channels == 1 else "RGB")
        done = pictures.fit(picture.size, height, width, fit, multiple)
        y, truth = pictures.scaled(done.picture(picture))[None], None
        if degrade:
            truth = y[0]
            y = seen.forward(y)
            y = y + seen.noise * randn(y.shape, stream(options["seed"], "noise", file.name))
        shape = tuple(seen.adjoint(y).shape[1:])
        return Case(shown(seen, y, shape), y, seen, shape, str(done), truth)

    run("restore", prepare, files, (), **options)


def shown(seen: LinearObservation, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """A measurement, (1, C, H, W), as the sheet shows it: at the size of the samples."""
    return (y if y.shape[2:] == shape[1:] else seen.pinv(y))[0]


def restore() -> click.Command:
    """`scoresde restore`."""
    own = [
        click.Option(["--task", "task_name"], required=True, metavar="NAME[:KEY=VALUE,...]",
                     help="What was done to the picture: downsample:4 for the means of 4x4 pixels, blur:1.5 for a "
                     "Gaussian blur, crop:left=8, noisy:0.2 for white noise, luma or mean."),
        click.Option(["--noise"], type=float, help="Standard deviation of the error of what is left, in [-1, 1]."),
        click.Option(["--degrade"], is_flag=True, help="IMAGE is the original: do the task to it first."),
    ]  # fmt: skip
    examples = """\
  scoresde restore small.png --task downsample:4
  scoresde restore photo.png --task blur:1.5 --noise 0.02 --degrade
  scoresde restore album/ --task crop:left=8,right=8 --degrade --out widened"""
    return command("restore", run_restore, own, examples)
