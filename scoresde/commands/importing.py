"""`scoresde import`: a checkpoint of another project made into a model folder."""

from pathlib import Path
from typing import Any

import click

from ..data.recipes import images_of
from ..models.folder import read
from ..models.foreign import families
from ..models.foreign.base import family_of
from ..models.foreign.check import NOISE
from ..models.foreign.importing import brought
from ..sampling.progress import progress_bar
from .options import build, field_options, json_option, print_table


@click.command(
    "import",
    epilog="""\b
The table shows the root mean square error of denoised images at each level of noise, with the time input
of this level, and with those of half and twice the noise. For a correct model these two are worse.
\b
Examples:
  scoresde import ddpm-cifar10-32 --out models/ddpm
  scoresde import checkpoint_26.pth --out models/ddpmpp --config vp/cifar10_ddpmpp_continuous
  scoresde sample --model models/ddpm --solver dpm++ --steps 20""",
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the model.")
@click.option("--as", "family", metavar="FAMILY", help=f"One of {', '.join(families)}. [default: seen]")
@click.option("--data", "data_name", metavar="NAME[:KEY=VALUE,...]",
              help="Images of the kind that the model makes, for the check. [default: two photographs]")  # fmt: skip
@click.option("--force", is_flag=True, help="Keep the model even if the check fails or is not possible.")
@field_options(families)
@json_option
def run_import(
    source: Path, out: Path, family: str | None, data_name: str | None, force: bool, as_json: bool, **options: Any
) -> None:
    """Convert SOURCE, a checkpoint of another project, to a model folder, and check that it denoises.

    Families: a folder of diffusers; .pth of score_sde; .pt of guided-diffusion, improved-diffusion, lucidrains or SiT;
    .pkl of EDM. No code in a checkpoint is executed. If a file lacks a value, the command asks for the option.
    Use the result with --model FOLDER.
    """
    chosen = build(families, family or family_of(source).name, options)
    images = None if data_name is None else images_of({}, str(source), data_name, "train")[1].drawn(16).scaled()
    with progress_bar(3 * len(NOISE), desc="check", unit="evaluation", delay=1) as bar:
        record = brought(source, out, chosen, images, force=force, progress=bar.update)
    model, checked = read(out), record["check"]
    click.echo(f"{out}: {model!r}, label {model.label}", err=as_json)
    for name, note in record["notes"].items():
        click.echo(f"  {name}: {note}", err=as_json)
    if "noise" not in checked:
        click.echo(f"not checked: {checked['reason']}", err=True)
        return
    columns = ("noise", "errors", "told_less", "told_more")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*(checked[name] for name in columns), strict=True)]
    print_table([{name: float(f"{value:.3g}") for name, value in row.items()} for row in rows], as_json)
    click.echo("passed" if checked["passed"] else f"not passed: {'; '.join(checked['faults'])}", err=True)
