"""How much tiles have to overlap: error, seams and seconds of photographs restored in tiles of a small model.

    OMP_NUM_THREADS=1 python benchmarks/tiles.py FOLDER -n 6 --out benchmarks/results/tiles.md

Photographs are reduced to a square, lose their colours or three of four rows and columns, and are restored in tiles of
the bundled model `cifar10`, from the same noise for every overlap. A seam is where the error jumps: the mean square of
its difference between neighbouring pixels across the edges of tiles, over that between all neighbours.
"""

import json
import math
import time
from pathlib import Path

import click
import torch
from torch import Tensor

import scoresde
from scoresde.core.provenance import versions
from scoresde.core.random import generators
from scoresde.images import pictures
from scoresde.images.read import read_squares
from scoresde.observations import Downsample, Luma

TASKS = {"colours": Luma(), "four times larger": Downsample(factor=4)}
OVERLAPS = (0.5, 0.25, 0.125)


def seam(error: Tensor, model: scoresde.TiledModel) -> float:
    """Mean square of the jumps of the error, (1, C, H, W), at the edges of tiles over that everywhere: 1 has none."""
    across, down = error.diff(dim=3).square(), error.diff(dim=2).square()
    right, below = (torch.cat([p[1:, 0], p[:-1, -1] + 1]).unique() - 1 for p in (model.columns, model.rows))
    edges = torch.cat([across[..., right].flatten(), down[:, :, below].flatten()]).mean()
    return float(edges / torch.cat([across.flatten(), down.flatten()]).mean())


def measured(x: Tensor, task: str, overlap: float, steps: int) -> dict[str, float]:
    """Error of one sample, its seams, and the seconds of the process that it took."""
    tiles = scoresde.TiledModel(scoresde.load("cifar10"), tuple(x.shape[1:]), overlap=overlap)
    y = TASKS[task].measure(x, generators([7]))
    model = scoresde.condition(tiles, TASKS[task], y, "covariance")
    began = time.process_time()
    found = scoresde.sample(model, f"dpm++:steps={steps}", seeds=[0]).x
    seconds = time.process_time() - began
    error = found - x
    rms = float(error.square().mean().sqrt())
    return {"tiles": tiles.tiles, "error": rms, "seam": seam(error, tiles), "s": seconds}


def spread(values: list[float]) -> str:
    """The mean with its 95 % interval by Student's law of these few values."""
    t = {3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36}.get(len(values), 2.3)
    x = torch.tensor(values, dtype=torch.float64)
    return f"{float(x.mean()):.3f} ± {t * float(x.std()) / math.sqrt(len(x)):.3f}"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-n", "count", default=6, show_default=True, help="Photographs, evenly from all of them.")
@click.option("--pixels", default=144, show_default=True)
@click.option("--steps", default=10, show_default=True)
@click.option("--out", required=True, type=click.Path(path_type=Path))
def main(folder: Path, count: int, pixels: int, steps: int, out: Path) -> None:
    """Measures every overlap on every photograph."""
    files = pictures.found([folder])
    x = read_squares(files[:: len(files) // count][:count], pixels, 3)
    rows, store = dict[str, dict[str, float]](), out.with_suffix(".jsonl")
    if store.exists():  # an interrupted run goes on
        rows = {row["key"]: row for row in map(json.loads, store.read_text().splitlines())}
    for i in range(len(x)):
        for task in TASKS:
            for overlap in OVERLAPS:
                key = f"{i} {task} {overlap} {pixels} {steps}"
                if key not in rows:
                    rows[key] = {"key": key, **measured(x[i : i + 1], task, overlap, steps)}
                    with store.open("a") as file:
                        file.write(json.dumps(rows[key]) + "\n")
    used = ", ".join(f"{name} {version}" for name, version in versions()["versions"].items())
    lines = ["# Overlap of tiles", "", f"`python benchmarks/tiles.py {folder.name} -n {count}`, {used}.", ""]
    lines += [
        f"{len(x)} photographs of {pixels}x{pixels} pixels that no model has seen, in tiles of the bundled 32x32 model",
        f"`cifar10`, one sample each by `covariance` and `dpm++` in {steps} steps, the same noise for every overlap.",
        "Error: root mean square from the photograph, in [-1, 1]; its share of that at an overlap of a half, and that",
        "of the processor time, photograph by photograph. Seams: mean square jump of the error at the edges of tiles",
        "over that everywhere; 1 has none. Means and 95 % intervals over the photographs; one thread.",
        "",
        "| task | overlap | tiles | error | share | seams | share of the time |",
        "|---|---|---|---|---|---|---|",
    ]
    for task in TASKS:
        first = [rows[f"{i} {task} {OVERLAPS[0]} {pixels} {steps}"] for i in range(len(x))]
        for overlap in OVERLAPS:
            found = [rows[f"{i} {task} {overlap} {pixels} {steps}"] for i in range(len(x))]
            shares = [[a[k] / b[k] for a, b in zip(found, first, strict=True)] for k in ("error", "s")]
            cells = [spread([row["error"] for row in found]), spread(shares[0]), spread([row["seam"] for row in found])]
            lines.append(f"| {task} | {overlap} | {found[0]['tiles']} | {' | '.join(cells)} | {spread(shares[1])} |")
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
