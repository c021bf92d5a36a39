"""`scoresde sample`: samples from a model with any solver."""

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import click
import torch
from torch import Tensor

from .. import models
from ..bench import tune
from ..core import files
from ..core.devices import device
from ..core.errors import UsageError
from ..core.folders import result
from ..core.options import table
from ..core.parallel import group, processes
from ..core.random import generators
from ..images import sheets
from ..models.base import Observer, ScoreModel
from ..models.clipped import ClippedModel
from ..models.guided import GuidedModel
from ..models.network import NetworkModel
from ..models.record import record as noted
from ..sampling import sample as sampling
from ..sampling.progress import ProgressBar, progress_bar
from ..sampling.trajectory import Trajectory
from ..solvers import Solver, solvers
from .options import build, device_option, drawable, field_options

RECORD = "samples.json"


@dataclass(frozen=True)
class Guidance:
    """The classes of all samples, and how strongly they are guided to them."""

    classes: list[int]
    scale: float
    interval: tuple[float, float]

    def around(self, model: ScoreModel, first: int, count: int) -> GuidedModel:
        """The model of `count` samples from the given one on."""
        return GuidedModel(model, self.classes[first : first + count], self.scale, self.interval)

    @property
    def record(self) -> dict[str, Any]:
        """What samples.json says of it."""
        return {"classes": self.classes, "guidance": self.scale, "guidance_interval": list(self.interval)}


def labels(classes: str | None, count: int, scale: float | None, interval: str | None) -> Guidance | None:
    """What --class, --guidance and --guidance-interval ask for; sample i has the class i modulo their number.

    Raises:
        UsageError: One of them cannot be read, or there is a scale without a class.
    """
    if classes is None:
        if scale is not None or interval is not None:
            raise UsageError("--guidance needs --class: say which class the samples are guided to")
        return None
    try:
        named = [int(text) for text in classes.split(",")]
    except ValueError:
        raise UsageError(f"--class takes whole numbers such as 3 or 0,1,2, got {classes!r}") from None
    low, high = 0.0, 1.0
    if interval is not None:
        try:
            low, high = (float(text) for text in interval.split(","))
        except ValueError:
            raise UsageError(f"--guidance-interval takes two times such as 0.1,0.8, got {interval!r}") from None
    return Guidance([named[i % len(named)] for i in range(count)], 1.0 if scale is None else scale, (low, high))


def run(
    model: str,
    solver: str,
    count: int,
    seed: int,
    batch: int,
    out: Path | None,
    trajectory: int | None,
    animation: str,
    classes: str | None,
    guidance: float | None,
    guidance_interval: str | None,
    clip: bool,
    device_name: str,
    quiet: bool,
    **options: Any,
) -> None:
    """Draw samples from a model: a sheet, one PNG per seed, and samples.json with what they cost."""
    tuned = options.get("grid") == "tuned"
    chosen = build(solvers, solver, options | {"grid": None} if tuned else options)
    if trajectory is not None and trajectory < 2:
        raise UsageError(f"--trajectory needs at least 2 frames, got {trajectory}")
    folder = models.locate(model)
    if tuned:
        chosen = tune.tuned(chosen, folder)
    with contextlib.ExitStack() as stack:
        name, together = stack.enter_context(group(device_name)), processes()
        network = models.load(folder, device(name))
        drawable(model, network.shape)
        asked = labels(classes, count, guidance, guidance_interval)
        if asked:
            asked.around(network, 0, count)  # says what is wrong before a folder is made
        target = out or Path("samples") / f"{folder.name}-{solver}"
        taken = ["sheet.png", *(picture(seed + i) for i in range(count))]
        taken += ["trajectory.png", f"trajectory.{animation}"] if trajectory else []
        place = together.only_first(lambda: stack.enter_context(result(target, RECORD, taken)))
        recorder = Trajectory(network.sde, trajectory) if trajectory else None
        shown = False if quiet or not together.first else None
        drawn: list[tuple[int, sampling.Samples]] = []
        with progress_bar(count, shown, desc="sample") as bar:

            def draw(rows: range) -> sampling.Samples:
                sources = generators(seed + row for row in rows)
                observers: list[Observer] = [ProgressBar(network.sde, bar)]
                if recorder and rows[0] == 0:
                    observers.append(recorder)
                guided: ScoreModel = asked.around(network, rows[0], len(rows)) if asked else network
                guided, x = ClippedModel(guided) if clip else guided, network.prior(sources)
                part = sampling.sample(guided, chosen, x, generator=sources, observers=tuple(observers))
                drawn.append((rows[0], replace(part, x=part.x.cpu())))
                return part

            for _ in sampling.in_batches(draw, range(count), batch, together):
                pass
            bar.update(count - bar.n)
        everything = sorted((part for parts in together.gather(drawn) for part in parts), key=lambda part: part[0])
        if not together.first:
            return
        batches = [part for _, part in everything]
        write(place, torch.cat([part.x for part in batches]), seed, recorder, animation)
        record = describe(chosen, network, batches, folder, seed) | (asked.record if asked else {}) | {"clip": clip}
        files.write_json(place / RECORD, record)
    click.echo(
        f"{count} samples by {chosen}: {record['nfe']:g} NFE, {record['seconds']:.2f} s in "
        f"{len(batches)} batch{'es' * (len(batches) > 1)}, in {target}"
    )


