"""What `scoresde tune` gains: learned weights and times beside tuned times alone, and the best untuned solver.

    python benchmarks/tune.py --cache /some/folder --out benchmarks/results/tuned-digits.md

Errors are root mean squares over the values of a sample, from the end of the process to its earliest time, without the
final denoising, on noise that nothing was tuned on. FD is that of 1024 samples, denoised for one more evaluation, from
the training digits, in the features of the bundled classifier, and ± the half-width of its jackknife. `searched` has
tuned times alone, of `unipc:order=2,lower_order_final=true`: those that a search without derivatives found (COBYQA
from the best named grid, 150 grids on 64 noises), at the price of 9,600 rows per evaluation; learning takes as many, if
a backward pass counts for two forward ones. `converged` is `adams:tol=1e-5`.
"""

from pathlib import Path

import click
import torch
from short import Rows, distance
from torch import Tensor

from scoresde import models
from scoresde.bench.tune import Paths, learn, paths
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import choose, stream
from scoresde.models.base import ScoreModel
from scoresde.solvers import solvers
from scoresde.solvers.few_steps import kind_of, of_steps

BUDGETS = (4, 5, 8)
TRAIN, JUDGE = range(1_000_000, 1_000_256), range(2_000_000, 2_000_256)
TEACHER = 100
"""Steps of the reference on the noise to learn from; on that to judge with they are those of `scoresde tune`."""
SAMPLES, RESAMPLES = 1024, 2000
SEARCHED: dict[int, str] = {
    4: "unipc:steps=4,order=2,lower_order_final=true,grid=list:at=0.605776/0.328166/0.0965380",
    5: "unipc:steps=5,order=2,lower_order_final=true,grid=list:at=0.699532/0.457384/0.224067/0.0717210",
    8: "unipc:steps=8,lower_order_final=true,grid=list:at="
    "0.832372/0.559716/0.412661/0.282785/0.154675/0.0910208/0.0350817",
}
"""Tuned times alone, for each number of evaluations."""


def kept(cache: Path, name: str, model: ScoreModel, seeds: range, **options: int) -> Paths:
    """Paths from a file in the cache, which is made if it is not there."""
    file = cache / f"{name}.pt"
    if not file.exists():
        made = paths(model, seeds, **options)
        cache.mkdir(parents=True, exist_ok=True)
        torch.save(made[1:], file)
    return Paths(model, *torch.load(file))


def interval(errors: Tensor, to: Tensor) -> list[float]:
    """The ratio of two medians over the same samples, with its 95 % bootstrap interval."""
    rows = choose(torch.ones(len(errors)), RESAMPLES * len(errors), stream(0, "bootstrap")).reshape(RESAMPLES, -1)
    again = errors[rows].quantile(0.5, dim=1) / to[rows].quantile(0.5, dim=1)
    low, high = again.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return [float(errors.quantile(0.5) / to.quantile(0.5)), low, high]


def table(rows: list[dict]) -> str:
    """The rows as a table."""
    lines = ["| NFE | way | median error | of the searched | mean error | FD | solver |", f"|{'---|' * 7}"]
    for row in rows:
        ratio = "{:.2f} ({:.2f} to {:.2f})".format(*row["ratio"]) if row.get("ratio") else ""
        errors = [f"{row[key]:.4f}" if key in row else "" for key in ("median", "mean")]
        cells = [row["nfe"], row["way"], errors[0], ratio, errors[1], f"{row['fd']:.2f} ± {row['half']:.2f}"]
        lines.append("| " + " | ".join(map(str, [*cells, f"`{row['solver']}`"])) + " |")
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--nfe", multiple=True, type=int, default=BUDGETS, help="A budget. Can be given several times.")
@click.option("--cache", type=click.Path(path_type=Path), required=True, help="Where the reference's ends are kept.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where the table goes, beside its rows.")
def main(nfe: tuple[int, ...], cache: Path, out: Path) -> None:
    torch.set_num_threads(1)
    model = models.load("digits")
    given = kept(cache, "train", model, TRAIN, steps=TEACHER)
    judge = kept(cache, "judge", model, JUDGE)
    rows = Rows(out.with_suffix(".jsonl"))
    for budget in nfe:
        compared = judge.errors(solvers.parse(SEARCHED[budget]))

        def figures(way: str, budget: int = budget, compared: Tensor = compared) -> dict:
            ways = {"default": lambda: of_steps(budget, kind_of(model)), "learned": lambda: learn(given, budget)}
            solver = ways[way]() if way in ways else solvers.parse(SEARCHED[budget])
            errors = judge.errors(solver)
            of = {"median": float(errors.quantile(0.5)), "mean": float(errors.mean())}
            fd = distance(model, str(solver), SAMPLES)
            of |= {"ratio": interval(errors, compared), "fd": fd["fd"], "half": fd["half"]}
            return {"solver": str(solver), **of}

        for way in ("default", "searched", "learned"):
            rows.measure({"nfe": budget, "way": way}, lambda way=way, figures=figures: figures(way))
    adams = "adams:tol=1e-5"
    rows.measure({"nfe": 0, "way": "converged"}, lambda: {"solver": adams, **distance(model, adams, SAMPLES)})
    environment = ", ".join(f"{key} {value}" for key, value in versions()["versions"].items())
    about = " ".join(" ".join(__doc__.split("\n\n")[2:]).split())
    head = f"{len(TRAIN)} samples to learn from, {len(JUDGE)} to judge, {given.noise.dtype}, one thread, {environment}."
    files.write_text(out, "\n\n".join(["# Tuned solvers on digits", head, about, table(rows.rows)]) + "\n")


if __name__ == "__main__":
    main()
