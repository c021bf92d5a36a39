"""`scoresde train`: trains a score network and leaves a run folder behind."""

import math
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import click

from ..core.devices import device
from ..core.errors import UsageError
from ..core.parallel import group, processes
from ..training.checkpoints import Checkpoints
from ..training.choice import Chosen, chosen, folder_for, is_data, is_run
from ..training.config import to_toml
from ..training.fit import fit, unbegun
from .options import device_option, quiet_option


class ResumeCommand(click.Command):
    """A command whose --resume may be followed by a run or "auto", and takes no other word for its own."""

    def parse_args(self, ctx: click.Context, args: Sequence[str]) -> list[str]:
        left, plain = list(args), []
        while left:
            word = left.pop(0)
            if word == "--resume":
                own = bool(left) and (left[0] == "auto" or is_run(Path(left[0])))
                word = f"--resume={left.pop(0) if own else 'must'}"
            plain.append(word)
        return super().parse_args(ctx, plain)


def seconds_of(text: str | None) -> float | None:
    """The seconds of a time such as "20m", "1h30m" or "90s".

    Args:
        text: The time, or None.

    Raises:
        UsageError: It is written otherwise, or 0.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip().lower())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    if not (total := 3600 * hours + 60 * minutes + seconds):
        raise UsageError(f"--time is a time such as 20m, 1h30m or 90s, got {text!r}")
    return float(total)


@click.command(
    cls=ResumeCommand,
    epilog="""\b
WHAT is a folder or zip of images, an .npz or .npy file, or a .csv of numbers; then a configuration is chosen and
printed. Or WHAT is a configuration: a TOML file, or a name from `scoresde configs`. KEY=VALUE overrides a value, such
as train.batch=64. If all images are in sub-folders, these are classes. Ctrl-C saves a checkpoint and exits with 130,
SIGTERM and SIGUSR1 with 143, a closed terminal with 129; a second Ctrl-C stops at once. --resume RUN continues from the
newest intact checkpoint of RUN. --resume and --resume auto do so in the folder of --out; with auto the run starts if
there is no checkpoint.
\b
Examples:
  scoresde train my-pictures/
  scoresde train my-pictures.zip --time 20m --out runs/mine
  scoresde train images.npz --images 200_000 --set network.channels=32
  scoresde train my-pictures/ --init-from cifar10
  scoresde train digits train.images=50_000 network.channels=16 --out runs/small
  scoresde train --resume runs/mine
  scoresde train --resume runs/mine train.learning_rate=1e-4 --change
  scoresde train configs/digits.toml --dry-run
  torchrun --nproc-per-node 2 -m scoresde train digits --device cpu""",
)
@click.argument("words", nargs=-1, metavar="WHAT [KEY=VALUE]...")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder. [default: runs/WHAT]")
@click.option("--images", metavar="N", help="Images seen in total, with repetitions: train.images.")
@click.option("--time", metavar="TIME", help="Plan a run that ends within this time, such as 20m or 1h30m.")
@click.option("--init-from", metavar="MODEL", help="Start from the weights of a run, model folder or bundled model.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a value of the configuration. Can be repeated.",
)
@click.option(
    "--resume", metavar="[RUN|auto]", help="Continue from the newest checkpoint; auto: start if there is none."
)
@click.option("--change", is_flag=True, help="Allow other options of [train], or other images, in a resumed run.")
@click.option("--dry-run", is_flag=True, help="Print the resolved configuration and stop.")
@quiet_option
@device_option
def train(
    words: tuple[str, ...],
    out: Path | None,
    images: str | None,
    time: str | None,
    init_from: str | None,
    changes: tuple[str, ...],
    resume: str | None,
    change: bool,
    dry_run: bool,
    progress: bool | None,
    device_name: str,
) -> None:
    """Train a score network on images, on an array, or on the data of a configuration."""
    began, (what, overrides) = monotonic(), asked(words, resume)
    overrides += list(changes)
    overrides += [f"train.images={images}"] if images else []
    overrides += [f"train.init_from={init_from}"] if init_from else []
    seconds, goes_on = seconds_of(time), resume is not None
    with group(device_name) as name:
        together, folder = processes(), folder_for(what, out)
        if not (dry_run or resume == "auto"):
            together.only_first(lambda: checked(what, folder, goes_on))
        found = together.only_first(lambda: chosen(what, folder, device(name), overrides, seconds, goes_on))
        if together.first and (dry_run or (found.said and progress is not False)):
            describe(found, folder, dry_run, is_data(what))
        if dry_run:
            return
        run = fit(
            found,
            folder,
            resume="never" if resume is None else "auto" if resume == "auto" else "must",
            change=change,
            seconds=seconds and max(seconds - (monotonic() - began), 1.0),
            progress=progress,
            device=name,
            command=shlex.join(["scoresde", "train", str(what), *overrides]),
        )
    if not together.first:
        sys.exit(run.code)
    seen = run.state.images if run.state else 0
    on = f"go on with: scoresde train --resume {shlex.quote(str(folder))}"
    if run.code:
        click.echo(f"Stopped at {seen} images; {on}", err=True)
        sys.exit(run.code)
    if seen < run.config.train.images:
        click.echo(f"The time is over at {seen} of {run.config.train.images} images; {on}", err=True)
    click.echo(f"Trained on {seen} images. Sample with: scoresde sample --model {shlex.quote(str(folder))}")


def asked(words: Sequence[str], resume: str | None) -> tuple[str, list[str]]:
    """What is to be trained on, and the changes of its configuration.

    Raises:
        UsageError: Nothing is named, or a run as well as something else.
    """
    first = words[0] if words and words[0] and (Path(words[0]).exists() or "=" not in words[0]) else None
    run = resume if resume not in (None, "must", "auto") else None
    if first is not None and run is not None:
        raise UsageError(f"--resume {run} goes on with the configuration of that run: leave out {first}")
    if first is None and run is None:
        advice = "name the run after --resume" if resume else "give a folder of pictures, a file or a configuration"
        raise UsageError(f"nothing is named that could be trained on: {advice}")
    return str(first or run), list(words[first is not None :])


def checked(what: str, folder: Path, goes_on: bool) -> None:
    """Checks that a run can begin or go on in a folder, before data are read and the speed is measured.

    Raises:
        UsageError: The folder holds a run, or holds none.
    """
    if not goes_on:
        unbegun(folder)
    elif not Checkpoints(folder / "checkpoints").any():
        other = "" if is_run(Path(what)) else f", and {what} is no run"
        raise UsageError(f"{folder} holds no checkpoint to resume from{other}; leave out --resume to begin")


def describe(found: Chosen, folder: Path, dry_run: bool, data: bool) -> None:
    """Prints what was found in data, the configuration that was chosen for them, and what to expect."""
    for line in found.said:
        click.echo(f"{line[:1].upper()}{line[1:]}.", err=dry_run)
    if not (data or dry_run):
        return
    text = to_toml(found.config.tables(chosen=not dry_run))
    if dry_run:
        click.echo(text)
        return
    click.echo(f"\nThe configuration, which {folder / 'config.toml'} keeps with all its defaults:\n\n{text}")
    options = found.config.train
    if math.isfinite(found.speed):
        seconds, first = options.images / found.speed, options.sample_first or options.images
        how_long = f"{seconds:.2g} s" if seconds < 90 else f"{seconds / 60:.2g} minutes"
        click.echo(
            f"At {found.speed:.0f} items per second, {options.images} take about {how_long}. "
            f"The first samples come after {first / found.speed:.0f} s, in {folder / 'samples'}."
        )
