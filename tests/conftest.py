"""What all tests share."""

import os
import signal

import pytest
import torch
from click.testing import CliRunner

from scoresde.bench import analytic, network, page, publish
from scoresde.bench.check import base
from scoresde.cli import scoresde
from scoresde.metrics.sliced import SlicedWasserstein
from scoresde.sampling import progress_lines
from scoresde.solvers.unipc import UniPC
from scoresde.training import gallery

torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # nor do commands in processes of their own take what others need
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of what a shell has put into the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def silence(monkeypatch):
    """No lines of progress on a slow machine, among what a test reads."""
    monkeypatch.setattr(progress_lines, "FIRST", (1e6,))


@pytest.fixture(autouse=True)
def small_sheets(monkeypatch):
    """A sheet of 64 samples, which every training ends with, would take longer than the training; so would 19 steps."""
    monkeypatch.setattr(gallery, "SHEET", 4)
    monkeypatch.setattr(gallery, "solvers", {"adams": lambda: UniPC(steps=3)})


@pytest.fixture(autouse=True)
def undrawn(request, monkeypatch):
    """The plots of a benchmark take longer than a small benchmark; tests of the plots ask for `drawn`."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(page, "curves", lambda series, x_label, y_label, **options: f"{y_label} {x_label}")
        monkeypatch.setattr(page, "inline", lambda figure, title: f"<svg>{title}</svg>")
        monkeypatch.setattr(publish, "render", lambda figure: f"<svg>{figure}</svg>".encode())


@pytest.fixture
def drawn():
    """With the plots of a benchmark."""


@pytest.fixture(autouse=True, scope="session")
def short_reference():
    """The 800 steps that a benchmark compares the paths of a network with would take longer than all the others.

    And 64 directions longer than samples of an analytic model. tests/bench/test_bench.py has tests of both distances
    themselves, with all of them.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "CONVERGED", UniPC(steps=20))
        patch.setattr(analytic, "SLICED", SlicedWasserstein(directions=4))
        yield


@pytest.fixture
def gaussian():
    """A correlated Gaussian in three dimensions, whose flow and density are known."""
    return base.gaussian()


@pytest.fixture
def mixture():
    """Three correlated modes in two dimensions."""
    return base.mixture()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(line, code=0):
        result = CliRunner().invoke(scoresde, line.split(), prog_name="scoresde")
        assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
        assert "Traceback" not in result.output
        return result.output

    return call
