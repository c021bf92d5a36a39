"""The catalogue with 100,000 pictures: how long it takes to save, to turn a page and to search.

    python benchmarks/catalogue.py --out benchmarks/results/catalogue.md

The captions are made of 8,000 made-up words that are as unequally frequent as those of a language, 1/rank, with other
forms of them and a number in every tenth; each word of a search is drawn as often as it is in the captions. The file is
filled without waiting for the disk; what is measured waits for it. Times are by the clock, of one thread that calls the
catalogue as the server does; the last column has the processor's, which other programs on the machine lengthen less.

Where there are others, fill a --file first and measure with priority, `nice -n -15 python benchmarks/catalogue.py ...`.
"""

import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.web.catalogue import Catalogue
from scoresde.web.uploads import png

SYLLABLES = [
    a + b for a in "b c d f g h k l m n p r s t v st tr sh ch pl".split() for b in "a e i o u ai er an in on".split()
]
FORMS = ["", "", "", "s", "ed", "ing"]
WORDS = 8000
PARAMETERS = {"model": "photos", "solver": "dpm", "tol": 0.01, "seed": 7, "class": None, "guidance": 1.0}


class Language:
    """Words of a made-up language, and captions of them."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        words: dict[str, None] = {}
        while len(words) < WORDS:
            words["".join(self.draw.choices(SYLLABLES, k=self.draw.choice([1, 2, 2, 3, 3, 4])))] = None
        self.words = list(words)
        self.cumulative = np.cumsum(1 / np.arange(1, WORDS + 1)).tolist()

    def some(self, count: int) -> list[str]:
        words = self.draw.choices(self.words, cum_weights=self.cumulative, k=count)
        return [word + self.draw.choice(FORMS) for word in words]

    def caption(self) -> str:
        number = [str(self.draw.randrange(10**6))] if self.draw.random() < 0.1 else []
        return " ".join(self.some(self.draw.randint(2, 9)) + number).capitalize()

    def misspelt(self) -> tuple[str, str]:
        """A word of six letters or more, and the same with two neighbours swapped, one left out, or one put in."""
        word = next(w for w in iter(lambda: self.draw.choice(self.words), None) if len(w) >= 6)
        i = self.draw.randrange(len(word) - 1)
        swapped = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        return word, self.draw.choice([swapped, word[:i] + word[i + 1 :], word[:i] + "x" + word[i:]])


def fill(catalogue: Catalogue, language: Language, rows: int, picture: bytes) -> None:
    database = catalogue._db
    database.execute("PRAGMA synchronous = OFF")
    for _ in range(rows):
        catalogue.save(language.caption(), picture, PARAMETERS)
    database.execute("PRAGMA synchronous = FULL")


def tasks(catalogue: Catalogue, language: Language, rows: int, picture: bytes) -> dict[str, Callable[[], object]]:
    draw = language.draw
    common = language.words[0]
    return {
        "save": lambda: catalogue.save(language.caption(), picture, PARAMETERS),
        "first page, newest": lambda: catalogue.page(),
        "first page, by name": lambda: catalogue.page("name"),
        "any page, newest": lambda: catalogue.page("newest", draw.randrange(rows)),
        "any page, by name": lambda: catalogue.page("name", draw.randrange(rows)),
        "page at 90,000, by name": lambda: catalogue.page("name", 90 * rows // 100),
        "picture": lambda: catalogue.image(draw.randint(1, rows)),
        "rename": lambda: catalogue.rename(draw.randint(1, rows), language.caption()),
        "delete and restore": lambda: (catalogue.delete(7), catalogue.restore(7)),
        "search, one word": lambda: catalogue.page(query=language.some(1)[0]),
        "search, two words": lambda: catalogue.page(query=" ".join(language.some(2))),
        "search, first three letters": lambda: catalogue.page(query=language.some(1)[0][:3]),
        "search, first letter": lambda: catalogue.page(query=draw.choice("bcdfghklmnprstv")),
        "search, three words": lambda: catalogue.page(query=" ".join(language.some(3))),
        "search, misspelt": lambda: catalogue.page(query=language.misspelt()[1]),
        "search, the commonest word": lambda: catalogue.page(query=common),
        "search, the commonest word, at 20,000": lambda: catalogue.page(query=common, offset=20 * rows // 100),
        "search, nothing like it": lambda: catalogue.page(query="wyzzwyg quuxen"),
    }


def measure(task: Callable[[], object], repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of each call, by the clock and of the processor."""
    spent = []
    for _ in range(repeats):
        began = time.perf_counter(), time.thread_time()
        task()
        spent.append((time.perf_counter() - began[0], time.thread_time() - began[1]))
    clock, processor = 1e3 * np.array(spent).T
    return clock, processor


def recall(catalogue: Catalogue, language: Language, count: int) -> float:
    """Share of misspelt words for which the first page has a caption with the word that was meant."""
    found = 0
    for word, wrong in (language.misspelt() for _ in range(count)):
        entries, _ = catalogue.page(query=wrong)
        found += any(word in entry.caption.lower() for entry in entries)
    return found / count


@click.command(help=__doc__)
@click.option("--rows", default=100_000, show_default=True)
@click.option("--repeats", default=500, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--file", type=click.Path(path_type=Path), help="Keep the catalogue there, and use it if it exists.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there.")
def main(rows: int, repeats: int, seed: int, file: Path | None, out: Path | None) -> None:
    language = Language(seed)
    picture = png(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    with TemporaryDirectory() as folder, Catalogue(file or Path(folder, "catalogue.db")) as catalogue:
        missing = rows - catalogue.page(limit=1)[1]
        fill(catalogue, language, max(0, missing), picture)
        size = catalogue.path.stat().st_size / 1e6
        lines = [
            "| what | median, ms | 99 %, ms | longest, ms | 99 % of the processor's, ms |",
            "|---|---|---|---|---|",
        ]
        for name, task in tasks(catalogue, language, rows, picture).items():
            clock, processor = measure(task, repeats)
            numbers = np.median(clock), np.quantile(clock, 0.99), clock.max(), np.quantile(processor, 0.99)
            lines.append(f"| {name} | " + " | ".join(f"{number:.1f}" for number in numbers) + " |")
            click.echo(lines[-1])
        share = recall(catalogue, language, repeats)
    found = f"Of {repeats} misspelt words, {share:.1%} bring what was meant to the first page."
    text = "\n".join([*lines, "", found])
    click.echo(found)
    if out:
        environment = ", ".join(f"{key} {value}" for key, value in versions()["versions"].items())
        about = f"{rows:,} pictures of 32x32, a file of {size:.0f} MB, {repeats} calls each"
        about += f", a load of {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        about += f", SQLite {sqlite3.sqlite_version}, {environment}."
        head = ["# The catalogue's latencies", about, " ".join(__doc__.split("\n\n")[2].split()), text]
        files.write_text(out, "\n\n".join(head) + "\n")


if __name__ == "__main__":
    main()
