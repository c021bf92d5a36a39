"""Conditioners on real images, judged in the features of a classifier that has seen what the images show.

    scoresde features fit --data cifar10 --dimension 64 --images 600000 --out features/cifar10
    python benchmarks/conditioning_features.py cifar10 --data cifar10 --extractor features/cifar10 \\
        --out benchmarks/results/conditioning-features.md

N images of the test split, equally many of each class, are measured, and drawn from what is known of them. Two things
are asked of the samples. Are they like real images? FD and KD, the Frechet and the polynomial kernel distance, are
taken to M other test images, and the tables say how much farther away the samples are than the N images themselves:
both have the bias of few images. Are they the right images, and as uncertain as they should be? The spread of two
samples is compared with their error, in pixels and in features; exact samples have the ratio 1.

Intervals of 95 % are jackknives, which leave out each image of all that is compared. Samples are drawn by the hundred,
all methods before the next hundred, and are kept in the store; a table has what is there. `--report` draws nothing.
"""

import json
import math
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import click
import torch
from calibration import BATCH, FIGURES, HOLE, TASKS, drawn, half, place, spreads, strengths
from conditional_real import PUBLISHED, SAMPLES
from safetensors.torch import load_file
from scipy.special import stdtrit
from short import write
from torch import Tensor

from scoresde.core import files
from scoresde.core.random import permutation, stream
from scoresde.data import data
from scoresde.data.base import Images
from scoresde.images import sheets
from scoresde.images.seams import membrane
from scoresde.images.upsample import resized
from scoresde.metrics import metrics
from scoresde.metrics.base import Metric
from scoresde.models.folder import CONFIG
from scoresde.observations import Luma

CLASSES, SHOWN = 10, 10
TEN, TWENTY = "unipc:steps=10,prediction=noise", "unipc:steps=20,prediction=noise"
TITLES = {
    "colour": "Colours from luma",
    "hole": "A hole of 16x16",
    "enlarge4": "Means of 4x4 pixels enlarged",
    "deblur": "A blur of 1.5 pixels undone",
}
EVERY, OPEN, SHARP = tuple(TITLES), ("colour", "hole"), ("colour", "hole", "enlarge4")
PLAN = [
    ("covariance", TEN, EVERY, 0),
    ("projection", TEN, SHARP, 0),
    ("covariance", TEN, OPEN, 1),
    (PUBLISHED, "ancestral:steps=20", OPEN, 0),
    (SAMPLES, TEN, ("colour",), 0),
    ("covariance", TEN, ("enlarge4", "deblur"), 1),
    ("moment", TEN, OPEN, 0),
    ("projection", TEN, SHARP, 1),
    ("covariance", TWENTY, OPEN, 0),
    ("moment", TEN, OPEN, 1),
    (PUBLISHED, "ancestral:steps=20", OPEN, 1),
    (PUBLISHED, "ancestral:steps=100", OPEN, 0),
]
"""What is drawn of each hundred, in this order: a conditioner, a solver, tasks, and which sample of each image.
The linear systems of `projection` do not converge for this blur."""
COMMAND = """python benchmarks/conditioning_features.py cifar10 --data cifar10 --extractor features/cifar10
-n {count} --out benchmarks/results/conditioning-features.md"""
ABOUT = """The features are those of `{source}`, a classifier of {accuracy:.1%} of the {test:,} test images. {count}
test images, {each} of each class, are drawn from what is known of them by the bundled network. FD and KD are to
{others:,} other test images, less those of the {count} images themselves, ± half of the 95 % interval (jackknives); of
real images ± is the standard deviation. Errors are root mean squares per number: of pixels in [-1, 1] over the whole
picture, and of features, of which two unrelated images differ by {unrelated:.2f}. Ratios of spread and error are 1 for
exact samples, as is chroma, the strength of the colours over the true one; both are ratios of sums over images. Where
no solver is named it is `unipc` with the noise predicted. Seeds 0 to {last}."""
Features = Callable[[Tensor], Tensor]
Distance = Callable[[list[Tensor], list[Tensor]], tuple[float, float]]


def balanced(test: Images) -> Tensor:
    """The numbers of the images in an order in which each ten have all classes, (N,)."""
    assert test.labels is not None
    own = [(test.labels == kind).nonzero()[:, 0] for kind in test.labels.unique()]
    order = [part[permutation(len(part), stream(0, "class", k))] for k, part in enumerate(own)]
    return torch.stack([part[: min(map(len, own))] for part in order], 1).flatten()


