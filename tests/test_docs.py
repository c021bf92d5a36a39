"""Every public function, method and class says what each of its arguments is."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import scoresde
from scoresde.core.options import Options

ROOMS = [
    *("core", "images", "data", "networks", "models", "solvers", "sampling", "sde", "observations", "conditioners"),
    *("posterior", "likelihood", "metrics", "training", "commands.options", "bench", "web", "api"),
]
"""Rooms and modules whose arguments are documented."""


def modules(name: str) -> list[ModuleType]:
    """The module of that name and, if it is a package, all that are below it."""
    found = [importlib.import_module(f"scoresde.{name}")]
    if hasattr(found[0], "__path__"):
        below = pkgutil.walk_packages(found[0].__path__, found[0].__name__ + ".")
        found += [importlib.import_module(module.name) for module in below]
    return found


def documented(text: str | None) -> set[str]:
    """The names under `Args:` in a docstring."""
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)+)", inspect.cleandoc(text or ""), re.MULTILINE)
    return set(re.findall(r"^ {4}\*{0,2}(\w+): \S", section[1], re.MULTILINE)) if section else set()


def attributes(cls: type) -> set[str]:
    """The fields of a class that a string follows, as in a NamedTuple or a dataclass, and those of its bases."""
    found = set[str]()
    for base in cls.__mro__:
        if base.__module__.startswith("scoresde"):
            (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
            assert isinstance(body, ast.ClassDef)
            for field, text in zip(body.body, body.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                    found.add(ast.unparse(field.target))
    return found


def parameters(function: object) -> set[str]:
    """The names of its parameters, without self and those that are private."""
    names = list(inspect.signature(function).parameters)  # type: ignore[arg-type]
    return {name for name in names if name not in {"self", "cls"} and not name.startswith("_")}


def undescribed(cls: type) -> set[str]:
    """The arguments with which a class is made that nobody describes."""
    own = vars(cls).get("__init__") or vars(cls).get("__new__")
    if issubclass(cls, Options):
        return set()  # fields have descriptions, as another test asks
    if not isinstance(own, FunctionType) or getattr(cls, "_is_protocol", False):
        return set()
    wanted = parameters(own)
    for base in cls.__mro__:
        if base.__module__.startswith("scoresde"):
            wanted -= documented(base.__doc__) | documented(getattr(vars(base).get("__init__"), "__doc__", None))
    return wanted - attributes(cls)


def members(cls: type) -> Iterator[tuple[str, FunctionType]]:
    """The public methods that a class defines itself."""
    for name, value in vars(cls).items():
        value = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        value = inspect.unwrap(value) if callable(value) else value
        if isinstance(value, FunctionType) and not name.startswith("_") and value.__module__ == cls.__module__:
            yield name, value


def missing(module: ModuleType) -> Iterator[str]:
    """What of a module lacks a docstring, and which arguments lack their lines."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if isinstance(value, type):
            if not (value.__doc__ or "").strip():
                yield f"{name}: no docstring"
            for argument in sorted(undescribed(value)):
                yield f"{name}: {argument}"
            for method, function in members(value):
                heirs = [vars(base).get(method) for base in value.__mro__]
                texts = [getattr(heir, "__doc__", None) for heir in heirs]
                if not any(texts):
                    yield f"{name}.{method}: no docstring"
                for argument in sorted(parameters(function) - set().union(*map(documented, texts))):
                    yield f"{name}.{method}: {argument}"
        elif isinstance(unwrapped := inspect.unwrap(value) if callable(value) else value, FunctionType):
            if not unwrapped.__doc__:
                yield f"{name}: no docstring"
            for argument in sorted(parameters(unwrapped) - documented(unwrapped.__doc__)):
                yield f"{name}: {argument}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_argument_is_documented(room):
    found = [f"{module.__name__}.{line}" for module in modules(room) for line in missing(module)]
    assert not found, "\n".join(found)


MOVES = "| before | now, below `scoresde/` |\n"


def moved(file: str) -> str:
    """The table of what moved where in a file of the repository."""
    text = (Path(__file__).parents[1] / file).read_text(encoding="utf-8")
    return text[text.index(MOVES) :].split("\n\n")[0].strip()


def test_what_moved_is_said_twice_and_leads_to_what_there_is():
    assert moved("CHANGELOG.md") == moved("docs/architecture.md")
    for line in moved("CHANGELOG.md").splitlines()[2:]:
        before, now = (re.findall(r"`([^`]+)`", part) for part in line.strip("| ").split(" | "))
        places = [place.removeprefix("scoresde/") for place in now]
        if "same names" in line:
            places = [place + Path(name).name for place in places for name in before]
        root = Path(scoresde.__file__).parent
        assert [place for place in places if not (root / place).exists()] == []
