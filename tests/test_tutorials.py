"""The notebooks of docs/tutorials, run with few images and few steps; `make docs` runs them whole."""

import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted(p for p in Path(__file__).parents[1].glob("docs/tutorials/*.md") if p.stem != "index")
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALL = re.compile(r"= .*  # in the tests: (.*)$", re.MULTILINE)
"""A line `count = 1000  # in the tests: 10` says what is taken here."""


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook, tmp_path, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    text = notebook.read_text(encoding="utf-8")
    cells = list(CELL.finditer(text))
    assert len(cells) >= 4 and "file_format: mystnb" in text.split("---")[1]
    names: dict[str, object] = {"__name__": "__main__"}
    for cell in cells:
        lines = text[: cell.start(1)].count("\n")  # so that a traceback has the lines of the notebook
        exec(compile("\n" * lines + SMALL.sub(r"= \1", cell[1]), notebook, "exec"), names)
    plt.close("all")
