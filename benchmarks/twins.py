"""Small twins of networks with class labels and of networks that fill holes, judged by a classifier of digits.

    scoresde train digits-classes
    scoresde train digits-inpaint
    python benchmarks/twins.py runs/digits-classes runs/digits-inpaint --out benchmarks/results/twins.md

The classifier is scikit-learn's support vector machine, trained on the 1,500 digits that the networks saw. Its share of
right answers on the 297 held-out digits is the most that samples can be expected to reach. A network with classes draws
100 digits of each, with the classifier asked whether they are what was asked for; one that fills holes is given the
held-out digits without their middle, four by four pixels, and the classifier is asked whether they are still what they
were. Some cannot be: what is left of a digit may be left of another. FD is the Frechet distance in the features of the
bundled extractor to the training digits, smaller for more samples. Intervals are Wilson's, at 95 %.
"""

from collections.abc import Iterator
from pathlib import Path

import click
import torch
from scipy.stats import binomtest
from sklearn.svm import SVC
from torch import Tensor

from scoresde import models
from scoresde.conditioners import conditioners
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import generators
from scoresde.data import data
from scoresde.images import sheets
from scoresde.metrics import metrics
from scoresde.models.base import ScoreModel
from scoresde.models.clipped import ClippedModel
from scoresde.models.guided import GuidedModel
from scoresde.models.network import NetworkModel
from scoresde.observations import Pixels
from scoresde.posterior import store
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers

HEAD = "| network | asked | solver | NFE | recognised | FD |\n|---|---|---|---|---|---|"
SCALES, EACH = (1.0, 2.0, 4.0), 100


class Judge:
    """A classifier of digits, and the distance from those it was trained on."""

    def __init__(self) -> None:
        self.train, self.test = (data["digits"]().load(split) for split in ("train", "test"))
        self.machine = SVC(C=10.0, gamma=0.002).fit(self.train.pixels.flatten(1), self.train.labels)

    def row(self, name: str, asked: str, solver: str, nfe: float, x: Tensor, labels: Tensor) -> str:
        """A row of samples (B, 1, 8, 8) in [-1, 1] that should be of the classes `labels`."""
        levels = ((x + 1) * 8).round().clamp(0, 16).flatten(1)
        right = int((torch.as_tensor(self.machine.predict(levels)) == labels).sum())
        low, high = binomtest(right, len(x)).proportion_ci(method="wilson")
        share = f"{100 * right / len(x):.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
        real = sheets.to_uint8(self.train.scaled())
        distance = metrics["fd"]().measure(sheets.to_uint8(x), real)[0].value
        return f"| {name} | {asked} | {solver} | {nfe:g} | {share} | {distance:.3g} |"


def classes(model: NetworkModel, name: str, judge: Judge) -> Iterator[str]:
    """Digits of every class, more and more guided to it."""
    labels, solver = torch.arange(10).repeat_interleave(EACH), solvers.parse("dpm++:steps=20")
    for scale in SCALES:
        sources = generators(range(len(labels)))
        guided = ClippedModel(GuidedModel(model, labels, scale))
        drawn = sample(guided, solver, model.prior(sources), generator=sources)
        yield judge.row(name, f"classes, guidance {scale:g}", str(solver), drawn.nfe, drawn.x, labels)


def holes(model: ScoreModel, name: str, judge: Judge, ways: list[str]) -> Iterator[str]:
    """Held-out digits whose middle was taken away and filled again."""
    mask, clean = torch.ones(1, 1, 8, 8), judge.test.scaled()
    mask[..., 2:6, 2:6] = 0
    seen, labels = Pixels(mask), judge.test.labels
    for way in ways:
        what, _, how = way.partition(" by ")
        sources, solver = generators(range(len(clean))), solvers.parse(how)
        conditioner = store.fitted(conditioners.parse(what), models.locate(name), seen)
        around = conditioner.condition(model, seen, seen.forward(clean), sources)
        drawn = sample(around, solver, around.prior(sources), generator=sources)
        yield judge.row(Path(name).name, f"hole, {what}", how, drawn.nfe, drawn.x, labels)


@click.command(help=__doc__)
@click.argument("runs", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("twins.md"), show_default=True)
def main(runs: tuple[str, ...], out: Path) -> None:
    torch.set_num_threads(1)
    judge, lines = Judge(), [HEAD]
    lines.append(judge.row("(held-out digits)", "", "", 0, judge.test.scaled(), judge.test.labels))
    for run in runs:
        model = models.load(run)
        if model.classes:
            lines += classes(model, Path(run).name, judge)
        elif model.condition == "inpaint":
            lines += holes(model, run, judge, ["trained by dpm++:steps=10", "trained by sde-dpm++:steps=50"])
    ways = ["covariance by dpm++:steps=10", "covariance by sde-dpm++:steps=50"]
    ways += [f"replace:as_published=true by ancestral:steps={steps}" for steps in (20, 100)]
    lines += holes(models.load("digits"), "digits", judge, ways)
    text = "\n".join(lines) + "\n"
    click.echo(text)
    intro = (__doc__ or "").split("\n\n", 2)[2]
    versioned = ", ".join(f"{name} {version}" for name, version in versions()["versions"].items())
    asked = " ".join(f"runs/{Path(run).name}" for run in runs)
    head = f"# Small twins\n\n`python benchmarks/twins.py {asked}`, {versioned}."
    files.write_text(out, f"{head}\n\n{intro}\n{text}")


if __name__ == "__main__":
    main()
