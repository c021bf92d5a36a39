"""How far pictures are from themselves after noise and denoising, and after the probability flow there and back.

    python benchmarks/noise_denoise.py --out benchmarks/results/noise-denoise.md

Test images of digits are noised to a share of the process. One evaluation then predicts the data, or a solver goes on
to the data. Differences are root mean squares over all pixels in [-1, 1], with the standard error over images.
"""

import math
from pathlib import Path

import click
import torch
from torch import Tensor

import scoresde
from scoresde.core.files import write_text
from scoresde.core.provenance import versions
from scoresde.core.random import generators
from scoresde.data import data
from scoresde.sampling.latent import round_trip
from scoresde.sampling.sample import noised_to
from scoresde.sde import time_at
from scoresde.solvers import solvers

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
SOLVERS = ("adams", "em:steps=500")


def rms(x: Tensor, truth: Tensor) -> str:
    """The root mean square of a difference, and its standard error by the delta method, (N, *)."""
    each = (x - truth).flatten(1).double().square().mean(1)
    root = float(each.mean().sqrt())
    return f"{root:.3g} ± {float(each.std()) / math.sqrt(len(each)) / (2 * root):.1g}"


@click.command()
@click.option("--model", "name", default="digits", show_default=True)
@click.option("-n", "count", default=200, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(name: str, count: int, out: Path) -> None:
    """Measure and write the table."""
    model = scoresde.load(name)
    truth = data["digits"]().load("test").drawn(count).scaled()
    columns = ["x_t / α", "predicted x_0, one evaluation", *(f"x_0 by {solver}" for solver in SOLVERS)]
    rows = [["share of the process", *columns], ["---"] * (2 + len(columns) - 1)]
    for share in SHARES:
        t = time_at(model.sde, share)
        x = noised_to(model, truth, t, generators(range(len(truth))))
        times = torch.full((len(truth),), t, dtype=torch.float64)
        with torch.no_grad():
            found = [x / float(model.sde.alpha(times[:1])), model.denoise(x, times)]
        found += [scoresde.sample(model, s, seeds=range(len(truth)), x=truth, start=t).x for s in SOLVERS]
        rows.append([f"{share:g}", *(rms(each, truth) for each in found)])
    back = round_trip(model, solvers.parse("adams:tol=1e-5"), truth)
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    head = f"# Noise and denoise\n\n`python benchmarks/noise_denoise.py -n {count} --out benchmarks/results/{out.name}`"
    said = "; ".join(f"{key} {value}" for key, value in versions()["versions"].items())
    end = f"Encoded and decoded by `adams:tol=1e-5`, the same images are {rms(back.back.x, truth)} off."
    what = (
        f"Model `{name}`, {len(truth)} test images, seed i for image i; root mean square ± standard error over images."
    )
    write_text(out, f"{head}\n\n{what} {said}.\n\n{text}\n\n{end}\n")


if __name__ == "__main__":
    main()
