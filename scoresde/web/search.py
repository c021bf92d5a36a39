"""Search for captions: by words, by beginnings of words, by related words, and by words of similar spelling."""

import sqlite3
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

from ..models.classes import related
from .intake import LONGEST

MOST = 500
"""Matches that are ranked. Of a word that more captions hold, the newest come first: rank says nothing of it."""
WORDS = 8
"""Words of a query that count, among as many characters as a caption has."""
ALONE = ((0x2E80, 0x2FDF), (0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
"""Scripts written without spaces, where each character is taken for a word."""
ENOUGH = 50
"""Matches, a page of them, beside which no misspelling is suspected."""
RIVALS, CANDIDATES, ALIKE = 16, 1000, 0.75
"""Spellings that are tried for a word, words compared with it for each piece of it, and the likeness asked of them."""
DAMPING = 60
"""The constant of reciprocal rank fusion."""


def fold(text: str) -> str:
    """The words of a text in the form in which they are searched and sorted: without case, accents and punctuation.

    Args:
        text: Any text.
    """
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


def learn(db: sqlite3.Connection, folded: str) -> None:
    """Adds the words of a caption to the vocabulary, with which misspelt words are compared.

    Args:
        db: The database of the catalogue.
        folded: The caption, as `fold` returns it.
    """
    db.executemany("INSERT OR IGNORE INTO vocabulary (word) VALUES (?)", [(word,) for word in set(folded.split())])


def find(db: sqlite3.Connection, query: str, offset: int, limit: int) -> tuple[list[int], int]:
    """Ids of the captions that match all words of a query, the best first, and the number of matches.

    Rankings are fused by Σ 1/(60 + rank): captions with the words or their inflections, by BM25; captions with words
    that begin with them, the shortest first; captions with related words; and, if there are few that begin with them,
    captions with words of similar spelling.

    Args:
        db: The database of the catalogue.
        query: The words.
        offset: Number of matches that are skipped.
        limit: The largest number of ids.

    Reference: Cormack, Clarke & Büttcher 2009, https://doi.org/10.1145/1571941.1572114, section 2.
    """
    words = fold(query[:LONGEST]).split()[:WORDS]
    if not words:
        return [], 0
    begins = [f"{_text(word)} *" for word in words]
    beginning = " AND ".join(begins)
    found = _matches(db, beginning, MOST + 1)
    if len(found) > MOST:
        (total,) = db.execute("SELECT count(*) FROM words WHERE words MATCH ?", (beginning,)).fetchone()
        newest = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ? OFFSET ?"
        return [id for (id,) in db.execute(newest, (beginning, limit, min(offset, total)))], total
    rankings = [_matches(db, " AND ".join(map(_text, words)), MOST, "bm25(words)"), found]
    near = " AND ".join(_any([begin, *map(_text, related(word))]) for begin, word in zip(begins, words, strict=True))
    if any(map(related, words)):
        rankings.append(_matches(db, near, MOST))
    if len(found) < ENOUGH:
        spelt = [_any([begin, *map(_text, alike(db, word))]) for begin, word in zip(begins, words, strict=True)]
        rankings.append(_matches(db, " AND ".join(spelt), MOST))
    score: dict[int, float] = {}
    for ranking in rankings:
        for rank, id in enumerate(ranking, 1):
            score[id] = score.get(id, 0.0) + 1 / (DAMPING + rank)
    best = sorted(score, key=lambda id: (-score[id], -id))
    return best[offset : offset + limit], len(best)


def alike(db: sqlite3.Connection, word: str) -> list[str]:
    """Words of the captions with a spelling near that of a word, or that contain it; those that begin with it are left
    out.

    A word with one mistake still has its beginning, its middle or its end, and so have most long words with two. A word
    that many captions contain is taken to be no mistake.

    Args:
        db: The database of the catalogue.
        word: The word, as `fold` returns it.
    """
    if len(word) < 4 or len(_matches(db, _text(word), MOST, "0")) == MOST:
        return []
    padded, off = f" {word} ", 1 if len(word) < 8 else 2
    third = max(3, len(padded) // 3)
    pieces = [piece for piece in (padded[:third], padded[third:-third], padded[-third:]) if len(piece) >= 3]

    def holding(piece: str, shortest: int, longest: int) -> list[str]:
        rows = db.execute(
            "SELECT vocabulary.word FROM spellings JOIN vocabulary ON id = spellings.rowid WHERE spellings MATCH ? "
            "AND length(vocabulary.word) BETWEEN ? AND ? LIMIT ?",
            (_text(piece), shortest, longest, CANDIDATES),
        )
        return [other for (other,) in rows if not other.startswith(word)]

    near = {other: None for piece in pieces for other in holding(piece, len(word) - off, len(word) + off)}
    close = get_close_matches(word, list(near), RIVALS, ALIKE)
    return list(dict.fromkeys([*close, *holding(word, len(word) + 1, LONGEST)]))[:RIVALS]


def _matches(db: sqlite3.Connection, expression: str, most: int, rank: str = "length(folded)") -> list[int]:
    """Ids of the newest matches, by rank.

    BM25 reads all captions for each word, which is slow for beginnings of words; the length of a caption is not.
    """
    newest = f"SELECT rowid, {rank} FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?"
    return [id for id, _ in sorted(db.execute(newest, (expression, most)), key=lambda row: row[1])]


def _any(expressions: Iterable[str]) -> str:
    return f"({' OR '.join(expressions)})"


def _text(word: str) -> str:
    """Folded text holds no quotation marks, and between them everything is text."""
    return f'"{word}"'
