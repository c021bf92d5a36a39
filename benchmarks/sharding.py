"""What spreading a network over two processes costs and saves, beside giving each of them the whole.

    python benchmarks/sharding.py --out benchmarks/results/sharding.md

Both train the same network on the CPU, by Gloo, with one thread a process, and take turns. Memory is what process 0
holds between two steps (weights, gradients, average, moments of the optimiser), and by how much its largest resident
size grows from before the network is built to the end.
"""

import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
import torch._dynamo  # an optimiser would import it at its first step
import torch.distributed.fsdp  # so that it is in no process's growth
from throughput import advance, in_processes, setting

from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.training.loop import start, train
from scoresde.training.sharding import local
from scoresde.training.state import taken

WAYS = {"whole in each": "false", "train.shard=true": "true"}


def measured(shard: str, channels: int, batch: int, count: int, what: str) -> Callable[[], float]:
    """Work that returns seconds of so many steps, elements held after them, or growth in MB."""

    def work() -> float:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        chosen, images = setting("32x32", batch, f"train.shard={shard}", f"network.channels={channels}")
        state = start(chosen, images.shape, torch.device("cpu"))
        steps = train(chosen, images, state)
        advance(steps, 2)
        began = time.perf_counter()
        advance(steps, count)
        seconds = time.perf_counter() - began
        if what == "seconds":
            return seconds
        if what == "growth":
            return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        gradients = [p.grad for p in state.model.parameters() if p.grad is not None]
        return float(sum(local(x).numel() for x in [*taken(state).values(), *gradients]))

    return work


@click.command(help=__doc__)
@click.option("--rounds", default=5, show_default=True)
@click.option("--steps", default=4, show_default=True, help="Steps of a turn.")
@click.option("--batch", default=4, show_default=True)
@click.option("--channels", default=64, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there.")
def main(rounds: int, steps: int, batch: int, channels: int, out: Path | None) -> None:
    torch.set_num_threads(1)
    found = {(name, what): list[float]() for name in WAYS for what in ("elements", "growth", "seconds")}
    for turn in range(rounds):
        for name in list(WAYS)[:: 1 if turn % 2 else -1]:
            for what in ("seconds", "growth") if turn else ("seconds", "growth", "elements"):
                found[name, what].append(in_processes(2, measured(WAYS[name], channels, batch, steps, what)))
    base = "whole in each"
    lines = [
        "| two processes | held between steps | growth of the largest size | time of a step |",
        "|---|---|---|---|",
    ]
    for name in WAYS:
        ratios = [a / b for a, b in zip(found[name, "seconds"], found[base, "seconds"], strict=True)]
        held, growth = found[name, "elements"][0], statistics.median(found[name, "growth"])
        low, middle, high = statistics.quantiles(ratios, n=4)
        lines.append(
            f"| {name} | {held / 1e6:.1f} M numbers ({held / found[base, 'elements'][0]:.2f}) | {growth:.0f} MB "
            f"({growth / statistics.median(found[base, 'growth']):.2f}) | {middle:.2f} ({low:.2f} to {high:.2f}) |"
        )
    text = "\n".join(lines) + "\n"
    click.echo(text)
    if out:
        versioned = ", ".join(f"{name} {version}" for name, version in versions()["versions"].items())
        options = f"--rounds {rounds} --steps {steps} --batch {batch} --channels {channels}"
        asked = f"`python benchmarks/sharding.py {options}`"
        intro = __doc__.split("\n\n", 2)[2]
        head = f"# Weights spread over two processes\n\n{asked}, {versioned}.\n\n{intro}"
        files.write_text(
            out, f"{head}\nRatios are to the first row; of times the median of the turns, with quartiles.\n\n{text}"
        )


if __name__ == "__main__":
    main()
