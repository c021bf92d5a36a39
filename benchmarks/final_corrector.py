"""What one Langevin step at the end of a run changes: the same runs with and without it, denoised and not.

    OMP_NUM_THREADS=1 python benchmarks/final_corrector.py --out benchmarks/results/final-corrector.md

Each solver runs once for each seed; the endings are tried on its last state with the same further noise. A row that is
in the file beside the table is not measured again.
"""

import json
from pathlib import Path

import click
import torch

import scoresde
from scoresde.core.provenance import versions
from scoresde.core.random import generators
from scoresde.images.sheets import to_uint8
from scoresde.metrics import metrics
from scoresde.sampling.sample import sample
from scoresde.solvers.langevin import langevin_step

SOLVERS = ["unipc:steps=10", "dpm:tol=5e-2", "em:steps=200", "em:steps=1000"]
SNRS = [0.05, 0.16]
SETS = 4


def endings(model, solver, seeds):
    """The images by each ending of the same runs, and the evaluations of the runs themselves."""
    sources = generators(seeds)
    run = sample(model, solver, model.prior(sources), generator=sources, denoise=False)
    stop = torch.full((len(run.x),), model.sde.t_min, dtype=torch.float64)
    (level,) = model.sde.levels([model.sde.t_min])
    states, after = {"none": run.x}, [source.get_state() for source in sources]
    for snr in SNRS:
        for source, state in zip(sources, after, strict=True):
            source.set_state(state)
        states[f"corrector, r = {snr:g}"] = langevin_step(model, run.x, level, sources, snr=snr)
    with torch.no_grad():
        found = {name: (x, model.denoise(x, stop)) for name, x in states.items()}
    return {name: tuple(map(to_uint8, pair)) for name, pair in found.items()}, run.nfe


def measured(model, solver, count, metric, real):
    """A row for each ending: the distances of all samples, and those of disjoint sets."""
    parts, nfe = {}, []
    for first in range(0, count, 250):
        images, spent = endings(model, solver, range(first, min(first + 250, count)))
        nfe.append(spent)
        for name, (state, denoised) in images.items():
            parts.setdefault((name, False), []).append(state)
            parts.setdefault((name, True), []).append(denoised)
    whole = {ending: torch.cat(images) for ending, images in parts.items()}
    base = whole["none", True].float()

    def distance(x):
        return metric.measure(x, real)[0].value

    for (name, denoised), images in whole.items():
        yield {
            "solver": solver,
            "count": count,
            "ending": name,
            "denoised": denoised,
            "nfe": sum(nfe) / len(nfe) + (name != "none") + denoised,
            "fd": distance(images),
            "sets": [distance(part) for part in images.chunk(SETS)],
            "moved": float((images.float() - base).square().mean().sqrt()),
        }


def table(rows, command):
    lines = [f"`{command}`; {versions()['versions']}; seeds from 0; the model `digits`.", ""]
    lines += [
        "| run | N | ending | NFE | FD | FD beside no corrector | rms change, levels |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        alike = [
            r for r in rows if (r["solver"], r["denoised"], r["ending"]) == (row["solver"], row["denoised"], "none")
        ]
        gains = [a - b for a, b in zip(row["sets"], alike[0]["sets"], strict=True)]
        beside = f"{sum(gains) / len(gains):+.3f} ± {(max(gains) - min(gains)) / 2:.3f}" if any(gains) else ""
        ending = " and ".join(filter(None, [row["ending"].replace("none", ""), "denoised" * row["denoised"]])) or "none"
        lines.append(
            f"| `{row['solver']}` | {row['count']} | {ending} | {row['nfe']:.1f} | {row['fd']:.3f} | {beside} "
            f"| {row['moved']:.2f} |"
        )
    return "\n".join(lines) + "\n"


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), default=Path("final-corrector.md"), show_default=True)
@click.option("--count", default=1000, show_default=True, help="Samples of a row.")
@click.option("--solver", "chosen", multiple=True, default=SOLVERS, show_default=True)
def main(out, count, chosen):
    torch.set_num_threads(1)
    store, model, metric = out.with_suffix(".jsonl"), scoresde.load("digits"), metrics.parse("fd:extractor=digits")
    real = to_uint8(scoresde.data.data["digits"]().load("train").scaled())
    rows = [json.loads(line) for line in store.read_text().splitlines()] if store.exists() else []
    for solver in chosen:
        if not any((row["solver"], row["count"]) == (solver, count) for row in rows):
            new = list(measured(model, solver, count, metric, real))
            with open(store, "a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in new)
            rows += new
            click.echo(f"{solver} done")
    out.write_text(table(rows, f"python benchmarks/final_corrector.py --count {count}"), encoding="utf-8")


if __name__ == "__main__":
    main()
