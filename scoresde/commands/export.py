"""`scoresde export` and `scoresde push`: models for diffusers, in a folder and on the hub."""

import json
from pathlib import Path

import click

from ..api.exporting import export_model
from ..models import load
from ..models.foreign.push import push as send
from .options import json_option


@click.command(
    epilog="""\b
MODEL is a run, a model folder or a bundled name, with a unet of one number of groups or a network
imported from diffusers. The folder holds the network, a scheduler for its process, and README.md.
\b
Examples:
  scoresde export runs/cifar10 --out cifar10-diffusers
  scoresde import cifar10-diffusers --out models/again"""
)
@click.argument("model")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder, new or empty.")
@json_option
def export(model: str, out: Path, as_json: bool) -> None:
    """Write MODEL as a folder for diffusers, and check that the network loaded from there gives the same."""
    found = export_model(load(model), out)
    row = {"folder": str(found.folder), "pipeline": found.pipeline, "difference": found.error}
    click.echo(json.dumps(row, indent=2) if as_json else f"{found}")


@click.command(
    epilog="""\b
FOLDER is one of `scoresde export`. Log in before with `hf auth login`; HF_HUB_OFFLINE=1 sends nothing.
\b
Examples:
  scoresde push cifar10-diffusers me/cifar10-small
  scoresde push cifar10-diffusers me/cifar10-small --private"""
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="Make a new repository private.")
def push(folder: Path, repository: str, private: bool) -> None:
    """Upload an exported FOLDER to the Hugging Face hub as OWNER/NAME, which is created if it does not exist."""
    click.echo(send(folder, repository, private=private))
