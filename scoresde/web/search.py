"""Finding captions: by their words and what those begin with, and by words that are spelt alike."""

import sqlite3
from collections.abc import Iterable
from difflib import get_close_matches

from .captions import fold

MOST = 500
"""Matches that are ranked. Of a word that more captions hold, the newest come first: rank says nothing of it."""
WORDS = 16
"""Words of a query that count."""
RIVALS, CANDIDATES, ALIKE = 8, 400, 0.75
"""Spellings that are tried for a word, words that are compared with it, and the likeness asked of them."""
DAMPING = 60
"""The constant of reciprocal rank fusion."""


def learn(db: sqlite3.Connection, folded: str) -> None:
    """Adds the words of a caption to those that a misspelt word is compared with."""
    db.executemany("INSERT OR IGNORE INTO vocabulary (word) VALUES (?)", [(word,) for word in set(folded.split())])


def find(db: sqlite3.Connection, query: str, offset: int, limit: int) -> tuple[list[int], int]:
    """Ids of the captions that match all words of a query, the best first, from an offset on, and their number.

    Three rankings by BM25 are fused by Σ 1/(60 + rank): of captions with the words or other forms of them, with words
    that begin so, and with words that are spelt alike.

    Reference: Cormack, Clarke & Büttcher 2009, https://doi.org/10.1145/1571941.1572114, section 2.
    """
    words = fold(query).split()[:WORDS]
    if not words:
        return [], 0
    beginning = " AND ".join(f'"{word}" *' for word in words)
    found = db.execute("SELECT rowid FROM words WHERE words MATCH ? LIMIT ?", (beginning, MOST + 1)).fetchall()
    if len(found) > MOST:
        (total,) = db.execute("SELECT count(*) FROM words WHERE words MATCH ?", (beginning,)).fetchone()
        newest = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ? OFFSET ?"
        return [id for (id,) in db.execute(newest, (beginning, limit, min(offset, total)))], total
    same = " AND ".join(f'"{word}"' for word in words)
    near = " AND ".join(_any([word, *alike(db, word)]) for word in words)
    score: dict[int, float] = {}
    for expression in (same, beginning, near):
        for rank, id in enumerate(_ranked(db, expression), 1):
            score[id] = score.get(id, 0.0) + 1 / (DAMPING + rank)
    best = sorted(score, key=lambda id: (-score[id], -id))
    return best[offset : offset + limit], len(best)


def alike(db: sqlite3.Connection, word: str) -> list[str]:
    """Words of the captions that hold a word, or are spelt nearly as it.

    A word with one letter wrong still has one of its halves, and a long one with two wrong one of its thirds.
    """
    if len(word) < 4:
        return []
    padded, count = f" {word} ", 2 if len(word) < 8 else 3
    cuts = [round(i * len(padded) / count) for i in range(count + 1)]
    pieces = [padded[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]
    rows = db.execute(
        "SELECT word FROM vocabulary WHERE id IN (SELECT rowid FROM spellings WHERE spellings MATCH ? LIMIT ?)",
        (_any([word, *pieces]), CANDIDATES),
    )
    others = [other for (other,) in rows if other != word]
    holding = [other for other in others if word in other]
    close = get_close_matches(word, [o for o in others if abs(len(o) - len(word)) < count], RIVALS, ALIKE)
    return list(dict.fromkeys([*close, *holding]))[:RIVALS]


def _ranked(db: sqlite3.Connection, expression: str) -> list[int]:
    """Ids of the newest matches, the best first."""
    newest = "SELECT rowid, bm25(words) FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?"
    return [id for id, _ in sorted(db.execute(newest, (expression, MOST)), key=lambda row: row[1])]


def _any(words: Iterable[str]) -> str:
    """Folded text holds no quotation marks, and in them everything is text."""
    return "(" + " OR ".join(f'"{word}"' for word in words) + ")"
