"""`scoresde encode | interpolate`: images as latent codes of the probability flow, back again, and in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from PIL import Image, ImageOps
from torch import Tensor

from .. import models
from ..api.arguments import drawable
from ..api.models import load
from ..core.errors import DataError, UsageError
from ..core.files import write_json, write_tensors
from ..core.folders import result
from ..core.options import table
from ..core.sentences import many
from ..data.recipes import loaded, trained_on
from ..images import pictures, sheets
from ..images.read import read_squares
from ..models import NetworkModel
from ..models.latent import of_data
from ..models.record import recipe, record
from ..sampling.latent import interpolate, round_trip
from ..sampling.precision import Asked
from ..solvers import Solver, solvers
from .options import SAMPLING, build, field_options, network_options, quiet_option, together

SOLVER = "adams"
TOL = 1e-5
GREY = ("1", "L", "LA", "I;16")
"""Modes of pictures that have no colours to lose."""


def images(files: tuple[Path, ...], model: NetworkModel, folder: Path, count: int) -> Tensor:
    """The files as images for the model, (B, C, H, W) in [-1, 1]; without files, test images of its training set."""
    channels, height, width = model.shape
    if not files:
        came = recipe(folder)
        return loaded(trained_on(came, folder.name), "test", came, folder.name).drawn(count).scaled()
    if height != width:
        raise DataError(f"pictures are cut to squares, and the model makes images of {height}x{width}")
    x = read_squares(files, height, channels)
    for file in files:
        with Image.open(file) as picture:
            said = str(pictures.fit(ImageOps.exif_transpose(picture).size, height, width))
            said += ", without its colours" if channels == 1 and picture.mode not in GREY else ""
        if said != f"{width}x{height}":
            click.echo(f"{file.name}: {said}, for {folder.name}")
    return x


def prepare(
    model: str | None,
    solver: str,
    options: dict[str, Any],
    files: tuple[Path, ...],
    count: int,
    device_name: str,
    precision: Asked,
    compile: bool,
) -> tuple[NetworkModel, Solver, Tensor, Path]:
    """What both commands begin with."""
    model = model or ("cifar10" if files else "digits")
    if solver == SOLVER and options.get("tol") is None:
        options = {**options, "tol": TOL}
    chosen, folder = build(solvers, solver, options), models.locate(model)
    network = load(folder, device_name, precision=precision, compile=compile)
    drawable(model, network)
    of_data(network, "codes are those that pictures flow into")
    return network, chosen, images(files, network, folder, count).to(network.device), folder


def latent_command(name: str, own: Callable[[Any], Any], examples: str) -> Callable[[Any], Any]:
    """Makes a function one of the two commands, with its own options and those of every ODE solver."""
    epilog = f"""\b
