"""`scoresde colourise | inpaint | restore`: pictures with something missing in, samples of what they may have been out.

What is missing is all in which the three differ: the colours, what is in a hole, or what a measurement has lost.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import click
from tqdm.auto import tqdm

from .. import models
from ..api.arguments import drawable
from ..api.models import load
from ..conditioners import conditioners
from ..core.errors import DataError, UsageError
from ..core.folders import apart
from ..core.sentences import many
from ..images import pictures
from ..models.latent import data_shape
from ..observations import WrittenObservation
from ..posterior import posteriors, reading, tasks
from ..posterior.image_files import restore_files
from ..posterior.tasks import CONDITIONER, SOLVER, STEPS, Case, Method
from ..sampling.precision import Asked
from ..solvers import solvers
from .options import (
    MOST,
    ONE_HOLE,
    build,
    field_options,
    flag,
    hole_of,
    hole_options,
    network_options,
    quiet_option,
    together,
)


def method(solver: str | None, conditioner: str | None, posterior: str | None, options: dict[str, Any]) -> Method:
    """The method that was asked for; `options` are those of the solver.

    Raises:
        UsageError: A name or an option does not exist, or a posterior sampler is given a solver or conditioner beside.
    """
    beside = [key for key, value in options.items() if value is not None]
    if posterior and (solver or conditioner or beside):
        extra = flag(beside[0]) if beside else "--solver" if solver else "--conditioner"
        raise UsageError(f"--posterior has its options in its text, as in smc:solver=em:steps=50, and takes no {extra}")
    name = solver or SOLVER
    if name == SOLVER and options.get("steps") is None:
        options = {**options, "steps": STEPS}
    sampler = posteriors.parse(posterior) if posterior else None
    return Method(build(solvers, name, options), conditioners.parse(conditioner or CONDITIONER), sampler)


def run(
    name: str,
    prepare: Callable[[Path, tuple[int, ...]], Case],
    files: tuple[Path, ...],
    inputs: Sequence[Path],
    *,
    model: str,
    solver: str | None,
    conditioner: str | None,
    posterior: str | None,
    clip: bool,
    count: int,
    seed: int,
    batch: int,
    out: Path | None,
    device_name: str,
    precision: Asked,
    compile: bool,
    progress: bool | None,
    **options: Any,
) -> None:
    """Draws samples for every picture, which `prepare` makes a problem for a model of a shape, and says their cost.

    Raises:
        DataError: Some pictures could not be read, or not be done as asked; the others are done.
        ScoreSDEError: What is wrong with the only picture, or with the first where none could be done.
    """
    chosen, folder = method(solver, conditioner, posterior, options), models.locate(model)
    network = load(folder, device_name, precision=precision, compile=compile)
    if conditioner is None:
        chosen = tasks.suited(chosen, network, steps=solver is None and options.get("steps") is None)
    drawable(model, network)
    found = pictures.found(files)
    target = apart(out or Path(name) / (files[0].stem if len(files) == 1 else folder.name), [*found, *inputs])
    album = restore_files(
        found,
        lambda file: prepare(file, data_shape(network)),
        network,
        folder,
        chosen,
        target,
        name=name,
        count=count,
        seed=seed,
        batch=batch,
        clip=clip,
        progress=progress,
        say=tqdm.write,
    )
    nfe, vjps, seconds = (mean(row[key] for row in album.rows) for key in ("nfe", "vjps", "seconds"))
    costs = f"{nfe:g} NFE, {vjps:g} products, {seconds:.2f} s a picture"
    shown = many(len(album.rows), "picture")
    click.echo(f"{many(count, 'sample')} for each of {shown} by {chosen}: {costs}, in {target}")
    if skipped := album.skipped:
        raise DataError(f"{len(skipped)} of {len(found)} pictures were skipped, the others are done: {skipped[0]}")


def photo_command(name: str, examples: str, *own: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Makes a function one of the commands, with its own options and those of every solver."""
    epilog = f"""\b
An option with [dpm: 0.05] belongs to the solver dpm and has the default 0.05. The default conditioner needs the
covariance of the model's data, which a training stores and `scoresde stats` estimates. --conditioner projection and
networks that were trained to colour or to inpaint do not need it. Only the files of an earlier result of this command
in the output folder are replaced. The files of an interrupted run are in .unfinished there until the next run.
\b
Examples:
{examples}"""
    return together(
        click.command(name, epilog=epilog),
        click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE|FOLDER..."),
        click.option("--model", default="cifar10", show_default=True, help="Run, model folder or bundled name."),
        *own,
        click.option("-n", "count", type=click.IntRange(1, MOST), default=4, show_default=True,
                     help="Samples per image."),
        click.option("--conditioner", metavar="NAME[:KEY=VALUE,...]",
                     help="Conditioner, such as moment:products=3; see `scoresde conditioners`. "
                     f"[default: {CONDITIONER}; trained for a network that is]"),
        click.option("--solver", metavar="NAME", help=f"See `scoresde solvers`. [default: {SOLVER}]"),
        click.option("--posterior", metavar="NAME[:KEY=VALUE,...]",
                     help="A sampler instead of both: gibbs, langevin, smc:particles=16 or travel; takes longer."),
        click.option("--clip", is_flag=True, help="Clip predicted data to black and white, before conditioning."),
        click.option("--fit", type=click.Choice(["whole", "resize", "tile"]), default="whole", show_default=True,
                     help="Pictures of another size than the model's: whole keeps their size and draws at the model's "
                     "resolution, resize cuts them to its size, tile draws in overlapping tiles."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Sample i uses seed + i."),
        click.option("--batch", type=click.IntRange(1), default=64, show_default=True, help="Samples or tiles."),
        click.option("--out", type=click.Path(path_type=Path),
                     help=f"Folder. [default: {name}/IMAGE, or {name}/MODEL for several]"),
        quiet_option,
        field_options(solvers.all(), {SOLVER: {"steps": STEPS}}),
        network_options,
    )  # fmt: skip


@photo_command(
    "colourise",
    """\
  scoresde colourise portrait.jpg
  scoresde colourise album/ --out coloured -n 8 --seed 7
  scoresde colourise portrait.jpg --fit tile --solver sde-dpm++ --steps 50
  scoresde colorize portrait.jpg --conditioner moment:products=3 --model runs/photos""",
)
def colourise(files: tuple[Path, ...], fit: pictures.FitMode, **options: Any) -> None:
    """Draw colours for grey pictures, several samples for each.

    The output is an image of all samples, one PNG per sample, and colourise.json. A colour picture is converted to
    grey, and shown as the truth.
    """

    def prepare(file: Path, shape: tuple[int, ...]) -> Case:
        tasks.colourful(options["model"], shape)
        return reading.read_grey(file, shape, fit)

    run("colourise", prepare, files, (), **options)


@photo_command(
    "inpaint",
    """\
  scoresde inpaint photo.png --mask hole.png
  scoresde inpaint photo.png --box 8,8,24,24 -n 8
  scoresde inpaint album/ --random-mask freeform --out filled
  scoresde inpaint photo.png --random-mask rectangle:least=0.2,most=0.3 --fit tile""",
    hole_options("the file's name"),
)
def inpaint(
    files: tuple[Path, ...],
    fit: pictures.FitMode,
    mask: Path | None,
    box: str | None,
    random_mask: str | None,
    invert: bool,
    **options: Any,
) -> None:
    """Fill a hole in pictures, several samples for each.

    The output is an image of all samples, one PNG per sample, the mask, and inpaint.json. The hole is where the mask is
    white. Pixels outside the hole are kept bit for bit, unless --fit resize resizes the picture.
    """
    if (hole := hole_of(mask, box, random_mask, invert)) is None:
        raise UsageError(ONE_HOLE)

    def prepare(file: Path, shape: tuple[int, ...]) -> Case:
        return reading.read_holed(file, shape, hole, fit, options["seed"])

    run("inpaint", prepare, files, () if mask is None else (mask,), **options)


@photo_command(
    "restore",
    """\
  scoresde restore small.png --task downsample:4
  scoresde restore photo.png --task blur:1.5 --noise 0.02 --degrade
  scoresde restore old.jpg --task luma --mask scratches.png
  scoresde restore blocky.png --task jpeg:10
  scoresde restore album/ --task crop:left=8,right=8 --degrade --out widened""",
    click.option("--task", "task_names", required=True, multiple=True, metavar="NAME[:KEY=VALUE,...]",
                 help="Degradation to undo: downsample:4 for the means of 4x4 pixels, blur:1.5 for a "
                 "Gaussian blur, motion:length=9,angle=30, crop:left=8, noisy:0.2 for white noise, luma, mean, "
                 "jpeg:10, quantised:8, poisson:30 or phase. Several happened in this order."),
    click.option("--noise", type=float, help="Standard deviation of the noise in IMAGE, for pixels in [-1, 1]."),
    click.option("--degrade", is_flag=True, help="IMAGE is the original: degrade it first."),
    hole_options("the file's name"),
)  # fmt: skip
def restore(
    files: tuple[Path, ...],
    fit: pictures.FitMode,
    task_names: tuple[str, ...],
    noise: float | None,
    degrade: bool,
    mask: Path | None,
    box: str | None,
    random_mask: str | None,
    invert: bool,
    **options: Any,
) -> None:
    """Restore pictures: several ways for each, a sheet, and restore.json with what they cost.

    IMAGE is what is left of the original: for downsample:4, a picture of a quarter of its height and width. With
    --degrade it is the original, to which the task is done first, and the truth in the sheet.
    """
    seen, hole = reading.done_to(task_names, noise), hole_of(mask, box, random_mask, invert)
    if isinstance(seen, WrittenObservation) and seen.method != CONDITIONER and not options["posterior"]:
        options["conditioner"] = options["conditioner"] or seen.method
        if options["solver"] is None and options["conditioner"].startswith("dps"):
            options |= {"solver": tasks.DPS_SOLVER, "steps": options["steps"] or tasks.DPS_STEPS}

    def prepare(file: Path, shape: tuple[int, ...]) -> Case:
        return reading.read_measured(file, shape, seen, fit, where=hole, degrade=degrade, seed=options["seed"])

    run("restore", prepare, files, () if mask is None else (mask,), **options)
