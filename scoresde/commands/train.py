"""`scoresde train`: trains a score network and leaves a run folder behind."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click

from ..core.parallel import group, processes
from ..training import config as configuration
from ..training.config import to_toml
from ..training.fit import default_folder, fit
from .options import device_option


class ResumeCommand(click.Command):
    """A command whose --resume may be followed by "auto", and takes no other word for its own."""

    def parse_args(self, ctx: click.Context, args: Sequence[str]) -> list[str]:
        left, plain = list(args), []
        while left:
            word = left.pop(0)
            if word == "--resume":
                word = "--resume=auto" if left[:1] == ["auto"] else "--resume=must"
                left = left[word == "--resume=auto" :]
            plain.append(word)
        return super().parse_args(ctx, plain)


@click.command(
    cls=ResumeCommand,
    epilog="""\b
CONFIG is a TOML file or one of the names that come with the package; KEY=VALUE are overrides such as
train.batch=64. Ctrl-C saves a checkpoint and exits with 130, SIGTERM and SIGUSR1 with 143; a second Ctrl-C ends at
once. --resume goes on from the newest checkpoint that is whole, --resume auto also begins where there is none.
\b
Examples:
  scoresde train digits
  scoresde train digits train.images=50_000 network.channels=16 --out runs/small
  scoresde train digits --out runs/digits --resume
  scoresde train digits train.learning_rate=1e-4 --out runs/digits --resume --change
  scoresde train configs/digits.toml --dry-run
  torchrun --nproc-per-node 2 -m scoresde train digits --device cpu""",
)
@click.argument("config")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder. [default: runs/CONFIG]")
@click.option(
    "--resume",
    type=click.Choice(["must", "auto"]),
    metavar="[auto]",
    help="Go on from the newest checkpoint in the run folder; with auto, begin if there is none.",
)
@click.option("--change", is_flag=True, help="Let a resumed run have other options of [train] than before.")
@click.option("--dry-run", is_flag=True, help="Print the resolved configuration and stop.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@device_option
def train(
    config: str,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: Literal["must", "auto"] | None,
    change: bool,
    dry_run: bool,
    quiet: bool,
    device_name: str,
) -> None:
    """Train a score network as CONFIG says."""
    with group(device_name) as name:
        together = processes()
        chosen = together.only_first(lambda: configuration.load(config, overrides))
        if dry_run:
            click.echo(to_toml(chosen.tables()) * together.first, nl=together.first)
            return
        folder = out or default_folder(config, None)
        command = " ".join(["scoresde train", config, *overrides])
        run = fit(
            chosen,
            folder,
            resume=resume or "never",
            change=change,
            progress=False if quiet else None,
            device=name,
            command=command,
        )
    images = run.state.images if run.state else 0
    if run.code:
        if together.first:
            click.echo(f"Stopped at {images} images; go on with: {command} --out {folder} --resume", err=True)
        sys.exit(run.code)
    if together.first:
        click.echo(f"Trained on {images} images. Sample with: scoresde sample --model {folder}")
