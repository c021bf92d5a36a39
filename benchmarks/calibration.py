"""Are samples of what was measured as far from each other as from the truth? A trained network and real images.

    python benchmarks/calibration.py cifar10 --data cifar10 --task colour --out benchmarks/results/calibration
    python benchmarks/calibration.py cifar10 --data cifar10 --causes

The first form draws samples and makes their table and a sheet of them, the second asks for two causes. N images of the
test split are drawn K times each, from what is known of them. They are equally many of each class, and of a class one
from each of equally large parts in the order of the strength of their colours: the one whose strength is nearest to the
mean of its part. That strength is heavy-tailed, so that of 64 images drawn at random it would be known to 7 %.

If the samples are exact, the truth may change places with any of them. Each figure therefore has a value that exact
samples would have: it is measured with each sample in place of the truth, and stands beside it. `pooled` figures are
ratios of sums over images, 1 for exact samples; those of the mean of each image's own ratio are not, since the truth in
the denominator varies. Intervals of 95 % are jackknives over the images. The energy score, E|x - x_0| - E|x - x'|/2, is
least for the exact posterior. Every draw of a sample for 20 images is kept in the store, and not drawn again.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import click
import torch
from conditional_real import draw
from safetensors.torch import load_file
from scipy.stats import t as student
from torch import Tensor
from torch.nn.functional import avg_pool2d

from scoresde import models
from scoresde.bench.conditional.judge import calibrated
from scoresde.conditioners import conditioners
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import generators
from scoresde.data import data
from scoresde.data.base import Images
from scoresde.images import sheets
from scoresde.models.output import denoised
from scoresde.observations import Downsample, GaussianBlur, LinearObservation, Luma, Pixels
from scoresde.posterior import store
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers

BATCH, SHOWN, LEVELS, STEP = 20, 10, (12.0, 6.0, 3.4, 2.0, 1.2), 0.3
CHANNEL, SOLVER = "covariance:kind=channel", "dpm++:steps=10"
GREY = 255.0**-2  # mean square of the colours of a picture that counts as grey: its ratios say nothing
NOISES = 1_000_000  # seeds of the measurements, apart from those of samples
HOLE = torch.ones(32, 32)
HOLE[8:24, 8:24] = 0
TASKS: dict[str, LinearObservation] = {
    "colour": Luma(),
    "hole": Pixels(HOLE),
    "enlarge": Downsample(factor=2, noise=0.00226),
    "enlarge4": Downsample(factor=4, noise=0.00226),
    "deblur": GaussianBlur(sigma=1.5),
}


def chroma(x: Tensor) -> Tensor:
    """What is not luma, (..., 3, H, W)."""
    return x - Luma().forward(x.flatten(0, -4)).reshape(*x.shape[:-3], 1, *x.shape[-2:])


def chosen(test: Images, count: int) -> Tensor:
    """Images of all classes and all strengths of colour, (N, 3, H, W) in [-1, 1]; see above."""
    assert test.labels is not None
    every = test.scaled()
    strength = torch.cat([chroma(part).square().mean((1, 2, 3)) for part in every.split(1000)]).sqrt()
    kinds = test.labels.unique()
    picked = list[Tensor]()
    for kind in kinds:
        own = (test.labels == kind).nonzero()[:, 0]
        own = own[strength[own].argsort()]
        for part in own.tensor_split(count // len(kinds)):
            picked.append(part[(strength[part] - strength[part].mean()).abs().argmin()])
    order = torch.stack(picked).reshape(len(kinds), -1).T.flatten()
    return every[order]


def place(name: str, what: str, how: str, task: str, truth: Tensor, k: int, first: int, folder: Path) -> Path:
    """Where the store has, or will have, sample k of images of which the first has this number."""
    content = hashlib.sha256(truth.numpy().tobytes()).hexdigest()
    key = hashlib.sha256(json.dumps([name, what, how, task, content, k, first]).encode()).hexdigest()[:16]
    return folder / f"{key}.safetensors"


def drawn(
    name: str, what: str, how: str, task: str, truth: Tensor, k: int, first: int, folder: Path
) -> dict[str, Tensor]:
    """Those samples, "x" (B, 3, H, W) uint8, and evaluations and backward passes, "cost"; from the store, if there."""
    path, seen = place(name, what, how, task, truth, k, first, folder), TASKS[task]
    if path.exists():
        return load_file(path)
    y = seen.forward(truth)
    if isinstance(seen, Luma):
        y = ((y + 1) * 127.5).round() / 127.5 - 1
    elif seen.noise:
        own = generators(range(NOISES + first, NOISES + first + len(y)))
        y = y + seen.noise * torch.stack([torch.randn(y.shape[1:], generator=g) for g in own])
    found = draw(models.load(name), seen, y, what, how, name, 10_000 * k + first)
    kept = {"x": sheets.to_uint8(found.x), "cost": torch.tensor([found.nfe, found.vjps])}
    folder.mkdir(parents=True, exist_ok=True)
    files.write_tensors(path, kept)
    return kept


def strengths(x: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Mean squares of drawn and of true colours, (N,); x (N, K, 3, H, W), truth (N, 3, H, W)."""
    return {"drawn": chroma(x).square().mean((1, 2, 3, 4)), "true": chroma(truth).square().mean((1, 2, 3))}


