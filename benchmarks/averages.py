"""Averages of a width that is chosen after a training, beside those that were kept during it.

    python benchmarks/averages.py digits --out runs/falling
    python benchmarks/averages.py digits train.decay=0 --out runs/flat

Trains CONFIG with snapshots at twenty regular intervals, further half-lives, and further widths tracked directly,
unless the run folder is there. Then measures each average: the loss of held-out images, and the metric of samples from
the same seeds, by ten steps of two solvers in disjoint sets of seeds. Adds a section to --results.
"""

import copy
from pathlib import Path

import click
import torch

from scoresde import models
from scoresde.core.provenance import versions
from scoresde.core.random import generators
from scoresde.images import sheets
from scoresde.metrics import metrics
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers
from scoresde.training import config as configuration
from scoresde.training.averages import averaged
from scoresde.training.evaluation import Evaluation
from scoresde.training.loop import start, train
from scoresde.training.profiles import share
from scoresde.training.recorded import recorded_config
from scoresde.training.run import Run

SNAPSHOTS = 20
LIVES = [0.004, 0.02, 0.2]
"""Further half-lives, as shares of the run."""
DIRECT, SHOWN = [0.03, 0.15, 0.2], 0.15
"""Widths that are also tracked directly, and the one whose samples are measured, too."""
SOLVERS = {"unipc": "UniPC", "dpm++": "DPM-Solver++"}
WIDTHS = [0.03, 0.05, 0.1, 0.15, 0.2, 0.25]
CPU = torch.device("cpu")


def trained(chosen, folder, recipe):
    """Trains, and keeps beside the run's own averages the weights themselves and the widths tracked directly."""
    data, run = chosen.data.load("train"), Run(folder, chosen, recipe)
    state = start(chosen, data.shape, CPU)
    direct = {width: copy.deepcopy(state.ema) for width in DIRECT}
    run.open(state)
    for _ in train(chosen, data, state):
        weights = [p.data for p in state.model.parameters()]
        for width, mean in direct.items():
            moved = share(width, chosen.train.batch, state.images)
            torch._foreach_lerp_([p.data for p in mean.parameters()], weights, moved)
        every, before = chosen.train.snapshot_every, state.images - chosen.train.batch
        if state.images // every > before // every or state.images >= chosen.train.images:
            run.take(state)
            click.echo(f"{state.images} images, loss {state.loss:.4f}")
    run.save(state)
    for name, model in {"none": state.model, **{f"direct_{w:g}": mean for w, mean in direct.items()}}.items():
        models.save(model, folder / name)


def flat(model):
    return torch.cat([p.flatten() for p in model.net.parameters()])


def averages(folder, chosen):
    """The averages of a run by their names, with the error of their profiles and of the weights.

    The latter is the distance from the average that was tracked directly, as a share of its distance from no average.
    """
    plain = models.load(folder / "none")
    yield "the weights themselves", plain, "", ""
    lives = [(life, folder / f"ema_{life:g}") for life in chosen.train.ema_also]
    for life, place in sorted([*lives, (chosen.train.ema, folder)]):
        own = " (the run's own)" if place == folder else ""
        yield f"half-life {life:,g}{own}", models.load(place), "", ""
    for width in WIDTHS:
        found = averaged(folder, width)
        if off := width in DIRECT:
            direct = models.load(folder / f"direct_{width:g}")
            off = (flat(found.model) - flat(direct)).norm() / (flat(direct) - flat(plain)).norm()
        yield f"width {width:g}", found.model, f"{found.error:.1g}", f"{off:.1g}" if off else ""
        if width == SHOWN:
            yield f"width {width:g}, tracked directly", direct, "", ""


def distances(model, solver, metric, real, count, sets):
    """The metric of `count` samples from each of the disjoint sets of seeds, a list."""
    found = []
    for k in range(sets):
        parts = []
        for first in range(10_000 * k, 10_000 * k + count, 250):
            sources = generators(range(first, min(first + 250, 10_000 * k + count)))
            parts.append(sample(model, solvers[solver](steps=10), model.prior(sources), generator=sources).x)
        found.append(metric.measure(sheets.to_uint8(torch.cat(parts)), real)[0].value)
    return found


def spread(values):
    return f"{sum(values) / len(values):.3g} ± {(max(values) - min(values)) / 2:.2g}"


@click.command(help=__doc__)
@click.argument("config")
@click.argument("overrides", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option("--results", type=click.Path(path_type=Path), default=Path("averages.md"), show_default=True)
@click.option("--metric", default="fd", show_default=True)
@click.option("--count", default=1000, show_default=True, help="Samples of a set.")
@click.option("--sets", default=3, show_default=True)
def main(config, overrides, out, results, metric, count, sets):
    torch.set_num_threads(1)
    command = " ".join(["python benchmarks/averages.py", config, *overrides])
    chosen = configuration.load(config, overrides)
    kept = {"snapshot_every": chosen.train.images // SNAPSHOTS}
    kept |= {"ema_also": tuple(round(share * chosen.train.images) for share in LIVES)}
    chosen = configuration.parse({**chosen.tables(), "train": {**chosen.tables()["train"], **kept}}, config)
    if not (out / "none").exists():
        trained(chosen, out, {"command": command, "seed": chosen.train.seed})
    chosen = recorded_config(out)
    judge, data = metrics.parse(metric), chosen.data.load("train")
    evaluation, real = Evaluation(chosen, data, CPU), sheets.to_uint8(data.scaled(slice(10_000)))
    head = ["average", "profile's error", "weights' error", "held-out loss"]
    head += [title for name in SOLVERS.values() for title in (name, "beside the run's own")]
    rows, found = [], {}
    for name, model, *errors in averages(out, chosen):
        loss = evaluation.losses(model, lambda *_: None)[0].mean().item()
        found[name] = [distances(model, solver, judge, real, count, sets) for solver in SOLVERS]
        rows.append((name, [name, *errors, f"{loss:.5f}"]))
        click.echo(" | ".join([*rows[-1][1], *map(spread, found[name])]))
    own = next(values for name, values in found.items() if name.endswith("own)"))
    for name, row in rows:
        for mine, its in zip(found[name], own, strict=True):
            row += [spread(mine), spread([a - b for a, b in zip(mine, its, strict=True)])]
    with open(results, "a", encoding="utf-8") as file:
        print(f"## `{command}`\n\n{count} samples in each of {sets} sets; {versions()['versions']}.\n", file=file)
        for row in [head, ["---"] * len(head), *(row for _, row in rows)]:
            print("| " + " | ".join(row) + " |", file=file)
        print(file=file)


if __name__ == "__main__":
    main()
