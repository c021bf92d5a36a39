"""Conditional sampling with a trained network: is what is drawn as far from real images as real images are?

    scoresde train configs/cifar10-16.toml --out runs/cifar16
    python benchmarks/conditional_real.py runs/cifar16 --data cifar10:reduce=2 --out benchmarks/results/cifar16

The first N images of the test split are measured (their luma, their pixels around a hole, ...), each is drawn once from
its measurement alone, and the Frechet distance (FD) of what was drawn to M other test images stands beside that of the
N images themselves: the floor. FD is taken where the task leaves something open: colourisation in means of 8x8 squares,
a hole in at most 12x12 squares of the middle three quarters, all else in the middle 12x12 pixels. `above floor` is the
difference of the two distances with its 95 % interval, a jackknife over blocks of the images, of which each is left out
of both; `floor` is the mean and standard deviation over disjoint splits of the test images. Root mean square errors,
PSNR and SSIM rank colourisers backwards (a grey image has the best): they are given, and decide nothing.

Every row is written to rows.jsonl when it is done, and not computed again. A network that was trained to colour or to
inpaint does that task alone.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import torch
from scipy.special import stdtrit
from torch import Tensor
from torch.nn.functional import avg_pool2d

from scoresde import models
from scoresde.conditioners import conditioners
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import generators, permutation, stream
from scoresde.data import data
from scoresde.images import sheets
from scoresde.metrics.moments import moments
from scoresde.metrics.normal import factored, frechet
from scoresde.metrics.pairs import WINDOW, psnr, ssim
from scoresde.models.base import ScoreModel
from scoresde.observations import Blur, Downsample, Luma, Observation, Pixels
from scoresde.observations.covariance import KINDS, LARGEST, estimate
from scoresde.posterior import posteriors, store
from scoresde.sampling.sample import Samples, sample
from scoresde.solvers import solvers

BATCH, BLOCKS, SHOWN, DIVERSE = 500, 20, 10, 64
GREY, SAMPLES = "(the grey image)", "(unconditional)"


@dataclass(frozen=True)
class Task:
    """What is measured, and where the images are compared."""

    title: str
    seen: Literal["whole", "middle", "detail"]
    """Where a task leaves something open, images are compared: in colours, in a hole, or in what is finer than that."""

    def observation(self, size: int) -> Observation:
        hole = torch.ones(1, 1, size, size)
        hole[..., size // 4 : size - size // 4, size // 4 : size - size // 4] = 0
        weights = torch.exp(-0.5 * torch.linspace(-2, 2, 5).square())
        kernel = weights[:, None] * weights / weights.sum() ** 2
        made = {"colour": Luma(), "hole": Pixels(hole), "enlarge": Downsample(factor=2, noise=0.00226)}
        return made.get(self.title, Blur(kernel, 0.01))

    def features(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) uint8 -> (N, D), scaled to [-1, 1]."""
        x, size = pixels.double() / 127.5 - 1, pixels.shape[-1]
        if self.seen == "whole":
            return avg_pool2d(x, size // 8).flatten(1)
        first = size // 8 if self.seen == "middle" else size // 2 - 6
        inner = x[..., first : size - first, first : size - first]
        return avg_pool2d(inner, max(1, (size - 2 * first) // 12)).flatten(1)


TASKS = {"colour": Task("colour", "whole"), "hole": Task("hole", "middle")}
TASKS |= {name: Task(name, "detail") for name in ("enlarge", "deblur")}
PUBLISHED = "replace:as_published=true"


def methods(task: str) -> Iterator[tuple[str, str]]:
    """What is compared: a conditioner and a solver, or a posterior sampler alone; the dear ones come last."""
    best = "channel" if task == "colour" else "full"
    yield f"covariance:kind={best}", "dpm++:steps=10"
    yield f"covariance:kind={best}", "dpm++:steps=20"
    yield from ((f"covariance:kind={kind}", "dpm++:steps=20") for kind in ("full", "dct", "channel") if kind != best)
    if task in ("colour", "hole"):
        yield PUBLISHED, "ancestral:steps=20"
        yield PUBLISHED, "ancestral:steps=100"
    if task != "deblur":  # its rows are not orthogonal
        yield "replace", "dpm++:steps=20"
    yield "projection", "dpm++:steps=20"
    yield f"covariance:kind={best}", "adams:tol=0.01"
    yield f"covariance:kind={best}", "unipc:steps=10,prediction=noise"
    if task in ("colour", "hole"):
        yield f"covariance:kind={best}", "unipc:steps=10"
    yield f"covariance:kind={best}", "sde-dpm++:steps=50"
    yield f"moment:kind={best}", "dpm++:steps=20"
    if task != "deblur":
        yield "langevin", ""
    yield "dps:rate=50", "ancestral:steps=100"
    yield "gibbs", ""


def trained() -> Iterator[tuple[str, str]]:
    """What a network that was trained for the task is asked."""
    for how in ("dpm++:steps=10", "dpm++:steps=20", "unipc:steps=10", "sde-dpm++:steps=50"):
        yield "trained", how


def luma_of(pixels: Tensor) -> Tensor:
    """Pillow's convert("L"), (N, 3, H, W) uint8 -> (N, 1, H, W) in [-1, 1]."""
    red, green, blue = pixels.long().unbind(1)
    return (((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16)[:, None] / 127.5 - 1).float()


def draw(model: ScoreModel, seen: Observation, y: Tensor, what: str, how: str, folder: str, first: int) -> Samples:
    seeds = generators(range(first, first + len(y)))
    if not how:
        return store.fitted(posteriors.parse(what), folder, seen).draw(model, seen, y, generator=seeds)
    solver = solvers.parse(how)
    if what == SAMPLES:
        return sample(model, solver, model.prior(seeds), generator=seeds)
    around = store.fitted(conditioners.parse(what), folder, seen).condition(model, seen, y, seeds)
    if what != PUBLISHED:
        return sample(around, solver, around.prior(seeds), generator=seeds)
    done = sample(around, solver, around.prior(seeds), generator=seeds, denoise=False)  # the published loop
    return Samples(around.finish(done.x), done.nfe, done.work, done.seconds, done.info, done.vjps)


def distances(task: Task, drawn: Tensor, truth: Tensor, reference: Any) -> dict[str, float]:
    """FD of what was drawn and of the truth, and their difference with its block jackknife's half-width."""
    a, b = task.features(drawn), task.features(truth)
    block = torch.arange(len(a)) % BLOCKS
    own, floor = frechet(a, reference), frechet(b, reference)
    left = [(frechet(a[block != g], reference), frechet(b[block != g], reference)) for g in range(BLOCKS)]
    values = torch.tensor(left, dtype=torch.float64)
    scale = float(stdtrit(BLOCKS - 1, 0.975)) * math.sqrt(BLOCKS - 1)

    def half(v: Tensor) -> float:
        return scale * float(v.std(correction=0))

    gap = values[:, 0] - values[:, 1]
    return {"fd": own, "fd_half": half(values[:, 0]), "above": own - floor, "above_half": half(gap), "truth": floor}


def judged(drawn: Tensor, truth: Tensor, hidden: Tensor) -> dict[str, float]:
    """Ratios and errors, in [-1, 1] but for the luma's, which is in grey levels."""
    x, x0 = drawn.float() / 127.5 - 1, truth.float() / 127.5 - 1
    chroma = [(v - luma_of(u)).double() for v, u in ((x, drawn), (x0, truth))]
    levels = (luma_of(drawn) - luma_of(truth)).abs().mean() * 127.5
    like = {"ssim": float(ssim(drawn, truth).mean())} if drawn.shape[-1] >= WINDOW else {}
    return like | {
        "chroma_sd": float(chroma[0].std() / chroma[1].std()),
        "luma_levels": float(levels),
        "rmse": float((x - x0).square()[..., hidden].mean().sqrt()),
        "psnr": float(psnr(drawn, truth).mean()),
    }


def measure(model: ScoreModel, task: Task, truth: Tensor, reference: Any, what: str, how: str, folder: str) -> Any:
    """A row, and the first pictures."""
    size = truth.shape[-1]
    seen, clean = task.observation(size), truth.float() / 127.5 - 1
    y = luma_of(truth) if task.title == "colour" else seen.forward(clean)
    known = y.to(model.device)
    hidden = torch.ones(size, size, dtype=torch.bool)
    if isinstance(seen, Pixels):
        hidden = ~seen.mask[0, 0]
    if what == GREY:
        return {**distances(task, truth_grey := sheets.to_uint8(y.expand_as(clean)), truth, reference), "nfe": 0} | {
            "vjps": 0,
            "seconds": 0.0,
            **judged(truth_grey, truth, hidden),
        }, truth_grey[:SHOWN]
    parts = [draw(model, seen, known[i : i + BATCH], what, how, folder, i) for i in range(0, len(y), BATCH)]
    drawn = torch.cat([sheets.to_uint8(part.x) for part in parts])
    row: dict[str, Any] = {"nfe": max(p.nfe for p in parts), "vjps": max(p.vjps for p in parts)}
    row |= {"seconds": sum(p.seconds for p in parts), **distances(task, drawn, truth, reference)}
    row |= judged(drawn, truth, hidden)
    if isinstance(seen, Pixels):
        row["known_exact"] = bool(torch.equal(drawn[..., ~hidden], truth[..., ~hidden]))
    if what != SAMPLES:
        few = [draw(model, seen, known[:DIVERSE], what, how, folder, 10_000 * k).x.cpu() for k in (1, 2)]
        row["diversity"] = float((few[0] - few[1]).square()[..., hidden].mean().sqrt())
    return row, drawn[:SHOWN]


def floors(task: Task, test: Tensor, count: int, others: int) -> tuple[float, float, int]:
    """Mean and standard deviation of FD over disjoint splits of real images, and their number."""
    values = []
    for first in range(0, len(test) - count + 1, count):
        rest = torch.cat([test[:first], test[first + count :]])[:others]
        values.append(frechet(task.features(test[first : first + count]), factored(moments(task.features(rest)))))
    found = torch.tensor(values, dtype=torch.float64)
    return float(found.mean()), float(found.std()), len(values)


def table(rows: list[dict[str, Any]], floor: tuple[float, float, int]) -> str:
    heads = ["conditioner", "solver", "NFE", "cost", "FD", "above floor", "chroma sd", "luma, levels", "RMSE"]
    heads += ["PSNR, dB", "SSIM", "diversity", "s per image"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines.append(f"| (real images) | | | | {floor[0]:.3f} ± {floor[1]:.3f} ({floor[2]} splits) |" + " |" * 8)
    for r in rows:
        cells = [r["what"], r["how"].replace(":", " "), f"{r['nfe']}", f"{r['nfe'] + 2 * r['vjps']}"]
        cells += [f"{r['fd']:.3f} ± {r['fd_half']:.3f}", f"{r['above']:+.3f} ± {r['above_half']:.3f}"]
        cells += [f"{r['chroma_sd']:.2f}", f"{r['luma_levels']:.2f}", f"{r['rmse']:.3f}"]
        cells += [f"{r['psnr']:.2f}" if "psnr" in r else "", f"{r['ssim']:.3f}" if "ssim" in r else ""]
        cells += [f"{r['diversity']:.3f}" if "diversity" in r else "", f"{r['seconds'] / r['n']:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@click.command(help=__doc__)
@click.argument("model")
@click.option("--data", "data_name", required=True, help="Image set of the model, as NAME:KEY=VALUE,...")
@click.option("-n", "count", default=1000, show_default=True, help="Images that are measured and drawn.")
@click.option("-m", "others", default=8000, show_default=True, help="Real images that they are compared with.")
@click.option("--task", "chosen", multiple=True, type=click.Choice(list(TASKS)), help="[default: all]")
@click.option("--only", multiple=True, help="Conditioners and posterior samplers of this name. [default: all]")
@click.option("--device", default="cpu", show_default=True)
@click.option("--report", is_flag=True, help="Only write the tables and sheets of the rows that are there.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the rows, tables and sheets.")
def main(
    model: str,
    data_name: str,
    count: int,
    others: int,
    chosen: tuple[str, ...],
    only: tuple[str, ...],
    device: str,
    report: bool,
    out: Path,
) -> None:
    source, network = data.parse(data_name), models.load(model, device)
    test, real = source.load("test"), source.load("train").scaled()
    kinds = [kind for kind in KINDS if kind != "full" or real[0].numel() <= LARGEST]
    folder = models.locate(model)
    if network.condition != "none":
        kinds, chosen = [], ("colour" if network.condition == "colour" else "hole",)
    if not report and set(store.every(folder)) < set(kinds):
        if folder.is_relative_to(models.BUNDLED):
            raise click.ClickException(
                f"first: scoresde stats {model} --kinds {','.join(kinds)}; then give models/{model}"
            )
        store.save(folder, [estimate(real, kind) for kind in kinds], {"data": data_name, "images": len(real)})
    pixels = test.pixels[permutation(len(test), stream(0, "test"))]  # sets may be sorted by class
    truth, record = pixels[:count], out / "rows.jsonl"
    (out / "shown").mkdir(parents=True, exist_ok=True)
    done = {r["key"]: r for r in map(json.loads, record.read_text().splitlines())} if record.exists() else {}
    sha = files.read_json(folder / models.CONFIG)["sha256"]
    for task in (TASKS[name] for name in chosen or TASKS):
        reference = factored(moments(task.features(pixels[count : count + others])))
        floor, rows, shown = floors(task, pixels, count, others), [], {"real": truth[:SHOWN].float() / 127.5 - 1}
        every = [*methods(task.title), (SAMPLES, "dpm++:steps=20"), *[(GREY, "")] * (task.title == "colour")]
        for what, how in every if network.condition == "none" else trained():
            identity = [sha, data_name, count, others, task.title, what, how, 2]
            key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
            picture = out / "shown" / f"{key}.pt"
            if key not in done and (report or (only and what.split(":")[0] not in only)):
                continue
            if key not in done:
                row, shown = measure(network, task, truth, reference, what, how, model)
                done[key] = {"key": key, "task": task.title, "what": what, "how": how, "n": count, **row}
                torch.save(shown, picture)
                with record.open("a") as file:
                    file.write(json.dumps(done[key]) + "\n")
                click.echo(f"{task.title} {what} {how}: {row}", err=True)
            rows.append(done[key])
            if picture.exists():
                shown[f"{what} {how}"] = torch.load(picture, weights_only=True).float() / 127.5 - 1
        sheets.save(sheets.labelled(shown, zoom=sheets.zoom_for(*truth.shape[-2:])), out / f"{task.title}.png")
        (out / f"{task.title}.md").write_text(table(rows, floor) + "\n", encoding="utf-8")
        click.echo(table(rows, floor))
    (out / "meta.json").write_text(
        json.dumps({"model": sha, "n": count, "m": others, "device": device, **versions()}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
