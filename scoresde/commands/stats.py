"""`scoresde stats`: the covariance of a model's data, for conditioning."""

from pathlib import Path

import click

from .. import models
from ..core import files
from ..core.devices import device
from ..core.errors import UsageError
from ..core.folders import claimed
from ..core.options import hint
from ..data.recipes import images_of
from ..models.latent import coded
from ..models.record import home, place, recipe
from ..observations.covariance import KINDS, Kind, estimate
from ..observations.mixture import Mixture, clustered
from ..posterior import store, typicality
from ..sampling.progress import progress_bar
from .options import json_option, print_table, quiet_option

CLUSTERED = 10_000
"""Images among which clusters are looked for, at most."""


def chosen(text: str) -> list[Kind]:
    """The kinds in a text such as "channel,dct".

    Raises:
        UsageError: One of them does not exist.
    """
    names = text.split(",")
    if unknown := [name for name in names if name not in KINDS]:
        raise UsageError(f"--kinds takes any of {', '.join(KINDS)}, got {unknown[0]!r}. {hint(unknown[0], KINDS)}")
    return [kind for kind in KINDS if kind in names]


@click.command(
    "stats",
    epilog="""\b
Other kinds, and clusters, that were stored before stay if they are of the same --data. A bundled model is not changed:
the files go into its copy in models/NAME, or in --out.
\b
Examples:
  scoresde stats digits
  scoresde stats runs/cifar10 --kinds channel,dct,full
  scoresde stats runs/cifar10 --clusters 32
  scoresde stats runs/photos --data folder:path=photographs""",
)
@click.argument("model")
@click.option("--data", "data_name", metavar="NAME[:KEY=VALUE,...]", help="Images. [default: the model's training set]")
@click.option(
    "-n", "count", type=click.IntRange(2), default=store.COUNT, show_default=True, help="Images, drawn at random."
)
@click.option("--kinds", default=",".join(store.USUAL), show_default=True, help=f"Any of {', '.join(KINDS)}.")
@click.option("--clusters", type=click.IntRange(2), help="Also find so many clusters, for the conditioner mixture.")
@click.option("--out", type=click.Path(path_type=Path), help="Model folder for the files. [default: the model's]")
@quiet_option
@json_option
def statistics(
    model: str,
    data_name: str | None,
    count: int,
    kinds: str,
    clusters: int | None,
    out: Path | None,
    progress: bool | None,
    as_json: bool,
) -> None:
    """Estimate the covariance of MODEL's data and store it with the model, for the conditioners.

    For a model of latents it is the covariance of the latents of the images.
    """
    folder = models.locate(model)
    names = chosen(kinds)
    found = []
    with claimed(place(folder, out)), progress_bar(len(names), progress, desc="stats", unit="kind", delay=1) as bar:
        bar.set_postfix_str("reading")
        title, images = images_of(recipe(folder), model, data_name, "train")
        x = images.drawn(count).scaled()
        if "autoencoder" in files.read_json(folder / models.CONFIG):
            bar.set_postfix_str("encoding")
            title, x = f"{title}, as latents", coded(models.load(folder, device("auto")), x)
        for kind in names:
            bar.set_postfix_str(f"{kind} of {len(x)} images")
            found.append(estimate(x, kind))
            bar.update()
        if clusters:
            bar.set_postfix_str(f"clusters of {min(len(x), CLUSTERED)} images")
            found += [clustered(x[:CLUSTERED], clusters, kind) for kind in names]
        for covariance in found:
            covariance.check(tuple(files.read_json(folder / models.CONFIG)["shape"]))
        target = home(folder, out)
        record = {"data": title, "images": len(x), **({"option": data_name} if data_name else {})}
        every = [*found, *store.others(target, found, record)]
        store.save(target, every, record if title.endswith("latents") else record | typicality.usual(every, x))
    rows = [
        {
            "kind": covariance.kind,
            "clusters": len(covariance.shares) if isinstance(covariance, Mixture) else 1,
            "directions": covariance.variances.numel(),
            "least": float(f"{covariance.variances.min():.3g}"),
            "greatest": float(f"{covariance.variances.max():.3g}"),
            "folder": str(target),
        }
        for covariance in found
    ]
    print_table(rows, as_json)
