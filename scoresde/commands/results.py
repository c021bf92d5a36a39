"""What `scoresde colourise | inpaint | restore` write: problems and their samples as pictures, a sheet and a record."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from ..core.errors import UsageError
from ..images import sheets
from ..observations import NamedObservation
from ..posterior.tasks import Case
from ..sampling.sample import Samples


def guard(target: Path, inputs: Sequence[Path]) -> None:
    """Looks whether the results would lie beside a file that was given, or in its place.

    Raises:
        UsageError: They would.
    """
    for file in inputs:
        if target.resolve() in (file.resolve().parent, file.parent.resolve()):
            raise UsageError(f"--out {target} is the folder of {file}, beside which nothing is written: choose another")


def names(files: Sequence[Path]) -> list[str]:
    """What the results of each file are called: its name without the ending, if that is enough to tell them apart."""
    stems, whole = Counter(file.stem for file in files), Counter(file.name for file in files)
    return [
        file.stem if stems[file.stem] == 1 else file.name if whole[file.name] == 1 else f"{i}-{file.name}"
        for i, file in enumerate(files)
    ]


def write(target: Path, name: str, case: Case, x: Tensor, seed: int) -> list[str]:
    """Writes the samples of one case, (B, C, H, W), and what belongs to it; returns what the files are called."""
    found = {f"{name}-{seed + i:06d}.png": sheets.single(image) for i, image in enumerate(x)}
    found |= {f"{name}-{ending}": picture for ending, picture in case.beside.items()}
    for file, picture in found.items():
        sheets.save(picture, target / file)
    return list(found)


def sheet(drawn: Sequence[tuple[Case, Tensor]]) -> Image.Image:
    """A row for each picture: what is known, the samples, and the truth where there is one."""
    size = [max(case.shape[axis] for case, _ in drawn) for axis in (1, 2)]
    columns = max(1 + len(x) + (case.truth is not None) for case, x in drawn)
    between = 64 / 127.5 - 1  # the grey between the images

    def padded(image: Tensor) -> Tensor:
        height, width = image.shape[1:]
        return pad(image.expand(3, -1, -1), (0, size[1] - width, 0, size[0] - height), value=between)

    cells: list[Tensor] = []
    for case, x in drawn:
        row = [case.seen, *x] + ([] if case.truth is None else [case.truth])
        cells += [*map(padded, row), *[torch.full((3, *size), between)] * (columns - len(row))]
    return sheets.sheet(torch.stack(cells), columns, zoom=sheets.zoom_for(size[0]))


def cost(case: Case, parts: Sequence[Samples]) -> dict[str, Any]:
    """What was known of one picture, and what its samples cost."""
    count, seen = sum(len(part.x) for part in parts), case.observation
    return {
        "observation": str(seen) if isinstance(seen, NamedObservation) else seen and type(seen).__name__.lower(),
        "nfe": mean(part.nfe for part in parts),
        "vjps": mean(part.vjps for part in parts),
        "cost": mean(part.cost for part in parts),
        "work": sum(part.work * len(part.x) for part in parts) / count,
        "seconds": sum(part.seconds for part in parts),
        "info": {key: mean(part.info[key] for part in parts) for key in parts[0].info},
    }
