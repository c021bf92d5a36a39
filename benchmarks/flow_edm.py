"""The noise, the straight flow and the preconditioned data: trained with equal network, images and batch.

    OMP_NUM_THREADS=1 python benchmarks/flow_edm.py --out benchmarks/results/flow-edm.md

Each row that is measured goes into a file beside the table, and is not measured again.
"""

import math
import tempfile
import time
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch
from short import Rows, interval
from sklearn.datasets import make_moons

import scoresde
from scoresde.core.provenance import versions
from scoresde.core.random import generators
from scoresde.data import data
from scoresde.images.sheets import to_uint8
from scoresde.likelihood import Exact, log_likelihood, nll
from scoresde.metrics import metrics
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers
from scoresde.training.config import parse

STD = {"moons": 1.0, "digits": 0.75}
"""Standard deviation of the data as the network sees them."""
RK = solvers["rk45"](tol=1e-3)
"""Of the likelihoods."""
FIRST = 0.0025
"""σ/α at which the data are placed for the likelihood, in all arms."""
TRAIN = {
    "moons": {
        "images": 300_000,
        "batch": 500,
        "learning_rate": 4e-3,
        "optimizer": "adamw",
        "weight_decay": 0.1,
        "warmup": 10_000,
        "decay": 1.0,
        "ema": 25_000,
    },
    "digits": {"images": 60_000, "batch": 128, "learning_rate": 1e-3, "warmup": 5_000, "decay": 0.5, "ema": 5_000},
}
NETWORK = {
    "moons": {"name": "mlp", "width": 64, "blocks": 3},
    "digits": {"name": "unet", "channels": 8, "multipliers": [1, 3], "blocks": 2, "attention": []},
}


def arms(what):
    """Process, prediction, times and label of each arm; those of EDM for data of deviation ½ are moved to s."""
    s = STD[what]
    edm = {"predicts": f"edm:data_std={s}", "weighting": f"edm:data_std={s}", "label": "log-sigma"}
    edm["times"] = f"log-normal:mean={-1.2 + math.log(2 * s):.3f}"
    flow = {"predicts": "flow", "label": "scaled:scale=1000"}
    wide = {"name": "ve", "sigma_min": 0.002, "sigma_max": 80.0}
    return {
        "eps on vp": ({"name": "vp"}, {"predicts": "eps"}),
        "v on vp": ({"name": "vp"}, {"predicts": "v"}),
        "flow, uniform": ({"name": "flow"}, flow),
        "flow, logit-normal": ({"name": "flow"}, {**flow, "times": "logit-normal"}),
        "edm": (wide, edm),
    }


def trained(what, arm, seed, folder):
    """The averaged model of a training, and its seconds of one core."""
    sde, train = arms(what)[arm]
    quiet = {"log_every": 10**9, "sample_every": 10**9, "save_every": 10**9}
    tables = {"data": {"name": "digits"}, "sde": sde, "network": NETWORK[what]}
    config = parse({**tables, "train": {**TRAIN[what], **train, **quiet, "seed": seed}}, arm)
    points = scoresde.Tensors(make_moons(1000, noise=0.05, random_state=0)[0]) if what == "moons" else None
    began = time.process_time()
    run = scoresde.fit(config, folder, images=points, resume=False, progress=False)
    if run.code:  # a signal ended it: the row would be that of a shorter training
        raise SystemExit(run.code)
    return run.model, time.process_time() - began


def earliest(sde):
    return float(sde.time(torch.tensor([-math.log(FIRST)], dtype=torch.float64)))


def drawn(model, count):
    """`count` samples in the units of the network, and the evaluations of each batch."""
    parts = []
    for first in range(0, count, 500):
        seeds = generators(range(first, first + 500))
        parts.append(sample(model, solvers["adams"](), model.prior(seeds), generator=seeds))
    return torch.cat([part.x for part in parts]), sum(part.nfe for part in parts) / len(parts)


def moons(model):
    held = torch.from_numpy(make_moons(1000, noise=0.05, random_state=1)[0])
    x, nfe = drawn(model, 1000)
    seen, spread = ((held - model.units.centre) / model.units.spread).float(), model.units.spread.double()
    found = log_likelihood(model, seen, divergence=Exact(), solver=RK, eps=earliest(model.sde))
    metric = metrics["sw"]()
    distance = metric.values(x, metric.prepare(seen, 0))[0]
    return {"fd": distance, "nll": float(spread.log().sum() - found.log_prob.mean()), "nfe": nfe}


def digits(model):
    source = data["digits"]()
    real, test = to_uint8(source.load("train").scaled()), source.load("test")
    x, nfe = drawn(model, 1000)
    held = test.drawn(100)
    bits = nll(model, held.pixels, levels=held.levels, solver=RK, eps=earliest(model.sde)).value
    return {"fd": metrics["fd"]().measure(to_uint8(x), real)[0].value, "nll": bits, "nfe": nfe}


def table(rows, seeds):
    units = {"moons": ("sliced distance", "nats"), "digits": ("FD", "bits/dim")}
    lines = []
    for what, (distance, unit) in units.items():
        lines += ["", f"| {what} | trainings | {distance} | NLL, {unit} | NFE | seconds |", "|" + "---|" * 6]
        for arm in arms(what):
            found = [row for row in rows if (row["what"], row["arm"]) == (what, arm) and row["seed"] < seeds]
            cells = [interval([row[key] for row in found]) for key in ("fd", "nll")] if found else ["", ""]
            means = [f"{np.mean([row[key] for row in found]):.0f}" if found else "" for key in ("nfe", "seconds")]
            lines.append(f"| {arm} | " + " | ".join([str(len(found)), *cells, *means]) + " |")
    return lines


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("flow-edm.md"))
@click.option("--seeds", type=int, default=3, show_default=True)
@click.option("--only", type=click.Choice(["moons", "digits"]), help="One set of data.")
def main(out, seeds, only):
    torch.set_num_threads(1)
    rows = Rows(out.with_suffix(".jsonl"))

    def figures(what, arm, seed):
        with tempfile.TemporaryDirectory() as folder:
            model, seconds = trained(what, arm, seed, Path(folder) / "run")
            return {**{"moons": moons, "digits": digits}[what](model), "seconds": seconds}

    for seed in range(seeds):
        for what in [only] if only else STD:
            for arm in arms(what):
                rows.measure({"what": what, "arm": arm, "seed": seed}, partial(figures, what, arm, seed))
    head = ["# The noise, the straight flow and the preconditioned data", "", f"{versions()['versions']}; one thread."]
    out.write_text("\n".join([*head, *table(rows.rows, seeds), ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
