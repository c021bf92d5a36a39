"""Is `mixture`, conditioning with the clusters of the data, better than `covariance` on real images and a network?

    python benchmarks/clusters.py --out benchmarks/results/clusters.md

Each of the 297 test digits is drawn from what is known of it by the bundled network of 8x8 digits, REPEATS times.
Clusters and covariance are those of the 1,500 training images. FD is the Frechet distance of pixels to the training
images; beside it stands that of the test images themselves. The energy score is E|x - truth| - E|x - x'|/2, which is
least for the exact posterior (Gneiting and Raftery 2007, https://doi.org/10.1198/016214506000001437). Intervals are
Student's over the repetitions, of 95 %.
"""

import math
from itertools import combinations
from pathlib import Path

import click
import torch
from scipy.stats import t as student
from torch import Tensor

from scoresde import models
from scoresde.conditioners import Conditioner, conditioners
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import generators
from scoresde.data import data
from scoresde.metrics.moments import moments
from scoresde.metrics.normal import factored, frechet
from scoresde.observations import Pixels
from scoresde.observations.covariance import estimate
from scoresde.observations.mixture import clustered
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers

REPEATS, SOLVER = 4, "dpm++:steps=10"
HALF, HOLE = torch.zeros(8, 8), torch.ones(8, 8)
HALF[:4], HOLE[2:6, 2:6] = 1, 0
SEEN = {"upper half": Pixels(HALF), "hole of 4x4": Pixels(HOLE)}


def methods(train: Tensor) -> dict[str, Conditioner]:
    """What is compared."""
    found: dict[str, Conditioner] = {"`covariance`": conditioners["covariance"](covariance=estimate(train, "dct"))}
    for count in (8, 16, 32, 64):
        found[f"`mixture`, {count} clusters"] = conditioners["mixture"](covariance=clustered(train, count, "dct"))
    return found


def interval(values: list[float]) -> str:
    """Mean ± half-width."""
    v = torch.tensor(values, dtype=torch.float64)
    half = float(student.ppf(0.975, len(v) - 1) * v.std() / math.sqrt(len(v)))
    return f"{float(v.mean()):.3f} ± {half:.3f}"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Markdown file.")
def main(out: Path | None) -> None:
    train, truth = (data["digits"]().load(split).scaled() for split in ("train", "test"))
    model, reference = models.load("digits"), factored(moments(train.double().flatten(1)))
    own = frechet(truth.double().flatten(1), reference)
    lines = ["| what is known | conditioner | FD | energy score | error | spread/error |", "|---|---|---|---|---|---|"]
    for task, seen in SEEN.items():
        for name, method in methods(train).items():
            drawn = []
            for k in range(REPEATS):
                seeds = generators(range(10_000 * k, 10_000 * k + len(truth)))
                around = method.condition(model, seen, truth, seeds)
                drawn.append(sample(around, solvers.parse(SOLVER), around.prior(seeds), generator=seeds).x.double())
            apart = sum(float((a - b).flatten(1).norm(dim=1).mean()) for a, b in combinations(drawn, 2))
            apart /= math.comb(REPEATS, 2)
            scores = [float((x - truth).flatten(1).norm(dim=1).mean()) - apart / 2 for x in drawn]
            errors = [float((x - truth).square().mean().sqrt()) for x in drawn]
            x = torch.stack(drawn)
            missed = (x.mean(0) - truth).square().mean() * REPEATS / (REPEATS + 1)
            ratio = float((x.var(0).mean() / missed).sqrt())
            fd = interval([frechet(part.flatten(1), reference) for part in drawn])
            lines.append(f"| {task} | {name} | {fd} | {interval(scores)} | {interval(errors)} | {ratio:.3f} |")
            click.echo(lines[-1])
    used = ", ".join(f"{name} {version}" for name, version in versions()["versions"].items())
    text = "\n".join(lines)
    head = f"# Clusters of the digits\n\n`python benchmarks/clusters.py`, {SOLVER} (11 evaluations), with {used}. "
    head += f"{REPEATS} samples of each of {len(truth)} test images; the test images themselves have the FD {own:.3f}."
    if out:
        files.write_text(out, f"{head}\n\n{text}\n")


if __name__ == "__main__":
    main()
