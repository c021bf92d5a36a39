"""What --precision and --compile gain and change: each way to evaluate a network beside float32 as it is.

    python benchmarks/precision.py --model digits --model cifar10 --model photos --out benchmarks/results/precision.md

A ratio is the median over nine pairs, one after the other in one process, of the processor time of one evaluation
(`sample`), or of one with a product with its Jacobian (`likelihood`; also `dps` and `moment`). A way that takes more
than three times as long in the first pair is not measured further. Differences are those of the ends of a solve in a
few steps, beside the solver's own error, root mean squares of numbers in [-1, 1]; a grey level is 0.0078.
"""

import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import torch
from torch import Tensor

from scoresde import models
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.models.inference import Inference
from scoresde.models.network import NetworkModel
from scoresde.sampling.sample import sample
from scoresde.solvers.unipc import UniPC

PAIRS, SLOW = 9, 3.0
LAST, LOW = Inference(channels_last=True), Inference("bfloat16")
WAYS = {"channels last": LAST, "bfloat16": LOW, "bfloat16, channels last": Inference("bfloat16", channels_last=True)}
SAMPLES = {"digits": 16}
"""Of the differences; two of others."""


def evaluation(model: NetworkModel, x: Tensor, t: Tensor) -> None:
    """One evaluation."""
    with torch.no_grad():
        model.eps(x, t)


def product(model: NetworkModel, x: Tensor, t: Tensor) -> None:
    """One evaluation and one vector-Jacobian product."""
    leaf = x.clone().requires_grad_(True)
    torch.autograd.grad(model.eps(leaf, t), leaf, x)


def clocked(work: Callable[[], None]) -> float:
    """Seconds of the processor, over all threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


def ratio(one: Callable[[], None], other: Callable[[], None]) -> str:
    """The median time of one over that of the other, with the quartiles."""
    one(), other()
    if (first := clocked(one) / clocked(other)) > SLOW:
        return f"> {SLOW:g} ({first:.1f})"
    found = [clocked(one) / clocked(other) for _ in range(PAIRS)]
    low, middle, high = statistics.quantiles(found, n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def times(name: str, batches: list[int]) -> list[str]:
    """Rows of the table of times."""
    plain, rows = models.load(name), list[str]()
    others = {label: plain.inferring(way) for label, way in WAYS.items()}
    for label, work in (("sample", evaluation), ("likelihood", product)):
        for batch in batches:
            given = plain.prior(batch), torch.full((batch,), 0.5, dtype=torch.float64)
            before = partial(work, plain, *given)
            cells = [ratio(partial(work, model, *given), before) for model in others.values()]
            rows.append(f"| {name} | {label} | {batch} | {' | '.join(cells)} |")
            click.echo(rows[-1])
    return rows


def differences(name: str) -> list[str]:
    """Rows of the table of differences."""
    plain, rows = models.load(name), list[str]()
    low, last = (plain.inferring(WAYS[label]) for label in ("bfloat16, channels last", "channels last"))
    x = plain.prior(SAMPLES.get(name, 2))

    def rms(a: Tensor, b: Tensor) -> str:
        return f"{float((a - b).double().square().mean().sqrt()):.1e}"

    truth = sample(plain, UniPC(steps=100), x).x
    for steps in (8, 20):
        ours, lower, layout = (sample(model, UniPC(steps=steps), x).x for model in (plain, low, last))
        rows.append(f"| {name} | {steps} | {rms(lower, ours)} | {rms(layout, ours)} | {rms(ours, truth)} |")
        click.echo(rows[-1])
    return rows


@click.command()
@click.option("--model", "names", multiple=True, default=("digits", "cifar10", "photos"), show_default=True)
@click.option("--batches", default="1,16,64", show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="File of the tables.")
def main(names: tuple[str, ...], batches: str, threads: int, out: Path | None) -> None:
    """Measures all, and writes the tables."""
    torch.set_num_threads(threads)
    sizes = [int(part) for part in batches.split(",")]
    measured = [row for name in names for row in times(name, sizes)]
    changed = [row for name in names for row in differences(name)]
    found = versions()
    text = "\n".join(
        [
            "# Precision, and the layout of memory",
            "",
            f"`python benchmarks/precision.py --batches {batches} --threads {threads}`; torch "
            f"{found['versions']['torch']}, {threads} thread, {platform.machine()} with "
            f"{torch.backends.cpu.get_cpu_capability()}; seeds 0 to n - 1. The machine was shared with other "
            "work, and the ratios are of processor time.",
            "",
            "Time over that of float32 as it is: median (quartiles) of nine pairs.",
            "",
            f"| model | of | batch | {' | '.join(WAYS)} |",
            "|---|---|---|" + "---|" * len(WAYS),
            *measured,
            "",
            "Difference of samples from those of float32, and the error of the solver (`unipc`), from 100 steps.",
            "",
            "| model | steps | bfloat16 | channels last | error of the solver |",
            "|---|---|---|---|---|",
            *changed,
            "",
        ]
    )
    if out:
        files.write_text(out, text)


if __name__ == "__main__":
    main()
