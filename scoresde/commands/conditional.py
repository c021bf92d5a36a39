"""What `scoresde colourise | inpaint | restore` share: pictures in, samples of p(x | y) for each of them out."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import click
import torch
from tqdm.auto import tqdm

from .. import models
from ..conditioners import conditioners
from ..core.errors import DataError, NumericalError, UsageError
from ..core.files import write_text
from ..images import pictures, sheets
from ..models.clipped import ClippedModel
from ..models.tiled import TiledModel
from ..posterior import posteriors
from ..posterior.tasks import CONDITIONER, SOLVER, STEPS, Case, Method, conditioner_for, of_size
from ..solvers import solvers
from .latent import record
from .options import build, device, device_option, drawable, field_options, flag, output_folder
from .results import cost, guard, names, sheet, write
from .sample import Bar

SHOWN, ROWS = 8, 32
"""Samples of a picture, and pictures, that the sheet shows."""


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
    return Method(
        build(solvers, name, options),
        conditioners.parse(conditioner or CONDITIONER),
        posteriors.parse(posterior) if posterior else None,
    )


Prepare = Callable[[Path, tuple[int, ...]], Case]
"""Makes a file into a problem for a model of images of a shape."""


def run(
    command: str,
    prepare: Prepare,
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
    quiet: bool,
    **options: Any,
) -> None:
    """Draws samples for every picture, and writes them, a sheet and a record.

    Raises:
        DataError: Some pictures could not be read, or not be done as asked; the others are done.
        ScoreSDEError: What is wrong with the only picture, or with the first where none could be done.
    """
    chosen, folder = method(solver, conditioner, posterior, options), models.locate(model)
    network = models.load(folder, device(device_name))
    if conditioner is None:
        chosen = replace(chosen, conditioner=conditioners[conditioner_for(network)]())
    drawable(model, network.shape)
    found = pictures.found(files)
    target = out or Path(command) / (files[0].stem if len(files) == 1 else folder.name)
    guard(target, [*found, *inputs])
    rows, drawn, reasons, skipped = [], [], list[str](), list[DataError | UsageError | NumericalError]()
    layout = "{l_bar}{bar}| {elapsed}{postfix}"
    with tqdm(total=len(found) * count, unit="image", disable=quiet or None, bar_format=layout) as bar:
        for number, (file, name) in enumerate(zip(found, names(found), strict=True), 1):
            try:
                case = prepare(file, network.shape)
                output_folder(target)
                around = of_size(ClippedModel(network) if clip else network, case.shape, batch)
                tiles = around.tiles if isinstance(around, TiledModel) else 1
                note = case.note + (f", in {tiles} tiles" if tiles > 1 else "")
                bar.write(f"{file}: {note}")
                seeds = range(seed, seed + count)
                parts = chosen.draw(case, around, folder, seeds, batch, lambda: Bar(network.sde, bar))
            except (DataError, UsageError, NumericalError) as error:  # of this picture, or of every one
                skipped.append(error)
                reasons.append(str(error) if str(file) in str(error) else f"{file}: {error}")
                if len(found) > 1:
                    bar.write(f"skipped: {reasons[-1]}")
            else:
                x = torch.cat([part.x for part in parts])
                written = write(target, name, case, x, seed)
                rows.append({"picture": str(file), "done": note, "files": written, **cost(case, parts)})
                drawn.append((case, x[:SHOWN].cpu()))
            bar.update(number * count - bar.n)
    if not rows:
        several = f"none of {len(skipped)} pictures could be done, the first because: {reasons[0]}"
        raise skipped[0] if len(skipped) == 1 else type(skipped[0])(several)
    sheets.save(sheet(drawn[:ROWS]), target / "sheet.png")
    content = {
        **chosen.record,
        "clip": clip,
        **record(network, folder, files),
        "seeds": [seed, seed + count - 1],
        "pictures": rows,
        "skipped": reasons,
    }
    write_text(target / f"{command}.json", json.dumps(content, indent=2) + "\n")
    nfe, vjps, seconds = (mean(row[key] for row in rows) for key in ("nfe", "vjps", "seconds"))
    many = [f"{n} {word}{'s' * (n > 1)}" for n, word in ((count, "sample"), (len(rows), "picture"))]
    click.echo(
        f"{many[0]} for each of {many[1]} by {chosen}: "
        f"{nfe:g} NFE, {vjps:g} products, {seconds:.2f} s a picture, in {target}"
    )
    if skipped:
        raise DataError(f"{len(skipped)} of {len(found)} pictures were skipped, the others are done: {reasons[0]}")


def command(name: str, callback: Any, own: Sequence[click.Parameter], examples: str) -> click.Command:
    """One of the commands, with the options of every solver."""
    path = click.Path(path_type=Path)
    shared: list[click.Parameter] = [
        click.Argument(["files"], nargs=-1, required=True, type=path, metavar="IMAGE|FOLDER..."),
        click.Option(["--model"], default="photos", show_default=True, help="Run, model folder or bundled name."),
        *own,
        click.Option(["-n", "count"], type=click.IntRange(1), default=4, show_default=True, help="Samples a picture."),
        click.Option(["--conditioner"], metavar="NAME[:KEY=VALUE,...]",
                     help="How what is known is imposed, such as moment:products=3. "
                     f"[default: {CONDITIONER}; trained for a network that is]"),
        click.Option(["--solver"], metavar="NAME", help=f"See `scoresde solvers`. [default: {SOLVER}]"),
        click.Option(["--posterior"], metavar="NAME[:KEY=VALUE,...]",
                     help="In place of both: gibbs, langevin, smc:particles=16 or travel, which take longer."),
        click.Option(["--clip"], is_flag=True, help="Cut off predicted data at black and white, before what is known."),
        click.Option(["--fit"], type=click.Choice(["resize", "tile"]), default="resize", show_default=True,
                     help="Pictures larger than the model's are resized and cut to its size, or drawn whole in "
                     "overlapping tiles; smaller ones are enlarged."),
        click.Option(["--seed"], type=click.IntRange(0), default=0, show_default=True, help="Sample i uses seed + i."),
        click.Option(["--batch"], type=click.IntRange(1), default=64, show_default=True,
                     help="Samples, or tiles, at a time."),
        click.Option(["--out"], type=path, help=f"Folder. [default: {name}/IMAGE, or {name}/MODEL for several]"),
        click.Option(["--quiet"], is_flag=True, help="No progress bar."),
    ]  # fmt: skip
    made = click.Command(name, callback=callback, params=[*shared, *field_options(solvers.all())])
    made.help = callback.__doc__
    made.epilog = f"""\b
{SOLVER} has here {STEPS} steps. Options followed by [names] belong to those solvers. The model needs the covariance
of its data, which `scoresde stats` estimates; --conditioner projection does without, and so does a network that was
trained to colour or to inpaint.
\b
Examples:
{examples}"""
    device_option(made)
    return made
