"""Classes by name: by their names, related words and beginnings of words."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ..core.errors import UsageError
from ..core.sentences import hint
from .base import ScoreModel
from .guided import NO_CLASSES
from .network import network_of
from .trained_classifier import Classifier

RELATED = Path(__file__).with_name("related.txt")
SHORTEST = 3
"""Letters from which the beginning of a word, or one word of a longer name, stands for a class."""
LONGEST = 200
"""Characters of a text that count."""

Words = tuple[str, ...]


class Phrase(NamedTuple):
    """A way to say a class."""

    words: Words
    """In the form of `split`."""
    rank: int
    """0 for the whole name, 1 for one of its alternatives, 2 for a related word, 3 for a single word of the name."""
    number: int
    """The class."""


def split(text: str) -> Words:
    """The words of a text, without case, accents and punctuation.

    Args:
        text: Any text.
    """
    letters = unicodedata.normalize("NFKD", text.casefold())
    return tuple(re.findall(r"[^\W_]+", "".join(each for each in letters if not unicodedata.combining(each))))


@lru_cache(maxsize=2**14)
def forms(word: str) -> frozenset[str]:
    """A word, and what it may be the plural of.

    Args:
        word: The word, as `split` gives it.
    """
    ends = (("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("ves", "fe"))
    return frozenset(
        (word, *(word.removesuffix(end) + one for end, one in ends if word.endswith(end) and len(word) > 3))
    )


def same(one: Words, other: Words) -> bool:
    """Whether two phrases are the same but for plurals.

    Args:
        one: A phrase.
        other: Another.
    """
    return len(one) == len(other) and all(not forms(a).isdisjoint(forms(b)) for a, b in zip(one, other, strict=True))


@cache
def lines() -> tuple[tuple[tuple[Words, ...], tuple[Words, ...]], ...]:
    """The list of related words: for each thing its names, and other words for it."""
    rows = (row.split(":") for row in RELATED.read_text(encoding="utf-8").splitlines() if not row.startswith("#"))
    return tuple((tuple(map(split, names.split("/"))), tuple(map(split, others.split(",")))) for names, others in rows)


def related(text: str) -> list[str]:
    """Words that mean the same as a word, or things of its kind, with spaces between the words of each.

    Args:
        text: The word, or words that belong together.
    """
    asked = split(text)
    near = chain.from_iterable((*names, *others) for names, others in lines() if _among(asked, (*names, *others)))
    return [" ".join(each) for each in dict.fromkeys(near) if not same(asked, each)]


@lru_cache(maxsize=16)
def phrases(names: tuple[str, ...]) -> list[Phrase]:
    """All ways to say each of some classes.

    Args:
        names: Names of the classes, in their order.
    """
    found = []
    for number, name in enumerate(names):
        parts = [split(name), *map(split, re.split("[/,]", name))]
        near = chain.from_iterable(others for heads, others in lines() if any(_among(part, heads) for part in parts))
        single = ((word,) for part in parts for word in part if len(word) >= SHORTEST)
        ways = ((parts[:1], 0), (parts[1:], 1), (near, 2), (single, 3))
        found += [Phrase(words, rank, number) for each, rank in ways for words in each if words]
    return found


def meant(text: str, names: Sequence[str]) -> list[int]:
    """The classes that a text means, in its order; none if it means none.

    From left to right, the longest phrases that say a class are taken, and of those the ones of the lowest rank. Where
    there is none, the last word may be the beginning of one.

    Args:
        text: A name, a word, or a sentence.
        names: Names of the classes, in their order.
    """
    if text in names:
        return [names.index(text)]
    words, known, found, place = split(text[:LONGEST]), phrases(tuple(names)), list[int](), 0
    while place < len(words):
        here = [each for each in known if same(each.words, words[place : place + len(each.words)])]
        here = [each for each in here if len(words) == 1 or len("".join(each.words)) > 1]  # "a" is mostly an article
        best = min(((-len(each.words), each.rank) for each in here), default=(-1, 0))
        found += [each.number for each in here if (-len(each.words), each.rank) == best]
        place -= best[0]
    if not found and words and len(words[-1]) >= SHORTEST:
        begun = [each for each in known if each.words[0].startswith(words[-1])]
        found = [each.number for each in begun if each.rank == min(other.rank for other in begun)]
    return list(dict.fromkeys(found))


def called(text: str, names: Sequence[str]) -> list[int]:
    """The classes that a text means, as `meant` finds them, at least one.

    Args:
        text: A name, a word, or a sentence.
        names: Names of the classes, in their order; empty if they have none.

    Raises:
        UsageError: It means none.
    """
    if not names:
        raise UsageError(
            f"the classes of this model have no names: give whole numbers such as 3 or 0,1,2, got {text!r}"
        )
    text = text[:LONGEST]
    if not (found := meant(text, names)):
        raise UsageError(f"no class is called {text!r}. {hint(text, names)}")
    return found


def names_of(model: ScoreModel | Classifier) -> tuple[str, ...]:
    """The names of a model's classes, in their order; empty if they have none.

    Args:
        model: The model, or one around it, or a classifier.
    """
    found = model if isinstance(model, Classifier) else network_of(model)
    return () if found is None else found.class_names


def class_numbers(model: ScoreModel | Classifier, asked: Iterable[int | str]) -> list[int]:
    """The numbers of classes that were asked for; one text may mean several.

    Args:
        model: A model that knows classes, or a classifier.
        asked: Numbers, or texts: the name of a class, its number where none is called so, or what `meant` understands.

    Raises:
        UsageError: A text means no class, or the model knows none.

    Example:
        >>> from scoresde.models.classes import class_numbers
        >>> import scoresde, torch
        >>> names = ["Trouser", "Sandal", "Sneaker"]
        >>> model = scoresde.NetworkModel(torch.nn.Identity(), scoresde.VPSDE(), (4,), classes=3, class_names=names)
        >>> class_numbers(model, [0, "sneakers", "shoe", "jeans"])
        [0, 2, 1, 2, 0]
    """
    names, found = names_of(model), list[int]()
    if not model.classes:
        raise UsageError(NO_CLASSES)
    for each in asked:
        found += _numbers(each.strip(), names) if isinstance(each, str) else [each]
    return found


def _numbers(text: str, names: tuple[str, ...]) -> list[int]:
    with suppress(ValueError):
        return [names.index(text) if text in names else int(text)]
    return called(text, names)


def _among(one: Words, others: Iterable[Words]) -> bool:
    return any(same(one, each) for each in others)
