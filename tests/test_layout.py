"""The architecture, checked: rooms import downwards, noise has one source, files stay short, no assertion ships."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest
from rooms import RANK, table

import scoresde

ROOT = Path(scoresde.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
SHARED = ("__init__.py", "base.py", "guard.py", "adaptive.py", "embedded_pair.py", "exponential.py", "wrapped.py")
SHARED += ("grids.py", "brownian.py", "stepping.py", "integrals.py", "twist.py", "dense.py", "replacement.py")
SHARED += ("moments.py", "discrepancy.py", "store.py", "tasks.py", "image_files.py", "extractors.py", "survey.py")
SHARED += ("meaning.py", "pictures.py", "layout.py", "tables.py", "reading.py", "typicality.py", "photograph.py")
FOLDERS = ("solvers", "conditioners", "posterior", "data", "metrics")
PLUGINS = [p for p in FILES if p.parent.name in FOLDERS and p.parent.parent == ROOT and p.name not in SHARED]


def named(path):
    return str(path.relative_to(ROOT))


def module(path):
    """The place of a module in the package, such as ("solvers", "base"); that of a package has no last part."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


@functools.cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path):
    """What a module imports from the package, anywhere in it: places such as ("solvers", "base", "Solver")."""
    inside = ("scoresde", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = inside[: len(inside) - node.level + 1] if node.level else ()
            base = [*start, *(node.module.split(".") if node.module else [])]
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        yield from (tuple(name[1:]) for name in names if name[0] == "scoresde")


def place(parts):
    """The module that an import leads to: the longest beginning that is a file or a package."""
    for end in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:end])
        if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
            return parts[:end]
    return ()


def test_the_rooms_are_those_of_the_list():
    assert {module(path)[0] for path in FILES} == set(RANK)


def test_rooms_import_downwards():
    for path in FILES:
        room = module(path)[0]
        for target in imported(path):
            if target[0] not in ("__version__", room):
                assert target[0] in RANK, f"{named(path)} imports {target}, which is no room"
                assert RANK[target[0]] < RANK[room], f"{named(path)} imports {target[0]}, which stands above it"


@pytest.mark.parametrize("room", sorted(RANK))
def test_no_circle_inside_a_room(room):
    files = [path for path in FILES if module(path)[0] == room]
    arrows = {module(p): {place(t) for t in imported(p) if t[0] == room} - {module(p)} for p in files}
    while arrows:  # takes away, again and again, the modules that need none of those which are left
        free = {name for name, needed in arrows.items() if not needed & set(arrows)}
        assert free, f"modules that import each other: {sorted('.'.join(name) for name in arrows)}"
        arrows = {name: needed for name, needed in arrows.items() if name not in free}


@pytest.mark.parametrize("path", [p for p in FILES if module(p)[0] == "commands"], ids=named)
def test_commands_share_nothing_but_options(path):
    """A command hands options to a room and prints what comes back, so that Python can do all that it does."""
    shared = {place(target) for target in imported(path) if target[0] == "commands"}
    assert shared <= {("commands",), ("commands", "options")}, f"{named(path)} imports {shared}"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md"])
def test_the_tables_of_the_rooms_are_made_from_the_list(page):
    assert table() in (ROOT.parent / page).read_text(encoding="utf-8"), f"{page} should hold:\n{table()}"


def test_noise_has_one_source():
    draws = {"randn", "rand", "randint", "randperm", "multinomial", "bernoulli", "normal_", "uniform_", "manual_seed"}
    draws |= {"randn_like", "rand_like", "default_rng", "shuffle"}
    for path in FILES:
        calls = {node.attr for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute)}
        found = draws & calls if module(path) != ("core", "random") else ()
        assert not found, f"{named(path)} draws by itself: {found}"


def test_no_assertion_ships():
    asserting = [named(p) for p in FILES if any(isinstance(node, ast.Assert) for node in ast.walk(parsed(p)))]
    assert not asserting


def test_files_hold_one_idea():
    long = {named(p): n for p in FILES if (n := len(p.read_text().splitlines())) > 250}
    wide = {named(p): n for p in PLUGINS if (n := len(p.read_text().splitlines())) > 100}
    assert not long and not wide


def loaded(code):
    """The distributions that are imported after some code has run."""
    code += "\nimport sys\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("name", ["scoresde", "scoresde.cli"])
def test_the_door_opens_without_torch(name):
    assert not loaded(f"import {name}") & {"torch", "numpy", "scipy", "pydantic"}


def test_sampling_waits_for_nothing_that_it_does_not_use():
    code = "import scoresde.commands.sample\nfrom scoresde.solvers import solvers\nsolvers.all()\n"
    code += "from scoresde.data import data\n[data[name]().load('test') for name in ('digits', 'photos')]"
    others = {"torchvision", "sklearn", "torchdiffeq", "fastapi", "scipy", "matplotlib", "diffusers"}
    assert not loaded(code) & others
