"""The whole call of a user, `scoresde.sample`, beside a pipeline of diffusers with the same network and evaluations.

OMP_NUM_THREADS=1 python benchmarks/pipeline.py --out benchmarks/results/pipeline.md
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import click
import diffusers
import torch
from scipy.stats import binom
from short import write
from torch import Tensor, nn

import scoresde
from scoresde.models.network import NetworkModel

BATCHES = (1, 16, 64)
ABOUT = f"""
Beside diffusers {diffusers.__version__}. Both take the same network through DDIM in equal evaluations, from the drawing
of the noise to images in memory: ours with one generator for each sample and the checks of every run, theirs with one
for all. Seconds are of the processor, medians; the ratio is the median of paired ratios, of runs that take turns, with
the 95 % interval of its order statistics.
"""
Call = Callable[[int], object]


class Borrowed(nn.Module):
    """One of our networks, as a pipeline calls its own."""

    def __init__(self, net: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.net, self.dtype, self.device = net, torch.float32, torch.device("cpu")
        self.config = SimpleNamespace(in_channels=shape[0], sample_size=shape[1:])

    def forward(self, x: Tensor, t: Tensor) -> SimpleNamespace:
        """The prediction, by its name."""
        return SimpleNamespace(sample=self.net(x, t.expand(len(x)).to(x.dtype)))


def ours(model: NetworkModel, evaluations: int) -> Call:
    """`scoresde.sample`; the last evaluation is that of the denoising at the end."""
    solver = f"ddim:steps={evaluations - 1}"

    def call(batch: int) -> object:
        samples = scoresde.sample(model, solver, n=batch, progress=False)
        if samples.nfe != evaluations:
            raise SystemExit(f"{samples.nfe} evaluations instead of {evaluations}")
        return samples

    return call


def theirs(model: NetworkModel, evaluations: int) -> Call:
    """`DDIMPipeline`, to arrays in [0, 1]."""
    scheduler = diffusers.DDIMScheduler(clip_sample=False, timestep_spacing="trailing")
    pipeline = diffusers.DDIMPipeline(Borrowed(model.net, tuple(model.shape)), scheduler)
    pipeline.set_progress_bar_config(disable=True)

    def call(batch: int) -> object:
        generator = torch.Generator().manual_seed(0)
        return pipeline(batch, generator, num_inference_steps=evaluations, output_type="np").images

    return call


def timed(call: Call, batch: int) -> float:
    """Seconds of processor time."""
    began = time.process_time()
    call(batch)
    return time.process_time() - began


def interval(rounds: int) -> int:
    """How many of the smallest and of the largest values a 95 % interval of the median leaves out."""
    return max(int(binom.ppf(0.025, rounds, 0.5)) - 1, 0)


def row(name: str, model: NetworkModel, batch: int, evaluations: int, rounds: int) -> str:
    """One line of the table."""
    pair = ours(model, evaluations), theirs(model, evaluations)
    for call in pair:
        call(batch)  # warms up
    times = []
    for turn in range(rounds):
        first = turn % 2
        spent = {side: timed(pair[side], batch) for side in (first, 1 - first)}
        times.append((spent[0], spent[1]))
    ratios, out = sorted(a / b for a, b in times), interval(rounds)
    seconds = " | ".join(f"{statistics.median(side):.3g}" for side in zip(*times, strict=True))
    around = f"{statistics.median(ratios):.2f} [{ratios[out]:.2f}, {ratios[-1 - out]:.2f}]"
    return f"| {name} | {batch} | {evaluations} | {seconds} | {around} |"


@click.command(help=__doc__)
@click.option("--model", "names", multiple=True, default=["digits", "photos", "cifar10"], show_default=True)
@click.option("--evaluations", default=10, type=click.IntRange(2), show_default=True, help="Of the network, a sample.")
@click.option("--rounds", default=9, type=click.IntRange(5), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there.")
@torch.inference_mode()
def main(names: tuple[str, ...], evaluations: int, rounds: int, out: Path | None) -> None:
    torch.set_num_threads(1)
    lines = [
        "| network | batch | evaluations | ours, s | diffusers, s | ours / diffusers |",
        "|---|---|---|---|---|---|",
    ]
    for name in names:
        loaded = scoresde.load(name, device="cpu")
        for batch in BATCHES:
            lines.append(row(name, loaded, batch, evaluations, rounds))
            click.echo(lines[-1])
    if out:
        write(
            out,
            "`scoresde.sample` beside a pipeline of diffusers",
            f"python benchmarks/pipeline.py --out {out}",
            ABOUT,
            lines,
        )


if __name__ == "__main__":
    main()
