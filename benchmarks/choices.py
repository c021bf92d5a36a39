"""Losses, optimisers and schedules of betas, one changed at a time, with equal network, images and batch.

    OMP_NUM_THREADS=1 python benchmarks/choices.py --out benchmarks/results/choices.md

Each row that is measured goes into a file beside the table, and is not measured again; `--seeds 0` writes the table.
"""

import tempfile
from functools import partial
from pathlib import Path

import click
import torch
from short import SMALL, SPREAD, Rows, distance, interval, trained, write

ARMS = {
    "l2, adam, linear": [],
    "loss l1": ["train.loss=l1"],
    "loss huber": ["train.loss=huber"],
    "optimizer adamax": ["train.optimizer=adamax", "train.learning_rate=2e-3"],
    "optimizer lion": ["train.optimizer=lion", "train.learning_rate=2e-4"],
    "schedule cosine": ["sde.schedule=cosine"],
    "schedule quadratic": ["sde.schedule=quadratic"],
    "schedule sigmoid": ["sde.schedule=sigmoid"],
}
SOLVERS = {"adams": "FD, `adams`", "ddpm:steps=24": "FD, `ddpm`, NFE 25"}
COUNT = 500
ABOUT = f"""\
Each line is `scoresde train digits-ddpm` with {" ".join(f"`{text}`" for text in SMALL)} and what the line changes. The
step of Adam is 1e-3, of AdaMax 2e-3, of Lion 2e-4; none was tuned. FD is the Frechet distance of {COUNT} samples from
the 1,500 training digits, in the features of the bundled classifier; by `adams` at its defaults, whose samples are
those of the exact flow, and by `ddpm --variance small --clip`. Lower is better; the line of real digits is the floor,
FD of as many of them. {SPREAD}"""


def table(rows: Rows) -> list[str]:
    lines = [f"| training | seeds | {' | '.join(SOLVERS.values())} | NFE of `adams` |", "|---" * 5 + "|"]
    floor = rows.rows[0]["adams"]["floor"]
    lines.append(f"| (real digits) | | {floor:.3f} | {floor:.3f} | |")
    for arm in ARMS:
        found = rows.found(arm=arm)
        drawn = [[row[how] for row in found] for how in SOLVERS]
        cells = [interval([d["fd"] for d in some], alone=some[0]["half"] if some else None) for some in drawn]
        nfe = interval([row["adams"]["nfe"] for row in found], 0)
        lines.append(f"| {arm} | {len(found)} | {' | '.join(cells)} | {nfe} |")
    return lines


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), default=Path("choices.md"), show_default=True)
@click.option("--seeds", type=int, default=3, show_default=True)
def main(out: Path, seeds: int) -> None:
    torch.set_num_threads(1)
    rows = Rows(out.with_suffix(".jsonl"))

    def figures(arm: str, seed: int) -> dict[str, dict[str, float]]:
        with tempfile.TemporaryDirectory() as folder:
            model = trained("digits-ddpm", [*SMALL, *ARMS[arm], f"train.seed={seed}"], Path(folder) / "run")
        return {how: distance(model, how, COUNT) for how in SOLVERS}

    for seed in range(seeds):
        for arm in ARMS:
            rows.measure({"arm": arm, "seed": seed}, partial(figures, arm, seed))
    command = "python benchmarks/choices.py --out benchmarks/results/choices.md"
    write(out, "Losses, optimisers and schedules", command, ABOUT, table(rows))


if __name__ == "__main__":
    main()
