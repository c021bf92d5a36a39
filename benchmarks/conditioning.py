"""Conditioners: how far the law of their samples is from the exact posterior of a mixture.

    python benchmarks/conditioning.py --out benchmarks/results/conditioning.md

On gm192 the posterior given y = A x + noise is a mixture that is known and can be drawn from. For each of some y there
are N samples of a conditioner and N exact draws; SW is the sliced 2-Wasserstein distance between them, and its floor
that of two sets of exact draws. A ratio of 1 is a perfect conditioner with a perfect solver; `oracle` shows what the
solver alone does. The bar is the standard error over the y's. Cost is NFE + 2 vjps.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from scoresde.conditioners import conditioners
from scoresde.conditioners.oracle import PosteriorMixture
from scoresde.covariance import estimate
from scoresde.metrics.sliced import wasserstein
from scoresde.observations import Downsample, LinearObservation, Luma, Pixels
from scoresde.problems import problem
from scoresde.provenance import versions
from scoresde.random import generators, randn, stream
from scoresde.sample import sample
from scoresde.solvers import Solver, solvers

SHAPE = (3, 8, 8)
EXACT = {"error": 0.0, "method": "cg"}


def tasks() -> dict[str, LinearObservation]:
    hole = torch.ones(1, 1, 8, 8)
    hole[..., 2:6, 2:6] = 0
    return {"luma": Luma(noise=0.02), "4x4 hole": Pixels(hole, 0.02), "means of 2x2": Downsample(factor=2, noise=0.02)}


def rows(images: Tensor) -> Iterator[tuple[str, str, dict[str, Any], Solver]]:
    fast, slow = solvers["dpm++"](steps=20), solvers["ancestral"](steps=100)
    full = estimate(images, "full")
    yield "oracle", "", {}, fast
    for kind in ("channel", "dct", "full"):
        yield "covariance", kind, {"covariance": estimate(images, kind)}, fast
    yield "covariance", "full", {"covariance": full}, solvers["dpm++"](steps=10)
    yield "moment", "1 product", EXACT, fast
    yield "moment", "1 product after full", {**EXACT, "covariance": full}, fast
    yield "moment", "3 products after full", {**EXACT, "covariance": full, "products": 3}, fast
    yield "projection", "", {}, fast
    yield "replace", "", {}, fast
    yield "replace", "", {}, slow
    yield "replace", "as published", {"as_published": True}, slow
    yield "dps", "rate 30", {}, slow
    yield "dps", "rate 100", {"rate": 100.0}, solvers["ancestral"](steps=250)


def distance(x: Tensor, y: Tensor) -> float:
    theta = randn((128, 192), stream(0, "directions"), dtype=torch.float64)
    theta = theta / theta.norm(dim=1, keepdim=True)
    a, b = ((theta @ v.flatten(1).T).sort(1).values for v in (x, y))
    return float(wasserstein(a, b, 2).mean().sqrt())


@click.command(help=__doc__)
@click.option("-n", "count", default=512, show_default=True, help="Samples for each y.")
@click.option("--measurements", default=4, show_default=True, help="Different y.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there.")
def main(count: int, measurements: int, out: Path | None) -> None:
    model = problem("gm192")
    chosen = list(rows(model.draw(4000, stream(0, "images"))))
    seen = tasks()
    table: list[list[str]] = [[name, what, f"{s.name} {s.steps}"] for name, what, _, s in chosen]  # type: ignore[attr-defined]
    costs: list[int] = [0] * len(chosen)
    for observation in seen.values():
        ratios: list[list[float]] = [[] for _ in chosen]
        for i in range(measurements):
            truth = model.draw(1, stream(0, "truth", i))
            clean = observation.forward(truth)
            y = clean + observation.noise * randn(clean.shape, stream(0, "error", i), dtype=torch.float64)
            y = y.expand(count, *y.shape[1:])
            posterior = PosteriorMixture(model, observation, y)
            exact = [posterior.draw(count, stream(0, "exact", i, j)) for j in range(4)]
            floor = sum(distance(exact[j], exact[k]) for j, k in ((0, 1), (0, 2), (0, 3))) / 3
            for row, (name, _, options, solver) in enumerate(chosen):
                seeds = generators(range(count))
                around = conditioners[name](**options).condition(model, observation, y, seeds)
                x = around.prior(seeds, dtype=torch.float64)
                done = sample(around, solver, x, generator=seeds)
                ratios[row].append(distance(done.x, exact[0]) / floor)
                costs[row] = done.cost
        for row, values in enumerate(ratios):
            spread = torch.tensor(values).std().item() / math.sqrt(len(values)) if len(values) > 1 else math.nan
            table[row].append(f"{sum(values) / len(values):.2f} ± {spread:.2f}")
        click.echo([(*line[:3], line[-1]) for line in table], err=True)
    lines = [f"| conditioner | options | solver | cost | {' | '.join(seen)} |", "|---" * (4 + len(seen)) + "|"]
    lines += [f"| {' | '.join([*line[:3], str(cost), *line[3:]])} |" for line, cost in zip(table, costs, strict=True)]
    head = (
        "# Conditioners on a mixture with a known posterior\n\n"
        f"SW over its floor on gm192: {count} samples for each of {measurements} measurements, noise 0.02; "
        f"torch {versions()['versions']['torch']} on a CPU.\n"
        f"`python benchmarks/conditioning.py -n {count} --measurements {measurements}`\n\n"
    )
    text = head + "\n".join(lines) + "\n"
    click.echo(text)
    if out:
        out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
