"""Figures that the documentation quotes and no other script makes, one table each.

    python benchmarks/figures.py controllers
    python benchmarks/figures.py networks
    python benchmarks/figures.py codes
    python benchmarks/figures.py ends
    python benchmarks/figures.py distances
    python benchmarks/figures.py prior

Each writes benchmarks/results/NAME.md. No time is taken.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import click
import torch

from scoresde import models
from scoresde.bench.problems import gm192, reference
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import generators, permutation, stream
from scoresde.data import data
from scoresde.images import sheets
from scoresde.metrics import metrics
from scoresde.models.base import ObservedModel
from scoresde.models.evaluations import Evaluations
from scoresde.sampling.latent import round_trip
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5)
CONTROLLED = (
    *(solver + rule for solver in ("rk45", "rk23", "dpm") for rule in ("", ":controller=pi", ":controller=pid")),
    *("adams", "adams:controller=i:safety=0.9", "adams:controller=pi:safety=0.8"),
)


def controllers() -> Iterator[str]:
    """What the rule for the next step costs and gains: gm192, 64 samples, seed 1, float64.

    The same noise and truth as in solvers-gm192.md; `atol` is `tol`. Where no controller is named it is the solver's
    own, an `i` with its own options; what is named for `adams` changes these. Evaluations of the batch: median error
    over the samples (share of the steps that were rejected, of all samples).
    """
    model = gm192()
    x = model.prior(generators([1])[0], 64, dtype=torch.float64)
    truth = reference(model, x, start=1.0, stop=1e-3)
    yield from head("solver", *(f"tol {tol:g}" for tol in TOLERANCES))
    for text in CONTROLLED:
        name, _, rule = text.partition(":controller=")
        kind = {"controller": of_adams(rule) if name == "adams" else rule} if rule else {}
        cells = []
        for tol in TOLERANCES:
            count, info = Evaluations(), dict[str, float]()
            solver = solvers[name](tol=tol, atol=tol, **kind)
            found = solver.solve(ObservedModel(model, count), x, start=1.0, stop=1e-3, info=info)
            error = (found - truth).flatten(1).square().mean(1).sqrt().median()
            share = info["rejected"] / (info["steps"] + info["rejected"])
            cells.append(f"{count.calls}: {error:.1e} ({share:.0%})")
        yield row(f"`{text}`", *cells)


def of_adams(rule: str) -> str:
    """The controller of `adams` with another rule or another safety."""
    own = {"safety": "0.6", "slowest": "0.3", "fastest": "2"}
    name, _, given = rule.partition(":")
    own.update(dict(part.split("=") for part in given.split(",") if part))
    return f"{name}:" + ",".join(f"{key}={value}" for key, value in own.items())


SETS = {"digits": 64, "photos": 32, "cifar10": 8}
ON_NETWORKS = (
    *("adams:tol=1e-2", "adams", "unipc:steps=5", "unipc:steps=10", "unipc:steps=20"),
    *("unipc:steps=10,prediction=noise", "dpm++:steps=20"),
)


@torch.no_grad()
def networks() -> Iterator[str]:
    """Errors of solvers on the bundled networks, against the networks' own flow.

    Seeds from 0: 64 of digits, 32 of photos, 8 of cifar10. Evaluations of the batch, the final denoising among them:
    median over the samples of the root mean square difference, in [-1, 1], from the end of `eab` on 200 steps, with
    the 10th and the 90th percentile. The first row is `eab` on 100 steps: how far the truth itself can be trusted.
    """
    rows = {text: list[str]() for text in ("eab:steps=100", *ON_NETWORKS)}
    for name, count in SETS.items():
        model = models.load(name)
        noise = model.prior(generators(range(count)))
        truth = sample(model, "eab:steps=200", noise).x
        for text, cells in rows.items():
            found = sample(model, text, noise)
            error = (found.x - truth).flatten(1).square().mean(1).sqrt()
            cells.append(f"{found.nfe}: {error.median():.2g} [{error.quantile(0.1):.2g}, {error.quantile(0.9):.2g}]")
            click.echo(f"{name} {text} {cells[-1]}", err=True)
    yield from head("solver", *(f"{name}, {count} samples" for name, count in SETS.items()))
    for text, cells in rows.items():
        yield row(f"`{text}`", *cells)


@torch.no_grad()
def codes() -> Iterator[str]:
    """Images to their latent codes and back, on the bundled model of digits: 32 test images, drawn by seed 0.

    Root mean square difference from the image, in [-1, 1], over all images, with the least and the greatest of one
    image: what `scoresde encode --model digits -n 32 --solver SOLVER --tol 1e-5` prints.
    """
    model, x = models.load("digits"), data["digits"]().load("test").drawn(32).scaled()
    yield from head("solver", "NFE there", "NFE back", "difference")
    for name in ("adams", "rk45", "rk23", "dop853"):
        found = round_trip(model, solvers[name](tol=1e-5), x)
        low, high = float(found.errors.min()), float(found.errors.max())
        yield row(f"`{name}:tol=1e-5`", found.codes.nfe, found.back.nfe, f"{found.rms:.1e} [{low:.1e}, {high:.1e}]")


@torch.no_grad()
def ends() -> Iterator[str]:
    """How far what stands for the exact flow is from other solutions: the bundled digits, 16 samples, seeds from 0.

    `unipc` on 800 steps is the truth of `scoresde bench`, `eab` on 400 that of `scoresde tune`; neither is denoised at
    its end here. Median root mean square difference over the samples, in [-1, 1], and the greatest.
    """
    model = models.load("digits")
    noise = model.prior(generators(range(16)))
    pairs = (
        ("unipc:steps=800", "adams:tol=1e-6"),
        ("eab:steps=400", "eab:steps=800"),
        ("eab:steps=400", "rk45:tol=1e-5"),
    )
    yield from head("truth", "beside", "median", "greatest")
    for one, other in pairs:
        a, b = (sample(model, text, noise, denoise=False).x for text in (one, other))
        error = (a - b).flatten(1).square().mean(1).sqrt()
        yield row(f"`{one}`", f"`{other}`", f"{error.median():.1e}", f"{error.max():.1e}")


@torch.no_grad()
def distances() -> Iterator[str]:
    """What metrics see: sets of 297 digits against the 1,500 training digits, in multiples of the floor.

    The floor is the distance of 297 of the training digits from the others; 1 is as good as real. Brackets are 95 %
    intervals over the samples (block jackknife), divided by the floor too. Samples have the seeds from 0. The second
    table is what `scoresde sample --solver dpm -n 500` and `scoresde metrics SAMPLES --data digits` print.
    """
    train, test = (data["digits"]().load(split) for split in ("train", "test"))
    real, unseen = sheets.to_uint8(train.scaled()), sheets.to_uint8(test.scaled())
    blurred = torch.nn.functional.avg_pool2d(test.scaled(), 3, 1, 1, count_include_pad=False)
    model = models.load("digits")
    drawn = sheets.to_uint8(sample(model, "dpm", model.prior(generators(range(500)))).x)
    order = permutation(len(real), stream(0, "distances"))
    without = [i for i in order.tolist() if train.labels is not None and int(train.labels[i]) != 3]
    sets = {
        "held-out digits": unseen,
        "the bundled model, `dpm`": drawn[:297],
        "held-out digits, blurred by 3x3 means": sheets.to_uint8(blurred),
        "held-out digits, 15 % of that blur": sheets.to_uint8(0.85 * test.scaled() + 0.15 * blurred),
        "30 training digits, repeated": real[order[:30].repeat(10)[:297]],
        "297 training digits, none a 3": real[without[:297]],
        "297 training digits, copied": real[order[:297]],
    }
    kinds = [metrics["fd"](extractor="digits"), metrics["pixel-frechet"](), metrics["sw"](), metrics["domain-prc"]()]
    yield from head("samples", "FD[digits]", "FD[pixels]", "SW[pixels]", "precision", "recall")
    for name, images in sets.items():
        cells = []
        for kind in kinds:
            for e in kind.measure(images, real):
                unit = 1.0 if "precision" in e.name or "recall" in e.name else float(e.floor or math.nan)
                cells.append(f"{e.value / unit:.3g} [{e.low / unit:.3g}, {e.high / unit:.3g}]")
        yield row(name, *cells)
    yield ""
    yield from head("metric, 500 samples", "value", "low", "high", "floor")
    for name in ("fd", "kd", "sw", "mmd", "pixel-frechet", "domain-prc"):
        for e in metrics[name]().measure(drawn, real):
            yield row(e.name, *(f"{v:.4g}" for v in (e.value, e.low, e.high, e.floor or math.nan)))


def prior() -> Iterator[str]:
    """What the prior term of a likelihood leaves out: log p_T(x_T) - log N(x_T; 0, I) on gm192, in bits/dim.

    4,096 draws x_0 of the mixture (seed 0), each with its x_T = α x_0 + σ z: the mean ± its standard error, and the
    root mean square, which is that of one image.
    """
    model, count = gm192(), 4096
    sources = generators(range(count))
    (level,) = model.sde.levels([1.0])
    noise = model.prior(sources, dtype=torch.float64)
    x = level.alpha * model.draw(count, stream(0, "prior")) + level.sigma * noise
    at_end = model.log_prob(x, torch.ones(count, dtype=torch.float64))
    normal = -0.5 * (x.square() + math.log(2 * math.pi)).flatten(1).sum(1)
    bits = (at_end - normal) / (x[0].numel() * math.log(2))
    yield from head("α_T", "mean, bits/dim", "root mean square, bits/dim")
    mean, error = float(bits.mean()), float(bits.std()) / math.sqrt(count)
    yield row(f"{level.alpha:.2e}", f"{mean:.1e} ± {error:.1e}", f"{bits.square().mean().sqrt():.1e}")


def head(*names: str) -> Iterator[str]:
    """The first two lines of a table."""
    yield row(*names)
    yield "|" + "---|" * len(names)


def row(*cells: object) -> str:
    """A line of a table."""
    return "| " + " | ".join(map(str, cells)) + " |"


TABLES = {make.__name__: make for make in (controllers, networks, codes, ends, distances, prior)}


@click.command(help=__doc__)
@click.argument("name", type=click.Choice(sorted(TABLES)))
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results"), show_default=True)
def main(name: str, out: Path) -> None:
    torch.set_num_threads(1)
    title, about = (TABLES[name].__doc__ or "").split("\n\n", 1)
    lines = []
    for line in TABLES[name]():
        lines.append(line)
        click.echo(line)
    environment = ", ".join(f"{key} {value}" for key, value in versions()["versions"].items())
    command = f"`python benchmarks/figures.py {name}`, one thread, {environment}."
    paragraph = " ".join(about.split())
    files.write_text(out / f"{name}.md", "\n\n".join([f"# {title[:-1]}", command, paragraph, "\n".join(lines)]) + "\n")


if __name__ == "__main__":
    main()