def picture(seed: int) -> str:
    """The name of the file of a sample."""
    return f"{seed:06d}.png"


def write(target: Path, x: Tensor, seed: int, recorder: Trajectory | None, animation: str) -> None:
    """The pictures of a run."""
    zoom = sheets.zoom_for(x.shape[-2])
    for i, image in enumerate(x):
        sheets.save(sheets.single(image), target / picture(seed + i))
    sheets.save(sheets.sheet(x, zoom=zoom), target / "sheet.png")
    if recorder:
        states = [*recorder.states, x[: len(recorder.states[0])]]  # of the first batch
        strip = torch.stack([state[:8].cpu() for state in states], 1).flatten(0, 1)
        sheets.save(sheets.sheet(strip, len(states), zoom=zoom), target / "trajectory.png")
        frames = [sheets.sheet(state[:64].cpu(), zoom=zoom) for state in states]
        sheets.save_animation(frames, target / f"trajectory.{animation}")


def describe(
    solver: Solver, model: NetworkModel, parts: list[sampling.Samples], folder: Path, seed: int
) -> dict[str, Any]:
    """What samples.json holds."""
    count = sum(len(part.x) for part in parts)
    return {
        "solver": table(solver),
        "nfe": mean(part.nfe for part in parts),
        "nfe_per_batch": [part.nfe for part in parts],
        "work": sum(part.work * len(part.x) for part in parts) / count,
        "seconds": sum(part.seconds for part in parts),
        "info": {key: mean(part.info[key] for part in parts) for key in parts[0].info},
        "seeds": [seed, seed + count - 1],
        "batch": len(parts[0].x),
        **noted(model, folder),
    }


def sample() -> click.Command:
    """The command, with one option per field of any solver."""
    own = [
        click.Option(["--model"], default="digits", show_default=True, help="Run, model folder or bundled name."),
        click.Option(["--solver"], default="adams", show_default=True, metavar="NAME", help="See `scoresde solvers`."),
        click.Option(["-n", "count"], type=click.IntRange(1), default=64, show_default=True, help="Samples."),
        click.Option(["--seed"], type=click.IntRange(0), default=0, show_default=True, help="Sample i uses seed + i."),
        click.Option(["--batch"], type=click.IntRange(1), default=64, show_default=True, help="Samples at a time."),
        click.Option(["--out"], type=click.Path(path_type=Path), help="Folder. [default: samples/MODEL-SOLVER]"),
        click.Option(["--trajectory"], type=int, metavar="FRAMES", help="Also a strip and an animation of the way."),
        click.Option(["--animation"], type=click.Choice(["gif", "webp"]), default="gif", help="Its format."),
        click.Option(["--class", "classes"], metavar="C[,C...]", help="Class of the samples, or classes in turn."),
        click.Option(["--guidance"], type=float, metavar="W", help="Scale of guidance to the class; 1 is none."),
        click.Option(["--guidance-interval"], metavar="LOW,HIGH", help="Times between which the scale holds."),
        click.Option(["--clip"], is_flag=True, help="Cut the predicted images off at black and white."),
        click.Option(["--quiet"], is_flag=True, help="No progress bar or lines."),
    ]
    command = click.Command("sample", callback=run, params=[*own, *field_options(solvers.all())], help=run.__doc__)
    command.epilog = """\b
Options followed by [names] belong to those solvers. With --grid tuned the steps lie where `scoresde tune` has put
them for this model, solver and number of steps. Under torchrun the batches are shared out.
\b
Examples:
  scoresde sample --solver dpm --tol 1e-2
  scoresde sample --model runs/digits --solver pc --steps 200 -n 16 --seed 7 --out out
  scoresde sample --solver rk45 --trajectory 10 --animation webp
  scoresde sample --model models/digits --solver unipc --steps 5 --grid tuned
  scoresde sample --model runs/labelled --class 0,1,2 --guidance 2 -n 12"""
    device_option(command)
    return command
