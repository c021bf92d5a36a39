"""Chains of 1,000 and of 4,000 steps, linear and cosine, with the simple and with the hybrid loss, in all combinations.

    OMP_NUM_THREADS=1 python benchmarks/ablations.py --runs runs/ablations --out benchmarks/results/ablations.md
    OMP_NUM_THREADS=1 python benchmarks/ablations.py --task colour --data cifar10:reduce=4 --runs runs/ablations \\
        --out benchmarks/results/ablations-colour.md

Trainings and rows that are there are not made again, and `--seeds 0 --whole 0` writes the tables of what is there.
Whole chains, which are the dearest, come last.
"""

import itertools
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from conditional_real import TASKS, measure
from scipy.special import stdtrit
from short import SMALL, SPREAD, Rows, distance, interval, trained, write
from task_trained import BATCH, GIVEN, LEARNED, SIZES

from scoresde.core.random import permutation, stream
from scoresde.data import Images, data
from scoresde.likelihood import chain, vlb
from scoresde.metrics.moments import moments
from scoresde.metrics.normal import factored
from scoresde.models.clipped import ClippedModel
from scoresde.models.network import NetworkModel

ARMS = list(itertools.product((1000, 4000), ("linear", "cosine"), ("simple", "hybrid")))
FEW = (25, 50, 100)
HELD = 32
"""Held-out images of a bound."""
COUNT = {"digits": 500, "colour": 1000}
OTHERS = 8000


def chosen(task: str, arm: tuple[int, str, str], seed: int) -> list[str]:
    steps, schedule, loss = arm
    found = ["sde.name=ddpm", f"sde.steps={steps}", f"train.seed={seed}", *(LEARNED if loss == "hybrid" else [])]
    found += [f"sde.schedule={schedule}"]  # after LEARNED, which has the schedule of the published model
    return [*SMALL, *found] if task == "digits" else [*SIZES[8], *BATCH, *GIVEN[task], *found, "train.predicts=eps"]


def bound(model: NetworkModel, held: Images, steps: int, loss: str) -> dict[str, float]:
    """Bits/dim of held-out images: their mean and half its 95 % interval."""
    held, variance = held.drawn(HELD), "learned" if loss == "hybrid" else "large"
    levels, kept = chain(model.sde, steps), [stream(0, "vlb", i) for i in range(HELD)]
    found = vlb(model, held.pixels, levels=held.levels, alphas_cumprod=levels, variance=variance, generator=kept).total
    return {"bits": float(found.mean()), "half": float(stdtrit(HELD - 1, 0.975) * found.std() / math.sqrt(HELD))}


def distances(task: str, source: Any) -> Callable[[NetworkModel, str, str], dict[str, float]]:
    """FD of what a solver draws: of digits from the training digits, of colours from other real images."""
    if task == "digits":
        return lambda model, how, folder: distance(model, how, COUNT[task])
    test = source.load("test")
    pixels = test.pixels[permutation(len(test), stream(0, "test"))]  # sets may be sorted by class
    truth, rest = pixels[: COUNT[task]], pixels[COUNT[task] :][:OTHERS]
    reference = factored(moments(TASKS[task].features(rest)))

    def measured(model: NetworkModel, how: str, folder: str) -> dict[str, float]:
        row = measure(ClippedModel(model), TASKS[task], truth, reference, "trained", how, folder)[0]
        return {"fd": row["fd"], "half": row["fd_half"], "floor": row["truth"]}

    return measured


def table(rows: Rows, figure: str, key: str, digits: int) -> list[str]:
    heads = ["T", "schedule", "loss", "seeds", *(f"{figure}, {n}" for n in FEW), f"{figure}, T"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for steps, schedule, loss in ARMS:
        cells = [rows.found(arm=[steps, schedule, loss], figure=key, steps=n) for n in (*FEW, steps)]
        alone = [found[0]["half"] if found else None for found in cells]
        texts = [interval([r[key] for r in found], digits, alone=a) for found, a in zip(cells, alone, strict=True)]
        if cells[-1] and len(cells[-1]) < len(cells[0]):
            texts[-1] += f" ({len(cells[-1])} seed{'s' * (len(cells[-1]) > 1)})"
        lines.append(f"| {steps} | {schedule} | {loss} | {len(cells[0])} | {' | '.join(texts)} |")
    return [*lines, ""]


@click.command(help=__doc__)
@click.option("--task", type=click.Choice(list(COUNT)), default="digits", show_default=True)
@click.option("--data", "data_name", default="digits", show_default=True, help="NAME:KEY=VALUE,...")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Folder of the trainings.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The table; the rows go beside it.")
@click.option("--seeds", type=int, default=3, show_default=True)
@click.option("--whole", type=int, default=1, show_default=True, help="Seeds whose whole chains are sampled.")
def main(task: str, data_name: str, runs: Path, out: Path, seeds: int, whole: int) -> None:
    torch.set_num_threads(1)
    source, rows = data.parse(data_name), Rows(out.with_suffix(".jsonl"))
    train, held = source.load("train"), source.load("test")
    measured = distances(task, source)

    def fill(arm: tuple[int, str, str], seed: int, key: str, counts: tuple[int, ...]) -> None:
        """Trains a network if one of these figures of it is missing, and measures them."""
        keys = [{"arm": list(arm), "seed": seed, "figure": key, "steps": n} for n in counts]
        if all(rows.found(**k) for k in keys):
            return
        folder = runs / "-".join([task, *map(str, arm), str(seed)])
        name = "digits-ddpm" if task == "digits" else "cifar10-16"
        model = trained(name, chosen(task, arm, seed), folder, train)
        variance = "learned" if arm[2] == "hybrid" else "small"

        def figures(n: int) -> dict[str, Any]:
            if key == "bits":
                return bound(model, held, n, arm[2])
            return measured(model, f"ddpm:steps={n - 1},variance={variance}", str(folder))

        for k in keys:
            rows.measure(k, partial(figures, k["steps"]))

    for seed, arm in itertools.product(range(seeds), ARMS):
        fill(arm, seed, "fd", FEW)
        fill(arm, seed, "bits", FEW)
    for seed, arm in itertools.product(range(seeds), ARMS):
        fill(arm, seed, "bits", (arm[0],))
    for seed, arm in itertools.product(range(whole), ARMS):
        fill(arm, seed, "fd", (arm[0],))
    every = " ".join(f"`{text}`" for text in (SMALL if task == "digits" else [*SIZES[8], *BATCH, *GIVEN[task]]))
    floor = next((row["floor"] for row in rows.found(figure="fd")), math.nan)
    about = f"""\
Every line is a training with equal images, batch and network, which has a second output for the variance where the loss
is `hybrid`. Columns are evaluations, T the whole chain. FD is that of {COUNT[task]} samples by `ddpm`, with the learned
variance, else the small one; bits/dim is the variational bound of {HELD} held-out images, with the learned variance,
else the large one. Lower is better; FD of as many real images is {floor:.3f}. {SPREAD}
The trainings are short: {every}."""
    command = f"python benchmarks/ablations.py --task {task} --runs RUNS --whole {whole}"
    tables = [*table(rows, "FD", "fd", 3), *table(rows, "bits/dim", "bits", 2)]
    write(out, "Chains of 1,000 and 4,000 steps", command, about, tables)


if __name__ == "__main__":
    main()
