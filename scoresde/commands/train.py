"""`scoresde train`: trains a score network and leaves a run folder behind."""

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import click
import torch
from tqdm.auto import tqdm

from ..core.errors import NumericalError, ResourceError, ScoreSDEError, UsageError
from ..core.parallel import Processes, group, processes
from ..core.signals import CODES, Signals, Stopped
from ..training import config as configuration
from ..training.config import Config, to_toml
from ..training.lock import only_writer
from ..training.loop import TrainState, start
from ..training.loop import train as steps
from ..training.run import Run
from .options import device, device_option, output_folder


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
    resume: str | None,
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
        folder = out or Path("runs") / Path(config).stem
        command = " ".join(["scoresde train", config, *overrides])
        run = Run(folder, chosen, {"command": command, "seed": chosen.train.seed})
        with ExitStack() as claim:
            begun = together.only_first(lambda: claimed(run, claim, resume))
            claim.push(run.close)
            images = chosen.data.load("train")
            state = start(chosen, images.shape, device(name))
            if begun:
                run.resume(state, changed=change)
            together.only_first(lambda: run.open(state, images))
            code = shared(lambda: follow(chosen, images, state, run, quiet), together)
    if code:
        if together.first:
            click.echo(f"Stopped at {state.images} images; go on with: {command} --out {folder} --resume", err=True)
        sys.exit(code)
    if together.first:
        click.echo(f"Trained on {state.images} images. Sample with: scoresde sample --model {folder}")


def claimed(run: Run, claim: ExitStack, resume: str | None) -> bool:
    """Takes the folder of a run for this process alone; whether there is something to go on from.

    Raises:
        UsageError: The folder cannot be written, is in use, or holds a run that is not to be resumed.
    """
    claim.enter_context(only_writer(output_folder(run.folder)))
    begun = run.checkpoints.any()
    if begun and not resume:
        raise UsageError(f"{run.folder} already holds a run; continue it with --resume, or choose another --out")
    return begun or resume == "must"


def shared(work: Callable[[], int], together: Processes) -> int:
    """What `work` returns; a failure that all processes meet is left for the first to tell.

    Raises:
        ResourceError: Another process has gone.
    """
    try:
        return work()
    except NumericalError as error:
        if together.first:
            raise
        sys.exit(error.exit_code)
    except RuntimeError as error:
        if together.first or isinstance(error, ScoreSDEError | torch.OutOfMemoryError):
            raise
        raise ResourceError(f"process {together.rank} has lost the others; what one of them says is why") from error


def follow(config: Config, images: Any, state: TrainState, run: Run, quiet: bool) -> int:
    """Runs the training with its log, sheets and checkpoints; returns the exit code of a signal, or 0 at the end."""
    options, losses, together = config.train, list[float](), processes()
    hidden = True if quiet or not together.first else None
    bar = tqdm(total=options.images, initial=state.images, unit="image", unit_scale=True, disable=hidden)
    with Signals(1.0 if together.world > 1 else 0.0) as signals, bar:
        for _ in steps(config, images, state):
            losses += [state.loss] * math.isfinite(state.loss)  # one that is not was left out, and is counted
            bar.update(options.batch)
            stop, last = together.any(bool(signals.code), state.model.device), state.images >= options.images

            def due(every: int, end: bool = last or stop) -> bool:
                return end or state.images // every > (state.images - options.batch) // every

            if due(options.log_every):
                mean = sum(losses) / len(losses) if losses else math.nan
                bar.set_postfix_str(f"loss {mean:.4f}")
                if together.first:
                    run.log(state, mean)
                losses.clear()
            if options.tracked and due(options.snapshot_every, last):
                run.take(state)  # before the checkpoint: no run goes on from one later than a snapshot it lacks
            if due(options.save_every):
                run.save(state)
            if stop:
                return 0 if last else signals.code or CODES["SIGTERM"]
            with suppress(Stopped):  # the next step sees the signal, too, and saves
                if due(options.sample_every):
                    run.draw(state, signals.check)  # after the checkpoint, which an error while sampling must not cost
                if options.evaluate_every and due(options.evaluate_every):
                    run.evaluate(state, signals.check)
    return 0
