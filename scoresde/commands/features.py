"""`scoresde features`: domain extractors, which metrics use where Inception's weights are not at hand."""

from pathlib import Path
from typing import Any

import click

from .. import models
from ..core.errors import UsageError
from ..core.folders import claimed
from ..core.options import table
from ..data import data
from ..data.base import pictures
from ..metrics import extractors
from ..metrics.extractors import FitOptions
from ..sampling.progress import progress_bar
from .options import build, field_options, quiet_option

EXAMPLES = """\b
Examples:
  scoresde features fit --data digits
  scoresde features fit --data cifar10 --root data --dimension 64 --images 200000 --out features/cifar10
  scoresde metrics samples/cifar10-dpm --data cifar10 --metric fd --extractor features/cifar10"""


@click.group(epilog=EXAMPLES)
def features() -> None:
    """Train domain extractors, feature networks for the metrics on one data set."""


@features.command(
    short_help="Train an extractor on a data set.",
    epilog="\b\nAn option with [npz: 0.1] belongs to the data set npz and has the default 0.1.\n" + EXAMPLES,
)
@click.option("--data", "data_name", required=True, metavar="NAME", help="See `scoresde datasets`.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder. [default: features/NAME]")
@quiet_option
@field_options({"training": FitOptions})
@field_options(data.all())
def fit(data_name: str, out: Path | None, progress: bool | None, **options: Any) -> None:
    """Train an extractor on a data set: a classifier if the set has labels, an autoencoder if not.

    The folder gets the weights and a config.json with the score on held-out images and the options.
    """
    chosen = FitOptions(**{k: v for k, v in options.items() if k in FitOptions.model_fields and v is not None})
    source = build(data, data_name, {k: v for k, v in options.items() if k not in FitOptions.model_fields})
    target = out or Path("features") / data_name
    if (target / models.CONFIG).exists():
        raise UsageError(f"{target} already holds an extractor or a model; choose another --out")
    with progress_bar(None, progress, desc="reading images", delay=1):
        images, held_out = (pictures(source.load(split)) for split in ("train", "test"))
    record = {"data": table(source), "train": len(images), "test": len(held_out), **chosen.model_dump()}
    with claimed(target):
        with progress_bar(chosen.images, progress, desc="features", unit_scale=True, bar_format=None) as bar:

            def watch(seen: int, loss: float) -> None:
                bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
                bar.update(seen - bar.n)

            fitted = extractors.fit(images, held_out, chosen, watch=watch)
        extractors.save(fitted, target, record)
    classified = fitted.kind == "classifier"
    said = "in the right class" if classified else "of the variance restored"
    click.echo(
        f"{fitted.extractor.source}, {fitted.kind} of {chosen.dimension} features: {fitted.score:.2%} "
        f"{said} on {len(held_out)} held-out images, in {target}"
    )
