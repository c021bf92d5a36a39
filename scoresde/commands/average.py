"""`scoresde average`: averages of the weights of a run, of a width that is chosen after the training."""

from pathlib import Path
from typing import Any

import click

from .. import models
from ..core import files
from ..core.devices import device
from ..core.errors import UsageError
from ..core.folders import claimed
from ..metrics import metrics
from ..metrics.held_out import distance, held_out
from ..models.record import replaceable
from ..observations.tasks import tasks
from ..sampling.precision import Asked, inferring
from ..sampling.progress import progress_bar
from ..training.averages import averaged, relative
from .options import compared, distance_options, json_option, network_options, print_table, quiet_option


@click.command(
    epilog="""\b
RUN is the folder of a training with train.snapshot_every. A width is relative: 0.1 averages over about the last 10 % of
the run up to --at. The error of the profile says how well the snapshots represent this width.
\b
Examples:
  scoresde train digits train.snapshot_every=12_500 --out runs/digits
  scoresde average runs/digits --width 0.03 --width 0.1 --width 0.2 --metric fd --samples 1000
  scoresde average runs/digits --width 0.08 --at 125_000 --out early"""
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--width",
    "widths",
    type=float,
    multiple=True,
    required=True,
    help="Relative width, above 0 and below 0.289. Can be repeated.",
)
@click.option(
    "--at", type=int, metavar="IMAGES", help="Images seen where the average ends. [default: the last snapshot]"
)
@click.option("--out", type=click.Path(path_type=Path), help="Model folder, for one width. [default: RUN/width_WIDTH]")
@distance_options(samples=0)
@quiet_option
@network_options
@json_option
def average(
    run: Path,
    widths: tuple[float, ...],
    at: int | None,
    out: Path | None,
    metric: str,
    samples: int,
    progress: bool | None,
    device_name: str,
    precision: Asked,
    compile: bool,
    as_json: bool,
) -> None:
    """Average the weights of RUN with one or more relative widths; write each as a model, and measure its samples."""
    if out and len(widths) > 1:
        raise UsageError(
            f"--out {out} is the folder of one width, got {len(widths)}: leave it out, or give one --width"
        )
    if out and out.resolve() == run.resolve():
        raise UsageError(f"--out {out} is the run itself: choose another")
    chosen, content = metrics.parse(metric), files.read_json(run / models.CONFIG)
    told = content.get("recipe", {})
    task = tasks.parse(content["model"].get("condition", "none"))
    if samples and task.conditional:
        raise UsageError(f"--samples {samples} are of networks without a condition, and {run} has {task}")
    folders = [out or run / (f"width_{width:g}" if at is None else f"width_{width:g}_at_{at}") for width in widths]
    for width, folder in zip(widths, folders, strict=True):
        relative(width)
        replaceable(folder, told, "average")
    rows = list[dict[str, Any]]()
    real = held_out(run, chosen, samples, progress=progress) if samples else None
    for width, folder in zip(widths, folders, strict=True):
        with claimed(folder), progress_bar(None, progress, desc=f"average of width {width:g}", delay=1):
            model, end, error = averaged(run, width, at)
            recipe = {**told, "images": end, "average": {"width": width, "profile_error": error}}
            models.save(model, folder, {"recipe": recipe})
        rows.append({"width": width, "images": end, "profile error": f"{error:.2g}", "model": str(folder)})
        if real is not None:
            network = inferring(model.to(device(device_name)), precision, compile)
            rows[-1] |= compared(distance(network, chosen, samples, real, progress=progress))
    print_table(rows, as_json)