def spreads(x: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Squares of the spread, of the error of the mean, and of that of one sample, (N,); x (N, K, D), truth (N, D)."""
    error = {"error": (x.mean(1) - truth).square().mean(1), "one": (x - truth[:, None]).square().mean((1, 2))}
    return error if x.shape[1] == 1 else error | {"spread": x.var(1).mean(1) * (1 + 1 / x.shape[1])}


def sums(x: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """What the figures are made of, one number for each image, (N,); x (N, K, 3, H, W), truth (N, 3, H, W)."""
    count, mean = x.shape[1], x.mean(1)
    apart = [(x[:, i] - x[:, j]).flatten(1).norm(dim=1) for i, j in combinations(range(count), 2)]
    away = (x - truth[:, None]).flatten(2).norm(dim=2).mean(1)
    return {
        **strengths(x, truth),
        **spreads(x.flatten(2), truth.flatten(1)),
        "score": away - torch.stack(apart).mean(0) / 2,
        "warm": warmth(mean) - warmth(truth),
    }


def warmth(x: Tensor) -> Tensor:
    """The mean of red less that of blue, (N,)."""
    return (x[:, 0] - x[:, 2]).mean((1, 2))


def alike(s: dict[str, Tensor]) -> Tensor:
    """Correlation of the strengths of drawn and true colours: does a sample know which pictures are colourful?"""
    drawn, true = (part[s["true"] > GREY] for part in (s["drawn"], s["true"]))
    return torch.corrcoef(torch.stack([drawn.log(), true.log()]))[0, 1]


FIGURES: dict[str, Callable[[dict[str, Tensor]], Tensor]] = {
    "chroma, pooled": lambda s: (s["drawn"].mean() / s["true"].mean()).sqrt(),
    "spread/error, pooled": lambda s: (s["spread"].mean() / s["error"].mean()).sqrt(),
    "chroma, mean of ratios": lambda s: (s["drawn"] / s["true"])[s["true"] > GREY].sqrt().mean(),
    "spread/error, mean of ratios": lambda s: (s["spread"] / s["error"]).sqrt().mean(),
    "error of a sample": lambda s: s["one"].mean().sqrt(),
    "error of the mean": lambda s: s["error"].mean().sqrt(),
    "energy score": lambda s: s["score"].mean(),
    "warmth": lambda s: s["warm"].mean(),
    "strengths": alike,
}


PAIRED = ("chroma, pooled", "spread/error, pooled", "error of a sample", "error of the mean", "energy score")
"""What is compared with the first method, image by image."""


def half(figure: Callable[[dict[str, Tensor]], Tensor], s: dict[str, Tensor]) -> float:
    """Half of the 95 % interval of a figure, by leaving out each image."""
    count = len(s["one"])
    kept = (torch.arange(count) != i for i in range(count))
    values = torch.stack([figure({key: v[keep] for key, v in s.items()}) for keep in kept])
    return float(student.ppf(0.975, count - 1) * (count - 1) ** 0.5 * values.std(correction=0))


def left_open(task: str, x: Tensor) -> Tensor:
    """Numbers that the measurement does not tell, (N, D): the ranks of the truth are taken along directions in them."""
    seen = TASKS[task]
    if task == "colour":
        return avg_pool2d(chroma(x), 8).flatten(1).double()
    rest = x - (seen.forward(x) if task == "deblur" else seen.project(x))
    return rest[..., 1::4, 1::4].flatten(1).double()


def row(x: Tensor, truth: Tensor, task: str) -> list[str]:
    """The cells of a table: each figure, its interval, and what exact samples have in its place."""
    own = sums(x, truth)
    every = torch.cat([truth[:, None], x], 1)
    others = range(1, every.shape[1]) if x.shape[1] > 2 else ()  # one sample beside the truth has no spread
    swapped = [sums(torch.cat([every[:, 1:k], every[:, k + 1 :]], 1), every[:, k]) for k in others]
    cells = list[str]()
    for name, figure in FIGURES.items():
        cell = f"{float(figure(own)):.3f} ± {half(figure, own):.3f}"
        if swapped and name.endswith(("ratios", "strengths")):
            cell += f" (exact: {float(torch.stack([figure(s) for s in swapped]).mean()):.3f})"
        cells.append(cell)
    open_parts = [left_open(task, v) for v in every.unbind(1)]
    told = torch.ones_like(open_parts[0])
    if task == "colour":  # brighter places are warmer, or colder
        told = (avg_pool2d(Luma().forward(truth), 8) * torch.tensor([1.0, 0, -1])[:, None, None]).flatten(1).double()
    ranks = calibrated(open_parts[0], torch.stack(open_parts[1:], 1), told, 0)
    return [*cells, f"{ranks.value:.3f}"]


def change(x: Tensor, before: Tensor, truth: Tensor) -> list[str]:
    """What the figures of samples are above those of others with the same noise, image by image."""
    both = {
        k: torch.stack([v, w], 1)
        for (k, v), w in zip(sums(before, truth).items(), sums(x, truth).values(), strict=True)
    }

    def rise(name: str) -> Callable[[dict[str, Tensor]], Tensor]:
        def figure(s: dict[str, Tensor]) -> Tensor:
            old, new = ({key: v[:, i] for key, v in s.items()} for i in (0, 1))
            return FIGURES[name](new) - FIGURES[name](old)

        return figure

    return [f"{float(rise(name)(both)):+.3f} ± {half(rise(name), both):.3f}" for name in PAIRED]


def own_spread(name: str, truth: Tensor) -> Iterator[str]:
    """Whether the network is as wrong about the tint, the mean of red less blue, as its derivative says it may be."""
    model, axis = models.load(name), store.load(name, "dct").factors[0][:, 1].float()
    tint = axis[:, None, None] * torch.ones(truth.shape[1:]) / truth.shape[-1]
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(2))

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        with torch.no_grad():
            parts = zip(x.split(BATCH), t.split(BATCH), strict=True)
            return torch.cat([denoised(model.sde, a, b, model.evaluate(a, b).eps) for a, b in parts])

    yield "| σ/α | deviation of the tint by the derivative / error | correlation of both |"
    yield "|---|---|---|"
    for level in LEVELS:
        t = model.sde.time(torch.tensor([-math.log(level)], dtype=torch.float64)).float().expand(len(truth))
        alpha, sigma = float(model.sde.alpha(t[:1])), float(model.sde.sigma(t[:1]))
        x, h = alpha * truth + sigma * noise, STEP * sigma * tint
        slope = ((denoise(x + h, t) - denoise(x - h, t)) * tint).sum((1, 2, 3)).double() / (2 * STEP * sigma)
        s = {
            "spread": slope * sigma**2 / alpha,
            "error": ((truth - denoise(x, t)) * tint).sum((1, 2, 3)).double().square(),
            "one": noise,
        }
        figure = FIGURES["spread/error, pooled"]
        both = torch.corrcoef(torch.stack([s["spread"], s["error"]]))[0, 1]
        yield f"| {level:g} | {float(figure(s)):.2f} ± {half(figure, s):.2f} | {float(both):+.2f} |"


def tints(name: str, truth: Tensor) -> Iterator[str]:
    """How much of the tints is that of the seed, where all pictures have the same seeds."""
    model, y = models.load(name), ((Luma().forward(truth) + 1) * 127.5).round() / 127.5 - 1
    method, rows = store.fitted(conditioners.parse(CHANNEL), name, Luma()), list[Tensor]()
    for seed in range(4):
        seeds = generators([seed] * len(truth))
        around = method.condition(model, Luma(), y, seeds)
        rows.append(sample(around, solvers.parse(SOLVER), around.prior(seeds), generator=seeds).x.clamp(-1, 1))
    mean = chroma(torch.stack(rows, 1)).mean((3, 4)).double()
    mean = mean - mean.mean((0, 1))
    shares = [float(mean.mean(axis).square().mean() / mean.square().mean()) for axis in (0, 1)]
    yield "| share of the tints' variance | is | by chance |"
    yield "|---|---|---|"
    yield f"| of the seed, all {len(truth)} pictures together | {shares[0]:.2f} | {1 / len(truth):.2f} |"
    yield f"| of the picture, all 4 seeds together | {shares[1]:.2f} | 0.25 |"


@click.command(help=__doc__)
@click.argument("model")
@click.option("--data", "name", required=True, help="Image set of the model, as NAME:KEY=VALUE,...")
@click.option("--task", "tasks", multiple=True, type=click.Choice(list(TASKS)), default=list(TASKS))
@click.option("--method", "methods", multiple=True, default=[f"{CHANNEL} {SOLVER}"], show_default=True)
@click.option("-n", "count", default=60, show_default=True, help="Images: a multiple of the number of classes.")
@click.option("-k", "samples", default=4, type=click.IntRange(2), show_default=True, help="Samples of each.")
@click.option("--causes", is_flag=True, help="Instead: the network's own spread beside its error, and tints of seeds.")
@click.option("--store", "folder", default="calibration", type=click.Path(path_type=Path), help="Folder of samples.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the table and the sheets.")
def main(
    model: str,
    name: str,
    tasks: tuple[str, ...],
    methods: tuple[str, ...],
    count: int,
    samples: int,
    causes: bool,
    folder: Path,
    out: Path | None,
) -> None:
    test = data.parse(name).load("test")
    assert isinstance(test, Images)
    truth = chosen(test, count)
    if causes:
        return click.echo("\n".join([*own_spread(model, truth), "", *tints(model, truth[:: len(truth) // SHOWN])]))
    kinds = len(test.labels.unique())  # the images stand class by class, from the least colourful to the most
    few = [len(truth) * i // SHOWN // kinds * kinds + i % kinds for i in range(SHOWN)]
    heads = ["known", "method", *FIGURES, "p of the ranks"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    paired = [f"| known | above the first method | {' | '.join(PAIRED)} |", "|---" * (len(PAIRED) + 2) + "|"]
    for task in tasks:
        first: Tensor | None = None
        shown = {"real": truth[few]}
        for method in methods:
            what, how = method.split()
            starts, drawings = range(0, count, BATCH), list[Tensor]()
            for k in range(samples):
                parts = [drawn(model, what, how, task, truth[i : i + BATCH], k, i, folder)["x"] for i in starts]
                drawings.append(torch.cat(parts).float() / 127.5 - 1)
            x = torch.stack(drawings, 1)
            shown |= {f"{method.split(',')[0]}, {k + 1}": x[few, k] for k in range(2)}
            lines.append(f"| {task} | `{method}` | {' | '.join(row(x, truth, task))} |")
            click.echo(lines[-1])
            if first is None:
                first = x
            else:
                paired.append(f"| {task} | `{method}` | {' | '.join(change(x, first, truth))} |")
        if out:
            out.mkdir(parents=True, exist_ok=True)
            sheets.save(sheets.labelled(shown, zoom=2), out / f"{task}.png")
    if out:
        used = ", ".join(f"{package} {version}" for package, version in versions()["versions"].items())
        lines += ["", *paired] if len(methods) > 1 else []
        title = f"{samples} samples of each of {count} test images, with {used}."
        files.write_text(out / f"{'-'.join(tasks)}.md", title + "\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
