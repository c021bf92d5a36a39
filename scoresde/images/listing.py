"""Which files are images: one rule for folders, zip files, and all commands."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from PIL import Image

from ..core.errors import DataError

KEPT_OUT = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"})
"""Formats that Pillow only recognises, or that it needs another program for."""

UNREADABLE = frozenset(
    ".ai .arw .avif .bufr .cdr .cr2 .cr3 .dng .emf .eps .exr .hdr .heic .heif .hif .jp2 .jxl .jxr .kra .nef .orf .pdf "
    ".pef .ps .psb .raf .raw .rw2 .srw .svg .svgz .webp .wmf .xcf".split()
)
"""Endings of files that hold pictures, which are named where they cannot be read."""


TABLES = ("metadata.csv", "metadata.jsonl")
"""Names of files that say something of the pictures beside them."""

HIDDEN = (".", "__MACOSX")
"""What the names of hidden files and folders begin with."""

DRAWN = (
    {"config.toml", "meta.json"},
    *({f"{command}.json"} for command in ("samples", "colourise", "inpaint", "restore", "encode", "interpolate")),
)
"""Files that together show that a folder holds what this program has drawn: a run, or a result."""


@dataclass(frozen=True)
class Listing:
    """What the names in a folder or a zip file are. Hidden files and what macOS adds are not among them."""

    pictures: list[str]
    """The pictures, sorted, with / between folders."""
    unread: Counter[str] = field(default_factory=Counter)
    """Files that hold pictures but cannot be read, by their ending."""
    tables: list[str] = field(default_factory=list)
    """Tables of what is known of the pictures, sorted."""
    other: Counter[str] = field(default_factory=Counter)
    """All other files, by their ending."""
    closed: list[str] = field(default_factory=list)
    """Folders that may not be opened, and links that lead nowhere."""
    results: list[str] = field(default_factory=list)
    """Folders of what this program has drawn, which are not looked into."""

    def left_out(self) -> list[str]:
        """Sentences that name the pictures that cannot be read here."""
        said = []
        if self.unread:
            said.append(
                f"left out, because they cannot be read here: {counted(self.unread)}; save them as .png or .jpg"
            )
        if self.closed:
            said.append(f"left out, because they cannot be opened: {some(self.closed)}")
        if self.results:
            said.append(
                f"left out, because they hold what was drawn here: {some(self.results)}; to use one, give its own path"
            )
        return said

    def nothing(self, where: str) -> DataError:
        """The error that there are no pictures.

        Args:
            where: What the error calls the folder or file.
        """
        other = self.other + Counter(PurePosixPath(name).suffix for name in self.tables)
        kinds = ((self.unread, "that cannot be read"), (other, "that are no pictures"))
        found = [f"{counted(part)} {what}" for part, what in kinds if part]
        holds = f", only {' and '.join(found)}" if found else ""
        if data := next((end for end in (".npz", ".npy", ".zip") if end in self.other), ""):
            holds += f"; give the {data} file itself"
        return DataError(f"{where} holds no pictures, files that end in .jpg, .png, .webp or the like{holds}")


def endings() -> frozenset[str]:
    """The endings of the files that are taken for pictures, in lower case: those of the formats that Pillow can read.

    A plug-in that has been registered with Pillow adds its own.
    """
    Image.preinit()  # the common formats come first, also where Pillow goes through all to find the one of a file
    known = Image.registered_extensions()
    return frozenset({".mpo"} | {end for end, kind in known.items() if kind in Image.OPEN and kind not in KEPT_OUT})


def sort_out(names: Iterable[str]) -> Listing:
    """The names by what they are; hidden files and what macOS adds are left out.

    Args:
        names: Paths of files, with / between folders.
    """
    read, listing = endings(), Listing([])
    for name in sorted(set(names)):
        path = PurePosixPath(name)
        if any(part.startswith(HIDDEN) for part in path.parts):
            continue
        end = path.suffix.lower()
        if end in read:
            listing.pictures.append(name)
        elif path.name in TABLES:
            listing.tables.append(name)
        else:
            (listing.unread if end in UNREADABLE else listing.other)[end] += 1
    return listing


def list_folder(root: Path, *, results: bool = False) -> Listing:
    """The files in a folder and the folders inside it, also linked ones, each folder once.

    Args:
        root: The folder.
        results: Whether folders inside it are looked into that hold what this program has drawn.
    """
    names, closed, drawn, seen = list[str](), list[str](), list[str](), set[str]()
    folders, links = [""], list[str]()  # links come after all folders, so that a folder keeps its own name
    while folders or links:
        inside = folders.pop() if folders else links.pop(0)
        if (real := os.path.realpath(root / inside)) in seen:
            continue
        seen.add(real)
        try:
            entries = sorted(os.scandir(root / inside), key=lambda entry: entry.name)
        except OSError:
            closed.append(inside or str(root))
            continue
        held = {entry.name for entry in entries}
        if inside and not results and any(marks <= held for marks in DRAWN):
            drawn.append(inside)
            continue
        for entry in entries:
            name = f"{inside}{entry.name}"
            if entry.name.startswith(HIDDEN):
                continue
            try:
                if entry.is_dir():
                    (links if entry.is_symlink() else folders).append(f"{name}/")
                elif entry.is_file():
                    names.append(name)
                elif entry.is_symlink():
                    closed.append(name)
            except OSError:  # a link to itself
                closed.append(name)
    return replace(sort_out(names), closed=sorted(closed), results=sorted(drawn))


def counted(endings: Mapping[str, int]) -> str:
    """Files by their ending, as in "15 files (12 .txt, 3 .db)".

    Args:
        endings: Numbers of files by ending.
    """
    most = sorted(endings.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{n} {printable(end) or 'without an ending'}" for end, n in most[:4]]
    if rest := sum(n for _, n in most[4:]):
        parts.append(f"{rest} others")
    total = sum(endings.values())
    return f"{total} file{'s' * (total > 1)} ({', '.join(parts)})"


def some(names: Sequence[str]) -> str:
    """The first few of some names, and how many more there are.

    Args:
        names: The names, at least one.
    """
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return "; ".join(printable(name) for name in names[:3]) + more


def summary(bad: Iterable[DataError], count: int) -> str:
    """How many pictures cannot be read, and why the first few of them.

    Args:
        bad: What is wrong with each of them.
        count: How many pictures there are.
    """
    found = [str(error) for error in bad]
    return f"{len(found)} of {count} pictures cannot be read ({some(found)})"


def printable(name: str) -> str:
    """A name without what cannot be written as UTF-8, which file names may hold.

    Args:
        name: The name.
    """
    return name.encode("utf-8", "replace").decode("utf-8")
