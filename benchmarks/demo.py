"""The main job end to end: train on real digits, sample with every solver, compare with held-out digits.

    python benchmarks/demo.py --out demo

It trains what `scoresde train digits` trains (or goes on with an unfinished run in the folder), draws the same 100
seeds with every registered solver, fills in and enlarges digits that the network has not seen, and computes their
likelihood. It writes a table and sheets of all that, and the nearest training images.
"""

# ruff: noqa: E402  # how threads wait is chosen before torch is imported
import os
import statistics
import time
from pathlib import Path

from scoresde.core.threads import share_threads, take_free, times

BEGUN = share_threads(os.environ)

import click
import torch
from torch import Tensor

import scoresde
from scoresde import models
from scoresde.commands.train import train
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import generators, permutation, stream
from scoresde.data import data
from scoresde.images import sheets
from scoresde.metrics import metrics
from scoresde.models.network import NetworkModel
from scoresde.sampling.progress import progress_bar
from scoresde.sampling.sample import Samples, sample
from scoresde.solvers import Solver, solvers

N = 100
SEED = 0
DRAWS = 20
LARGE = 1000
LIKELIHOOD = 32
OPTIONS = {"reverse-diffusion": {"steps": 250}, "ancestral": {"steps": 250}}
"""Where the default is not what is shown: at em's thousand steps these two differ little from it."""
SHOWN = ("steps", "tol", "method")
ZOOM = 6
DISTANCE = metrics["pixel-frechet"]()


def draw(model: NetworkModel, solver: Solver, count: int) -> Samples:
    sources = generators(range(SEED, SEED + count))
    return sample(model, solver, model.prior(sources), generator=sources)


def distance_of(x: Tensor, reference: Tensor) -> float:
    return DISTANCE.measure(sheets.to_uint8(x), sheets.to_uint8(reference))[0].value


def floor(train_images: Tensor, held_out: Tensor, count: int) -> tuple[float, float]:
    """Mean and standard deviation of the distance of `count` real training images from the held-out ones."""
    distances = []
    for draw_number in range(DRAWS):
        chosen = permutation(len(train_images), stream(SEED, "floor", draw_number))[:count]
        distances.append(distance_of(train_images[chosen], held_out))
    return statistics.mean(distances), statistics.stdev(distances)


