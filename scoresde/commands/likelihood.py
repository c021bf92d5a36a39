"""`scoresde likelihood`: bits per dimension of images under a model."""

import dataclasses
import json
import math
from typing import Any

import click
import torch
from torch import Tensor
from tqdm.auto import tqdm

from .. import checkpoint
from ..data import Images, data
from ..errors import DataError, UsageError
from ..likelihood import NLL, Divergence, Exact, Hutchinson, chain, nll, vlb
from ..likelihood.flow import angle
from ..likelihood.steps import Variance
from ..model import NetworkModel
from ..provenance import versions
from ..random import stream
from ..registry import table
from ..sde import SDE
from ..solvers import solvers
from .options import build, device, device_option, field_options, json_option, print_table

PAIRS = ("rk23", "rk45", "dop853")
DEFAULTS = {"tol": 1e-5, "controller": "pi"}
"""As in `log_likelihood`: tight, so that the figure is the model's and not the solver's."""


class Bar:
    """An observer that shows how much of the way from data to noise the batches have gone."""

    def __init__(self, sde: SDE, eps: float, bar: Any) -> None:
        ends = angle(sde, torch.tensor([eps, sde.end], dtype=torch.float64)).tolist()
        self.sde, self.first, self.last, self.bar = sde, ends[0], ends[1], bar
        self.calls, self.shown, self.whole = 0, 0.0, 0.0

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        self.calls += 1
        share = (float(angle(self.sde, t.min())) - self.first) / (self.last - self.first)
        self.bar.set_postfix_str(f"NFE {self.calls}", refresh=False)
        self._show(self.whole + share * len(x))

    def finish(self, rows: int) -> None:
        """A batch of that many rows is done."""
        self.whole += rows
        self._show(self.whole)

    def _show(self, place: float) -> None:
        self.bar.update(max(0.0, place - self.shown))
        self.shown = max(self.shown, place)


def images_of(model: str, name: str | None, split: str) -> tuple[str, Images]:
    """A split of the named data set, or of the one that the model was trained on."""
    if name is None:
        recipe = checkpoint.read_json(checkpoint.locate(model) / checkpoint.CONFIG).get("recipe", {})
        if "data" not in recipe:
            raise UsageError(f"{model} does not say what it was trained on: choose images with --data NAME")
        options = data.build(recipe["data"])
    else:
        options = data.parse(name)
    return f"{options.name} {split}", options.load("train" if split == "train" else "test")


