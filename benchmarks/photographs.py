"""Colours and fillings of photographs that no model has seen, beside simple ways of making them.

    python benchmarks/photographs.py FOLDER --task colour --model cifar10 --store rows.jsonl
    python benchmarks/photographs.py --store rows.jsonl --out benchmarks/results/photographs.md

The first form adds rows to the store, the second makes their table. Fillings by Telea's method and by Navier-Stokes
are those of OpenCV (opencv-python-headless), where it is installed. Of each photograph a square of 256 pixels is taken.
"""

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import interpolate

from scoresde import models
from scoresde.conditioners import conditioners
from scoresde.core.provenance import versions
from scoresde.core.random import generators, randn, stream
from scoresde.images import pictures, sheets
from scoresde.images.read import read_squares
from scoresde.images.seams import membrane
from scoresde.images.upsample import resized
from scoresde.observations import Luma, observations
from scoresde.posterior import photograph, store
from scoresde.posterior.tasks import Case
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers

BOX, SIZE = (80, 80, 176, 176), 256


def drawn(cases: list[Case], name: str, count: int, steps: int) -> tuple[Tensor, Tensor]:
    """Samples of each case, (N, count, C, h, w), and the pictures that they stand for, (N, count, C, H, W)."""
    model, seen = models.load(name), cases[0].observation
    assert seen is not None
    method = store.fitted(conditioners["covariance"](), name, seen, cases[0].shape)
    y, seeds = torch.cat([case.y for case in cases]), range(len(cases))
    rows = list[Tensor]()
    for i in range(count):
        sources = generators(1000 * i + seed for seed in seeds)
        around = method.condition(model, seen, y, sources)
        rows.append(sample(around, solvers["dpm++"](steps=steps), around.prior(sources), generator=sources).x)
    x = torch.stack(rows, 1)
    finished = [case.finish(own) for case, own in zip(cases, x, strict=True) if case.finish]
    return x, torch.stack(finished)


def simple_colours(truth: Tensor) -> dict[str, Tensor]:
    """Colours without a model: none, and the mean colour of the photograph itself, which nobody knows."""
    luma = Luma().forward(truth)
    return {
        "none: grey": luma.expand_as(truth),
        "the mean colour of the photograph itself": luma + (truth - luma).mean((2, 3), keepdim=True),
    }


def simple_fillings(truth: Tensor, known: Tensor) -> dict[str, Tensor]:
    """Fillings without a model, (N, C, H, W)."""
    nearest = distance_transform_edt((~known).numpy(), return_distances=False, return_indices=True)
    mean = (truth * known).sum((2, 3), keepdim=True) / known.sum()
    found = {
        "the nearest known pixel": truth[:, :, nearest[0], nearest[1]],
        "the mean colour of what is known": torch.where(known, truth, mean),
        "a membrane (Laplace's equation)": membrane(truth, known),
    }
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        return found
    hole = (~known).numpy().astype(np.uint8)
    for name, flag in (("Telea (OpenCV)", cv2.INPAINT_TELEA), ("Navier-Stokes (OpenCV)", cv2.INPAINT_NS)):
        each = [cv2.inpaint(np.asarray(sheets.single(x))[..., ::-1].copy(), hole, 5, flag)[..., ::-1] for x in truth]
        found[name] = torch.stack([pictures.scaled(Image.fromarray(x.copy())) for x in each])
    return found


def restored(truth: Tensor, names: tuple[str, ...], steps: int) -> Iterator[tuple[str, Tensor]]:
    """The middle 32x32 pixels, blurred, noisy or reduced: what is left, and a sample of each model, (N, C, 32, 32)."""
    for text in ("blur:sigma=1.5", "noisy:noise=0.2", "downsample:factor=4"):
        seen = observations.parse(text)
        y = seen.forward(truth)
        y = y + seen.noise * randn(y.shape, stream(0, "noise"))
        yield f"{text}: as it is" if y.shape == truth.shape else f"{text}: bicubic", resized(y, (32, 32))
        for name in names:
            model, sources = models.load(name), generators(range(len(truth)))
            method = store.fitted(conditioners["covariance"](), name, seen)
            around = method.condition(model, seen, y, sources)
            x = sample(around, solvers["dpm++"](steps=steps), around.prior(sources), generator=sources).x
            yield f"{text}: {name}, a sample", x


