"""What the folders that pictures lie in say of them: training and test pictures, and classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import PurePosixPath

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


@dataclass(frozen=True)
class Layout:
    """The pictures of a set by split, and the folders that are their classes."""

    train: dict[str, tuple[str, ...]]
    """The pictures that are trained on, or all where no folder holds test pictures, with the folders they lie in."""
    test: dict[str, tuple[str, ...]]
    """The pictures of a folder called test, or val where there is none; empty without such a folder."""
    unused: int
    """Pictures of a folder called val beside one called test."""
    classes: tuple[str, ...]
    """Names of the classes, sorted; empty where the folders are no classes."""
    why: str
    """Why they are none."""

    def labels(self, folders: Sequence[tuple[str, ...]]) -> list[int] | None:
        """The places among `classes` of the folders of some pictures, or None where not all of them have one.

        Args:
            folders: As the values of `train` and `test`.
        """
        place = {name: label for label, name in enumerate(self.classes)}
        found = [place[parts[0]] for parts in folders if len(parts) == 1 and parts[0] in place]
        return found if found and len(found) == len(folders) else None


def layout(names: Sequence[str]) -> Layout:
    """What the folders of pictures say of them.

    Folders at the top called train and test, or val, are splits if every picture lies in one of them. Below them,
    folders are classes if every training picture lies in one and none deeper, there are at least two, and at least
    twice as many pictures. Folders around all pictures count for nothing.

    Args:
        names: The pictures, sorted, with / between folders.
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
    depths, found = {len(parts) for parts in train.values()}, {parts[0] for parts in train.values() if parts}
    why = ""
    if depths != {1}:
        why = "they lie in folders of several depths" if depths != {0} else "they lie in one folder"
    elif len(found) < 2:
        why = "they lie in one folder"
    elif len(train) < 2 * len(found):
        why = "most folders hold a single picture"
    elif {len(parts) for parts in test.values()} == {1}:
        found |= {parts[0] for parts in test.values()}
    unused = len(splits["val"]) if splits["test"] else 0
    return Layout(train, test, unused, () if why else tuple(sorted(found)), why)
