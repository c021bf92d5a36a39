"""`scoresde classifier`: a classifier of the noisy data of a model, for guidance."""

from pathlib import Path
from typing import Any

import click

from .. import models
from ..api.classifying import fit_classifier
from ..core.devices import device
from ..training.classifier import ClassifierTraining
from .options import device_option, field_options, json_option, print_table, quiet_option


@click.command(
    epilog="""\b
Examples:
  scoresde classifier digits
  scoresde sample --model digits --classifier classifiers/digits --class 3 --guidance 2
  scoresde classifier runs/faces --data folder:path=faces --images 200000 --out classifiers/faces"""
)
@click.argument("model")
@click.option(
    "--data",
    "data_name",
    metavar="NAME[:KEY=VALUE,...]",
    help="Data with labels. [default: what the model was trained on]",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder. [default: classifiers/MODEL]")
@quiet_option
@field_options({"training": ClassifierTraining})
@device_option
@json_option
def classifier(
    model: str,
    data_name: str | None,
    out: Path | None,
    device_name: str,
    progress: bool | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a classifier of the noisy data of MODEL, for guidance of a model without classes.

    The data need labels. The command prints accuracy and cross-entropy (in nats) on held-out data at several times of
    the process. At its end only noise is left, and the accuracy is that of guessing.
    """
    folder, given = models.locate(model), {name: value for name, value in options.items() if value is not None}
    target = out or Path("classifiers") / folder.name
    prior = models.load(folder, device(device_name))
    made = fit_classifier(prior, target, data_name, device=device_name, progress=progress, **given)
    print_table([{name: round(value, 4) for name, value in row.items()} for row in made.held_out], as_json)
    if not as_json:
        click.echo(f"a classifier of {made.classes} classes, in {target}")
