"""How often a picture is named as unlike a model's training data: held-out pictures, and others.

    python benchmarks/unlike.py FOLDER --out benchmarks/results/unlike.md

FOLDER holds photographs. The sets of images are those of the options, their held-out split.
"""

from collections.abc import Iterator
from pathlib import Path

import click
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from scoresde import models
from scoresde.core.provenance import versions
from scoresde.core.random import randn, stream
from scoresde.data import Images, data
from scoresde.images import pictures
from scoresde.images.read import read_squares
from scoresde.posterior import typicality

MOST = 2000


def images(text: str) -> Tensor:
    """Held-out images of a set as data, at most `MOST` of them, from all over it, (N, C, H, W)."""
    found = data.parse(text).load("test")
    if not isinstance(found, Images):
        raise click.UsageError(f"{text} holds no images")
    return found.drawn(MOST).scaled()


def sets(folder: Path, held_out: str, mnist: str, fashion: str) -> Iterator[tuple[str, Tensor]]:
    """What each set is, and its luma, (N, 1, 32, 32)."""
    own = typicality.luma(images(held_out))
    yield "held-out pictures: false alarms", own
    for noise in (0.1, 0.2):
        yield f"the same with noise of {noise:g}", own + noise * randn(own.shape, stream(0, "noise"))
    for name, text in (("digits of 8x8 pixels", "digits"), ("MNIST", mnist), ("Fashion-MNIST", fashion)):
        yield name, interpolate(images(text), size=(32, 32), mode="bicubic", antialias=True).clamp(-1, 1)
    yield "white noise, even in [-1, 1]", torch.rand(200, 1, 32, 32, generator=stream(1, "noise")) * 2 - 1
    yield "one flat grey", torch.linspace(-1, 1, 101)[:, None, None, None].expand(-1, 1, 32, 32)
    whole = typicality.luma(read_squares(pictures.found([folder]), 256, 3))
    yield "photographs reduced to 32x32", interpolate(whole, size=(32, 32), mode="bicubic", antialias=True)
    yield "their middle 32x32 pixels", whole[..., 112:144, 112:144]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--model", default="cifar10")
@click.option("--held-out", default="cifar10")
@click.option("--mnist", default="mnist")
@click.option("--fashion", default="fashion-mnist")
@click.option("--out", required=True, type=click.Path(path_type=Path))
def main(folder: Path, model: str, held_out: str, mnist: str, fashion: str, out: Path) -> None:
    """Measures the rates."""
    place = models.locate(model)
    box = pictures.box_known((8, 8, 24, 24), (32, 32))
    used = ", ".join(f"{name} {version}" for name, version in versions()["versions"].items())
    lines = [
        "# Pictures named as unlike the training data",
        "",
        f"`python benchmarks/unlike.py {folder.name} --model {model}`, {used}; seeds 0 and 1.",
        "",
        f"Share of pictures that `{model}` names, by their luma, and by what is known beside a hole of 16x16; and the",
        "median distance by the luma, in that which 1 % of the training pictures exceed. All are made grey.",
        "",
        "| | pictures | named by luma | with a hole | median |",
        "|---|---|---|---|---|",
    ]
    for name, grey in sets(folder, held_out, mnist, fashion):
        found = [typicality.distance(place, grey, known) for known in (None, box)]
        shares = [float((each > 1).double().mean()) for each in found if each is not None]
        median = 0.0 if found[0] is None else float(found[0].median())
        lines.append(f"| {name} | {len(grey)} | {shares[0]:.1%} | {shares[1]:.1%} | {median:.2f} |")
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
