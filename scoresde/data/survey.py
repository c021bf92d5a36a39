"""A report on the data at a path, before anything is loaded."""

import difflib
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any, Literal

from ..core.errors import DataError, UsageError
from ..core.sentences import many
from ..images.decode import look
from ..images.listing import counted, endings, printable, some, summary
from .arrays import Arrays
from .base import DataOptions, Images
from .files import Folder, Zip
from .held_out import HeldOut
from .layout import Labels, Layout, layout
from .pictures import Pictures
from .tables import tables
from .tabular import Table

GREY = ("1", "L", "LA", "La", "I", "F")
"""Modes of Pillow without colour, and what the names of others begin with, such as "I;16"."""

READERS: dict[str, type[HeldOut]] = {".npz": Arrays, ".npy": Arrays, ".csv": Table, ".tsv": Table}
"""What reads a file of arrays, by its ending."""


@dataclass(frozen=True)
class Survey:
    """What a path holds that a model can be trained on.

    Example:
        >>> from scoresde.data.survey import survey
        >>> found = survey("my-pictures")  # doctest: +SKIP
        >>> print(". ".join(found.said))  # doctest: +SKIP
    """

    path: Path
    """The folder or file."""
    kind: Literal["pictures", "images", "tensors"]
    """Files of pictures, which are resized; an array of pixels; or an array of any numbers."""
    count: int
    """How many of them are trained on or, without a test split in the path, also held out."""
    shape: tuple[int, ...] | None
    """Shape of one item of an array, channels first; None for pictures."""
    sides: tuple[int, int, int]
    """Smallest, median and largest shorter side of the pictures, in pixels; zeros for arrays."""
    channels: int
    """1 if all pictures are grey, else 3; of arrays, the first number of their shape."""
    classes: tuple[str, ...]
    """Names of the classes in the order of their labels; empty without labels."""
    levels: int | None
    """Grey levels, 256 for files of pictures, whose pixels are not looked at; None for tensors."""
    test: int
    """Items of a test split that the path itself carries; 0 if a share is to be held out."""
    said: tuple[str, ...]
    """Sentences for a person: what there is, and what was left out and why."""
    reader: type[DataOptions]
    """The data set that reads it."""

    def options(self, **changes: Any) -> DataOptions:
        """The data set that reads the path, with what the survey has found as its options.

        Args:
            changes: Other options, such as size=32.

        Raises:
            UsageError: The data set does not have an option, or refuses its value.
        """
        own: dict[str, Any] = {"path": str(self.path)}
        if self.kind == "pictures":
            own |= {"channels": self.channels, "skip_bad": True}
        return self.reader(**{**own, **changes})


def survey(path: str | Path, labels: Labels = None) -> Survey:
    """What a path holds: a folder or zip file of pictures, of which only the heads are read, or arrays.

    Args:
        path: A folder, a .zip, an .npz, .npy, .csv or .tsv file.
        labels: Where the classes of pictures are taken from, as `Pictures.labels`.

    Raises:
        UsageError: There is nothing under the path, or a single picture.
        DataError: What there is cannot be trained on.
    """
    path = Path(path)
    shown, end = printable(str(path)), path.suffix.lower()
    if path.is_dir():
        return _pictures(path, Folder(path=str(path), labels=labels))
    if not path.exists():
        beside = [file.name for file in path.absolute().parent.glob("*")]
        near = difflib.get_close_matches(path.name, beside, n=1)
        raise UsageError(
            f"there is no file or folder {shown}" + (f". Did you mean {printable(near[0])!r}?" if near else "")
        )
    if end in READERS:
        return _arrays(path, READERS[end])
    if zipfile.is_zipfile(path):
        return _pictures(path, Zip(path=str(path), labels=labels))
    if end in endings():
        raise UsageError(f"{shown} is one picture, and a set of them is needed: give the folder that holds them")
    raise DataError(
        f"{shown} is neither a folder or .zip of pictures nor an .npz, .npy or .csv of numbers: put pictures into a "
        "folder, or save arrays by numpy.savez"
    )