def above(metric: Metric, reference: Any, sets: list[Tensor], others: list[Tensor]) -> tuple[float, float]:
    """How much farther from the reference sets of features are than others, and half of its 95 % interval."""
    image = torch.arange(len(sets[0]))

    def mean(group: list[Tensor]) -> tuple[float, Tensor]:
        left = [torch.tensor(metric.leave_out(x, image, reference), dtype=torch.float64) for x in group]
        return fmean(metric.values(x, reference)[0] for x in group), torch.stack(left).mean(0)

    (value, left), (other, left_of_others) = mean(sets), mean(others)
    scale = float(stdtrit(len(image) - 1, 0.975)) * math.sqrt(len(image) - 1)
    return value - other, scale * float((left - left_of_others).std(correction=0))


def simple(task: str, truth: Tensor) -> tuple[str, Tensor]:
    """What takes no model, (N, 3, 32, 32)."""
    y = TASKS[task].forward(truth)
    if isinstance(TASKS[task], Luma):
        return "(grey)", y.expand_as(truth)
    if task == "hole":
        return "(a membrane: Laplace's equation)", membrane(y, HOLE.bool())
    return ("(bicubic)", resized(y, (32, 32))) if task == "enlarge4" else ("(as it is)", y)


def found(name: str, task: str, what: str, how: str, truth: Tensor, folder: Path) -> tuple[list[Tensor], Tensor | None]:
    """The sets of samples that are there for as many images, whole hundreds, and what a sample cost."""
    sets, cost = list[Tensor](), None
    for k in (0, 1):
        parts = list[Tensor]()
        for first in range(0, len(truth), BATCH):
            path = place(name, what, how, task, truth[first : first + BATCH], k, first, folder)
            if not path.exists():
                break
            kept = load_file(path)
            parts.append(kept["x"])
            cost = kept["cost"]
        x = torch.cat(parts) if parts else torch.empty(0)
        x = x[: len(x) // 100 * 100]
        if len(x) and (not sets or len(x) == len(sets[0])):
            sets.append(x)
    return sets, cost


def judged(sets: list[Tensor], truth: Tensor, base: list[Tensor], features: Features, far: dict[str, Distance]) -> Any:
    """The figures of one row, each with half of its interval; samples and those of `base` uint8, truth in [-1, 1]."""
    n = len(sets[0])
    seen, true = [features(x) for x in sets], features(sheets.to_uint8(truth[:n]))
    row: dict[str, Any] = {"n": n, "k": len(sets)}
    row |= {key: distance(seen, [true]) for key, distance in far.items()}
    if base and len(base[0]) >= n:
        row |= {f"{key} over": distance(seen, [features(x[:n]) for x in base]) for key, distance in far.items()}
    x = torch.stack(sets, 1).float() / 127.5 - 1
    pixels = {**strengths(x, truth[:n]), **spreads(x.flatten(2), truth[:n].flatten(1))}
    both = {"pixels": pixels, "features": spreads(torch.stack(seen, 1).double(), true.double())}
    asked = ["error of a sample"] + ["error of the mean", "spread/error, pooled"] * (len(sets) > 1)
    for where, s in both.items():
        for figure in asked + ["chroma, pooled"] * (where == "pixels"):
            row[f"{figure.removesuffix(', pooled')}, {where}"] = float(FIGURES[figure](s)), half(FIGURES[figure], s)
    return row


COLUMNS = {
    "fd": "FD above real",
    "fd over": "FD above `covariance`, 11",
    "kd": "KD above real",
    "kd over": "KD above `covariance`, 11",
    "error of a sample, features": "error of a sample, features",
    "spread/error, features": "spread/error, features",
    "error of a sample, pixels": "error of a sample, pixels",
    "error of the mean, pixels": "of the mean, pixels",
    "spread/error, pixels": "spread/error, pixels",
    "chroma, pixels": "chroma",
}


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The rows of a task; a method whose solver is not named has the one of the text above."""
    yield f"| method | evaluations | images x samples | {' | '.join(COLUMNS.values())} |"
    yield "|---" * (len(COLUMNS) + 3) + "|"
    for row in rows:
        cost = "" if row["cost"] is None else str(row["cost"][0])
        if row["cost"] and row["cost"][1]:
            cost += f" + {row['cost'][1]} backward"
        cells = [row["method"], cost, f"{row['n']} x {row['k']}"]
        for key in COLUMNS:
            sign, digits = "+" * (key[:2] in ("fd", "kd")), 4 if key.startswith("kd") else 3
            cells.append(f"{row[key][0]:{sign}.{digits}f} ± {row[key][1]:.{digits}f}" if any(row.get(key, ())) else "")
        yield f"| {' | '.join(cells)} |"


@click.command(help=__doc__)
@click.argument("model")
@click.option("--data", "name", required=True, help="Image set of the model, as NAME:KEY=VALUE,...")
@click.option("--extractor", required=True, help="Folder of the classifier whose features are taken.")
@click.option("-n", "count", default=100, show_default=True, help="Images: a multiple of a hundred.")
@click.option("-m", "others", default=5000, show_default=True, help="Real images that they are compared with.")
@click.option("--report", is_flag=True, help="Draws nothing: the tables of what is there.")
@click.option("--store", "folder", default="conditioning", type=click.Path(path_type=Path), help="Folder of samples.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File of the tables, and rows and sheets.")
def main(model: str, name: str, extractor: str, count: int, others: int, report: bool, folder: Path, out: Path) -> None:
    test = data.parse(name).load("test")
    assert isinstance(test, Images)
    order = balanced(test)
    truth, pixels = test.scaled(order[:count]), test.pixels[order]
    for hundred, (what, how, tasks, k) in [] if report else product(range(0, count, 100), PLAN):
        for task, first in product(tasks, range(hundred, hundred + 100, BATCH)):
            drawn(model, what, how, task, truth[first : first + BATCH], k, first, folder)
            click.echo(f"{task}: sample {k} of {what} by {how} from {first} on", err=True)
    judges = {key: metrics.make(f"{key}:extractor={extractor}", Metric) for key in ("fd", "kd")}
    features = judges["fd"].features
    every = features(pixels)
    references = {key: metric.prepare(every[-others:], 0) for key, metric in judges.items()}

    def far(key: str) -> Distance:
        return lambda sets, others: above(judges[key], references[key], sets, others)

    def row(task: str, method: str, cost: Tensor | None, sets: list[Tensor]) -> dict[str, Any]:
        own = judged(sets, truth, found(model, task, *PLAN[0][:2], truth, folder)[0], features, distances)
        return {"task": task, "method": method, "cost": None if cost is None else cost.tolist(), **own}

    distances, rows, tables = {key: far(key) for key in judges}, list[dict[str, Any]](), list[str]()
    out.with_suffix("").mkdir(parents=True, exist_ok=True)
    for task, title in TITLES.items():
        label, x = simple(task, truth)
        own, shown = [row(task, label, None, [sheets.to_uint8(x)])], {"real": truth[:SHOWN], label: x[:SHOWN]}
        for what, how in dict.fromkeys((what, how) for what, how, _, _ in PLAN):
            sets, cost = found(model, task, what, how, truth, folder)
            if sets:
                method = f"`{what}`" + ("" if how in (TEN, TWENTY) else f", `{how}`")
                own.append(row(task, method, cost, sets))
                evaluations = "" if cost is None else f", {int(cost[0])}"
                shown[what.split(":")[0] + evaluations] = sets[0][:SHOWN].float() / 127.5 - 1
        rows += own
        tables += [f"{title}:", "", *table([r for r in own if SAMPLES not in r["method"]]), ""]
        sheets.save(sheets.labelled(shown, zoom=2), out.with_suffix("") / f"{task}.png")
    draws = [x for x in every[count:-others].split(count) if len(x) == count]
    real = dict[str, Any](task="none", method=f"(other real images, {len(draws)} draws)", cost=None, n=count, k=1)
    for key, metric in judges.items():
        measured, *rest = (metric.values(x, references[key])[0] for x in (every[:count], *draws))
        real[key] = fmean(rest) - measured, stdev(rest)
    rows.insert(0, real)
    free = [{k: r[k] for k in real} for r in rows if SAMPLES in r["method"]]
    tables = ["Without a measurement:", "", *table([real, *free]), "", *tables]
    files.write_text(out.with_suffix(".jsonl"), "".join(json.dumps(r) + "\n" for r in rows))
    about = {"source": judges["fd"].source(), "accuracy": files.read_json(Path(extractor) / CONFIG)["held_out"]}
    about |= {"test": len(every), "count": count, "each": count // CLASSES, "others": others}
    about |= {"unrelated": float((2 * every.var(0).mean()).sqrt()), "last": 10_000 + count - 1}
    write(out, "Conditioners in the features of a classifier", COMMAND.format(**about), ABOUT.format(**about), tables)
    click.echo(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
