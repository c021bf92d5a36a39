"""`scoresde train`: trains a score network and leaves a run folder behind."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import click
from tqdm.auto import tqdm

from .. import config as configuration
from ..config import Config, to_toml
from ..errors import UsageError
from ..run import Run
from ..train import TrainState, start
from ..train import train as steps
from .options import device, device_option, output_folder


@click.command(
    epilog="""\b
CONFIG is a TOML file or one of the names that come with the package; KEY=VALUE are overrides such as
train.batch=64. Ctrl-C saves a checkpoint and exits with 130; --resume goes on from the newest one.
\b
Examples:
  scoresde train digits
  scoresde train digits train.images=50_000 network.channels=16 --out runs/small
  scoresde train digits --out runs/digits --resume
  scoresde train configs/digits.toml --dry-run"""
)
@click.argument("config")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--out", type=click.Path(path_type=Path), help="Run folder. [default: runs/CONFIG]")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in the run folder.")
@click.option("--dry-run", is_flag=True, help="Print the resolved configuration and stop.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@device_option
def train(
    config: str,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: bool,
    dry_run: bool,
    quiet: bool,
    device_name: str,
) -> None:
    """Train a score network as CONFIG says."""
    chosen = configuration.load(config, overrides)
    if dry_run:
        click.echo(to_toml(chosen.tables()))
        return
    folder = out or Path("runs") / Path(config).stem
    if not resume and any(folder.glob("checkpoints/step_*")):
        raise UsageError(f"{folder} already holds a run; continue it with --resume, or choose another --out")
    images = chosen.data.load("train")
    state = start(chosen, images.shape, device(device_name))
    command = " ".join(["scoresde train", config, *overrides])
    run = Run(output_folder(folder), chosen, {"command": command, "seed": chosen.train.seed})
    if resume:
        run.resume(state)
    run.open()
    signalled = follow(chosen, images, state, run, quiet)
    if signalled:
        click.echo(f"Stopped at {state.images} images; go on with: {command} --out {folder} --resume", err=True)
        sys.exit(128 + signalled)
    click.echo(f"Trained on {state.images} images. Sample with: scoresde sample --model {folder}")


def follow(config: Config, images: Any, state: TrainState, run: Run, quiet: bool) -> int:
    """Runs the training with its log, sheets and checkpoints; returns the signal that ended it early, or 0."""
    options, received = config.train, 0

    def remember(signum: int, frame: FrameType | None) -> None:
        nonlocal received
        received = signum
        signal.signal(signum, signal.default_int_handler)  # a second one ends at once

    handlers = {s: signal.signal(s, remember) for s in (signal.SIGINT, signal.SIGTERM)}
    losses: list[float] = []
    bar = tqdm(total=options.images, initial=state.images, unit="image", unit_scale=True, disable=quiet or None)
    try:
        for _ in steps(config, images, state):
            losses.append(state.loss)
            bar.update(options.batch)
            last = state.images >= options.images or bool(received)

            def due(every: int, last: bool = last) -> bool:
                return last or state.images // every > (state.images - options.batch) // every

            if due(options.log_every):
                mean = sum(losses) / len(losses)
                bar.set_postfix_str(f"loss {mean:.4f}")
                run.log(state, mean)
                losses.clear()
            if due(options.save_every):
                run.save(state)
            if due(options.sample_every) and not received:
                run.draw(state)  # after the checkpoint, which an error while sampling must not cost
            if received:
                break
    finally:
        bar.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return received
