"""`scoresde prune`: takes weights away from a model, and says what that costs."""

from pathlib import Path
from typing import Any, get_args

import click

from .. import models
from ..core import files
from ..core.devices import device
from ..core.errors import UsageError
from ..core.folders import claimed
from ..metrics import Metric, metrics
from ..metrics.held_out import distance, held_out
from ..models.record import replaceable
from ..networks.prune import PruneMethod, each, measure
from ..networks.prune import prune as take
from ..observations.tasks import trained_task
from ..sampling.precision import Asked, inferring
from ..training.finetune import finetune as train_further
from ..training.finetune import trained_with
from .options import compared, distance_options, json_option, network_options, print_table, quiet_option


@click.command(
    epilog="""\b
MODEL is a run, a model folder or a bundled name. l1 removes the smallest weights of each layer, random any weights, ln
the output channels of least norm. Operations are those of a processor that skips zeros; others are not faster.
--finetune needs the configuration of the training, which a run and a bundled model have.
\b
Examples:
  scoresde prune digits --amount 0.5
  scoresde prune runs/digits --method ln --amount 0.25 --finetune 500
  scoresde prune digits --amount 0.8 --module mid_block --module 'up_blocks.*.resnets' --layers
  scoresde prune digits --amount 0.8 --metric fd --samples 1000"""
)
@click.argument("model")
@click.option("--method", type=click.Choice(get_args(PruneMethod)), default="l1", show_default=True)
@click.option("--amount", type=float, default=0.5, show_default=True, help="Fraction of each layer, between 0 and 1.")
@click.option(
    "--module",
    "modules",
    multiple=True,
    metavar="PATTERN",
    help="Only layers in modules of this name, as `scoresde describe MODEL --all` shows them. [default: all]",
)
@click.option("--layers", is_flag=True, help="Also the sparsity and the size of each layer.")
@click.option(
    "--finetune",
    type=click.IntRange(0),
    default=0,
    metavar="STEPS",
    help="Train the remaining weights for so many steps. [default: 0]",
)
@click.option("--out", type=click.Path(path_type=Path), help="Model folder. [default: pruned/MODEL]")
@distance_options(samples=256)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of --method random.")
@quiet_option
@network_options
@json_option
def prune(
    model: str,
    method: PruneMethod,
    amount: float,
    modules: tuple[str, ...],
    layers: bool,
    finetune: int,
    out: Path | None,
    metric: str,
    samples: int,
    seed: int,
    progress: bool | None,
    device_name: str,
    precision: Asked,
    compile: bool,
    as_json: bool,
) -> None:
    """Set a fraction of MODEL's weights to 0, and report sparsity, operations and the distance of its samples."""
    folder = models.locate(model)
    content = files.read_json(folder / models.CONFIG)
    chosen: Metric = metrics.parse(metric)
    config = trained_with(model) if finetune else None
    network = models.load(folder, device(device_name))
    target = out or Path("pruned") / folder.name
    if target.resolve() == folder.resolve():
        raise UsageError(f"--out {target} is the model itself: choose another")
    told = content.get("recipe", {})
    replaceable(target, told, "pruned")
    measured = samples and not trained_task(network).conditional
    real = held_out(model, chosen, samples, progress=progress) if measured else None
    further = trained_task(network).extra_channels(network.shape[0])

    def row(what: str) -> dict[str, Any]:
        """A line of the report."""
        found = measure(network.net, (network.shape[0] + further, *network.shape[1:]))
        line = {"model": what, "weights": found.weights, "sparsity": round(found.sparsity, 4)}
        line |= {"operations": found.useful, "of": found.flops}
        if real is not None:
            inferred = inferring(network, precision, compile)
            line |= compared(distance(inferred, chosen, samples, real, progress=progress))
        return line

    with claimed(target):
        rows = [row("as it was")]
        kept = take(network.net, method, amount, seed=seed, modules=modules)
        rows.append(row("pruned"))
        if config:
            train_further(config, network, kept, finetune, progress=progress)
            rows.append(row(f"after {finetune} steps"))
        done: dict[str, Any] = {"method": method, "amount": amount, "finetune": finetune}
        done |= {"seed": seed} if method == "random" else {}
        done |= {"modules": list(modules)} if modules else {}
        models.save(network, target, {"recipe": {**told, "pruned": done}})
    if as_json:
        rows[-1] |= {"layers": each(network.net)} if layers else {}
    print_table(rows, as_json)
    if not as_json:
        if layers:
            click.echo()
            print_table(each(network.net), as_json)
        click.echo(f"\nThe pruned model is in {target}.")
