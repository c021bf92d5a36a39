"""`scoresde likelihood`: bits per dimension of images under a model."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from .. import models
from ..core.devices import device
from ..core.errors import DataError, UsageError
from ..core.options import table
from ..core.provenance import versions
from ..core.sentences import many
from ..data.base import Split
from ..data.recipes import images_of
from ..likelihood import NLL, Divergence, Exact, Hutchinson, LatentNLL, latent_nll, mean_vlb, nll
from ..likelihood.steps import Variance
from ..models.latent import data_shape
from ..models.record import recipe
from ..observations.holes import Hole
from ..observations.masks import trained_masks
from ..observations.tasks import trained_task
from ..sampling.precision import Asked, inferring
from ..sampling.progress import ProgressBar, progress_bar
from ..solvers import solvers
from .options import (
    SAMPLING,
    build,
    field_options,
    flag,
    hole_of,
    hole_options,
    json_option,
    network_options,
    print_table,
    quiet_option,
)

PAIRS = ("rk23", "rk45", "dop853")
DEFAULTS = {"tol": 1e-5, "controller": "pi"}
"""As in `log_likelihood`: tight, so that the figure is the model's and not the solver's."""
EPS = 1e-5


@click.command(
    epilog="""\b
Examples:
  scoresde likelihood digits --classes 16
  scoresde likelihood digits -n 32 --exact --draws 4 --json
  scoresde likelihood digits --vlb 1000
  scoresde likelihood runs/digits-inpaint --box 2,2,6,6
  scoresde likelihood --data npz:path=images.npz --solver dop853 --tol 1e-6"""
)
@click.argument("model", default="digits")
@click.option("--data", "data_name", metavar="NAME[:KEY=VALUE,...]", help="Images. [default: the model's]")
@click.option("--split", type=click.Choice(["train", "test"]), default="test", show_default=True)
@click.option(
    "-n",
    "count",
    type=click.IntRange(1),
    help="Number of images, drawn at random by --seed from the split. [default: all, in order]",
)
@click.option(
    "--draws", type=click.IntRange(1), default=1, show_default=True, help="Dequantisations, or latents, per image."
)
@click.option("--exact", is_flag=True, help="Exact divergence: one backward pass per value of an image.")
@click.option("--probes", type=click.IntRange(1), default=1, show_default=True, help="Independent random probes.")
@click.option(
    "--classes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Interleaved classes of pixels per probe; more reduce the noise.",
)
@click.option("--eps", type=float, default=EPS, show_default=True, help="Time at which the images are placed.")
@click.option(
    "--vlb",
    "steps",
    type=click.IntRange(2),
    metavar="STEPS",
    help="Compute the variational bound in so many steps instead.",
)
@click.option(
    "--variance",
    type=click.Choice(["small", "large", "learned"]),
    default="small",
    show_default=True,
    help="Reverse variance for --vlb.",
)
@click.option(
    "--solver",
    default="rk45",
    show_default=True,
    help="rk23, rk45 or dop853.",
)
@hole_options("an image's number, by default as in training")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of images, noise and probes.")
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True, help="Images at a time.")
@quiet_option
@field_options({name: solvers[name] for name in PAIRS}, dict.fromkeys(PAIRS, DEFAULTS), without=SAMPLING)
@json_option
@network_options
def likelihood(
    model: str,
    data_name: str | None,
    split: Split,
    solver: str,
    exact: bool,
    probes: int,
    classes: int,
    draws: int,
    eps: float,
    steps: int | None,
    variance: Variance,
    mask: Path | None,
    box: str | None,
    random_mask: str | None,
    invert: bool,
    count: int | None,
    seed: int,
    batch: int,
    device_name: str,
    precision: Asked,
    compile: bool,
    as_json: bool,
    progress: bool | None,
    **options: Any,
) -> None:
    """Compute the bits per dimension of images under MODEL, a run, model folder or bundled name [default: digits].

    For a network trained to colour, the likelihood is that of an image given its luma. For one trained to inpaint, it
    is that of a hole given the rest. For a model of latents it is a density in nats per value of the latent, which
    cannot be compared with bits per dimension.
    """
    if solver not in PAIRS:
        raise UsageError(f"--solver must be {', '.join(PAIRS[:-1])} or {PAIRS[-1]}, got {solver!r}")
    chosen = build(solvers, solver, DEFAULTS | {key: value for key, value in options.items() if value is not None})
    if exact and (probes, classes) != (1, 1):
        raise UsageError("--exact leaves nothing to estimate: drop --probes and --classes")
    flow = {"solver": solver != PAIRS[1], "exact": exact, "draws": draws > 1, "probes": probes > 1}
    flow |= {"classes": classes > 1, "eps": eps != EPS, **{key: value is not None for key, value in options.items()}}
    if steps is not None and any(flow.values()):
        raise UsageError(f"--vlb integrates no flow: leave out {next(flag(key) for key in flow if flow[key])}")
    if steps is None and variance != "small":
        raise UsageError(f"--variance {variance} is of the chain that --vlb STEPS takes: give that, too")
    network = inferring(models.load(model, device(device_name)), precision, compile, exact=True)
    came = recipe(model)
    with progress_bar(None, progress, desc="reading images", delay=1):
        title, whole = images_of(came, model, data_name, split)
    if count is not None and count > len(whole):
        raise UsageError(f"{title} has {many(len(whole), 'image')}, got -n {count}: leave out -n for all of them")
    images = whole if count is None else whole.drawn(count, seed)
    if images.shape != (takes := data_shape(network)):
        raise DataError(f"{model} takes images of shape {takes}, those of {title} have {images.shape}")
    head: dict[str, Any] = {
        "model": model,
        "images": title,
        "chosen": f"{len(images)} of {len(whole)} by the seed" if count else "all, in order",
        "count": len(images),
        "levels": images.levels,
    }
    hole = hole_of(mask, box, random_mask, invert)
    known, given = None, "the luma of each image"
    if trained_task(network).masked:
        hole = hole or Hole(trained_masks(model, came))
        known = hole.of_images(len(images), images.shape, seed)
        given = f"the pixels around a hole of {float((~known).float().mean()):.1%} of an image, {hole}"
    elif hole:
        raise UsageError(f"{model} was not trained to inpaint: leave out --mask, --box and --random-mask")
    if trained_task(network).conditional:
        head |= {"given": given, "unit": f"bits per value of the {'image' if known is None else 'hole'}"}
    tail = {"seed": seed, "batch": batch, "sde": table(network.sde), "device": str(network.device)}
    tail |= {**network.inference.record, **versions()}
    if steps is not None:
        with progress_bar(len(images) * steps, progress, desc="likelihood", unit="step") as bar:
            bound = mean_vlb(
                network,
                images,
                steps,
                variance=variance,
                known=known,
                seed=seed,
                batch=batch,
                progress=bar.update,
            )
        figures = {**dataclasses.asdict(bound), "diffusion_by_step": list(bound.by_step)}
        head |= {"chain": f"{steps} steps, variance {variance}"}
        show({**head, **shown(figures, "images", "by_step")}, tail, as_json)
        return
    divergence: Divergence = Exact() if exact else Hutchinson(probes=probes, classes=classes)
    with progress_bar(len(images) * draws, progress, desc="likelihood") as bar:
        watch = ProgressBar(network.sde, bar, upwards=True, start=eps)
        common: dict[str, Any] = {"draws": draws, "solver": chosen, "divergence": divergence, "eps": eps, "seed": seed}
        common |= {"batch": batch, "observers": (watch,), "progress": watch.finish}
        if network.autoencoder is None:
            found: NLL | LatentNLL = nll(network, images.pixels, levels=images.levels, known=known, **common)
        else:
            found = latent_nll(network, images, **common)
            head |= {"of": f"latents of shape {network.shape}", "unit": "nats per number of a latent"}
    method = {"solver": table(chosen), "divergence": {"name": type(divergence).__name__.lower(), **dict(divergence)}}
    value = "bits_per_dim" if network.autoencoder is None else "nats_per_latent_dim"
    show({**head, **method, "eps": eps, **shown(dataclasses.asdict(found), "images", value=value)}, tail, as_json)


def shown(figures: Mapping[str, Any], *but: str, value: str = "bits_per_dim") -> dict[str, Any]:
    """Figures as a record, without some of them: `value` is called by its unit, and what is not known is None."""
    named = {value if key == "value" else key: figures[key] for key in figures if key not in but}
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in named.items()}


def show(record: dict[str, Any], tail: dict[str, Any], as_json: bool) -> None:
    """The record as a table, or with all that is needed to repeat it as JSON."""
    if as_json:
        click.echo(json.dumps({**record, **tail}, indent=2))
        return
    rows = []
    for key, value in record.items():
        if isinstance(value, list):
            continue
        if isinstance(value, dict):
            value = " ".join([str(value["name"]), *(f"{k}={v}" for k, v in value.items() if k != "name" and v)])
        text = "not known" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)
        rows.append({"quantity": key.replace("_", " "), "value": text})
    print_table(rows, False)
