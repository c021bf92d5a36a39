"""Chains with fixed and with learned variances: what few steps cost each, in samples and in the bound.

    scoresde train digits-ddpm
    scoresde train digits-ddpm sde.schedule=cosine --out runs/digits-ddpm-cosine
    scoresde train digits-lvddpm
    python benchmarks/family.py runs/digits-ddpm runs/digits-ddpm-cosine runs/digits-lvddpm \
        --out benchmarks/results/family.md

Frechet distances are those of the metric `fd` to the training images; the spread is that of disjoint sets of seeds. The
bound is that of held-out images drawn from all over their split, with its standard error over them.
"""

import math
from pathlib import Path

import click
import torch

from scoresde import models
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import generators, stream
from scoresde.data import data
from scoresde.images import sheets
from scoresde.likelihood import chain, vlb
from scoresde.metrics import metrics
from scoresde.models.clipped import ClippedModel
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers

BATCH = 128


def samples(model, solver, count, first):
    """`count` samples as uint8, from the seeds first, first + 1, ..."""
    parts = []
    for start in range(first, first + count, BATCH):
        sources = generators(range(start, min(start + BATCH, first + count)))
        parts.append(sample(ClippedModel(model), solver, model.prior(sources), generator=sources).x)
    return sheets.to_uint8(torch.cat(parts))


def distances(model, name, options, steps, real, count, sets):
    solver = solvers[name](**options, steps=steps - 1, grid="chain")
    found = [metrics["fd"]().measure(samples(model, solver, count, 10_000 * k), real)[0].value for k in range(sets)]
    mean = sum(found) / sets
    return f"{mean:.3g} ± {(max(found) - min(found)) / 2:.2g}"


def bound(model, held_out, steps, variance):
    parts = []
    for first in range(0, len(held_out.pixels), BATCH):
        pixels = held_out.pixels[first : first + BATCH]
        sources = [stream(0, "vlb", first + i) for i in range(len(pixels))]
        parts.append(
            vlb(
                model,
                pixels,
                levels=held_out.levels,
                alphas_cumprod=chain(model.sde, steps),
                variance=variance,
                generator=sources,
            )
        )
    total = torch.cat([part.total for part in parts])
    terms = [torch.cat([term(part) for part in parts]).mean() for term in (lambda p: p.prior, lambda p: p.decoder)]
    rest = float(total.mean() - sum(terms))
    error = float(total.std() / math.sqrt(len(total)))
    return f"{total.mean():.3f} ± {error:.2g} ({terms[0]:.2g} + {rest:.3f} + {terms[1]:.3f})"


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("family.md"))
@click.option("--evaluations", default="5,10,25,100", show_default=True)
@click.option("--bounds", default="10,25,100,1000", show_default=True)
@click.option("--count", type=int, default=256, show_default=True, help="Samples of a set.")
@click.option("--sets", type=int, default=3, show_default=True)
@click.option("--held-out", type=int, default=128, show_default=True, help="Images of the bound.")
def main(runs, out, evaluations, bounds, count, sets, held_out):
    torch.set_num_threads(1)
    few, many = ([int(n) for n in text.split(",")] for text in (evaluations, bounds))
    lines = ["# Chains with fixed and learned variances", "", (__doc__ or "").split("\n\n")[2].replace("\n", " "), ""]
    lines += [f"Samples {count} in each of {sets} sets; `--clip`; {versions()['versions']}.", ""]
    lines += ["| run | sampler | " + " | ".join(f"FD, {n}" for n in few) + " |", "|" + "---|" * (len(few) + 2)]
    second = ["| run | variance | " + " | ".join(f"{n} steps" for n in many) + " |", "|" + "---|" * (len(many) + 2)]
    for folder in runs:
        model = models.load(folder)
        source = data.build(files.read_json(folder / models.CONFIG)["recipe"]["data"])
        real, test = sheets.to_uint8(source.load("train").scaled()), source.load("test")
        test = test.drawn(held_out)
        learned = getattr(model.net.options, "learned_variance", False)
        kinds = ["small", "large", *["learned"] * learned]
        rows = [("ddpm", {"variance": kind}) for kind in kinds] + [("ddim", {})]
        for name, options in rows:
            cells = [distances(model, name, options, n, real, count, sets) for n in few]
            lines.append(f"| {folder.name} | {name} {' '.join(options.values())} | " + " | ".join(cells) + " |")
            click.echo(lines[-1])
        for kind in kinds:
            cells = [bound(model, test, n, kind) for n in many]
            second.append(f"| {folder.name} | {kind} | " + " | ".join(cells) + " |")
            click.echo(second[-1])
    lines += ["", f"The bound of {held_out} held-out images in bits/dim (prior + steps + decoder):", "", *second, ""]
    out.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