Without files, test images of the model's data set are used. An option with [dpm: 0.05] belongs to the solver dpm and
has the default 0.05. Only the files of an earlier result of this command in the output folder are replaced.
\b
Examples:
{examples}"""
    return together(
        click.command(name, epilog=epilog),
        click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]..."),
        click.option("--model", help="Run, model folder or bundled name. [default: cifar10 for files, else digits]"),
        click.option("--solver", default=SOLVER, show_default=True, metavar="NAME", help="An ODE solver."),
        click.option("--out", type=click.Path(path_type=Path), help=f"Folder. [default: latent/MODEL-{name}]"),
        quiet_option,
        own,
        field_options(
            {key: cls for key, cls in solvers.all().items() if not cls.stochastic}, {SOLVER: {"tol": TOL}}, SAMPLING
        ),
        network_options,
    )


@latent_command(
    "encode",
    click.option("-n", "count", type=click.IntRange(1), default=8, show_default=True, help="Test images."),
    "  scoresde encode -n 4\n  scoresde encode photo.png --solver rk45 --tol 1e-3",
)
def encode_images(
    files: tuple[Path, ...],
    model: str | None,
    solver: str,
    count: int,
    out: Path | None,
    device_name: str,
    precision: Asked,
    compile: bool,
    progress: bool | None,
    **options: Any,
) -> None:
    """Map images to latent codes and back. Writes codes.safetensors, an image, and encode.json."""
    network, chosen, x, folder = prepare(model, solver, options, files, count, device_name, precision, compile)
    target = out or Path("latent") / f"{folder.name}-encode"
    with result(target, "encode.json", ("codes.safetensors", "sheet.png")) as place:
        found = round_trip(network, chosen, x, progress=progress)
        codes, back = found.codes, found.back
        write_tensors(place / "codes.safetensors", {"codes": codes.x.cpu()})
        size = 3 * float(network.sde.scale(torch.tensor([network.sde.t_max], dtype=torch.float64)))
        shown = {"image": x[:8], f"code / {size:.3g}": codes.x[:8] / size, "back": back.x[:8]}
        sheets.save(sheets.labelled(shown, zoom=sheets.zoom_for(*x.shape[-2:])), place / "sheet.png")
        written = {
            "solver": table(chosen),
            **record(network, folder),
            "pictures": [str(file) for file in files],
            "rms": found.rms,
            "rms_of_each": found.errors.tolist(),
            "nfe": {"encode": codes.nfe, "decode": back.nfe},
            "seconds": {"encode": codes.seconds, "decode": back.seconds},
        }
        write_json(place / "encode.json", written)
    click.echo(
        f"{many(len(x), 'image')} by {chosen}: there in {codes.nfe} NFE and back in {back.nfe}, "
        f"{found.rms:.1e} root mean square off in [-1, 1], in {target}"
    )


@latent_command(
    "interpolate",
    together(
        click.option("--frames", type=click.IntRange(2), default=9, show_default=True, help="Images per pair."),
        click.option("-n", "count", type=click.IntRange(1), default=4, show_default=True, help="Test pairs."),
    ),
    "  scoresde interpolate\n  scoresde interpolate a.png b.png --frames 12",
)
def interpolate_images(
    files: tuple[Path, ...],
    model: str | None,
    solver: str,
    frames: int,
    count: int,
    out: Path | None,
    device_name: str,
    precision: Asked,
    compile: bool,
    progress: bool | None,
    **options: Any,
) -> None:
    """Draw the images between two images, for each pair of them, along the sphere of latent codes."""
    if len(files) % 2:
        raise UsageError(f"images are interpolated in pairs, got {many(len(files), 'file')}")
    network, chosen, x, folder = prepare(model, solver, options, files, 2 * count, device_name, precision, compile)
    if len(x) < 2:
        raise DataError(f"one image is held out for {folder.name}, and a way leads from one to another: name two files")
    x = x[: len(x) // 2 * 2]
    target = out or Path("latent") / f"{folder.name}-interpolate"
    with result(target, "interpolate.json", ("sheet.png", "way.gif")) as place:
        shares = torch.linspace(0, 1, frames, dtype=torch.float64).tolist()
        found = interpolate(network, chosen, x[::2], x[1::2], shares, progress=progress)
        zoom = sheets.zoom_for(*x.shape[-2:])
        sheets.save(sheets.sheet(found.x, frames, zoom=zoom), place / "sheet.png")
        strips = found.x.reshape(-1, frames, *network.shape).transpose(0, 1)
        sheets.save_animation([sheets.sheet(row, zoom=zoom) for row in strips], place / "way.gif")
        written = {
            "solver": table(chosen),
            **record(network, folder),
            "pictures": [str(file) for file in files],
            "shares": shares,
            "nfe": found.nfe,
            "seconds": found.seconds,
        }
        write_json(place / "interpolate.json", written)
    ways = f"{many(len(x) // 2, 'way')} of {many(frames, 'image')}"
    click.echo(f"{ways} by {chosen}: {found.nfe} NFE to decode, in {target}")
