"""What a tuned time grid gains: the error of solvers at few evaluations on their default, best known and tuned grids.

    python benchmarks/tune.py --problem digits --out benchmarks/results/tune-digits.md
    python benchmarks/tune.py --problem gm192 --out benchmarks/results/tune-gm192.md

Errors are root mean squares over the values of a sample, from the end of the process to its earliest time, without the
final denoising. The grids are tuned on noise of other seeds than the errors are taken on. The best known grid is the
best of the registered ones on the very samples that judge, which favours it. Intervals are 95 % bootstrap percentiles
over the samples, of the ratio to the default grid.
"""

import json
import time
from pathlib import Path

import click
import torch
from torch import Tensor

from scoresde import models
from scoresde.bench.problems import problem, reference
from scoresde.bench.tune import Paths, paths, search, tune, with_budget
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import choose, generators, stream
from scoresde.solvers import GridSolver, solvers

TASKS: dict[str, dict[str, object]] = {
    "digits": {
        "budgets": (5, 8, 10),
        "solvers": (
            "euler",
            "dpm++",
            "eab",
            "unipc:prediction=noise",
            "unipc:lower_order_final=true",
        ),
    },
    "gm192": {
        "budgets": (5, 10, 15, 20),
        "solvers": ("euler", "dpm++", "eab", "eab:order=4", "unipc:prediction=noise"),
    },
}
TRAIN, JUDGE = range(1_000_000, 1_000_064), range(2_000_000, 2_000_256)
RESAMPLES = 2000


@torch.no_grad()
def setting(name: str) -> tuple[Paths, Paths, str]:
    """Paths to tune on and to judge on, and a sentence on how exact they are."""
    if name == "digits":
        model = models.load(name)
        given, judge, few = paths(model, TRAIN), paths(model, JUDGE), 16
        finer = solvers.parse("rk45:tol=1e-6").solve(
            models.load(name).double(), judge.noise[:few].double(), start=model.sde.t_max, stop=judge.stop
        )
        apart = (judge.truth[:few] - finer).flatten(1).square().mean(1).sqrt()
        exact = (
            f"The truth is eab on {search.STEPS} steps; rk45 at tolerance 1e-6 in float64 ends {apart.median():.1e} "
            f"from there in the median of {few} samples, {apart.max():.1e} at most."
        )
        return given, judge, exact
    model = problem(name)
    drawn = (
        model.prior(generators(TRAIN), dtype=torch.float64),
        model.prior(stream(1, name), 64, dtype=torch.float64),  # those of benchmarks/solvers.py
    )
    given, judge = (Paths(model, x, reference(model, x, start=1.0, stop=1e-3), 1e-3) for x in drawn)
    return given, judge, "The truth is SciPy's DOP853 at 1e-12; the samples that judge are those of solvers-gm192.md."


def ratio(errors: Tensor, to: Tensor, by: str) -> dict[str, float]:
    """The ratio of two medians or means over the same samples, with its bootstrap interval."""
    rows = choose(torch.ones(len(errors)), RESAMPLES * len(errors), stream(0, "bootstrap")).reshape(RESAMPLES, -1)

    def over(table: Tensor) -> Tensor:
        return table.quantile(0.5, dim=-1) if by == "median" else table.mean(-1)

    again = (over(errors[rows]) / over(to[rows])).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return {"ratio": float(over(errors) / over(to)), "low": float(again[0]), "high": float(again[1])}


def measure(task: GridSolver, nfe: int, given: Paths, judge: Paths) -> dict[str, object]:
    began = time.perf_counter()
    found = tune(task, given)
    seconds = time.perf_counter() - began
    best = search.ranked(task, judge)[0]
    errors = {"default": task, "best known": best, "tuned": found}
    of = {name: judge.errors(solver) for name, solver in errors.items()}
    return {
        "nfe": nfe,
        "best grid": str(best.grid),
        "tuned grid": str(found.grid),
        "seconds": round(seconds, 1),
        "median": {name: float(e.quantile(0.5)) for name, e in of.items()},
        "mean": {name: float(e.mean()) for name, e in of.items()},
        "median ratio": ratio(of["tuned"], of["default"], "median"),
        "mean ratio": ratio(of["tuned"], of["default"], "mean"),
        "median ratio to best": ratio(of["tuned"], of["best known"], "median"),
    }


def line(row: dict) -> str:
    def interval(r: dict) -> str:
        return f"{r['ratio']:.2f} ({r['low']:.2f} to {r['high']:.2f})"

    median, mean = row["median"], row["mean"]
    cells = [
        row["solver"],
        row["nfe"],
        *(f"{median[name]:.2e}" for name in ("default", "best known")),
        row["best grid"],
        f"{median['tuned']:.2e}",
        interval(row["median ratio"]),
        interval(row["median ratio to best"]),
        *(f"{mean[name]:.2e}" for name in ("default", "best known", "tuned")),
        interval(row["mean ratio"]),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


HEAD = """| solver | NFE | median: default | best known | which | tuned | tuned / default | tuned / best known \
| mean: default | best known | tuned | tuned / default |
|---|---|---|---|---|---|---|---|---|---|---|---|"""


@click.command(help=__doc__)
@click.option("--problem", "name", type=click.Choice(sorted(TASKS)), default="digits", show_default=True)
@click.option("--only", multiple=True, help="A solver as text; by default all. Can be given several times.")
@click.option("--nfe", multiple=True, type=int, help="A budget; by default all. Can be given several times.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there, and the rows beside it.")
def main(name: str, only: tuple[str, ...], nfe: tuple[int, ...], out: Path | None) -> None:
    torch.set_num_threads(1)
    given, judge, exact = setting(name)
    environment = ", ".join(f"{key} {value}" for key, value in versions()["versions"].items())
    head = [
        f"# Tuned grids on {name}",
        f"{len(given.noise)} samples to tune on, {len(judge.noise)} to judge, {given.noise.dtype}, one thread, "
        f"{environment}. {exact}",
        " ".join(__doc__.split("\n\n")[2].split()),
    ]
    rows = []
    for text in only or TASKS[name]["solvers"]:
        for budget in nfe or TASKS[name]["budgets"]:
            task = with_budget(solvers.parse(text), budget, given.model.sde)
            rows.append({"solver": text, **measure(task, budget, given, judge)})
            click.echo(line(rows[-1]))
            if out:  # after every row, since the whole takes long
                table = "\n".join([HEAD, *map(line, rows)])
                files.write_text(out, "\n\n".join([*head, table]) + "\n")
                files.write_text(out.with_suffix(".jsonl"), "".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