def errors(found: Tensor, truth: Tensor, where: Tensor) -> list[float]:
    """Root mean square error of each picture, (N, C, H, W), where it counts, in [-1, 1]."""
    wrong: list[float] = (found - truth).square().mean(1)[:, where].mean(1).sqrt().tolist()
    return wrong


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--task", type=click.Choice(["colour", "fill", "restore"]), default="colour")
@click.option("--model", "names", multiple=True, default=["cifar10"])
@click.option("-n", "count", type=int, default=2, help="Samples of each photograph.")
@click.option("--every", type=int, default=1, help="Takes one photograph in so many.")
@click.option("--steps", type=int, default=10)
@click.option("--store", "file", required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path))
def main(
    folder: Path | None, task: str, names: tuple[str, ...], count: int, every: int, steps: int, file: Path, out: Path
) -> None:
    """Measures one task with one model, or makes the table of what was measured."""
    if out:
        out.write_text(table([json.loads(line) for line in file.read_text().splitlines()]))
    if folder is None:
        return
    truth = read_squares(pictures.found([folder])[::every], SIZE, 3)
    if task == "restore":
        middle, whole = truth[:, :, 112:144, 112:144], torch.ones(32, 32, dtype=torch.bool)
        result = {name: errors(x, middle, whole) for name, x in restored(middle, names, steps)}
        return keep(file, task, result, steps)
    known = torch.ones(SIZE, SIZE, dtype=torch.bool)
    make: Callable[[Image.Image], Case]
    if task == "colour":
        make, where = (lambda picture: photograph.coloured(picture, (3, 32, 32))), known
        rows = simple_colours(truth)
    else:
        known = pictures.box_known(BOX, (SIZE, SIZE))
        make, where = (lambda picture: photograph.filled(picture, known, (3, 32, 32))), ~known
        rows = simple_fillings(truth, known)
    result = {name: errors(x, truth, where) for name, x in rows.items()}
    for name in names:
        x, finished = drawn([make(sheets.single(image)) for image in truth], name, count, steps)
        each = [errors(finished[:, i], truth, where) for i in range(count)]
        result[f"{name}, a sample"] = np.mean(each, 0).tolist()
        result[f"{name}, the mean of {count}"] = errors(finished.mean(1), truth, where)
        if task == "colour":
            first = x[:, 0]
            chroma = interpolate(first - Luma().forward(first), size=(SIZE, SIZE), mode="nearest")
            plain = Luma().forward(truth) + chroma
            result[f"{name}, a sample, enlarged without a guide"] = errors(plain, truth, where)
    keep(file, task, result, steps)


def keep(file: Path, task: str, result: dict[str, list[float]], steps: int) -> None:
    """Adds the errors of each way to the store."""
    with file.open("a") as opened:
        for name, error in result.items():
            row = {"task": task, "way": name, "errors": error, "steps": steps, **versions()}
            opened.write(json.dumps(row) + "\n")


def many(last: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """The same with the error of the mean of infinitely many samples, which that of n and of one leave: e² + v/n."""
    found = dict(last)
    for way, e in last.items():
        name, _, count = way.partition(", the mean of ")
        if count:
            n = int(count)
            square = (n * e**2 - last[f"{name}, a sample"] ** 2) / (n - 1)
            found[f"{name}, the mean of many, extrapolated"] = np.sqrt(np.maximum(square, 0))
    return found


def table(rows: list[dict[str, object]]) -> str:
    """The table of the rows, of each way the last one."""
    lines = list[str]()
    for task, title in (("colour", "Colours"), ("fill", "Fillings of 96x96 pixels"), ("restore", "Middles of 32x32")):
        last = many({str(row["way"]): np.array(row["errors"]) for row in rows if row["task"] == task})
        if last:
            count = len(next(iter(last.values())))
            lines += [f"| {title}, {count} photographs | error |", "|---|---|"]
            half = 1.96 / count**0.5
            lines += [f"| {way} | {e.mean():.3f} ± {half * e.std(ddof=1):.3f} |" for way, e in last.items()] + [""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
