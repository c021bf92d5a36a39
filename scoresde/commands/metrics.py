"""`scoresde metrics`: how far a folder of samples is from a data set."""

from pathlib import Path
from typing import Any

import click
from torch import Tensor

from ..core.devices import device
from ..core.errors import UsageError
from ..data import data
from ..data.base import pictures
from ..images import sheets
from ..images.samples import find_samples, read_samples
from ..metrics import Estimate, Metric, Statistics
from ..metrics import metrics as registry
from ..metrics.features import watched
from ..metrics.frechet import Frechet
from ..sampling.progress import progress_bar
from .options import build, device_option, field_options, flag, json_option, print_table, quiet_option


def chosen(names: str, options: dict[str, Any]) -> list[Metric]:
    """The metrics of a list such as "fd,sw", each with those of the options that it takes.

    Raises:
        UsageError: A name does not exist, or none of them takes one of the options.
    """
    classes = {name: registry[name] for name in filter(None, names.split(","))}
    if not classes:
        raise UsageError("--metric must name at least one metric, as in --metric fd,sw")
    for field in options:
        if not any(field in cls.model_fields for cls in classes.values()):
            raise UsageError(f"{flag(field)} is not an option of {', '.join(classes)}")
    return [cls(**{k: v for k, v in options.items() if k in cls.model_fields}) for cls in classes.values()]


@click.command(
    epilog=f"""\b
SAMPLES is a folder of images of one size, which may have sub-folders. Metrics: {", ".join(registry.all())}.
An option with [names] belongs to these metrics or data sets.
\b
Examples:
  scoresde metrics samples/digits-dpm --data digits
  scoresde metrics samples/digits-dpm --data digits --metric fd,domain-prc --json
  scoresde metrics out --data cifar10 --metric fid,kid,is,prc --weights inception.pth
  scoresde metrics out --statistics cifar10.npz --metric fid"""
)
@click.argument("samples", type=click.Path(path_type=Path))
@click.option("--data", "data_name", metavar="NAME", help="Real images; see `scoresde datasets`.")
@click.option("--split", type=click.Choice(["train", "test"]), default="train", show_default=True)
@click.option("--statistics", type=click.Path(path_type=Path), help=".npz with mu and sigma, instead of --data.")
@click.option("--save-statistics", type=click.Path(path_type=Path), help="Write the statistics of --data to this file.")
@click.option("--metric", default="fd,kd,sw", show_default=True, metavar="NAMES", help="Metrics, separated by commas.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of blocks and splits.")
@quiet_option
@field_options(registry.all())
@field_options(data.all())
@device_option
@json_option
def metrics(
    samples: Path,
    data_name: str | None,
    split: Any,
    statistics: Path | None,
    save_statistics: Path | None,
    metric: str,
    seed: int,
    device_name: str,
    as_json: bool,
    progress: bool | None,
    **options: Any,
) -> None:
    """Measure how far the samples in a folder are from a data set, with intervals and floors.

    The floor is the same distance of as many real images from the other real images: the value of a perfect model.
    """
    fields = {field for cls in registry.all().values() for field in cls.model_fields}
    used = chosen(metric, {k: v for k, v in options.items() if k in fields and v is not None})
    if (data_name is None) == (statistics is None):
        raise UsageError("give the real images by --data, or the statistics of their features by --statistics")
    where = device(device_name)
    reference: Tensor | Statistics
    with progress_bar(None, progress, desc="reading images", delay=1):
        paths, shape = find_samples(samples)
        if data_name is None:
            reference = Statistics.load(statistics or "")
        else:
            source = build(data, data_name, {k: v for k, v in options.items() if k not in fields})
            reference = sheets.to_uint8(pictures(source.load(split)).scaled())
    if save_statistics and (len(used) != 1 or not isinstance(used[0], Frechet) or isinstance(reference, Statistics)):
        raise UsageError("--save-statistics takes --data and one metric that has statistics: fd, fid or pixel-frechet")
    for one in used:
        one.check(len(paths), shape, reference)
    found, each = list[Estimate](), len(paths) + (len(reference) if isinstance(reference, Tensor) else 0)
    with progress_bar(each * len(used), progress, desc="metrics", delay=1) as bar, watched(bar.update):
        bar.set_postfix_str(used[0].name)
        if save_statistics and isinstance(used[0], Frechet) and isinstance(reference, Tensor):
            used[0].statistics(used[0].features(reference.to(where))).save(save_statistics)
        x = read_samples(paths, shape).to(where)
        for number, one in enumerate(used, 1):
            bar.set_postfix_str(one.name)
            found += one.measure(x, reference, seed=seed)
            bar.update(number * each - bar.n)  # features that are known, or none, take no time
    print_table([row(estimate, as_json) for estimate in found], as_json)


def row(estimate: Estimate, exact: bool) -> dict[str, Any]:
    """A line of the table; for readers, with four digits, - for a floor that is absent, and marks as text."""
    table = {"metric": estimate.name, **{key: getattr(estimate, key) for key in ("value", "low", "high", "floor")}}
    if exact:
        return {**table, "N": estimate.n, "marks": list(estimate.marks)}
    shown = {k: "-" if v is None else f"{v:.4g}" if isinstance(v, float) else v for k, v in table.items()}
    return {**shown, "N": estimate.n, "marks": "; ".join(estimate.marks)}
