"""Captions: how they are kept, and what of them is searched and sorted."""

import unicodedata

from ..errors import UsageError

LONGEST = 500
"""Characters of the longest caption."""
ALONE = ((0x2E80, 0x2FDF), (0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
"""Scripts written without spaces, where each character is taken for a word."""


def tidy(caption: str) -> str:
    """A caption on one line: spaces and control characters become single spaces, halves of characters become �.

    Raises:
        UsageError: It is longer than a caption may be.
    """
    text = " ".join(caption.split())
    if len(text) > LONGEST:
        raise UsageError(f"the caption has {len(text):,} characters, and at most {LONGEST} are kept: shorten it")
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in text).split())


def fold(text: str) -> str:
    """The words of a text, without case, accents and punctuation, separated by spaces: what is searched and sorted."""
    letters = []
    for letter in unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()):
        category = unicodedata.category(letter)
        if unicodedata.combining(letter):
            continue
        if category == "So" or any(first <= ord(letter) <= last for first, last in ALONE):
            letters.append(f" {letter} ")
        elif category[0] in "LN" or category in ("Co", "Mn", "Mc"):
            letters.append(letter)
        else:
            letters.append(" ")
    return unicodedata.normalize("NFC", " ".join("".join(letters).split()))
