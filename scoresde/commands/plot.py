"""`scoresde plot`: the curves of a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ..bench.figures import Point, panels, render
from ..core.errors import DataError, UsageError
from ..core.files import write_bytes
from ..training.recorded import rows

PLAIN = ("step", "images", "seconds", "skipped")
"""Columns of metrics.jsonl that are no curves."""
PLACES = {
    "loss": "loss",
    "mse": "loss",
    "held_out": "loss",
    "vlb": "bound, bits/dim",
    "grad_norm": "gradient norm",
    "learning_rate": "learning rate",
}
"""What the panels of the columns are called; any other column has a panel of its own."""


@click.command(
    epilog="""\b
RUN is the folder of a training, which may still be running. With train.evaluate_every there are also held-out losses,
distances and likelihoods.
\b
Examples:
  scoresde plot runs/digits
  scoresde plot runs/digits --out curves.png"""
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Output image. [default: RUN/curves.png]")
def plot(run: Path, out: Path | None) -> None:
    """Plot the curves of a training: loss, gradient, learning rate and evaluations."""
    target, log = out or run / "curves.png", run / "metrics.jsonl"
    if target.suffix.lower() != ".png":
        raise UsageError(f"the curves are written as a PNG: --out must end in .png, got {target}")
    if not log.is_file():
        raise DataError(f"{run} has no metrics.jsonl: give the folder of a training that has begun")
    found = curves(rows(log))
    if not found:
        raise DataError(f"{log} holds no figures yet")
    write_bytes(target, render(panels(found), "png"))
    click.echo(f"{', '.join(found)} over images, in {target}")


def curves(lines: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[Point]]]:
    """The curves of a log, by panel and name. A part of the process is named by its times, of which 1 is the last."""
    found: dict[str, dict[str, list[Point]]] = {}
    for line in lines:
        for column, value in line.items():
            if column in PLAIN:
                continue
            named = {column.replace("_", " "): value}
            panel = PLACES.get(column, column.replace("_", " "))
            if isinstance(value, list):
                panel, count = "held-out loss by time", len(value)
                named = {f"t in {i / count:.2g} to {(i + 1) / count:.2g}": v for i, v in enumerate(value)}
            for name, y in named.items():
                if isinstance(y, int | float):
                    found.setdefault(panel, {}).setdefault(name, []).append(Point(line["images"], y))
    return found
