"""Work against precision on analytic problems: the error of every solver at given numbers of evaluations.

    python benchmarks/solvers.py --problem gm192 --out benchmarks/results/solvers-gm192.md

The truth is SciPy's DOP853 at 1e-12 in another variable. The same noise goes through every solver in float64, from
t = 1 to t = 1e-3, without the final denoising. Errors are root mean squares over the values of a sample: their median
over the samples, and their root mean square over the samples, which one sample that ends in another mode dominates.
"""

import json
import time
from pathlib import Path

import click
import torch
from torch import Tensor

from scoresde import checkpoint
from scoresde.gaussian import GaussianMixtureModel
from scoresde.model import Evaluations, ObservedModel
from scoresde.problems import PROBLEMS, problem, reference
from scoresde.provenance import versions
from scoresde.random import stream
from scoresde.solvers import AdaptiveSolver, GridSolver, Solver, solvers

BUDGETS = (5, 10, 15, 20, 30, 50, 100)
TOLERANCES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5)
SAMPLES = {"gm2": 256, "gm192": 64}
STOP = 1e-3


def measure(solver: Solver, model: GaussianMixtureModel, x: Tensor, truth: Tensor) -> dict[str, object]:
    count, info = Evaluations(), dict[str, float]()
    began = time.perf_counter()
    found = solver.solve(ObservedModel(model, count), x, start=1.0, stop=STOP, info=info)
    error = (found - truth).flatten(1).square().mean(1).sqrt()
    own = info["steps"] + info["rejected"] if "rejected" in info else None
    return {
        "solver": solver.name,
        "options": {k: v for k, v in solver.model_dump().items() if k in type(solver).model_fields},
        "nfe": count.calls,
        "steps per sample": own,
        "median": float(error.median()),
        "rms": float(error.square().mean().sqrt()),
        "seconds": round(time.perf_counter() - began, 3),
    }


def fixed(cls: type[Solver], model: GaussianMixtureModel, x: Tensor, truth: Tensor) -> list[dict[str, object]]:
    """Every example of a fixed-grid solver at every budget, with as many steps as the budget allows."""
    rows = []
    for options in ({}, *cls.examples):
        if cls(**options).noisy:
            continue
        per_step = Evaluations()
        cls(steps=2, **options).solve(ObservedModel(model, per_step), x[:1], start=1.0, stop=STOP)
        for budget in BUDGETS:
            steps = max(1, budget // max(1, per_step.calls // 2))
            rows.append({**measure(cls(steps=steps, **options), model, x, truth), "budget": budget})
    return rows


def adaptive(cls: type[Solver], model: GaussianMixtureModel, x: Tensor, truth: Tensor) -> list[dict[str, object]]:
    """Every example of an adaptive solver at every tolerance, with one number for both."""
    return [
        {**measure(cls(tol=tol, atol=tol, **options), model, x, truth), "tol": tol}
        for options in ({}, *cls.examples)
        for tol in TOLERANCES
    ]


def label(row: dict[str, object]) -> str:
    defaults = solvers[str(row["solver"])]().model_dump()
    own = {k: v for k, v in row["options"].items() if k not in ("steps", "tol", "atol") and v != defaults[k]}
    return " ".join([str(row["solver"]), *(f"{k}={v}" for k, v in own.items())])


def tables(rows: list[dict[str, object]]) -> str:
    """Two tables: median error at each budget, and (evaluations: median error) at each tolerance."""
    lines = ["| fixed grid, median error at NFE | " + " | ".join(map(str, BUDGETS)) + " |"]
    lines.append("|---|" + "---|" * len(BUDGETS))
    grids: dict[str, list[str]] = {}
    steps: dict[str, list[str]] = {}
    for row in rows:
        if "budget" in row:
            mark = "" if row["nfe"] == row["budget"] else f" ({row['nfe']})"
            grids.setdefault(label(row), []).append(f"{row['median']:.1e}{mark}")
        else:
            own = row["steps per sample"]
            spent = f"{row['nfe']}" if own is None else f"{own:.0f} / {row['nfe']}"
            steps.setdefault(label(row), []).append(f"{spent}: {row['median']:.1e}")
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in grids.items()]
    lines += ["", "| adaptive, steps tried per sample / NFE of the batch: median error at tol | "
              + " | ".join(f"{tol:g}" for tol in TOLERANCES) + " |"]  # fmt: skip
    lines.append("|---|" + "---|" * len(TOLERANCES))
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in steps.items()]
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--problem", "name", type=click.Choice(sorted(PROBLEMS)), default="gm192", show_default=True)
@click.option("--only", multiple=True, help="A solver; all by default. Can be given several times.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there, and the rows beside it.")
def main(name: str, only: tuple[str, ...], out: Path | None) -> None:
    torch.set_num_threads(1)
    model = problem(name)
    x = model.prior(stream(1, name), SAMPLES[name], dtype=torch.float64)
    truth = reference(model, x, start=1.0, stop=STOP)
    rows: list[dict[str, object]] = []
    for cls in solvers.all().values():
        if (only and cls.name not in only) or cls.stochastic:
            continue
        if issubclass(cls, GridSolver):
            rows += fixed(cls, model, x, truth)
        elif issubclass(cls, AdaptiveSolver):
            rows += adaptive(cls, model, x, truth)
        click.echo(cls.name, err=True)
    text = tables(rows)
    click.echo(text)
    if out:
        environment = ", ".join(f"{key} {value}" for key, value in versions()["versions"].items())
        head = [
            f"# Work and precision on {name}",
            f"{SAMPLES[name]} samples, seed 1, float64, one thread, {environment}.",
        ]
        checkpoint.write_text(out, "\n\n".join([*head, " ".join(__doc__.split("\n\n")[2].split()), text]) + "\n")
        checkpoint.write_text(out.with_suffix(".jsonl"), "".join(json.dumps(row, default=str) + "\n" for row in rows))


if __name__ == "__main__":
    main()
