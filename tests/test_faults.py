"""What must never happen: a hang, a silent NaN, a half-finished sample. Each fault ends in one error, soon.

How each solver meets a prediction that is not finite, and a step that vanishes, is among the promises that
test_solvers.py puts them all to.
"""

import math
import subprocess
import sys

import pytest
import torch

from scoresde.check.base import Faulty
from scoresde.errors import NumericalError
from scoresde.random import generators
from scoresde.sample import sample
from scoresde.solvers import AdaptiveSolver, solvers

ALL = solvers.all()
CASES = [(name, options) for name, cls in ALL.items() for options in ({}, *cls.examples)]
ADAPTIVE = [(n, o) for n, o in CASES if issubclass(ALL[n], AdaptiveSolver)]


def attempt(model, name, options):
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return sample(model, ALL[name](**options), x, generator=generators(range(4)))


@pytest.mark.parametrize(("name", "options"), ADAPTIVE)
def test_the_budget_is_kept(name, options):
    model = Faulty(lambda calls, t: False, math.nan)
    with pytest.raises(NumericalError, match=r"max_nfe = 15 evaluations, at t = .*raise tol or max_nfe"):
        attempt(model, name, options | {"max_nfe": 15, "tol": 1e-8})
    assert model.calls == 16


def test_guards_survive_python_without_assertions():
    """`python -O` removes assertions, also those of other libraries; the guards here are not assertions."""
    code = (
        "from functools import partial\n"
        "from scoresde.check import PROMISES\n"
        "from scoresde.solvers import solvers\n"
        "for cls in solvers.all().values():\n"
        "    for options in ({}, *cls.examples):\n"
        "        for promise in PROMISES:\n"
        "            if promise.name in ('a NaN is an error at once', 'a lasting fault is an error'):\n"
        "                verdict = promise.verdict(partial(cls, **options), fast=True)\n"
        "                print('kept' if verdict.kept else (cls.name, verdict.measured))\n"
    )
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["kept"] * 2 * len(CASES), done.stdout + done.stderr


def test_a_score_of_length_zero_gives_a_finite_step():
    class Flat(Faulty):
        def eps(self, x, t):
            return torch.zeros_like(x)

    assert torch.isfinite(attempt(Flat(lambda calls, t: False, math.nan), "pc", {"steps": 5}).x).all()
