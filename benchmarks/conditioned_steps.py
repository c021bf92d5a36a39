"""How many steps of `dpm++` samples of p(x | y) need: `covariance` on the bundled networks and held-out images.

    OMP_NUM_THREADS=1 python benchmarks/conditioned_steps.py --out benchmarks/results/conditioned-steps.md

Each image is measured and drawn K times, with the same noise for every number of steps. The energy score,
E|x - x_0| - E|x - x'|/2, is least for the exact posterior. Each row that is measured goes into a file beside the table,
and is not measured again; `--only` names some models.
"""

import math
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import click
import torch
from short import Rows, write
from torch import Tensor

import scoresde
from scoresde.core.random import generators
from scoresde.data import data
from scoresde.data.base import pictures
from scoresde.observations import Downsample, GaussianBlur, LinearObservation, Luma, Pixels

STEPS, DRAWS = (20, 10, 5), 2
COUNTS = {"digits": 200, "photos": 60, "cifar10": 40}
TASKS = {"colour": "Colours from luma", "hole": "A hole of a quarter", "enlarge": "Means of 2x2", "deblur": "A blur"}
ABOUT = f"""
`covariance` with its default kind and {DRAWS} samples of each held-out image, with the same noise for every number of
steps: N steps are N + 1 evaluations. Energy scores are means over the images, least for exact samples; "beside 20" is
the mean of the differences from 20 steps, image by image, with its 95 % interval. Spread/error is the root mean square
distance of two samples over that of a sample from the truth, and 1 for exact samples; the error is of a number in
[-1, 1]. A hole has half of the height and width; a blur has 1.5 pixels, 1 for digits.
"""


def task(name: str, shape: tuple[int, ...]) -> LinearObservation:
    """What is known of an image of a shape."""
    height, width = shape[1:]
    if name == "colour":
        return Luma()
    if name == "enlarge":
        return Downsample(factor=2, noise=0.00226)
    if name == "deblur":
        return GaussianBlur(sigma=1.0 if height < 32 else 1.5)
    mask = torch.ones(height, width)
    mask[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 0
    return Pixels(mask)


def distances(a: Tensor, b: Tensor) -> Tensor:
    """|a - b| of each image, (N,)."""
    return (a - b).double().flatten(1).norm(dim=1)


def measured(name: str, images: Tensor, what: str, steps: int) -> dict[str, Any]:
    """The figures of a task and a number of steps, with the energy score of every image."""
    model, count = scoresde.load(name, device="cpu"), len(images)
    seen = task(what, tuple(model.shape))
    y = seen.measure(images, generators(range(10**6, 10**6 + count)))
    conditioned = scoresde.condition(model, seen, y)
    drawn = [
        scoresde.sample(conditioned, "dpm++", steps=steps, seeds=range(k * count, (k + 1) * count), progress=False).x
        for k in range(DRAWS)
    ]
    errors = torch.stack([distances(x, images) for x in drawn])
    spreads = torch.stack([distances(a, b) for a, b in combinations(drawn, 2)])
    return {
        "energy": [round(value, 6) for value in (errors.mean(0) - spreads.mean(0) / 2).tolist()],
        "ratio": float((spreads.square().mean() / errors.square().mean()).sqrt()),
        "error": float(errors.square().mean().sqrt()) / math.sqrt(images[0].numel()),
    }


def table(rows: list[dict[str, Any]], name: str) -> list[str]:
    """The lines of a model."""
    lines = ["", f"## {name}, {COUNTS[name]} images", ""]
    lines += ["| known | steps | energy score | beside 20 | spread/error | error |", "|---|---|---|---|---|---|"]
    for what, words in TASKS.items():
        found = {row["steps"]: row for row in rows if (row["model"], row["task"]) == (name, what)}
        for steps, row in sorted(found.items()):
            energy = torch.tensor(row["energy"], dtype=torch.float64)
            apart = energy - torch.tensor(found[20]["energy"], dtype=torch.float64)
            half = 1.96 * float(apart.std()) / math.sqrt(len(apart))
            beside = "" if steps == 20 else f"{float(apart.mean()):+.4f} ± {half:.4f}"
            figures = f"{float(energy.mean()):.4f} | {beside} | {row['ratio']:.3f} | {row['error']:.4f}"
            lines.append(f"| {words} | {steps} | {figures} |")
    return lines


@click.command(help=__doc__)
@click.option("--data", "source", default="cifar10", show_default=True, help="Images of cifar10, as NAME:KEY=VALUE,...")
@click.option("--only", multiple=True, type=click.Choice(list(COUNTS)), default=list(COUNTS))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The table; its rows are kept beside it.")
def main(source: str, only: tuple[str, ...], out: Path) -> None:
    torch.set_num_threads(1)
    rows = Rows(out.with_suffix(".jsonl"))
    for name in only:
        test = pictures(data.parse(source if name == "cifar10" else name).load("test")).stratified(COUNTS[name], 0)
        images = test.scaled().float()
        for what in TASKS:
            if what == "colour" and images.shape[1] == 1:
                continue
            for steps in STEPS:
                key = {"model": name, "task": what, "steps": steps}
                rows.measure(key, partial(measured, name, images, what, steps))
    write(
        out,
        "How many steps samples of p(x | y) need",
        f"python benchmarks/conditioned_steps.py --out {out}",
        ABOUT,
        [line for name in COUNTS for line in table(rows.rows, name)],
    )


if __name__ == "__main__":
    main()
