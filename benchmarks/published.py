"""The published heuristic under the solvers that it was published with, adaptive and multistep ones among them.

    OMP_NUM_THREADS=1 python benchmarks/published.py --data cifar10 --out benchmarks/results/published.md

First the evaluations of adaptive solvers on `digits` with half a picture known, with one line of noise for each sample
and with new noise at each evaluation. Then colours for held-out images of CIFAR-10 by its bundled network, measured as
in conditional_real.py. A row that is in the file beside the table is not measured again.
"""

import json
import warnings
from pathlib import Path

import click
import torch
from conditional_real import PUBLISHED, TASKS, distances, draw, floors, judged, luma_of

import scoresde
from scoresde.conditioners import conditioners
from scoresde.core.provenance import versions
from scoresde.core.random import generators, permutation, stream
from scoresde.data import data
from scoresde.images.sheets import to_uint8
from scoresde.metrics.moments import moments
from scoresde.metrics.normal import factored
from scoresde.observations import Pixels
from scoresde.sampling.sample import sample

ADAPTIVE = ["rk23:tol=0.05", "rk45:tol=0.05", "rk45:tol=0.02", "dpm:tol=0.1", "dpm:tol=0.05", "adams:tol=0.05"]
WAYS = [
    ("covariance:kind=channel", "unipc:steps=10,prediction=noise"),
    (PUBLISHED, "dpm-fast:nfe=25"),
    (PUBLISHED, "rk45:tol=0.05"),
    (PUBLISHED, "em:steps=50"),
    (PUBLISHED, "euler:steps=50"),
]


def evaluations(solver):
    """Those of eight digits whose upper half is known."""
    model, seen = scoresde.load("digits"), Pixels((torch.arange(64) < 32).float().reshape(1, 1, 8, 8))
    y, row = scoresde.sample(model, n=8).x, {"solver": solver}
    for name, options in (("one line", {}), ("new noise", {"as_published": True})):
        sources = generators(range(8))
        around = conditioners["replace"](**options).condition(model, seen, y, sources)
        found = sample(around, solver, around.prior(sources), generator=sources)
        row[name] = [found.nfe, found.info["steps"], found.info["rejected"]]
    return row


def coloured(network, truth, reference, what, how):
    seen = TASKS["colour"].observation(32)
    parts = [draw(network, seen, luma_of(y), what, how, "cifar10", 32 * i) for i, y in enumerate(truth.split(32))]
    drawn = torch.cat([to_uint8(part.x) for part in parts])
    row = {"what": what, "how": how, "n": len(truth), "nfe": max(part.nfe for part in parts)}
    hidden = torch.ones(32, 32, dtype=torch.bool)
    return row | distances(TASKS["colour"], drawn, truth, reference) | judged(drawn, truth, hidden)


def tables(rows, floor, command):
    lines = [f"`{command}`; {versions()['versions']}; seeds from 0.", ""]
    lines += ["| solver | NFE, one line | steps | rejected | NFE, new noise | steps | rejected |", "|---" * 7 + "|"]
    for row in (row for row in rows if "one line" in row):
        cells = [f"{value:g}" for name in ("one line", "new noise") for value in row[name]]
        lines.append("| " + " | ".join([f"`{row['solver']}`", *cells]) + " |")
    heads = "| conditioner | solver | N | NFE | FD | above floor | chroma sd | luma, levels | RMSE |"
    lines += ["", heads, "|---" * 9 + "|"]
    lines.append(f"| (real images) | | | | {floor[0]:.3f} ± {floor[1]:.3f} ({floor[2]} splits) |" + " |" * 4)
    for r in (row for row in rows if "what" in row):
        cells = [r["what"], f"`{r['how']}`", f"{r['n']}", f"{r['nfe']}", f"{r['fd']:.3f} ± {r['fd_half']:.3f}"]
        cells += [f"{r['above']:+.3f} ± {r['above_half']:.3f}", f"{r['chroma_sd']:.2f}", f"{r['luma_levels']:.2f}"]
        lines.append("| " + " | ".join([*cells, f"{r['rmse']:.3f}"]) + " |")
    return "\n".join(lines) + "\n"


@click.command(help=__doc__)
@click.option("--data", "data_name", default="cifar10", show_default=True)
@click.option("-n", "count", default=32, show_default=True, help="Images that are coloured.")
@click.option("-m", "others", default=8000, show_default=True, help="Real images that they are compared with.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("published.md"), show_default=True)
def main(data_name, count, others, out):
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*means nothing then, as published")
    store = out.with_suffix(".jsonl")
    rows = [json.loads(line) for line in store.read_text().splitlines()] if store.exists() else []
    test = data.parse(data_name).load("test")
    pixels, task = test.pixels[permutation(len(test), stream(0, "test"))], TASKS["colour"]
    reference = factored(moments(task.features(pixels[count : count + others])))
    network, floor = scoresde.load("cifar10"), floors(task, pixels[: 100 * count], count, others)

    def keep(row):
        rows.append(row)
        with open(store, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        click.echo(row)

    for solver in ADAPTIVE:
        if not any(row.get("solver") == solver for row in rows):
            keep(evaluations(solver))
    for what, how in WAYS:
        if not any((row.get("what"), row.get("how"), row.get("n")) == (what, how, count) for row in rows):
            keep(coloured(network, pixels[:count], reference, what, how))
    out.write_text(tables(rows, floor, f"python benchmarks/published.py --data {data_name} -n {count}"), "utf-8")


if __name__ == "__main__":
    main()
