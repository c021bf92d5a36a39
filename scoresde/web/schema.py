"""Forms made from the fields of option classes, and options built from what a form sends, within limits."""

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic.fields import FieldInfo

from ..core.errors import UsageError
from ..core.options import Options, Registry, WrittenOptions
from ..solvers.controllers import Controller, controllers
from ..solvers.grids import Grid, grids

T = TypeVar("T", bound=Options)

MOST = {"steps": 1000, "nfe": 1000, "max_nfe": 10_000}
"""The most that a form may ask for; of any other whole number, `OTHERS`."""
OTHERS = 100
KINDS = {bool: "bool", int: "int", float: "float", str: "text"}


def most(name: str) -> int:
    """The largest whole number that a form may set for an option.

    Args:
        name: Name of the option.
    """
    return MOST.get(name, OTHERS)


def form(cls: type[Options]) -> dict[str, Any]:
    """The description of a class for a form: its name, a sentence, and its fields."""
    text = " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
    found = [made for name, info in cls.model_fields.items() if (made := field(name, info))]
    return {"name": cls.name, "summary": text, "fields": found}


def field(name: str, info: FieldInfo) -> dict[str, Any] | None:
    """One field of a form; None for values that a form cannot hold, such as a list or a covariance.

    Args:
        name: Name of the option.
        info: Its type, bounds and description.
    """
    several = get_args(info.annotation)
    optional = NoneType in several
    parts = [each for each in several if each is not NoneType] if optional else [info.annotation]
    made: dict[str, Any] = {"name": name, "meaning": info.description or "", "optional": optional}
    if len(parts) != 1:
        return None
    (annotation,), default = parts, info.default
    if get_origin(annotation) is Literal:
        made |= {"kind": "choice", "choices": list(get_args(annotation))}
    elif annotation in KINDS:
        made |= {"kind": KINDS[annotation], **bounds(name, annotation, info)}
    elif isinstance(annotation, type) and issubclass(annotation, WrittenOptions):
        made |= {"kind": "text", "suggestions": suggestions(annotation)}
        default = str(default)
    else:
        return None
    return made | {"default": default}


def bounds(name: str, annotation: type, info: FieldInfo) -> dict[str, Any]:
    """The bounds of a number. The values `above` and `below` are themselves excluded.

    Args:
        name: Name of the option.
        annotation: int or float.
        info: Its type, bounds and description.
    """
    found: dict[str, Any] = {}
    for mark in info.metadata:
        for ours, theirs in (("least", "ge"), ("greatest", "le"), ("above", "gt"), ("below", "lt")):
            if (value := getattr(mark, theirs, None)) is not None:
                found[ours] = value
    if annotation is int:
        found["greatest"] = min(most(name), found.get("greatest", most(name)))
    return found


def suggestions(annotation: type) -> list[str]:
    """The names that a field for nested options suggests.

    Args:
        annotation: Class of the nested options.
    """
    for base, names in ((Grid, grids), (Controller, controllers)):
        if issubclass(annotation, base):
            return list(names.all())
    return []


def build(registry: Registry[T], table: Mapping[str, Any]) -> T:
    """The object that a form describes: a name and options.

    Args:
        registry: Where the name is looked up.
        table: A name and options.

    Raises:
        UsageError: The name or an option does not exist, or a value is not allowed, here or anywhere.
    """
    cls = registry[str(table.get("name", ""))]
    for key in table:
        info = cls.model_fields.get(key)
        if info and field(key, info) is None:
            raise UsageError(f"{key} cannot be set from a page")
    made = registry.build(table)
    for name, value in whole_numbers(made):
        if value > most(name):
            raise UsageError(f"{name} is at most {most(name)} on this page, got {value}: use the command line for more")
    return made


def whole_numbers(options: Options) -> Iterator[tuple[str, int]]:
    """All whole numbers among options, nested ones included.

    Args:
        options: The options.
    """
    for name in type(options).model_fields:
        value = getattr(options, name)
        if isinstance(value, Options):
            yield from whole_numbers(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield name, value
