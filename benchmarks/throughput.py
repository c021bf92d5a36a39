"""Throughput: images per second of a training, beside a plain loop on the same network, and of two processes.

    python benchmarks/throughput.py --out benchmarks/results/throughput.md

The plain loop is what one writes by hand: images as float32 in memory, one uniform time an image, the squared error of
the noise, gradients clipped, Adam, and an average of the weights, parameter by parameter. Ours does the same and more:
bytes scaled step by step, times spread evenly, every draw a function of the seed and the step, the loss looked at for
numbers that are not finite. Contestants take turns of some steps, in rounds, in another order each time.

Of one process, the figure is images per second of its own processor time with one thread, so that other work on the
machine counts little; the ratios are medians over the rounds, with their quartiles. Two processes, with one thread
each, share the batch and are timed by the clock, in turns with one.
"""

import copy
import os
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import torch
import torch._dynamo  # an optimiser would import it at its first step
from torch import nn

from scoresde.core import files
from scoresde.core.parallel import group
from scoresde.core.provenance import versions
from scoresde.core.random import rand, randn, stream
from scoresde.data import Images
from scoresde.training import config as configuration
from scoresde.training.config import Config
from scoresde.training.loop import start, train

NETWORKS = {
    "8x8": ((1, 8, 8), ["multipliers=[1,3]", "blocks=2", "attention=[]"]),
    "28x28": ((1, 28, 28), ["multipliers=[1,2,2]", "blocks=1", "attention=[7]"]),
    "32x32": ((3, 32, 32), ["multipliers=[1,2,4]", "blocks=1", "attention=[8]"]),
}
"""Shapes and networks, of 16 channels; those of 8x8 and 32x32 are the ones that come with the package."""
WAYS = {
    "ours": [],
    "ours, channels_last": ["train.channels_last=true"],
    "ours, channels_last and compiled": ["train.channels_last=true", "train.compile=true"],
    "ours, bfloat16": ["train.precision=bfloat16"],
}
Steps = Iterator[object]


def setting(size: str, batch: int, *more: str) -> tuple[Config, Images]:
    """The configuration of a size, and 2,000 random images, since what they show costs no time."""
    shape, network = NETWORKS[size]
    network = [f"network.{option}" for option in ("channels=16", *network)]
    options = ["train.images=1_000_000_000", f"train.batch={batch}", "train.warmup=0", *more]
    pixels = (rand((2000, *shape), stream(0, "pixels")) * 256).to(torch.uint8)
    return configuration.load("digits", [*network, *options]), Images(pixels)


def ours(size: str, batch: int, *more: str) -> Steps:
    chosen, images = setting(size, batch, *more)
    return train(chosen, images, start(chosen, images.shape, torch.device("cpu")))


def plain(size: str, batch: int) -> Steps:
    chosen, images = setting(size, batch)
    net: nn.Module = chosen.network.build(images.shape).train()
    mean, data, source = copy.deepcopy(net), images.scaled(), stream(0, "plain")
    adam = torch.optim.Adam(net.parameters(), lr=2e-4)
    while True:
        x0 = data[(rand((batch,), source) * len(data)).long()]
        t, z = rand((batch,), source), randn(x0.shape, source)
        alpha = torch.exp(-0.25 * t**2 * (20 - 0.1) - 0.5 * t * 0.1)[:, None, None, None]
        sigma = torch.sqrt(1 - alpha**2)
        loss = (net(alpha * x0 + sigma * z, 999 * t) - z).square().mean()
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        with torch.no_grad():
            for old, new in zip(mean.parameters(), net.parameters(), strict=True):
                old.lerp_(new, 0.001)
        yield loss.item()


def advance(steps: Steps, count: int) -> None:
    for _ in range(count):
        next(steps)


def race(contestants: dict[str, Steps], count: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of processor time that `count` steps of each took, round by round."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for steps in contestants.values():
        advance(steps, 2)
    for turn in range(rounds):
        names = list(contestants)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            began = time.process_time()
            advance(contestants[name], count)
            taken[name].append(time.process_time() - began)
    return taken


def in_processes(world: int, work: Callable[[], float]) -> float:
    """What `work` returns in the first of several joined processes, which are forked so that torch is there already."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    ours, theirs = os.pipe()
    children = []
    for rank in range(world):
        child = os.fork()
        if not child:
            try:
                variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_PORT": port}
                os.environ |= {"MASTER_ADDR": "127.0.0.1", **{name: str(value) for name, value in variables.items()}}
                with group("cpu"):
                    found = work()
                if rank == 0:
                    os.write(theirs, str(found).encode())
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    os.close(theirs)
    with open(ours) as pipe:
        return float(pipe.read())


def clocked(size: str, batch: int, count: int) -> Callable[[], float]:
    """Seconds by the clock of so many steps."""

    def work() -> float:
        steps = ours(size, batch)
        advance(steps, 2)
        began = time.perf_counter()
        advance(steps, count)
        return time.perf_counter() - began

    return work


def ratio(taken: dict[str, list[float]], name: str, base: str) -> str:
    """How many times as fast as the base, median over the rounds with quartiles."""
    low, middle, high = statistics.quantiles([b / a for a, b in zip(taken[name], taken[base], strict=True)], n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


@click.command(help=__doc__)
@click.option("--rounds", default=9, show_default=True)
@click.option("--images", default=1536, show_default=True, help="Images of a turn at 8x8; a sixth at the larger sizes.")
@click.option("--batch", default=64, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there.")
def main(rounds: int, images: int, batch: int, out: Path | None) -> None:
    torch.set_num_threads(1)
    lines = ["| images | way | images/s of processor time | times the plain loop |", "|---|---|---|---|"]
    clock = ["| images | processes | images/s by the clock | times one process |", "|---|---|---|---|"]
    for size in NETWORKS:
        count = max(2, images // batch // (1 if size == "8x8" else 6))
        contestants = {
            "plain loop": plain(size, batch),
            **{name: ours(size, batch, *way) for name, way in WAYS.items()},
        }
        taken = race(contestants, count, rounds)
        for name, seconds in taken.items():
            speed = count * batch / statistics.median(seconds)
            lines.append(f"| {size} | {name} | {speed:.0f} | {ratio(taken, name, 'plain loop')} |")
        del contestants
        worlds = {1: list[float](), 2: list[float]()}
        for turn in range(max(3, rounds // 2)):
            for world in (1, 2) if turn % 2 else (2, 1):
                worlds[world].append(in_processes(world, clocked(size, batch, count)))
        times = {str(world): seconds for world, seconds in worlds.items()}
        for name, seconds in times.items():
            speed = count * batch / statistics.median(seconds)
            clock.append(f"| {size} | {name} | {speed:.0f} | {ratio(times, name, '1')} |")
    text = "\n".join([*lines, "", *clock]) + "\n"
    click.echo(text)
    if out:
        versioned = ", ".join(f"{name} {version}" for name, version in versions()["versions"].items())
        asked = f"`python benchmarks/throughput.py --rounds {rounds} --images {images} --batch {batch}`"
        intro = __doc__.split("\n\n", 2)[2]
        files.write_text(out, f"# Throughput of training\n\n{asked}, {versioned}.\n\n{intro}\n{text}")


if __name__ == "__main__":
    main()