def run(
    model: str,
    data_name: str | None,
    split: str,
    solver: str,
    exact: bool,
    probes: int,
    classes: int,
    draws: int,
    eps: float,
    steps: int | None,
    variance: Variance,
    count: int | None,
    seed: int,
    batch: int,
    device_name: str,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Bits per dimension of images under MODEL, a run, model folder or bundled name [default: digits]."""
    if solver not in PAIRS:
        raise UsageError(f"--solver must be {', '.join(PAIRS[:-1])} or {PAIRS[-1]}, got {solver!r}")
    chosen = build(solvers, solver, DEFAULTS | {key: value for key, value in options.items() if value is not None})
    if exact and (probes, classes) != (1, 1):
        raise UsageError("--exact leaves nothing to estimate: drop --probes and --classes")
    network = checkpoint.load(model, device(device_name))
    title, whole = images_of(model, data_name, split)
    if count is not None and count > len(whole):
        raise UsageError(f"{title} has {len(whole)} images, got -n {count}: leave out -n for all of them")
    images = whole if count is None else whole.drawn(count, seed)
    if images.shape != network.shape:
        raise DataError(f"{model} takes images of shape {network.shape}, those of {title} have {images.shape}")
    head: dict[str, Any] = {
        "model": model,
        "images": title,
        "chosen": f"{len(images)} of {len(whole)} by the seed" if count else "all, in order",
        "count": len(images),
        "levels": images.levels,
    }
    tail = {"seed": seed, "batch": batch, "sde": table(network.sde), "device": str(network.device), **versions()}
    if steps is not None:
        record = variational(network, images, steps, variance, seed, batch, quiet)
        show({**head, **record}, tail, as_json)
        return
    divergence: Divergence = Exact() if exact else Hutchinson(probes=probes, classes=classes)
    with tqdm(
        total=len(images) * draws, unit="image", disable=quiet or None, bar_format="{l_bar}{bar}| {elapsed}{postfix}"
    ) as bar:
        watch = Bar(network.sde, eps, bar)
        found = nll(
            network,
            images.pixels,
            levels=images.levels,
            draws=draws,
            solver=chosen,
            divergence=divergence,
            eps=eps,
            seed=seed,
            batch=batch,
            observers=(watch,),
            progress=watch.finish,
        )
    method = {"solver": table(chosen), "divergence": {"name": type(divergence).__name__.lower(), **dict(divergence)}}
    show({**head, **method, "eps": eps, **record_of(found)}, tail, as_json)


def record_of(found: NLL) -> dict[str, Any]:
    """An NLL as a record; what is not known is None."""
    values = {"bits_per_dim" if k == "value" else k: v for k, v in dataclasses.asdict(found).items() if k != "images"}
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}


def variational(
    network: NetworkModel, images: Images, steps: int, variance: Variance, seed: int, batch: int, quiet: bool
) -> dict[str, Any]:
    """The terms of the variational bound of the process at `steps` noise levels, means over the images."""
    alphas_cumprod, parts = chain(network.sde, steps), []
    total = len(images) * steps
    with tqdm(total=total, unit="step", disable=quiet or None, bar_format="{l_bar}{bar}| {elapsed}") as bar:
        for first in range(0, len(images), batch):
            pixels = images.pixels[first : first + batch]
            sources = [stream(seed, "vlb", first + i) for i in range(len(pixels))]
            parts.append(
                vlb(
                    network,
                    pixels,
                    levels=images.levels,
                    alphas_cumprod=alphas_cumprod,
                    variance=variance,
                    generator=sources,
                    progress=bar.update,
                )
            )
    each = torch.cat([part.total for part in parts])
    by_step = torch.cat([part.diffusion for part in parts], dim=1).mean(1)
    return {
        "chain": f"{steps} steps, variance {variance}",
        "bits_per_dim": each.mean().item(),
        "standard_error": each.std().item() / math.sqrt(len(each)) if len(each) > 1 else None,
        "prior": torch.cat([part.prior for part in parts]).mean().item(),
        "diffusion": by_step.sum().item(),
        "decoder": torch.cat([part.decoder for part in parts]).mean().item(),
        "nfe": parts[0].nfe,
        "diffusion_by_step": by_step.tolist(),
    }


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


def likelihood() -> click.Command:
    """The command, with the options of the three Runge-Kutta pairs."""
    whole = click.IntRange(1)
    own: list[click.Parameter] = [
        click.Argument(["model"], default="digits"),
        click.Option(["--data", "data_name"], metavar="NAME[:KEY=VALUE,...]", help="Images. [default: the model's]"),
        click.Option(["--split"], type=click.Choice(["train", "test"]), default="test", show_default=True),
        click.Option(
            ["-n", "count"],
            type=whole,
            help="Images, drawn by --seed from all over the split; more begin with fewer. [default: all, in order]",
        ),
        click.Option(["--draws"], type=whole, default=1, show_default=True, help="Dequantisations of each image."),
        click.Option(["--exact"], is_flag=True, help="Exact divergence: one vjp for each value of an image."),
        click.Option(["--probes"], type=whole, default=1, show_default=True, help="Independent random probes."),
        click.Option(["--classes"], type=whole, default=1, show_default=True, help="Interleaved classes of a probe."),
        click.Option(["--eps"], type=float, default=1e-5, show_default=True, help="Time at which the images are put."),
        click.Option(
            ["--vlb", "steps"], type=click.IntRange(2), metavar="STEPS", help="Instead, the variational bound."
        ),
        click.Option(
            ["--variance"], type=click.Choice(["small", "large", "learned"]), default="small", help="Its own."
        ),
        click.Option(
            ["--solver"],
            default="rk45",
            show_default=True,
            help="rk23, rk45 or dop853, at --tol 1e-5 and --controller pi.",
        ),
        click.Option(
            ["--seed"], type=click.IntRange(0), default=0, show_default=True, help="Of images, noise and probes."
        ),
        click.Option(["--batch"], type=whole, default=64, show_default=True, help="Images at a time."),
        click.Option(["--quiet"], is_flag=True, help="No progress bar."),
    ]
    pairs = field_options({name: solvers[name] for name in PAIRS})
    command = click.Command("likelihood", callback=run, params=[*own, *pairs], help=run.__doc__)
    command.epilog = """\b
Examples:
  scoresde likelihood digits --classes 16
  scoresde likelihood digits -n 32 --exact --draws 4 --json
  scoresde likelihood digits --vlb 1000
  scoresde likelihood --data npz:path=images.npz --solver dop853 --tol 1e-6"""
    json_option(command)
    device_option(command)
    return command
