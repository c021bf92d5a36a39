"""Networks trained for a task, DDPM, LVDDPM and VP, beside an unconditional one with a conditioner.

    OMP_NUM_THREADS=1 python benchmarks/task_trained.py --data cifar10:reduce=4 --runs runs/tasks8 \\
        --out benchmarks/results/cifar8-tasks

Images, network, batch and evaluations are equal. A dissertation found task-trained DDPMs far ahead of a heuristic on an
unconditional VP-SDE, and left task-trained SDE models to the future: here they are. The measures are those of
conditional_real.py. Trainings and rows that are there are not made again: a sitting goes on where the last one ended,
and `--seeds 0` writes the table of what is there.
"""

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from conditional_real import PUBLISHED, TASKS, floors, measure
from short import SPREAD, Rows, interval, trained, write

from scoresde.core.random import permutation, stream
from scoresde.data import data
from scoresde.metrics.moments import moments
from scoresde.metrics.normal import factored
from scoresde.models.clipped import ClippedModel
from scoresde.observations.covariance import estimate
from scoresde.posterior import store

SIZES = {
    8: ["network.channels=16", "network.multipliers=[1,2]", "network.attention=[]", "train.images=40_000"],
    16: ["network.channels=16", "network.multipliers=[1,2,2]", "network.attention=[]", "train.images=100_000"],
}
"""Of every training at a size, beside configs/cifar10-16."""
BATCH = ["train.batch=64", "train.warmup=5_000", "train.ema=5_000"]
CHAIN, LEARNED = "sde.name=ddpm", ["network.learned_variance=true", "train.loss=hybrid", "sde.schedule=cosine"]
MODELS = {
    "DDPM": [CHAIN, "sde.steps=1000", "train.predicts=eps"],
    "LVDDPM": [CHAIN, "sde.steps=4000", "train.predicts=eps", *LEARNED],
    "VP": ["train.predicts=eps"],
    "VP, v": ["train.predicts=v"],
}
UNCONDITIONAL = {"VP, v, unconditional": ["train.predicts=v"]}
GIVEN = {"colour": ["train.condition=colour", "network.extra_channels=3"]}
GIVEN["hole"] = ["train.condition=inpaint", "network.extra_channels=4", "train.masks=rectangle"]
"""What a network for a task is trained with."""
KIND = {"colour": "channel", "hole": "full"}
"""Of the covariance that a conditioner is given."""
EVALUATIONS = (10, 25, 100)


def ways(arm: str, task: str, evaluations: int) -> list[tuple[str, str]]:
    """Conditioner and solver: without noise and with it."""
    n, variance = evaluations, "learned" if arm == "LVDDPM" else "small"
    solvers = [f"dpm++:steps={n - 1}", f"ddpm:steps={n - 1},variance={variance}"]
    if arm not in UNCONDITIONAL:
        return [("trained", how) for how in solvers]
    return [*((f"covariance:kind={KIND[task]}", how) for how in solvers), (PUBLISHED, f"ancestral:steps={n}")]


def noise(row: dict[str, Any]) -> str:
    """Whether noise was added."""
    return "without" if row["how"].startswith("dpm++") else "with"