def _pictures(path: Path, options: Pictures) -> Survey:
    sizes, modes, bad = Counter[tuple[int, int]](), Counter[str](), list[DataError]()
    with options.opened() as (listing, opener):
        if not listing.pictures and set(listing.other) == {".npy"} and path.is_file():
            return _arrays(path, Arrays)  # an .npz is a zip file of .npy files
        if not listing.pictures:
            raise listing.nothing(printable(str(path)))
        beside, good = tables(listing, opener, printable(str(path))), []
        for name in beside.pictures:
            try:
                with opener(name) as file:
                    size, mode = look(file, printable(name))
            except DataError as error:
                bad.append(error)
            else:
                sizes[size] += 1
                modes[mode] += 1
                good.append(name)
    if 2 * len(good) <= len(beside.pictures):
        raise DataError(f"{printable(str(path))}: {summary(bad, len(beside.pictures))}: half or more")
    found = layout(beside.pictures, beside, options.labels, printable(str(path)))
    count, test = (len({*part} & {*good}) for part in (found.train, found.test))
    shorter = sorted(side for size, n in sizes.items() for side in [min(size)] * n)
    said = [f"{many(len(good), 'picture')} in {printable(str(path))}", _sizes(sizes, shorter), _modes(modes)]
    if any(mode.startswith("I") for mode in modes):
        said.append("of 16 bits the upper 8 are kept: for all of them give the numbers as an .npy array, (N, 1, H, W)")
    said += _layout_said(found, count, test)
    if bad:
        said.append(f"left out: {summary(bad, len(beside.pictures))}")
    said += [*listing.left_out(), *beside.left_out, *beside.notes]
    if listing.other:
        said.append(f"not read, because they are no pictures: {counted(listing.other)}")
    return Survey(
        path=path,
        kind="pictures",
        count=count,
        shape=None,
        sides=(shorter[0], median_low(shorter), shorter[-1]),
        channels=1 if all(mode.startswith(GREY) and mode != "LAB" for mode in modes) else 3,
        classes=found.classes,
        levels=256,
        test=test,
        said=tuple(said),
        reader=type(options),
    )


def _sizes(sizes: Counter[tuple[int, int]], shorter: list[int]) -> str:
    if len(sizes) == 1:
        (size,) = sizes
        return f"all are {size[0]}x{size[1]} pixels"
    return f"their shorter sides are {shorter[0]} to {shorter[-1]} pixels, {median_low(shorter)} in the median"


def _modes(modes: Counter[str]) -> str:
    return "modes: " + ", ".join(f"{mode} ({n})" for mode, n in modes.most_common())


def _layout_said(found: Layout, count: int, test: int) -> Iterator[str]:
    if found.test:
        yield f"its folders are splits: {many(count, 'picture')} to train with and {test} to test with"
    if found.unused:
        yield f"of its folder of validation pictures {found.unused} are not used"
    if found.classes:
        sizes = Counter(found.place[name] for name in found.train)
        listed = some([f"{name} ({sizes[label]})" for label, name in enumerate(found.classes)])
        yield f"{many(len(found.classes), 'class')}, by {found.source}: {listed}"
        if found.why:
            yield f"not taken for classes: {found.why}"
    else:
        yield f"no classes: {found.why}"


def _arrays(path: Path, reader: type[HeldOut]) -> Survey:
    found = reader(path=str(path), held_out=0).load("train")
    levels = found.levels if isinstance(found, Images) else None
    count = 0 if found.labels is None else int(found.labels.max()) + 1
    classes = found.class_names or tuple(map(str, range(count)))
    try:
        test = len(reader(path=str(path), held_out=0).load("test"))
    except DataError:  # there is none
        test = 0
    what = f"{'x'.join(map(str, found.shape))}, channels first" if len(found.shape) > 1 else f"{found.shape[0]} numbers"
    said = [f"{many(len(found), 'image' if levels else 'item')} of {what}, in {printable(str(path))}"]
    if levels and levels < 256:
        said.append(f"its pixels have {levels} grey levels")
    if test:
        said.append(f"{test} more to test with")
    named = f": {some(found.class_names)}" if found.class_names else ""
    said.append(f"labels of {many(len(classes), 'class')}{named}" if classes else "no labels")
    return Survey(
        path=path,
        kind="images" if levels else "tensors",
        count=len(found),
        shape=found.shape,
        sides=(0, 0, 0),
        channels=found.shape[0],
        classes=classes,
        levels=levels,
        test=test,
        said=tuple(said),
        reader=reader,
    )
