"""Rows of texts as lines of aligned columns."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from textwrap import wrap

NARROW = 12
"""Characters that a folded column has at least."""


def terminal() -> int | None:
    """Characters of a line of the terminal that shows the output; None if it goes elsewhere, or nowhere."""
    return shutil.get_terminal_size().columns if sys.stdout and sys.stdout.isatty() else None


def aligned(rows: Sequence[Sequence[str]], room: int | None = None) -> Iterator[str]:
    """Lines in which the columns begin below each other, two characters apart.

    Args:
        rows: At least one row, all of the same length.
        room: Characters of a line: the text of the widest columns is folded until it fits. Words are kept whole, so
            that names and paths can be copied; None folds nothing.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while room is not None and sum(widths) + 2 * (len(widths) - 1) > room and max(widths) > NARROW:
        widths[widths.index(max(widths))] -= 1
    for row in rows:
        folded = [
            wrap(text, width, break_long_words=False, break_on_hyphens=False) if len(text) > width else [text]
            for text, width in zip(row, widths, strict=True)
        ]
        for line in zip_longest(*folded, fillvalue=""):
            yield "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