def table(rows: Rows, task: str, floor: tuple[float, float, int]) -> list[str]:
    """The rows of a task; `over DDPM` is the difference within a seed of equal evaluations."""
    heads = ["network", "conditioner", "solver", "NFE", "seeds", "FD", "over DDPM", "chroma sd", "luma, levels"]
    lines = [f"## {task}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines.append(f"| (real images) | | | | | {floor[0]:.3f} ± {floor[1]:.3f} ({floor[2]} splits) | | | |")
    for arm in [*MODELS, *UNCONDITIONAL]:
        for what, how in (way for n in EVALUATIONS for way in ways(arm, task, n)):
            found = rows.found(task=task, arm=arm, what=what, how=how)
            if not found:
                continue
            base = {(noise(r), r["nfe"], r["seed"]): r["fd"] for r in rows.found(task=task, arm="DDPM")}
            over = [r["fd"] - base[place] for r in found if (place := (noise(r), r["nfe"], r["seed"])) in base]
            cells = [arm, what, how.replace(":", " "), f"{found[0]['nfe']}", f"{len(found)}"]
            cells.append(interval([r["fd"] for r in found], alone=found[0]["fd_half"]))
            cells.append("" if arm == "DDPM" else interval(over, sign="+"))
            cells += [f"{sum(r[key] for r in found) / len(found):.2f}" for key in ("chroma_sd", "luma_levels")]
            lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


@click.command(help=__doc__)
@click.option("--data", "data_name", default="cifar10:reduce=4", show_default=True, help="NAME:KEY=VALUE,...")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Folder of the trainings.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the rows and the table.")
@click.option("--seeds", type=int, default=3, show_default=True)
@click.option("-n", "count", default=1000, show_default=True, help="Images that are measured and drawn.")
@click.option("-m", "others", default=8000, show_default=True, help="Real images that they are compared with.")
def main(data_name: str, runs: Path, out: Path, seeds: int, count: int, others: int) -> None:
    torch.set_num_threads(1)
    source, rows = data.parse(data_name), Rows(out / "rows.jsonl")
    train, test = source.load("train"), source.load("test")
    size = train.pixels.shape[-1]
    pixels = test.pixels[permutation(len(test), stream(0, "test"))]  # sets may be sorted by class
    truth, rest = pixels[:count], pixels[count : count + others]
    references = {name: factored(moments(TASKS[name].features(rest))) for name in GIVEN}

    def judged(arm: str, task: str, seed: int, evaluations: int) -> None:
        """Trains a network if a row of it is missing, and measures the rows."""
        every = ways(arm, task, evaluations)
        keys = [{"task": task, "arm": arm, "seed": seed, "what": what, "how": how} for what, how in every]
        if all(rows.found(**key) for key in keys):
            return
        free = arm in UNCONDITIONAL
        folder = runs / "-".join([arm.replace(", ", "-").replace(" ", "-").lower(), *[task] * (not free), f"{seed}"])
        chosen = [*SIZES[size], *BATCH, *(UNCONDITIONAL[arm] if free else [*MODELS[arm], *GIVEN[task]])]
        model = trained("cifar10-16", [*chosen, f"train.seed={seed}"], folder, train)
        if free and not set(KIND.values()) <= set(store.every(folder)):
            store.save(folder, [estimate(train.scaled(), kind) for kind in KIND.values()], {"data": data_name})

        def figures(key: dict[str, Any]) -> dict[str, Any]:
            around, reference = ClippedModel(model), references[task]
            return measure(around, TASKS[task], truth, reference, key["what"], key["how"], str(folder))[0]

        for key in keys:
            rows.measure(key, partial(figures, key))

    for part in (EVALUATIONS[:2], EVALUATIONS[2:]):  # the dearest last
        for seed, task, arm in itertools.product(range(seeds), GIVEN, [*MODELS, *UNCONDITIONAL]):
            for evaluations in part:
                judged(arm, task, seed, evaluations)
    every = " ".join(f"`{text}`" for text in (*SIZES[size], *BATCH))
    about = f"""\
{size}x{size}: {count} test images, each drawn once from its measurement, and {others} others, with which they are
compared. Every network is `configs/cifar10-16` with {every};
its process and prediction: {"; ".join(f"{arm}: {' '.join(f'`{text}`' for text in MODELS[arm])}" for arm in MODELS)};
a task: {"; ".join(" ".join(f"`{text}`" for text in given) for given in GIVEN.values())}. All predictions of data are
cut off at black and white. `over DDPM` is the difference from the DDPM of the same seed. {SPREAD}"""
    command = f"python benchmarks/task_trained.py --data cifar10:reduce={32 // size} --runs RUNS -n {count} -m {others}"
    tables = [line for name in GIVEN for line in table(rows, name, floors(TASKS[name], pixels, count, others))]
    write(out / "table.md", "Networks trained for a task", command, about, tables)


if __name__ == "__main__":
    main()
