"""`scoresde sample`: samples from a model with any solver."""

import contextlib
from collections import ChainMap
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from torch import Tensor

from .. import models
from ..api.default_solver import DEFAULT, named
from ..api.guidance import labels
from ..api.inputs import pictures
from ..api.models import load
from ..api.start import PICTURE, SHARE, begun
from ..core import files
from ..core.errors import UsageError
from ..core.folders import result
from ..core.options import table
from ..core.parallel import group, processes
from ..core.random import generators
from ..core.sentences import many
from ..images import sheets
from ..models.base import Observer, ScoreModel
from ..models.clipped import ClippedModel
from ..models.latent import decoded, of_data
from ..models.network import NetworkModel
from ..models.record import record as noted
from ..models.trained_classifier import load as load_classifier
from ..sampling import sample as sampling
from ..sampling.precision import Asked
from ..sampling.progress import ProgressBar, progress_bar
from ..sampling.samples import names_of
from ..sampling.trajectory import Trajectory, drawn_way
from ..sampling.value_range import warn
from ..solvers import solvers
from .options import MOST, build, field_options, network_options, quiet_option

RECORD = "samples.json"


@click.command(
    epilog="""\b
An option with [dpm: 0.05] belongs to the solver dpm and has the default 0.05. --steps without --solver chooses the
solver that came nearest to the converged flow in so many steps, or one that `scoresde tune` has stored. Under torchrun
the batches are distributed. The files of an interrupted run are in .unfinished in its folder until the next run there.
\b
Examples:
  scoresde sample --steps 8
  scoresde sample --solver dpm --tol 1e-2
  scoresde sample --model runs/digits --solver pc --steps 200 -n 16 --seed 7 --out out
  scoresde sample --solver rk45 --trajectory 10 --animation webp
  scoresde sample --model models/digits --steps 5
  scoresde sample --model cifar10 --start photo.png --start-time 0.3 -n 8
  scoresde sample --model fashion --class sneaker,dress --guidance 2 -n 12
  scoresde sample --model digits --classifier classifiers/digits --class 3 --guidance 2"""
)
@click.option("--model", default="digits", show_default=True, help="Run, model folder or bundled name.")
@click.option("--solver", metavar="NAME", help=f"See `scoresde solvers`. [default: {DEFAULT}, or the best for --steps]")
@click.option("-n", "count", type=click.IntRange(1, MOST), default=64, show_default=True, help="Samples.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Sample i uses seed + i.")
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True, help="Samples at a time.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder. [default: samples/MODEL-SOLVER]")
@click.option("--trajectory", type=int, metavar="FRAMES", help="Also show x_t and the predicted x_0 at so many times.")
@click.option(
    "--animation",
    type=click.Choice(["gif", "webp"]),
    default="gif",
    show_default=True,
    help="Format of the animation.",
)
@click.option(
    "--class",
    "classes",
    metavar="C[,C...]",
    help="Class of the samples, by number or name; several are used in turn.",
)
@click.option("--guidance", type=float, metavar="W", help="Guidance scale. [default: 1, which is none]")
@click.option("--guidance-interval", metavar="LOW,HIGH", help="Use guidance between these times only. [default: all]")
@click.option(
    "--classifier",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Guide by this classifier, made by `scoresde classifier`.",
)
@click.option("--clip", is_flag=True, help="Clip the predicted images to black and white.")
@click.option(
    "--start",
    multiple=True,
    metavar="PICTURE|data:INDEX",
    help="Add noise to this picture, or to a held-out image, and start from it; several are used in turn.",
)
@click.option("--start-time", metavar="T", help=f"Time of --start, as a fraction: 0.3 or 300/1000. [default: {SHARE}]")
@quiet_option
@field_options(solvers.all())
@network_options
def sample(
    model: str,
    solver: str | None,
    count: int,
    seed: int,
    batch: int,
    out: Path | None,
    trajectory: int | None,
    animation: str,
    classes: str | None,
    guidance: float | None,
    guidance_interval: str | None,
    classifier: Path | None,
    clip: bool,
    start: tuple[str, ...],
    start_time: str | None,
    device_name: str,
    precision: Asked,
    compile: bool,
    progress: bool | None,
    **options: Any,
) -> None:
    """Draw samples from a model. The output is an image of all samples, one PNG per seed, and samples.json.

    Samples that are not images are written to samples.npz, as the array `samples` in the units of the data. The files
    of an earlier result of this command in the output folder are replaced, and no others.
    """
    if trajectory is not None and trajectory < 2:
        raise UsageError(f"--trajectory needs at least 2 frames, got {trajectory}")
    folder = models.locate(model)
    with contextlib.ExitStack() as stack:
        name, together = stack.enter_context(group(device_name)), processes()
        network = load(folder, name, precision=precision, compile=compile)
        chosen = build(solvers, *named(network, solver, options, not start and classes is None))
        if clip and not pictures(network):
            raise UsageError(f"--clip cuts off at black and white, and the samples of {model} are no pictures: drop it")
        if clip:
            of_data(network, "--clip cuts off at black and white")
        begin = begun(start, start_time, network, folder)
        judge = None if classifier is None else load_classifier(classifier, network.device)
        asked = labels(network, classes, count, guidance, guidance_interval, judge)
        if asked:
            asked.around(network, 0, count)  # says what is wrong before a folder is made
        target = out or Path("samples") / f"{folder.name}-{chosen.name}"
        seeds = range(seed, seed + count)
        names = names_of(seeds, pictures(network))
        names += ["trajectory.png", f"trajectory.{animation}"] if trajectory else []
        names += [PICTURE] if begin and begin.drawable else []
        place = together.only_first(lambda: stack.enter_context(result(target, RECORD, names)))
        first = begin.time if begin else None
        drawn: list[tuple[int, sampling.Samples]] = []
        recorder = Trajectory(network.sde, trajectory, start=first) if trajectory else None
        with progress_bar(count, progress, desc="sample") as bar:

            def draw(rows: range) -> sampling.Samples:
                sources = generators(seed + row for row in rows)
                observers: list[Observer] = [ProgressBar(network.sde, bar, start=first)]
                if begin:
                    observers.append(begin.watch(network, rows))
                if recorder and rows[0] == 0:
                    recorder.states.clear()  # of a batch that did not fit into the memory
                    observers.append(recorder)
                guided: ScoreModel = asked.around(network, rows[0], len(rows)) if asked else network
                guided = ClippedModel(guided) if clip else guided
                x = begin.state(network, rows, sources) if begin else network.prior(sources)
                part = sampling.sample(guided, chosen, x, generator=sources, start=first, observers=tuple(observers))
                warn(part, guided)
                drawn.append((rows[0], replace(part, x=in_own_units(network, part.x.cpu()))))
                return part

            for _ in sampling.in_batches(draw, range(count), batch, together):
                pass
            bar.update(count - bar.n)
        everything = sorted((part for parts in together.gather(drawn) for part in parts), key=lambda part: part[0])
        seen = together.gather(begin.seen if begin else {})
        if not together.first:
            return
        batches = [part for _, part in everything]
        whole = sampling.Samples.joined(batches)
        replace(whole, seeds=seeds, numbers=network.units is not None).write(place)
        if recorder:
            strip, frames = drawn_way(recorder, whole.x, partial(in_own_units, network), network.units is not None)
            sheets.save(strip, place / "trajectory.png")
            sheets.save_animation(frames, place / f"trajectory.{animation}")
        record: dict[str, Any] = {
            "solver": table(chosen),
            "nfe": whole.nfe,
            "nfe_per_batch": [part.nfe for part in batches],
            "work": whole.work,
            "seconds": whole.seconds,
            "info": dict(whole.info),
            "seeds": [seeds[0], seeds[-1]],
            "batch": len(batches[0]),
            **noted(network, folder),
            "clip": clip,
        }
        if asked:
            record |= asked.record(network)
        if begin:
            record |= begin.written(place, whole.x, dict(ChainMap(*seen)), partial(in_own_units, network))
        files.write_json(place / RECORD, record)
    click.echo(
        f"{many(count, 'sample')} by {chosen}: {whole.nfe:g} NFE, {whole.seconds:.2f} s in "
        f"{many(len(batches), 'batch')}, in {target}"
    )


def in_own_units(model: NetworkModel, x: Tensor) -> Tensor:
    """x, (B, *), in the units of the data of a model; decoded, for a model of latents."""
    return decoded(model, x) if model.units is None else model.units.to_data(x)
