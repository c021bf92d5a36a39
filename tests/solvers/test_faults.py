"""What must never happen: a hang, a silent NaN, a half-finished sample. Each fault ends in one error, soon.

How each solver meets a prediction that is not finite, and a step that vanishes, is among the promises that
test_solvers.py puts them all to.
"""

import math
import subprocess
import sys
from typing import ClassVar

import pytest
import torch

from scoresde.bench.check.base import Faulty
from scoresde.core.errors import NumericalError
from scoresde.core.random import generators
from scoresde.models.output import Output
from scoresde.sampling.sample import sample
from scoresde.solvers import AdaptiveSolver, guard, solvers

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
    """`python -O` removes assertions, also those of other libraries; the guards here are not assertions.

    Of each base there is one solver, and of those that wrap another library each one with all its methods. That the
    package has no assertion is tested in test_layout.py. Only the package and what it wraps are compiled so: nobody
    keeps the code of torch without assertions, and to compile all of it takes many times as long.
    """
    chosen = {name: ({}, *ALL[name].examples) for name in ("scipy", "torchdiffeq")}
    chosen |= {name: ({},) for name in ("euler", "unipc", "ancestral", "em", "adams", "rk45", "ggf")}
    code = (
        "from functools import partial\n"
        "from importlib.machinery import SourceFileLoader\n"
        "as_ever = SourceFileLoader.get_code\n"
        "def get_code(loader, name):\n"
        "    if not name.startswith(('scoresde', 'scipy.integrate', 'torchdiffeq')):\n"
        "        return as_ever(loader, name)\n"
        "    return compile(loader.get_data(loader.path), loader.path, 'exec', dont_inherit=True, optimize=1)\n"
        "SourceFileLoader.get_code = get_code\n"
        "from scoresde.bench.check import PROMISES\n"
        "from scoresde.solvers import solvers\n"
        f"for name, cases in {chosen!r}.items():\n"
        "    cls = solvers[name]\n"
        "    for options in cases:\n"
        "        for promise in PROMISES:\n"
        "            if promise.name in ('a NaN is an error at once', 'a lasting fault is an error'):\n"
        "                verdict = promise.verdict(partial(cls, **options), fast=True)\n"
        "                print('kept' if verdict.kept else (cls.name, verdict.measured))\n"
        "from torchdiffeq._impl.rk_common import RKAdaptiveStepsizeODESolver as other\n"
        "print('underflow in dt {}' in other._adaptive_step.__code__.co_consts)  # which only its assertion says\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    kept = ["kept"] * 2 * sum(map(len, chosen.values()))
    assert done.stdout.splitlines() == [*kept, "False"], done.stdout + done.stderr


def test_a_score_of_length_zero_gives_a_finite_step():
    class Flat(Faulty):
        def evaluate(self, x, t, classes=None):
            return Output(torch.zeros_like(x))

    assert torch.isfinite(attempt(Flat(lambda calls, t: False, math.nan), "pc", {"steps": 5}).x).all()


class Slow:
    """The answer of a device that works by itself: there only when it is asked for."""

    asked: ClassVar[list[str]] = []

    def __init__(self, x):
        self.x = x
        self.asked.append("asked")

    def fine(self):
        self.asked.append("answered")
        return bool(torch.isfinite(self.x).all())


@pytest.fixture
def lagging(monkeypatch):
    """Predictions are looked at later, as on a GPU."""
    monkeypatch.setattr(guard, "lags", lambda eps: True)
    monkeypatch.setattr(guard, "DeferredFiniteCheck", Slow)
    monkeypatch.setattr(Slow, "asked", [])


GUARDED = [(name, options) for name, options in CASES if not ALL[name].retries and not ALL[name].adaptive]


def end(name, options, when):
    """The error of a solver whose prediction is NaN at some evaluations, and how many the model saw."""
    few = {key: 6 for key in ("steps", "nfe") if key in ALL[name].model_fields}
    model, x = Faulty(lambda calls, t: when(calls), math.nan), torch.ones(4, 3, dtype=torch.float64)
    try:
        ALL[name](**few, **options).solve(model, x, start=1.0, stop=1e-3, generator=generators(range(4)))
    except NumericalError as error:
        return str(error), model.calls
    return "", model.calls


@pytest.mark.parametrize(("name", "options"), GUARDED)
def test_a_prediction_that_is_looked_at_later_ends_in_the_same_error(name, options, lagging, monkeypatch):
    """At the first, a middle and the last evaluation, one evaluation later at most; and nothing is returned."""
    _, last = end(name, options, lambda calls: False)
    for place in (1, 3, last):
        late, seen = end(name, options, lambda calls, place=place: calls == place)
        assert f"(evaluation {place})" in late and "sample 1 of 4" in late and seen <= place + 1
        with monkeypatch.context() as now:
            now.setattr(guard, "lags", lambda eps: False)
            assert end(name, options, lambda calls, place=place: calls == place) == (late, place)


def test_no_answer_is_waited_for_before_the_next_evaluation(lagging):
    class Told(Faulty):
        def evaluate(self, x, t, classes=None):
            Slow.asked.append("evaluated")
            return super().evaluate(x, t, classes)

    attempt(Told(lambda calls, t: False, math.nan), "ddim", {"steps": 3})
    first, again = ["evaluated", "asked"], ["evaluated", "answered", "asked"]
    assert Slow.asked == [*first, *again, *again, "answered", "evaluated"]  # the last is the final denoising


def test_what_a_prediction_breaks_does_not_hide_it(lagging):
    class Picky(Faulty):
        def evaluate(self, x, t, classes=None):
            if not torch.isfinite(x).all():
                raise NumericalError("conjugate gradients do not converge")
            return super().evaluate(x, t, classes)

    with pytest.raises(NumericalError, match=r"ddim: the model's prediction for sample 1 of 4 .* \(evaluation 2\)"):
        attempt(Picky(lambda calls, t: calls == 2, math.nan), "ddim", {"steps": 5})
