"""`scoresde describe`: what a network is made of and what it costs."""

import json
from pathlib import Path

import click
import torch

from .. import models
from ..core import files
from ..core.errors import UsageError
from ..core.options import hint
from ..networks import networks
from ..networks.describe import describe as measure
from ..training import config as configuration
from .options import json_option


@click.command(
    epilog="""\b
WHAT is a configuration (file or name) or a model (run, folder or bundled name).
\b
Examples:
  scoresde describe digits
  scoresde describe unet-512 --no-time
  scoresde describe cifar10-vp network.channels=64 --size 32 --json"""
)
@click.argument("what")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--size", type=click.IntRange(1), help="Height and width of the images, if not those of the data set.")
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Images per forward.")
@click.option("--time/--no-time", "timed", default=True, show_default=True, help="Measure milliseconds per forward.")
@click.option("--all", "every", is_flag=True, help="Also the feature maps inside the blocks.")
@json_option
def describe(
    what: str, overrides: tuple[str, ...], size: int | None, batch: int, timed: bool, every: bool, as_json: bool
) -> None:
    """Show every feature map of a network, its parameters, its FLOPs and its time per forward."""
    if what in configuration.names() or Path(what).is_file():
        chosen = configuration.load(what, overrides)
        options = chosen.network
        channels, *sides = chosen.data.shape or chosen.data.load("train").shape
    elif what in models.bundled() or Path(what).is_dir():
        if overrides:
            raise UsageError(f"a trained model takes no overrides, got {overrides[0]!r}")
        content = files.read_json(models.locate(what) / models.CONFIG)
        options = networks.build(content["network"])
        channels, *sides = content["shape"]
    else:
        known = {*configuration.names(), *models.bundled()}
        raise UsageError(f"no configuration or model is called {what!r}. {hint(what, known)}")
    if size and not sides:
        raise UsageError(
            f"--size {size} is the side of images, and these are vectors of {channels} numbers: leave it out"
        )
    sides = [size or side for side in sides]
    with torch.device("cpu" if timed else "meta"):  # without a clock, no weight is needed
        net = options.build((channels, *sides))
    shape, classes = (channels + options.extra_channels, *sides), options.classes > 0 and not options.null_class
    result = measure(net, shape, batch=batch, timed=timed, classes=classes)
    click.echo(json.dumps(result.to_dict(), indent=2) if as_json else result.text(None if every else 2))
