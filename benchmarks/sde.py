"""Stochastic solvers: how far the law of their samples is from the truth, as a gap of cross-entropy.

    python benchmarks/sde.py --out benchmarks/results/sde.md

On gm192 the density p at t = 1e-3 is known, so the mean of -log p over samples can be compared with its mean over exact
draws: the gap, in nats per dimension, is positive where samples are too widely spread and negative where they are not
wide enough. Evaluations are those of a batch of 512. Intervals are 95 %, of the noise of both means; the exact draws
are the same for all rows.
"""

from pathlib import Path

import click
import torch
from torch import Tensor

from scoresde.bench.problems import problem
from scoresde.bench.spec import expand
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import stream
from scoresde.models.base import ObservedModel
from scoresde.models.evaluations import Evaluations
from scoresde.solvers import solvers

STOP = 1e-3
BATCH = 512
ROWS = (
    "sde-dpm++:steps=10/20/50",
    "sde-dpm++:steps=20,eta=0.5",
    "sde-dpm++:steps=20,order=1/3",
    "seeds:steps=20,order=1",
    "seeds:steps=25",
    "edm:steps=10,churn=10,s_min=0.05,s_max=50",
    "ancestral:steps=20/100",
    "em:steps=20/100",
    "reverse-diffusion:steps=100",
    "ggf:tol=0.05",
    "unipc:steps=20,prediction=noise",
)


@click.command(help=__doc__)
@click.option("-n", "count", default=16384, show_default=True, help="Samples per row, a multiple of 512.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there.")
@torch.no_grad()
def main(count: int, out: Path | None) -> None:
    model = problem("gm192")
    dims = 192

    def log_p(x: Tensor) -> Tensor:
        at = torch.full((BATCH,), STOP, dtype=torch.float64)
        return torch.cat([model.log_prob(part, at) for part in x.split(BATCH)]) / dims

    exact = log_p(model.draw(4 * count, stream(0, "exact"), STOP))
    lines = ["| solver | options | evaluations | gap, nats/dim | 95 % |", "|---|---|---|---|---|"]
    for solver in (solver for row in ROWS for solver in expand(row, solvers)):
        parts, calls = [], []
        for first in range(0, count, BATCH):
            seen = Evaluations()
            x = model.prior(stream(0, "prior", first), BATCH, dtype=torch.float64)
            noise = stream(0, "noise", first)
            parts.append(log_p(solver.solve(ObservedModel(model, seen), x, start=1.0, stop=STOP, generator=noise)))
            calls.append(seen.calls)
        found = torch.cat(parts)
        gap = float(exact.mean() - found.mean())
        half = 1.96 * float((found.var() / len(found) + exact.var() / len(exact)).sqrt())
        options = ", ".join(f"{key}={value}" for key, value in solver.model_dump(exclude_defaults=True).items())
        lines.append(f"| {solver.name} | {options} | {sum(calls) / len(calls):g} | {gap:+.4f} | ±{half:.4f} |")
        click.echo(lines[-1])
    if out:
        environment = ", ".join(f"{key} {value}" for key, value in versions()["versions"].items())
        head = [f"# The law of stochastic solvers on gm192\n\n{count} samples a row, seed 0, float64, {environment}."]
        text = "\n\n".join([*head, " ".join(__doc__.split("\n\n")[2].split()), "\n".join(lines)])
        files.write_text(out, text + "\n")


if __name__ == "__main__":
    main()
