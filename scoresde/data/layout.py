"""Splits and classes of images, from the names of folders and from tables."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os.path import commonprefix
from pathlib import PurePosixPath
from typing import Literal

from ..core.errors import DataError
from ..images.listing import printable, some
from .tables import LABEL, Tables

SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}
"""Names of folders, in lower case, that are splits of a set."""

Labels = bool | Literal["folders", "table"] | None
"""Where classes are taken from; see `Pictures.labels`."""

WHOLE = re.compile(r"[+-]?\d{1,18}(\.0*)?")
"""A whole number, as tables write it."""


@dataclass(frozen=True)
class Layout:
    """The pictures of a set by split, and their classes."""

    train: list[str]
    """The pictures that are trained on, or all where no folder holds test pictures."""
    test: list[str]
    """The pictures of a folder called test, or val where there is none; empty without such a folder."""
    unused: int
    """Pictures of a folder called val beside one called test."""
    classes: tuple[str, ...] = ()
    """Names of the classes, sorted; empty where there are none."""
    why: str = ""
    """Why there are none; or, where folders are classes, why a table's labels are none."""
    source: str = ""
    """What names them: "folder", or "the column label of metadata.csv"."""
    place: Mapping[str, int] = field(default_factory=dict)
    """The place of a picture's class among `classes`, for the pictures that have one."""

    def labels(self, names: Sequence[str]) -> list[int] | None:
        """The places among `classes` of the classes of some pictures, or None where not all of them have one.

        Args:
            names: Pictures of the set.
        """
        found = [self.place[name] for name in names if name in self.place]
        return found if found and len(found) == len(names) else None


def layout(names: Sequence[str], beside: Tables | None = None, labels: Labels = None, where: str = "the set") -> Layout:
    """What the folders of pictures, and tables beside them, say of them.

    Folders at the top called train and test, or val, are splits if every picture lies in one of them. Below them,
    folders are classes if every training picture lies in one and none deeper, there are at least two, and at least
    twice as many pictures. What the column `label` of a table names is a class under the same conditions. Folders
    around all pictures count for nothing.

    Args:
        names: The pictures, sorted, with / between folders.
        beside: What tables say of them.
        labels: Where classes are taken from: "folders", "table", False for nowhere; None and True are either.
        where: What an error calls the set.

    Raises:
        DataError: Folders and a table name other classes.
    """
    folders = {name: PurePosixPath(name).parts[:-1] for name in names}
    around = len(commonprefix(list(folders.values())))
    folders = {name: parts[around:] for name, parts in folders.items()}
    splits: dict[str, dict[str, tuple[str, ...]]] = {"train": {}, "test": {}, "val": {}, "": {}}
    for name, parts in folders.items():
        splits[SPLITS.get(parts[0].lower(), "") if parts else ""][name] = parts[1:]
    if splits[""] or not splits["train"]:
        splits = {"train": folders, "test": {}, "val": {}}
    train, test = splits["train"], splits["test"] or splits["val"]
    found = Layout(list(train), list(test), len(splits["val"]) if splits["test"] else 0)
    by_folder, why = _of_folders(train, test) if labels in (None, True, "folders") else ({}, "")
    by_table, why_not = _of_table(found, beside) if beside and labels in (None, True, "table") else ({}, "")
    if by_folder and by_table:
        _agree(by_folder, by_table, where)
    class_of = by_table or by_folder
    if not class_of:
        why = "; ".join(text for text in (why_not, why) if text) or f"no table has a column {LABEL}"
        return replace(found, why="labels is false" if labels is False else why)
    classes = _sorted(class_of.values())
    label = {kind: number for number, kind in enumerate(classes)}
    source = f"the column {LABEL} of {some(beside.used)}" if beside and by_table else "folder"
    place = {name: label[kind] for name, kind in class_of.items()}
    return replace(found, classes=classes, why=why_not, source=source, place=place)


def _of_folders(
    train: Mapping[str, tuple[str, ...]], test: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, str], str]:
    """The folder of each picture, where folders are classes, or why they are none."""
    depths, kinds = {len(parts) for parts in train.values()}, {parts[0] for parts in train.values() if parts}
    if depths != {1}:
        inside = "they lie in folders of several depths" if len(depths) > 1 else "their folders lie in other folders"
        return {}, "they lie in one folder" if depths == {0} else inside
    if len(kinds) < 2:
        return {}, "they lie in one folder"
    if len(train) < 2 * len(kinds):
        return {}, "most folders hold a single picture"
    if {len(parts) for parts in test.values()} == {1}:
        kinds |= {parts[0] for parts in test.values()}
    every = {**train, **test}
    return {name: parts[0] for name, parts in every.items() if len(parts) == 1 and parts[0] in kinds}, ""


def _of_table(found: Layout, beside: Tables) -> tuple[dict[str, str], str]:
    """The label of each picture, where labels are classes, or why they are none; "" without labels."""
    labels, column = beside.labels, f"the column {LABEL} of {some(beside.used)}" if beside.used else ""
    if beside.why or not labels:
        return {}, beside.why
    if missing := [name for name in found.train if name not in labels]:
        return {}, f"{column} says nothing of {len(missing)} of {len(found.train)} pictures ({some(missing)})"
    if all(map(WHOLE.fullmatch, labels.values())):
        labels = {name: str(int(text.partition(".")[0])) for name, text in labels.items()}
    elif all(map(_number, labels.values())):
        return {}, f"{column} holds numbers that are not whole"
    kinds = {labels[name] for name in found.train}
    if len(kinds) < 2:
        return {}, f"{column} is the same for all"
    if len(found.train) < 2 * len(kinds):
        return {}, f"most values in {column} belong to a single picture"
    if all(name in labels for name in found.test):
        kinds |= {labels[name] for name in found.test}
    return {name: labels[name] for name in (*found.train, *found.test) if labels.get(name) in kinds}, ""


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _sorted(kinds: Iterable[str]) -> tuple[str, ...]:
    """Names of classes in order: whole numbers by their size, others by their letters."""
    names = sorted(set(kinds))
    return tuple(sorted(names, key=int) if all(map(WHOLE.fullmatch, names)) else names)


def _agree(folders: Mapping[str, str], table: Mapping[str, str], where: str) -> None:
    """Checks that a folder has one label, and a label one folder.

    Raises:
        DataError: They have not.
    """
    first: dict[tuple[str, str], str] = {}
    for name in folders:
        if name not in table:
            continue
        for key, other in ((("folder", folders[name]), table), (("label", table[name]), folders)):
            before = first.setdefault(key, name)
            if other[before] != other[name]:
                one, two = (f"{printable(n)} has the {LABEL} {table[n]!r}" for n in sorted((before, name)))
                raise DataError(
                    f"{where}: folders and tables name other classes, for {one}, and {two}: set data.labels to "
                    "folders, to table or, for none, to false"
                )