def nearest(x: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Root mean square distance to, and index of, the nearest image of the reference, (B,) each."""
    gaps = torch.cdist(x.flatten(1), reference.flatten(1)) / x[0].numel() ** 0.5
    least = gaps.min(dim=1)
    return least.values, least.indices


def compare(model: NetworkModel, train_images: Tensor, held_out: Tensor, out: Path) -> list[dict[str, object]]:
    """Samples with every solver; a row of the table for each, and the contact sheet."""
    mean, spread = floor(train_images, held_out, N)
    rows, drawn = [], {"real, held out": held_out[:10], "real, trained on": train_images[:10]}
    shown = {name: cls for name, cls in solvers.all().items() if name != "linear"}  # which is euler without weights
    with progress_bar(len(shown), desc="solvers", unit="solver") as bar:
        for name, cls in shown.items():
            bar.set_postfix_str(name)
            solver = cls(**OPTIONS.get(name, {}))
            result = draw(model, solver, N)
            x = result.x.clamp(-1, 1)
            distance = distance_of(x, held_out)
            sheets.save(sheets.sheet(x, 10, zoom=ZOOM), out / f"{name}.png")
            drawn[name] = x[:10]
            rows.append(
                {
                    "solver": name,
                    "options": " ".join(f"{k}={v}" for k, v in solver.model_dump().items() if k in SHOWN),
                    "NFE": result.nfe,
                    "seconds": round(result.seconds, 2),
                    "N": N,
                    "FD": round(distance, 3),
                    "FD / floor": round(distance / mean, 2),
                }
            )
            bar.update()
    rows.append({"solver": "real images", "N": N, "FD": f"{mean:.3f} ± {spread:.3f}", "FD / floor": 1.0})
    result = draw(model, solvers["dpm"](), LARGE)
    mean, spread = floor(train_images, held_out, LARGE)
    distance = distance_of(result.x, held_out)
    large = {"N": LARGE, "FD": round(distance, 3), "FD / floor": round(distance / mean, 2)}
    cost = {"NFE": result.nfe, "seconds": round(result.seconds, 2)}
    rows.append({"solver": "dpm", "options": "tol=0.05", **cost, **large})
    rows.append({"solver": "real images", "N": LARGE, "FD": f"{mean:.3f} ± {spread:.3f}", "FD / floor": 1.0})
    sheets.save(sheets.labelled(drawn, zoom=ZOOM), out / "sheet.png")
    return rows


def memorising(model: NetworkModel, train_images: Tensor, held_out: Tensor, out: Path) -> dict[str, float]:
    """Ten samples beside their nearest training images, and how near they are where real unseen digits are not."""
    x = draw(model, solvers["dpm"](), N).x.clamp(-1, 1)
    distances, index = nearest(x, train_images)
    pairs = {"sample": x[:10], "nearest trained on": train_images[index[:10]]}
    sheets.save(sheets.labelled(pairs, zoom=ZOOM), out / "nearest.png")
    return {
        "sample to nearest training image (rms)": round(float(distances.mean()), 4),
        "held-out digit to nearest training image (rms)": round(float(nearest(held_out, train_images)[0].mean()), 4),
        "smallest over the samples": round(float(distances.min()), 4),
    }


def conditioned(model: NetworkModel, train_images: Tensor, held_out: Tensor, out: Path) -> dict[str, str]:
    """Ten digits that the network has not seen, filled in and enlarged by the network that was trained for neither.

    The error is that of the values that were not measured, root mean square, beside that of the mean digit of training.
    """
    truth, mean_digit = held_out[:10], train_images.mean(0)
    known, half = torch.ones(8, 8, dtype=torch.bool), scoresde.Downsample(factor=2)
    known[4:] = False
    small = half.forward(truth)
    tasks = {
        "lower half hidden": (scoresde.Pixels(known), truth, truth.where(known, 0.0), ~known),
        "enlarged by 2": (half, small, small.repeat_interleave(2, -1).repeat_interleave(2, -2), torch.ones_like(known)),
    }
    found, rows = {}, {"not seen in training": truth}
    for name, (observation, y, seen, judged) in tasks.items():
        drawn = scoresde.sample(scoresde.condition(model, observation, y), n=30, steps=10)
        x = drawn.x.unflatten(0, (3, 10))
        rows |= {name: seen, f"{name}: sample 1": x[0], f"{name}: sample 2": x[1]}
        errors = {"a sample": x - truth, "the mean of three": x.mean(0) - truth, "the mean digit": mean_digit - truth}
        rms = {which: float(error[..., judged].square().mean().sqrt()) for which, error in errors.items()}
        words = ", ".join(f"{value:.3f} for {which}" for which, value in rms.items())
        found[f"{name}, rms error after {drawn.nfe:g} evaluations"] = words
    sheets.save(sheets.labelled(rows, zoom=ZOOM), out / "conditioned.png")
    return found


def likelihood(run: Path) -> dict[str, str]:
    """Bits per dimension of digits that the network has not seen, with the standard error."""
    nll = scoresde.bits_per_dim(run, n=LIKELIHOOD, solver="rk45:tol=1e-3")
    return {f"bits/dim of {LIKELIHOOD} digits not seen in training": f"{nll.value:.3f} ± {nll.standard_error:.3f}"}


def markdown(rows: list[dict[str, object]]) -> str:
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(str(row.get(c, "")) for c in columns) + " |" for row in rows])


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
def main(out: Path) -> None:
    began = time.perf_counter()
    if few := take_free(BEGUN, times()):
        click.echo(f"Other programs keep the processors busy: threads = {few}.", err=True)
    run = out / "run"
    train.main(["digits", "--out", str(run), "--device", "cpu", "--resume", "auto"], standalone_mode=False)
    trained = time.perf_counter() - began
    model = models.load(run)
    train_images, held_out = (data["digits"]().load(split).scaled() for split in ("train", "test"))
    rows = compare(model, train_images, held_out, out)
    near = memorising(model, train_images, held_out, out)
    unseen = conditioned(model, train_images, held_out, out) | likelihood(run)
    table = markdown(rows)
    seconds = {"training": round(trained, 1), "in all": round(time.perf_counter() - began, 1)}
    record = {
        "rows": rows,
        "memorising": near,
        "not seen in training": unseen,
        "seconds": seconds,
        "seed": SEED,
        "held out": len(held_out),
        **versions(),
    }
    files.write_json(out / "results.json", record)
    text = [
        "# Digits by every solver",
        f"FD: squared Frechet distance in pixel space of N samples (seeds from {SEED}) from {len(held_out)} held-out "
        f"digits; floor: the same of N training digits, mean ± sd of {DRAWS} draws. "
        f"Trained in {seconds['training']} s, all in {seconds['in all']} s.",
        table,
        "\n".join(f"- {name}: {value}" for name, value in (near | unseen).items()),
    ]
    files.write_text(out / "table.md", "\n\n".join(text) + "\n")
    click.echo("\n" + "\n\n".join(text[1:]))
    click.echo(f"\nPictures: {out}/sheet.png, {out}/nearest.png, {out}/conditioned.png and one sheet per solver.")


if __name__ == "__main__":
    main()
