"""A solver joins by a file or by an entry point, with its options, its help and its tests; a bad one is kept out."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from scoresde.core.errors import UsageError
from scoresde.core.options import Options, Registry, remembered
from scoresde.sde import VPSDE, SubVPSDE
from scoresde.solvers import solvers

ROOT = Path(__file__).parent.parent
SHOW = """
from scoresde.cli import scoresde
from scoresde.solvers import solvers

for arguments in (["solvers", "--json"], ["sample", "--help"], *(["solvers", name] for name in {names!r})):
    scoresde(arguments, prog_name="scoresde", standalone_mode=False)
    print("-----")
print(", ".join(solvers.all()))
"""


def run(*arguments, paths, cwd):
    """Runs Python with the paths in front of whatever is installed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def written(folder, name):
    """The solver that CONTRIBUTING.md shows as the file scoresde/solvers/NAME.py."""
    text = (folder / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- scoresde/solvers/{name}\.py -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found, f"CONTRIBUTING.md shows no scoresde/solvers/{name}.py"
    return found.group(1)


def views(names, paths, cwd):
    """What `scoresde solvers --json`, `sample --help` and `solvers NAME` print, and the names that all() gives."""
    done = run("-c", SHOW.format(names=names), paths=paths, cwd=cwd)
    table, usage, *pages, known = done.stdout.split("-----\n")
    assert not done.stderr
    rows = {row["solver"]: row for row in json.loads(table)}
    return rows, " ".join(usage.split()), dict(zip(names, pages, strict=True)), known.strip().split(", ")


def contract(names, paths, cwd):
    """Runs the contract tests of some solvers and gives the number that passed of each."""
    for file in ("tests/contracts/test_solvers.py", "tests/conftest.py", "pyproject.toml"):
        (cwd / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, cwd / file)
    options = ("-k", " or ".join(names), "-vv", "-p", "no:xdist", "-p", "no:cacheprovider")
    done = run("-m", "pytest", "tests/contracts/test_solvers.py", *options, paths=paths, cwd=cwd)
    return {name: len(re.findall(rf"{name}.* PASSED", done.stdout)) for name in names}


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """A copy of the package with one more file, and a distribution beside it: what is seen, and the tests that pass."""
    folder, site = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("site")
    for name in ("scoresde", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = written(ROOT, "midpoint")
    assert len(code.splitlines()) < 100
    (folder / "scoresde/solvers/midpoint.py").write_text(code, encoding="utf-8")
    source = folder / "source"
    shutil.copytree(ROOT / "examples/plugin", source)
    install = ("--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "-q")
    run("-m", "pip", "install", *install, "--target", site, source, paths=[], cwd=site)
    assert (site / "scoresde_ralston.py").exists()
    names, paths = ["midpoint", "ralston"], [folder, site]
    return *views(names, paths, folder), contract(names, paths, folder)


def test_a_dropped_in_file_is_a_solver(joined):
    rows, usage, pages, names, passed = joined
    row, page = rows["midpoint"], pages["midpoint"]
    assert "midpoint" in names and {"euler", "dpm", "rk45"} <= set(names)
    assert (row["kind"], row["order"], row["adaptive"]) == ("ODE", "2", "no") and "--share" in row["options"]
    assert "--share FLOAT Where in a step the second evaluation lies, in log-SNR. [midpoint: 0.5]" in usage
    assert re.search(r"--steps INTEGER Number of steps\. \[[^]]*midpoint", usage)
    assert page.startswith("midpoint: x_s = ") and "--share  float, default 0.5" in page and "2206.00927" in page
    # Two cases, the defaults and share=0.75, through each test for deterministic solvers on a grid.
    assert passed["midpoint"] >= 30


def test_an_installed_distribution_is_a_solver(joined):
    rows, usage, pages, names, passed = joined
    row, page = rows["ralston"], pages["ralston"]
    assert "ralston" in names and {"euler", "dpm", "rk45"} <= set(names)
    assert (row["kind"], row["order"], row["adaptive"]) == ("ODE", "2", "no") and "10.1090" in row["reference"]
    assert re.search(r"--steps INTEGER Number of steps\. \[[^]]*ralston", usage)
    assert page.startswith("ralston: The probability flow") and "--steps  int, default 50" in page
    assert passed["ralston"] >= 15


def distribution(site, name, code):
    """Installs a distribution whose entry point NAME is a module with the given code."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[scoresde.solvers]\n{name} = {name}_module\n")
    (site / f"{name}_module.py").write_text(code)


TAKEN = """
from scoresde.solvers import solvers
from scoresde.solvers.euler import Euler

@solvers("euler")
class Other(Euler):
    pass
"""


def test_a_bad_plugin_is_skipped_with_a_warning(tmp_path):
    distribution(tmp_path, "broken", "raise RuntimeError('the licence server is down')\n")
    distribution(tmp_path, "taken", TAKEN)
    done = run("-m", "scoresde", "solvers", "--json", paths=[tmp_path, ROOT], cwd=tmp_path)
    names = [row["solver"] for row in json.loads(done.stdout)]
    assert {"euler", "dpm", "rk45"} <= set(names) and len(names) == len(set(names))
    assert "skipped the solver plug-in 'broken' of broken_module: the licence server is down" in done.stderr
    assert "skipped the solver plug-in 'taken' of taken_module: the solver name 'euler' is taken by" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_can_be_taken_only_once():
    first = solvers["euler"]
    with pytest.raises(UsageError, match="the solver name 'euler' is taken by scoresde.solvers.euler.Euler"):

        @solvers("euler")
        class Other(first):
            pass

    assert solvers["euler"] is first and first.name == "euler"


def test_a_registry_finds_new_files_and_asks_plugins_once(tmp_path, monkeypatch):
    package = tmp_path / "zoo_of_tests"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    zoo, asked = Registry("animal", "zoo_of_tests"), []
    monkeypatch.setattr(metadata, "entry_points", lambda group: asked.append(group) or ())
    monkeypatch.setattr(Options, "zoo", zoo, raising=False)
    assert zoo.all() == {}
    animal = "from scoresde.core.options import Options\n\n@Options.zoo('{0}')\nclass Animal(Options):\n    pass\n"
    for name in ("zebra", "ant"):
        (package / f"{name}.py").write_text(animal.format(name))
    assert list(zoo.all()) == ["ant", "zebra"] and zoo["ant"].name == "ant" and asked == ["zoo_of_tests"]
    with pytest.raises(UsageError, match="no animal is called 'zebrra'. Did you mean 'zebra'?"):
        zoo["zebrra"]


def test_results_are_remembered_by_the_values_of_options():
    """Equal options share a result, another class or value does not, and options without a hash are no obstacle."""

    class Listed(Options):
        values: list[float] = []

    made = []

    @remembered
    def make(options, number):
        made.append(options)
        return len(made)

    assert make(VPSDE(), 1.0) == make(VPSDE(beta_min=0.1), 1.0) == 1
    assert make(SubVPSDE(), 1.0) == 2 and make(VPSDE(), 2.0) == 3 and make(VPSDE(beta_max=10), 1.0) == 4
    assert [make(Listed(), 1.0), make(Listed(), 1.0)] == [5, 6]
