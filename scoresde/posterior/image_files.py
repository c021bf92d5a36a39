"""Many image files, each with a missing part: samples of p(x | y) for each of them, an overview and a record."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..core.errors import DataError, NumericalError, UsageError
from ..core.files import write_json
from ..core.folders import result
from ..core.streams import one_line
from ..images import sheets
from ..models.base import ScoreModel
from ..models.clipped import ClippedModel
from ..models.record import record
from ..models.tiled import TiledModel
from ..sampling.progress import ProgressBar, progress_bar
from ..sampling.sample import Samples
from . import comparison, typicality
from .tasks import Case, Method, of_size

ROWS = 32
"""Pictures that the sheet shows."""
LONGEST = 200
"""Bytes in the name of a picture, beside which there is room for what is added to it."""


@dataclass
class Album:
    """What became of some picture files."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """Of each picture that was done: its file, what was done to it, the files written, and what the samples cost."""
    skipped: list[str] = field(default_factory=list)
    """Why the others were not."""


def restore_files(
    files: Sequence[Path],
    prepare: Callable[[Path], Case],
    model: ScoreModel,
    folder: Path,
    method: Method,
    target: Path,
    *,
    name: str = "samples",
    count: int = 4,
    seed: int = 0,
    batch: int = 64,
    clip: bool = False,
    progress: bool | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> Album:
    """Draws samples for every picture file, and writes them, a sheet and a record. What cannot be done is skipped.

    Args:
        files: The pictures.
        prepare: Makes a file into a problem, such as `lambda file: read_grey(file, model.shape)`.
        model: The model of p(x).
        folder: The model's folder, where the covariance of its data is.
        method: How samples are drawn.
        target: The folder that is written into.
        name: Of the record, NAME.json.
        count: Samples of each picture.
        seed: Sample i uses seed + i.
        batch: Samples, or tiles, at a time.
        clip: Whether predicted data are cut off at black and white, before what is known.
        progress: Whether a bar is shown, or lines; None shows a bar in a terminal or notebook, else lines.
        say: Called with a line for each picture.

    Raises:
        ScoreSDEError: What is wrong with the only picture, or with the first where none could be done.
    """
    album, shown, errors = Album(), list[comparison.Row](), list[DataError | UsageError | NumericalError]()
    each = list(zip(files, names(files), strict=True))
    whole = ["sheet.png", *(sample_name(called, seed + i) for _, called in each for i in range(count))]
    with result(target, f"{name}.json", whole) as place, progress_bar(len(files) * count, progress, desc=name) as bar:
        for number, (file, called) in enumerate(each, 1):
            try:
                case = prepare(file)
                around = of_size(ClippedModel(model) if clip else model, case.shape, batch)
                tiles = around.tiles if isinstance(around, TiledModel) else 1
                note = case.note + (f", in {tiles} tiles" if tiles > 1 else "")
                say(one_line(f"{file}: {note}"))
                unlike = "" if model.autoencoder else typicality.warning(case, folder, model.shape)
                if unlike:
                    say(one_line(f"{file}: {unlike}"))
                seeds = range(seed, seed + count)
                drawn = method.draw(case, around, folder, seeds, batch, lambda: ProgressBar(model.sde, bar))
            except (DataError, UsageError, NumericalError) as error:  # of this picture, or of every one
                errors.append(error)
                album.skipped.append(str(error) if str(file) in str(error) else f"{file}: {error}")
                if len(files) > 1:
                    say(one_line(f"skipped: {album.skipped[-1]}"))
            else:
                x = case.finished(drawn.x)
                written = write(place, called, case, x, seed)
                said = {"done": note, "unlike": unlike}
                album.rows.append({"picture": str(file), **said, "files": written, **cost(case, drawn)})
                shown += [comparison.row(case, x)] if len(shown) < ROWS else []
            bar.update(number * count - bar.n)
        if not album.rows:
            several = f"none of {len(errors)} pictures could be done, the first because: {album.skipped[0]}"
            raise errors[0] if len(errors) == 1 else type(errors[0])(several)
        sheets.save(comparison.sheet(shown), place / "sheet.png")
        content = {
            **method.record,
            "clip": clip,
            **record(model, folder),
            "seeds": [seed, seed + count - 1],
            "pictures": album.rows,
            "skipped": album.skipped,
        }
        write_json(place / f"{name}.json", content)
    return album


def names(files: Sequence[Path]) -> list[str]:
    """What the results of each file are called: its name without the ending, or with it, or with a number before it.

    The first of these is taken that is none of another file, so that all differ.

    Args:
        files: The files, of whatever folders. Of a name that leaves no room the beginning is taken.
    """
    files = [file if len(os.fsencode(file.name)) <= LONGEST else file.with_name(file.name[:40]) for file in files]
    forms = [(file.stem, file.name, f"{i}-{file.name}") for i, file in enumerate(files)]
    taken = Counter(form for each in forms for form in set(each))
    return [next((form for form in each if taken[form] == 1), each[-1]) for each in forms]


def sample_name(called: str, seed: int) -> str:
    """The name of the file of a sample.

    Args:
        called: What the results of the picture are called.
        seed: Of the sample.
    """
    return f"{called}-{seed:06d}.png"


def write(target: Path, name: str, case: Case, x: Tensor, seed: int) -> list[str]:
    """Writes the samples of one case and what belongs to it; returns what the files are called.

    Args:
        target: The folder.
        name: What their names begin with.
        case: What was known.
        x: The samples, (B, C, H, W).
        seed: Of the first of them.
    """
    found = {sample_name(name, seed + i): sheets.single(image) for i, image in enumerate(x)}
    found |= {f"{name}-{ending}": picture for ending, picture in case.beside.items()}
    for file, picture in found.items():
        sheets.save(picture, target / file)
    return list(found)


def cost(case: Case, drawn: Samples) -> dict[str, Any]:
    """What was known of one picture, and what its samples cost.

    Args:
        case: What was known.
        drawn: Its samples.
    """
    return {
        "observation": case.observation and str(case.observation),
        **{key: getattr(drawn, key) for key in ("nfe", "vjps", "cost", "work", "seconds")},
        "info": dict(drawn.info),
        "misfit": list(drawn.misfit),
    }
