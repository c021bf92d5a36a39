"""Registries as mappings, and classes that are defined twice."""

import sys
from collections.abc import Mapping

import pytest

from scoresde.conditioners import Conditioner, conditioners
from scoresde.core.errors import UsageError
from scoresde.core.options import Options, Registry
from scoresde.core.sentences import an, many
from scoresde.data import data
from scoresde.observations import Observation, observations
from scoresde.solvers import DPMSolver, Solver, solvers

CELL = """
@zoo("ant")
class Ant(Options):
    legs: int = {legs}
"""


def test_a_registry_is_a_mapping():
    assert isinstance(solvers, Mapping) and len(solvers) == len(list(solvers)) == len(dict(solvers)) > 20
    assert "dpm" in solvers and "dppm" not in solvers and 7 not in solvers
    assert list(solvers) == sorted(solvers) == list(solvers.keys())
    assert dict(solvers.items())["dpm"] is solvers["dpm"] is solvers.get("dpm") and DPMSolver in solvers.values()
    assert solvers.get("dppm") is None and solvers == solvers and solvers != conditioners and len({solvers}) == 1
    for kind in (KeyError, UsageError):  # what a mapping raises, and what the command line tells
        with pytest.raises(kind, match=r"^no solver is called 'dppm'\. Did you mean 'dpm'\?$"):
            solvers["dppm"]


def test_words_have_their_form():
    assert [many(n, word) for n, word in ((1, "class"), (0, "batch"), (2, "sample"))] == [
        "1 class",
        "0 batches",
        "2 samples",
    ]
    names = ("int", "SDE", "ndarray", "AutoencoderKL", "UNet2DModel", "str", "NoneType")
    assert [an(name).split()[0] for name in names] == ["an", "an", "an", "an", "a", "a", "a"]
    with pytest.raises(UsageError, match="^an observation is a name such as 'blur', an object or its class, got 7"):
        observations.make(7, Observation)


def test_a_registry_prints_as_a_short_table():
    head, *rows = repr(solvers).splitlines()
    assert head == f"solver: {len(solvers)} registered"
    assert [row.split()[0] for row in rows] == list(solvers) and max(map(len, rows)) <= 110
    assert "Dormand-Prince 5(4) on the probability-flow ODE." in repr(solvers)


def test_one_object_is_made_of_itself_its_class_and_its_text():
    dpm = DPMSolver(tol=0.01)
    assert solvers.make(dpm, Solver) is dpm and solvers.make("dpm:tol=1e-2", Solver) == dpm
    assert solvers.make(DPMSolver, Solver) == solvers.make({"name": "dpm"}, Solver) == DPMSolver()
    for wrong in (7, None, conditioners["dps"](), Conditioner, Solver):
        with pytest.raises(UsageError, match="a solver is a name such as 'adams', an object or its class, got "):
            solvers.make(wrong, Solver)
    with pytest.raises(UsageError, match="Did you mean 'unipc'"):
        solvers.make("unipcc", Solver)
    assert data.parse("folder:path=grey,channels=1").channels == 1  # one of two numbers, written as a text
    with pytest.raises(UsageError, match="channels must be one of 1 or 3, got '2'"):
        data.parse("folder:path=grey,channels=2")


def cell(zoo, legs, module="__main__"):
    """Runs a notebook's cell that defines a class."""
    exec(CELL.format(legs=legs), {"zoo": zoo, "Options": Options, "__name__": module})


def test_a_cell_that_runs_twice_replaces_its_class():
    zoo = Registry("animal", "scoresde.core")
    cell(zoo, 6)
    with pytest.warns(UserWarning, match="the animal 'ant', __main__.Ant, is defined again: the new one counts"):
        cell(zoo, 4)
    assert zoo["ant"]().legs == 4 and zoo._classes.keys() == {"ant"}
    with pytest.raises(UsageError, match="the animal name 'ant' is taken by __main__.Ant"):
        cell(zoo, 8, module="elsewhere")
    assert zoo["ant"]().legs == 4


def test_a_dropped_in_class_is_imported_by_its_name(tmp_path, monkeypatch):
    """A package whose only line about it is that of PEP 562 gives the classes of files that it does not name."""
    package = tmp_path / "zoo_by_name"
    package.mkdir()
    (package / "base.py").write_text(
        "from scoresde.core.options import Options, Registry\nzoo = Registry('animal', 'zoo_by_name')\n"
    )
    (package / "__init__.py").write_text(
        "from .base import zoo\n__getattr__, __dir__ = zoo.members(globals())\n__all__ = ['zoo']\n"
    )
    (package / "ant.py").write_text("from .base import Options, zoo\n@zoo('ant')\nclass Ant(Options):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import zoo_by_name
    from zoo_by_name import zoo

    assert "zoo_by_name.ant" not in sys.modules
    assert zoo_by_name.Ant is zoo["ant"] and {"Ant", "zoo"} <= set(dir(zoo_by_name))
    for missing in ("Bee", "bee", "__wrapped__"):
        with pytest.raises(AttributeError, match=f"module 'zoo_by_name' has no attribute '{missing}'"):
            getattr(zoo_by_name, missing)
