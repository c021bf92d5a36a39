"""`scoresde noise`: pictures on their way to noise, by several processes beside each other."""

import re
from pathlib import Path

import click
import torch

from ..core.errors import UsageError
from ..core.files import write_json
from ..core.folders import result
from ..core.options import table
from ..core.provenance import versions
from ..core.random import generators, randn
from ..core.sentences import many
from ..images import pictures, sheets
from ..sde import SDE, expand, noised, sdes, share_of, time_at

PROCESSES = ("vp", "vp-cosine", "sub-vp", "ve", "flow")
CHAINS = tuple(f"ddpm:schedule={schedule}" for schedule in ("linear", "cosine", "quadratic", "sigmoid"))


@click.command(
    epilog="""\b
A time is a fraction of the process: 0.25, or 250/1000 for step 250 of a chain of 1000. All processes and times of a
picture use the same noise. A row is a process. It shows x_t divided by the root of α² + σ², which is 1 for
variance-preserving processes. Only the files of an earlier result in the output folder are replaced.
\b
Examples:
  scoresde noise photo.png
  scoresde noise photo.png --times 0,0.1,0.5,1 --process vp --process ve:sigma_max=20 --size 64
  scoresde noise photo.png --times 0,75/300,150/300,1 --process ddpm:steps=300,schedule=cosine"""
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PICTURE...")
@click.option("--times", default="0,0.05,0.1,0.25,0.5,0.75,1", show_default=True, metavar="T,T,...", help="Times.")
@click.option(
    "--process", "names", multiple=True, metavar="NAME[:KEY=VALUE,...]", help="Processes. [default: one of each kind]"
)
@click.option("--size", type=click.IntRange(8, 1024), default=128, show_default=True, help="Height and width.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Picture i uses seed + i.")
@click.option("--out", type=click.Path(path_type=Path), default="noise", show_default=True, help="Folder.")
def noise(files: tuple[Path, ...], times: str, names: tuple[str, ...], size: int, seed: int, out: Path) -> None:
    """Show how processes turn pictures into noise, x_t = α x_0 + σ z.

    The output is an image of all, one PNG for each process and time, and noise.json with α and σ.
    """
    shares = [share_of(text) for text in times.split(",")]
    processes: dict[str, SDE] = {name: sdes.parse(name) for name in names or PROCESSES + CHAINS}
    if len({f"{share:g}" for share in shares}) < len(shares):
        raise UsageError(f"the times must differ, got {times}")
    shown = [pictures.load_picture(file) for file in files]
    fits = [pictures.fit(picture.size, size, size) for picture in shown]
    data = [pictures.scaled(fit.picture(picture)) for fit, picture in zip(fits, shown, strict=True)]
    rows, levels = dict[str, torch.Tensor](), dict[str, object]()
    whens = {
        name: torch.tensor([time_at(sde, share) for share in shares], dtype=torch.float64)
        for name, sde in processes.items()
    }
    for name, sde in processes.items():
        t = whens[name]
        columns = {"t": t, "alpha": sde.alpha(t), "sigma": sde.sigma(t)}
        levels[name] = {"sde": table(sde)} | {key: values.tolist() for key, values in columns.items()}
    for i, x0 in enumerate(data):
        z = randn((1, *x0.shape), generators([seed + i]))
        for name, sde in processes.items():
            t = whens[name]
            x = noised(sde, x0.expand(len(t), *x0.shape), t, z)
            rows[f"{i}: {name}" if len(data) > 1 else name] = x / expand(sde.scale(t), x)
    paths = [[f"{slug(label)}-{share:g}.png" for share in shares] for label in rows]
    with result(out, "noise.json", ["sheet.png", *(name for row in paths for name in row)]) as place:
        for row, x in zip(paths, rows.values(), strict=True):
            for path, image in zip(row, x, strict=True):
                sheets.save(sheets.single(image), place / path)
        headings = [f"{share:g}" for share in shares]
        sheets.save(sheets.labelled(rows, headings=headings, zoom=sheets.zoom_for(size, size)), place / "sheet.png")
        record = {"pictures": [str(file) for file in files], "done": [str(fit) for fit in fits], "shares": shares}
        write_json(place / "noise.json", {**record, "seed": seed, "processes": levels, **versions()})
    click.echo(f"{many(len(rows), 'row')} at {many(len(shares), 'time')}, in {out}")


def slug(label: str) -> str:
    """A label as the name of a file."""
    return re.sub(r"[^\w.]+", "-", label)
