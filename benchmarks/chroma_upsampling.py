"""Colours of 32 pixels brought up to a photograph's size: how far each way ends from the true colours.

    python benchmarks/chroma_upsampling.py FOLDER [FOLDER...] --out benchmarks/results/chroma-upsampling.md

Of each photograph a square of 256 pixels is taken, and its colours (what is left without the luma) are reduced to 32.
The truth of both is known, so that only the way up is measured.
"""

import time
from collections.abc import Callable
from pathlib import Path

import click
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from scoresde.core.provenance import versions
from scoresde.images import pictures
from scoresde.images.read import read_squares
from scoresde.images.upsample import guided, resized
from scoresde.observations import Luma

SMALL, LARGE = 32, 256


def bilateral(x: Tensor, small: Tensor, guide: Tensor, width: float = 0.6, tone: float = 0.2) -> Tensor:
    """Joint bilateral upsampling: means over 5x5 small pixels, weighted by distance and by the difference of luma.

    Reference: Kopf et al. 2007, https://doi.org/10.1145/1276377.1276497, equation 3.
    """
    ratio, n = x.shape[2] / guide.shape[2], x.shape[2]
    place = (torch.arange(guide.shape[2]) + 0.5) * ratio - 0.5
    near, total, weight = place.round().long(), torch.zeros(1), torch.zeros(1)
    for down in range(-2, 3):
        for right in range(-2, 3):
            rows, columns = (near + down).clamp(0, n - 1), (near + right).clamp(0, n - 1)
            distance = (near + down - place)[:, None] ** 2 + (near + right - place) ** 2
            difference = guide - small[:, :, rows][..., columns]
            own = torch.exp(-distance / (2 * width**2) - difference**2 / (2 * tone**2)) + 1e-12
            total, weight = total + own * x[:, :, rows][..., columns], weight + own
    return total / weight


def corrected(found: Tensor, x: Tensor, rounds: int = 3) -> Tensor:
    """What a reduction of it misses of x is added, as in `guided`."""
    for _ in range(rounds):
        found = found + resized(x - resized(found, (SMALL, SMALL)), (LARGE, LARGE))
    return found


Way = Callable[[Tensor, Tensor, Tensor], Tensor]
WAYS: dict[str, Way] = {
    "nearest": lambda x, small, guide: interpolate(x, size=(LARGE, LARGE), mode="nearest"),
    "bicubic": lambda x, small, guide: resized(x, (LARGE, LARGE)),
    "bicubic, 3 corrections": lambda x, small, guide: corrected(resized(x, (LARGE, LARGE)), x),
    "joint bilateral": bilateral,
    "joint bilateral, 3 corrections": lambda x, small, guide: corrected(bilateral(x, small, guide), x),
    "guided": lambda x, small, guide: guided(x, small, guide, 0),
    "**guided, 3 corrections**": guided,
}


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path))
def main(folders: tuple[Path, ...], out: Path) -> None:
    """Measures all ways on the photographs of each folder."""
    used = ", ".join(f"{name} {version}" for name, version in versions()["versions"].items())
    lines = [
        "# Colours brought up under a luma",
        "",
        f"`python benchmarks/chroma_upsampling.py {' '.join(folder.name for folder in folders)}`, {used}.",
        "",
        "The colours of a square of 256 pixels, reduced to 32 by the bicubic filter and brought up again: root mean",
        "square error of R, G and B less the luma, in [-1, 1], mean over the photographs with its 95 % interval, and",
        "as a share of bicubic's, photograph by photograph. Times are of one thread of a busy machine.",
    ]
    for folder in folders:
        x = read_squares(pictures.found([folder]), LARGE, 3)
        luma = Luma().forward(x)
        chroma, small = x - luma, resized(luma, (SMALL, SMALL))
        errors, seconds = dict[str, Tensor](), dict[str, float]()
        for name, way in WAYS.items():
            start = time.perf_counter()
            found = way(resized(chroma, (SMALL, SMALL)), small, luma)
            seconds[name] = (time.perf_counter() - start) / len(x)
            errors[name] = (found - chroma).square().mean((1, 2, 3)).sqrt()
        lines += [
            "",
            f"{folder.name}, {len(x)} photographs:",
            "",
            "| | error | share of bicubic's | ms |",
            "|---|---|---|---|",
        ]
        for name, error in errors.items():
            ratio = error / errors["bicubic"]
            shown = [
                f"{float(v.mean()):.{n}f} ± {1.96 * float(v.std()) / len(x) ** 0.5:.{n}f}"
                for v, n in ((error, 4), (ratio, 3))
            ]
            lines += [f"| {name} | {shown[0]} | {shown[1]} | {1000 * seconds[name]:.0f} |"]
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
