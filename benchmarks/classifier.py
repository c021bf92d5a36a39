"""Digits of a class from a model that knows no classes, guided by a classifier of noisy digits.

    scoresde classifier digits --images 30000
    python benchmarks/classifier.py classifiers/digits --out benchmarks/results/classifier.md

The judge is scikit-learn's support vector machine, trained on the 1,500 digits that network and classifier saw; it
never saw noise. Its share of right answers on the 297 held-out digits is the most that samples can be expected to
reach. As many samples of each digit are drawn at each scale, sample i with seed i, and the judge is asked whether they
are what was asked for; at scale 0 nothing guides, and one in ten is by chance. FD is the Frechet distance in the
features of the bundled extractor to the training digits; it is larger for fewer samples, so that rows of one table are
to be compared. Intervals are Wilson's, at 95 %.
"""

from pathlib import Path

import click
import torch
from twins import Judge

import scoresde
from scoresde.core import files
from scoresde.core.provenance import versions

HEAD = "| model | asked | solver | NFE | recognised | FD |\n|---|---|---|---|---|---|"
SCALES = (0.0, 1.0, 2.0, 4.0)


@click.command(help=__doc__)
@click.argument("classifier", type=click.Path(path_type=Path))
@click.option("--each", default=50, show_default=True, help="Samples of each digit.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("classifier.md"), show_default=True)
def main(classifier: Path, each: int, out: Path) -> None:
    torch.set_num_threads(1)
    judge, made, lines = Judge(), scoresde.load_classifier(classifier, "cpu"), [HEAD]
    lines.append(judge.row("(held-out digits)", "", "", 0, judge.test.scaled(), judge.test.labels))
    labels = torch.arange(10 * each) % 10
    for scale in SCALES:
        found = scoresde.sample(
            "digits", "dpm++:steps=20", n=len(labels), classes=labels, guidance=scale, classifier=made, clip=True
        )
        lines.append(judge.row("digits", f"guidance {scale:g}", "dpm++:steps=20", found.nfe, found.x, labels))
        click.echo(lines[-1])
        found.sheet(columns=10).save(out.with_name(f"{out.stem}-{scale:g}.png"))
    levels = ["| t | accuracy | cross-entropy |\n|---|---|---|"]
    levels += [f"| {row['time']:g} | {row['accuracy']:.3f} | {row['cross_entropy']:.3f} |" for row in made.held_out]
    intro = (__doc__ or "").split("\n\n", 2)[2]
    versioned = ", ".join(f"{name} {version}" for name, version in versions()["versions"].items())
    command = f"python benchmarks/classifier.py classifiers/digits --each {each}"
    head = f"# Guidance by a classifier\n\n`{command}`, {versioned}"
    table, own = "\n".join(lines), "\n".join(levels)
    text = f"{head}.\n\n{intro}\n{table}\n\nThe classifier on held-out digits, cross-entropy in nats:\n\n{own}\n"
    files.write_text(out, text)


if __name__ == "__main__":
    main()
