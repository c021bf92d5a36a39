"""Kills: is a training that was killed again and again, and resumed each time, the training that ran through?

    python benchmarks/kills.py --out benchmarks/results/kills.md

A small network with dropout learns the digits twice, once undisturbed. The other time its process is killed with
SIGKILL, half of the times at a random moment and half of the times within a save, at one of the calls that have a file
written to disk, and started again with --resume auto. The last checkpoints of both, which hold the weights, their
average and the optimiser, must have the same sha256, and so must the two models.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
import torch._dynamo  # an optimiser would import it at its first step, in every process

from scoresde import models
from scoresde.commands.train import train
from scoresde.core import files
from scoresde.core.provenance import versions

SMALL = ["network.channels=4", "network.group_channels=4", "network.multipliers=[1]", "network.blocks=1"]
SMALL += ["network.dropout=0.1", "train.batch=16"]
SAVES = 20
"""Checkpoints that the undisturbed run writes."""


def launch(arguments: list[str], before: Callable[[], None] = lambda: None) -> int:
    """A training in a process of its own, forked so that torch need not be imported again; returns its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        before()
        train.main(arguments, standalone_mode=False)
        code = 0
    finally:
        os._exit(code)


def in_a_save(call: int) -> Callable[[], None]:
    """Has the process kill itself where it would have a file written to disk for the given time, counted from 1."""

    def arm() -> None:
        calls, synchronise = 0, os.fsync

        def fsync(file: int) -> None:
            nonlocal calls
            calls += 1
            if calls == call:
                os.kill(os.getpid(), signal.SIGKILL)
            synchronise(file)

        os.fsync = fsync

    return arm


def last(folder: Path) -> tuple[str, str]:
    """Digests of the last checkpoint and of the model of a run."""
    newest = sorted(folder.glob("checkpoints/step_*"))[-1]
    return (newest / "state.sha256").read_text().split()[0], files.digest(folder / models.WEIGHTS)


@click.command(help=__doc__)
@click.option("--kills", default=20, show_default=True)
@click.option("--images", default=32_000, show_default=True, help="Images that each run sees.")
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the result there.")
def main(kills: int, images: int, seed: int, out: Path | None) -> None:
    torch.set_num_threads(1)
    draw, fatal, within = random.Random(seed), 0, 0
    options = [*SMALL, f"train.images={images}", f"train.save_every={images // SAVES}", "train.sample_every=1_000_000"]
    with tempfile.TemporaryDirectory() as place:
        command = ["digits", *options, "--device", "cpu", "--quiet", "--resume", "auto", "--out"]
        whole, broken = Path(place) / "whole", Path(place) / "broken"
        began = time.perf_counter()
        _, status = os.waitpid(launch([*command, str(whole)]), 0)
        seconds = time.perf_counter() - began
        while fatal < kills and status == 0:
            saving = fatal % 2 == 1
            child = launch([*command, str(broken)], in_a_save(draw.randrange(1, 24)) if saving else lambda: None)
            if not saving:
                time.sleep(draw.uniform(0, 1.5 * seconds / kills))
                os.kill(child, signal.SIGKILL)
            _, ended = os.waitpid(child, 0)
            if not os.WIFSIGNALED(ended):
                sys.exit(f"after {fatal} kills the training had ended, with code {ended >> 8}: give more --images")
            fatal, within = fatal + 1, within + saving
        _, ended = os.waitpid(launch([*command, str(broken)]), 0)
        if status or ended:
            sys.exit("a training that was not killed failed")
        digests = last(whole), last(broken)
        left = [path.name for path in broken.rglob("*") if path.suffix in (".tmp", ".bad")]
    equal = digests[0] == digests[1] and not left
    text = (
        f"{fatal} kills, {within} of them within a save, of a training of {images} images that takes {seconds:.1f} s "
        f"undisturbed: the last checkpoint and the model are {'the same' if equal else 'NOT the same'}.\n\n"
        "| run | sha256 of the last checkpoint | sha256 of the model |\n|---|---|---|\n"
        f"| undisturbed | {digests[0][0][:16]} | {digests[0][1][:16]} |\n"
        f"| killed | {digests[1][0][:16]} | {digests[1][1][:16]} |\n"
    )
    click.echo(text + (f"left behind: {', '.join(left)}" if left else ""))
    if out:
        versioned = ", ".join(f"{name} {version}" for name, version in versions()["versions"].items())
        command_line = f"`python benchmarks/kills.py --kills {kills} --images {images} --seed {seed}`"
        files.write_text(out, f"# Kills\n\n{command_line}, {versioned}.\n\n{text}")
    sys.exit(not equal)


if __name__ == "__main__":
    main()
