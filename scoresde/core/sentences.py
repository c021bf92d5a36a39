"""Error messages for wrong options, words in their right form, and options that are written as text."""

import difflib
from collections.abc import Container, Iterable
from typing import Any

from pydantic import BaseModel, ValidationError


def separated(text: str, known: Container[str]) -> list[str]:
    """The parts of a text such as "tol=0.01,controller=pi:b1=1,b2=0", in which b2 belongs to the controller.

    Args:
        text: Options, separated by commas. What follows a value with options of its own is one of these.
        known: The keys that are options of the object itself.
    """
    parts = list[str]()
    for part in filter(None, text.split(",")):
        if parts and ":" in parts[-1] and part.partition("=")[0] not in known:
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts


def hint(word: str, known: Iterable[str]) -> str:
    """A question that names the known word nearest to `word`, or a list of all.

    Args:
        word: What was asked for.
        known: What there is.
    """
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."


def an(name: str) -> str:
    """A name with its article: a Tensor, an int, an SDE.

    Args:
        name: Of a class or a kind.
    """
    return f"{'an' if name[:1].lower() in 'aeio' or name[:3] in ('SDE', 'nda') else 'a'} {name}"


def many(number: int, word: str) -> str:
    """How many of something: 1 sample, 2 samples, 3 classes.

    Args:
        number: How many.
        word: What one of them is called.
    """
    return f"{number} {word}{'' if number == 1 else 'es' if word.endswith(('s', 'ch')) else 's'}"


_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
    "list": "a list",
    "tuple": "a list",
}


def explain(cls: type[BaseModel], error: ValidationError) -> list[str]:
    """One sentence for each mistake in the options given to a class: what, the value, what is allowed.

    Args:
        cls: The class.
        error: What its validation has raised.
    """
    found = dict[tuple[int | str, ...], str]()
    for e in error.errors():  # of one option there may be several, for each thing that it can be and for its length
        place = (e["loc"][0], *(part for part in e["loc"][1:] if isinstance(part, int))) if e["loc"] else ()
        if not place or not any(other[: len(place)] == place for other in found):
            found[place] = _sentence(cls, {**e, "loc": place})
    return list(found.values())


def _sentence(cls: type[BaseModel], e: dict[str, Any]) -> str:
    option = ".".join(str(part) for part in e["loc"])
    context = e.get("ctx") or {}
    kind = str(e["type"])
    owner = getattr(cls, "name", "") or cls.__name__
    if kind == "extra_forbidden":
        known = cls.model_fields
        return f"{option} is not an option of {owner}. {hint(option, known) if known else 'It has none.'}"
    if kind == "missing":
        return f"{option} is missing"
    if kind == "value_error":  # a validator of ours, which says it all
        return str(e["msg"]).removeprefix("Value error, ")
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = context[key]
        return f"{option} must be {words} {bound if isinstance(bound, int) else f'{bound:g}'}, got {e['input']}"
    if kind == "literal_error":
        return f"{option} must be one of {context['expected']}, got {e['input']!r}"
    if kind.endswith(("too_short", "too_long")):
        side, bound = ("least", "min_length") if kind.endswith("short") else ("most", "max_length")
        return f"{option} must have at {side} {many(context[bound], 'value')}, got {e['input']!r}"
    if kind in ("model_type", "dataclass_type", "is_instance_of"):
        wanted = str(context.get("class_name", context.get("class")))
        return f"{option} must be {an(wanted)}{', its table or its text' * (kind == 'model_type')}, got {e['input']!r}"
    if kind == "multiple_of":
        return f"{option} must be a multiple of {context[kind]:g}, got {e['input']}"
    if kind == "finite_number":
        return f"{option} must be a finite number, got {e['input']}"
    for prefix, words in _KINDS.items():
        if kind.startswith(prefix + "_"):
            return f"{option} must be {words}, got {e['input']!r}"
    return f"{option}: {e['msg']}, got {e['input']!r}"
