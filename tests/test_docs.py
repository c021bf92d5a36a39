"""Every public function, method and class says what each of its arguments is."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import scoresde
from scoresde.core.options import Options
from scoresde.training.run import Run

ROOT = Path(__file__).parents[1]

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
    text = (ROOT / file).read_text(encoding="utf-8")
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


def test_examples_that_are_not_run_use_names_that_exist():
    for page in PAGES:
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            if "no-run" in block["why"]:
                for line in re.findall(r"^(?:from|import) .+$", block["code"], re.M):
                    exec(line, {})
                for name in re.findall(r"\bscoresde\.(\w+)\(", block["code"]):
                    assert hasattr(scoresde, name), f"{page.name}: scoresde.{name}"


PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
BLOCK = re.compile(r"(?P<file><!-- [^\n]*\.py -->\n)?^```python(?P<why>[^\n]*)\n(?P<code>.*?)^```$", re.M | re.S)
"""Some code of a page. An example that is not to be run says why behind `no-run:`, and a file has its path above it."""


def examples(page: Path) -> list[re.Match[str]]:
    """The examples of a page that are to be run."""
    found = list(BLOCK.finditer(page.read_text(encoding="utf-8")))
    for block in found:
        assert re.fullmatch(r"|( no-run: .+)", block["why"]), f"{page.name}: ```python{block['why']}"
    return [block for block in found if not block["why"] and not block["file"]]


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=lambda page: page.stem)
def test_the_examples_of_a_page_run_as_they_stand_one_after_the_other(page, tmp_path, monkeypatch, capsys):
    """In a folder with pictures; only a training is made short."""
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    Path("my-pictures").mkdir()
    for i in range(12):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"my-pictures/{i}.png")
    Image.fromarray(pixels).resize((96, 64)).save("photo.jpg")
    np.save("pixels.npy", rng.integers(0, 256, (32, 1, 8, 8), dtype=np.uint8))
    short = ["train.images=64", "train.batch=16", "train.warmup=0", "train.sample_every=1_000_000"]

    def fit(*args: Any, overrides: Sequence[str] = (), **kwargs: Any) -> Run:
        return whole(*args, overrides=[*overrides, *short], **{**kwargs, "seconds": None, "progress": False})

    whole = scoresde.fit
    monkeypatch.setattr(scoresde, "fit", fit)
    monkeypatch.setattr("scoresde.training.fit.fit", fit)
    names: dict[str, object] = {"__name__": "__main__"}
    text = page.read_text(encoding="utf-8")
    for block in examples(page):
        lines = text[: block.start("code")].count("\n")  # so that a traceback has the lines of the page
        exec(compile("\n" * lines + block["code"], page, "exec"), names)
    plt.close("all")
