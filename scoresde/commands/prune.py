"""`scoresde prune`: takes weights away from a model, and says what that costs."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import click
import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import models
from ..core import files
from ..core.errors import UsageError
from ..core.random import generators
from ..images import sheets
from ..metrics import Metric, metrics
from ..models.base import NetworkModel
from ..networks.prune import Pruned, PruneMethod, hold, measure
from ..networks.prune import prune as take
from ..observations.channels import extra_channels
from ..sampling.sample import sample
from ..solvers.unipc import UniPC
from ..training import config as configuration
from ..training.config import Config
from ..training.loop import start, train
from ..training.run import recorded_config
from .likelihood import images_of
from .options import device, device_option, json_option, output_folder, print_table


@click.command(
    epilog="""\b
MODEL is a run, a model folder or a bundled name. l1 takes the smallest weights of each layer, random any, ln whole
output channels of the least length. Operations are those of a processor that skips zeros; others gain nothing.
--finetune needs the configuration that the model was trained with: that of a run, or a bundled one.
\b
Examples:
  scoresde prune digits --amount 0.5
  scoresde prune runs/digits --method ln --amount 0.25 --finetune 500
  scoresde prune digits --amount 0.8 --metric fd --samples 1000"""
)
@click.argument("model")
@click.option("--method", type=click.Choice(get_args(PruneMethod)), default="l1", show_default=True)
@click.option("--amount", type=float, default=0.5, show_default=True, help="Share of each layer, between 0 and 1.")
@click.option("--finetune", type=click.IntRange(0), default=0, metavar="STEPS", help="Train what is left so long.")
@click.option("--out", type=click.Path(path_type=Path), help="Model folder. [default: pruned/MODEL]")
@click.option("--metric", default="pixel-frechet", show_default=True, metavar="NAME[:KEY=VALUE,...]",
              help="Distance of samples from held-out images.")  # fmt: skip
@click.option("--samples", type=click.IntRange(0), default=256, show_default=True, help="So many; 0 measures none.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of what random takes.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@device_option
@json_option
def prune(
    model: str,
    method: PruneMethod,
    amount: float,
    finetune: int,
    out: Path | None,
    metric: str,
    samples: int,
    seed: int,
    quiet: bool,
    device_name: str,
    as_json: bool,
) -> None:
    """Set a share of MODEL's weights to 0, and report sparsity, operations and the distance of its samples."""
    folder = models.locate(model)
    content = files.read_json(folder / models.CONFIG)
    chosen: Metric = metrics.parse(metric)
    config = trained_with(model, folder) if finetune else None
    network = models.load(folder, device(device_name))
    target = out or Path("pruned") / folder.name
    if target.resolve() == folder.resolve():
        raise UsageError(f"--out {target} is the model itself: choose another")
    real = held_out(model, chosen, samples) if network.condition == "none" else None
    rows = [row("as it was", network, chosen, samples, real)]
    kept = take(network.net, method, amount, seed=seed)
    rows.append(row("pruned", network, chosen, samples, real))
    if config:
        tuned(config, network, kept, finetune, quiet)
        rows.append(row(f"after {finetune} steps", network, chosen, samples, real))
    recipe = {**content.get("recipe", {}), "pruned": {"method": method, "amount": amount, "finetune": finetune}}
    described = {key: content[key] for key in ("sde", "network", "model")}
    models.save(network, output_folder(target), {**described, "recipe": recipe})
    print_table(rows, as_json)
    if not as_json:
        click.echo(f"\nThe pruned model is in {target}.")


def trained_with(model: str, folder: Path) -> Config:
    """The configuration of a run, or of a bundled model.

    Raises:
        UsageError: The folder holds none.
    """
    if (folder / "config.toml").exists():
        return recorded_config(folder)
    if folder.parent == models.BUNDLED and folder.name in configuration.names():
        return configuration.load(folder.name)
    raise UsageError(f"--finetune needs the configuration that {model} was trained with: give the folder of a run")


def held_out(model: str, metric: Metric, samples: int) -> Tensor | None:
    """The held-out images with which so many samples of a model are compared, (N, C, H, W) uint8; None for none.

    Raises:
        UsageError, DataError: The metric cannot be measured of so many samples, or of such images.
    """
    if not samples:
        return None
    found = images_of(model, None, "test")[1]
    real = sheets.to_uint8(found.scaled())
    metric.check(samples, found.shape, real)
    return real


def row(what: str, network: NetworkModel, metric: Metric, samples: int, real: Tensor | None) -> dict[str, Any]:
    """A line of the report."""
    further = extra_channels(network.condition, network.shape[0])
    found: Pruned = measure(network.net, (network.shape[0] + further, *network.shape[1:]))
    line = {
        "model": what,
        "weights": found.weights,
        "sparsity": round(found.sparsity, 4),
        "operations": found.useful,
        "of": found.flops,
    }
    if real is not None:
        line |= distance(network, metric, samples, real)
    return line


def distance(network: NetworkModel, metric: Metric, samples: int, real: Tensor) -> dict[str, str]:
    """The distance of so many samples, from the seeds 0, 1, ..., under the metric's name, with its floor."""
    parts = []
    for first in range(0, samples, 64):
        sources = generators(range(first, min(first + 64, samples)))
        parts.append(sample(network, UniPC(steps=10), network.prior(sources), generator=sources).x)
    estimate = metric.measure(sheets.to_uint8(torch.cat(parts)), real.to(network.device))[0]
    floor = "" if estimate.floor is None else f" (real images {estimate.floor:.4g})"
    return {estimate.name: f"{estimate.value:.4g}{floor}"}


def tuned(config: Config, network: NetworkModel, kept: dict[str, Tensor], steps: int, quiet: bool) -> None:
    """Trains what is left of the network, whose averaged weights it gets; what was taken away stays 0."""
    changed = {"images": steps * config.train.batch, "warmup": 0, "compile": False}
    config = replace(config, train=config.train.model_copy(update=changed))
    data = config.data.load("train")
    state = start(config, data.shape, network.device)
    for model in (state.model, state.ema):
        model.net.load_state_dict(network.net.state_dict())
    for _ in tqdm(train(config, data, state), total=steps, unit="step", disable=quiet or None):
        hold(state.model.net, kept)
        hold(state.ema.net, kept)
    network.net.load_state_dict(state.ema.net.state_dict())
