"""Evaluations one after the other, and in all, of `picard` beside the solver whose steps it takes.

    python benchmarks/parallel.py --model digits --samples 4 --out benchmarks/results/parallel.md

Each sample is drawn alone, from the same noise by both, without the final denoising. `rounds` are the evaluations of
`picard` that wait for each other, each of a batch of states of the one sample; `work` are the states in all of them, in
units of the steps. The difference is the largest over the values of all samples, in grey levels of 256.
"""

from pathlib import Path

import click
import torch
from short import Rows

from scoresde import models
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import generators
from scoresde.sampling.sample import sample
from scoresde.solvers import Solver, solvers

METHODS = {"ddim": (100, "logsnr"), "ancestral": (250, "quadratic")}


def drawn(model: models.network.NetworkModel, solver: Solver, seed: int) -> tuple[torch.Tensor, float, float]:
    """A sample, with its evaluations one after the other and in all."""
    found = sample(model, solver, model.prior([seed]), generator=generators([seed]), denoise=False)
    return found.x, found.nfe, found.work


def measured(model: models.network.NetworkModel, method: str, count: int, **options: float) -> dict[str, object]:
    """The means over some samples, and the largest difference."""
    steps, grid = METHODS[method]
    alone = solvers.build({"name": method, "steps": steps, "grid": grid})
    side = solvers.build({"name": "picard", "inner": method, "steps": steps, "grid": grid, **options})
    both = [(drawn(model, side, seed), drawn(model, alone, seed)) for seed in range(count)]
    rounds, work = (sum(ours[i] for ours, _ in both) / count for i in (1, 2))
    apart = max(float((ours[0] - theirs[0]).abs().max()) for ours, theirs in both) * 127.5
    return {"samples": count, "steps": steps, "rounds": rounds, "work": work, "grey levels": apart}


@click.command(help=__doc__)
@click.option("--model", "name", default="digits", show_default=True)
@click.option("--method", multiple=True, type=click.Choice(list(METHODS)), default=list(METHODS))
@click.option("--samples", "count", type=int, default=4, show_default=True)
@click.option("--window", multiple=True, type=int, default=[100], show_default=True)
@click.option("--change", multiple=True, type=float, default=[1e-4], show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Gets the table; the rows lie beside it.")
def main(
    name: str, method: tuple[str, ...], count: int, window: tuple[int, ...], change: tuple[float, ...], out: Path
) -> None:
    torch.set_num_threads(1)
    rows, model = Rows(out.with_suffix(".jsonl")), models.load(name)
    for each in method:
        for of in window:
            for most in change:
                key = {"model": name, "method": each, "window": of, "change": most}
                options = {"window": of, "change": most}
                rows.measure(key, lambda each=each, options=options: measured(model, each, count, **options))
    lines = ["| model | inner | steps | window | change | samples | rounds | fewer by | work | grey levels |"]
    lines.append(f"|{'---|' * 10}")
    for row in rows.rows:
        cells = [row[key] for key in ("model", "method", "steps", "window", "change", "samples")]
        cells += [f"{row['rounds']:.1f}", f"{row['steps'] / row['rounds']:.1f}", f"{row['work'] / row['steps']:.1f}"]
        lines.append("| " + " | ".join(map(str, [*cells, f"{row['grey levels']:.3f}"])) + " |")
    environment = ", ".join(f"{key} {value}" for key, value in versions()["versions"].items())
    about = " ".join(" ".join(__doc__.split("\n\n")[2:]).split())
    files.write_text(out, "\n\n".join(["# Steps side by side", f"{environment}.", about, "\n".join(lines)]) + "\n")


if __name__ == "__main__":
    main()
