"""What must never happen: a hang, a silent NaN, a half-finished sample. Each fault ends in one error, soon."""

import subprocess
import sys
import time

import pytest
import torch

from scoresde.errors import NumericalError
from scoresde.gaussian import GaussianModel
from scoresde.model import ScoreModel
from scoresde.random import generators
from scoresde.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import AdaptiveSolver, PerSampleSolver, solvers

ALL = solvers.all()
CASES = [(name, options) for name, cls in ALL.items() for options in ({}, *cls.examples)]
OWN = [(n, o) for n, o in CASES if issubclass(ALL[n], PerSampleSolver)]
ADAPTIVE = [(n, o) for n, o in CASES if issubclass(ALL[n], AdaptiveSolver)]


class Broken(ScoreModel):
    """A Gaussian model whose prediction for row 1 is replaced on the calls that `when` names."""

    def __init__(self, when, value=float("nan")):
        super().__init__()
        self.model = GaussianModel(torch.zeros(3), torch.full((3,), 0.25), VPSDE())
        self.sde, self.shape, self.calls, self.when, self.value = self.model.sde, (3,), 0, when, value

    def eps(self, x, t):
        self.calls += 1
        eps = self.model.eps(x, t)
        if self.when(self.calls, float(t[1])):
            eps[1] = self.value
        return eps


def attempt(model, name, options):
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return sample(model, ALL[name](**options), x, generator=generators(range(4)))


@pytest.mark.parametrize(("name", "options"), CASES)
def test_not_finite_at_once(name, options):
    began = time.perf_counter()
    with pytest.raises(NumericalError, match=r"sample 1 of 4 is not finite at t = 1 \(evaluation 1\)"):
        attempt(Broken(lambda calls, t: True), name, options)
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize(("name", "options"), CASES)
def test_not_finite_below_some_time(name, options):
    model = Broken(lambda calls, t: t < 0.3)
    with pytest.raises(NumericalError, match="not finite at t = 0|vanishes at t = 0"):
        attempt(model, name, options)
    assert model.calls < 2000


@pytest.mark.parametrize(("name", "options"), OWN)
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_passing_fault_is_a_rejected_step(name, options, value):
    """One infinity costs one step of its own sample, is counted, and leaves the others bit for bit alone."""
    calm = attempt(Broken(lambda calls, t: False), name, options)
    hit = attempt(Broken(lambda calls, t: calls == 6, value), name, options)
    assert torch.equal(hit.x[[0, 2, 3]], calm.x[[0, 2, 3]]) and torch.isfinite(hit.x).all()
    assert hit.info != calm.info and hit.info["rejected"] > 0
    assert ALL[name](**options).noisy or (hit.x - calm.x).abs().max() < 0.5


class Cliff(Broken):
    """A prediction that jumps at every scale, so that no step is short enough."""

    def eps(self, x, t):
        eps = self.model.eps(x, t)
        return eps + 1e3 * torch.sin(1e13 * t)[:, None]


@pytest.mark.parametrize(("name", "options"), ADAPTIVE)
def test_a_vanishing_step_or_a_spent_budget_is_an_error(name, options):
    began = time.perf_counter()
    with pytest.raises(NumericalError, match="vanishes|max_nfe|stopped|gave up"):
        attempt(Cliff(None), name, options | {"max_nfe": 2000, "tol": 1e-6, "atol": 1e-9})
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize(("name", "options"), ADAPTIVE)
def test_the_budget_is_kept(name, options):
    model = Broken(lambda calls, t: False)
    with pytest.raises(NumericalError, match=r"max_nfe = 15 evaluations, at t = .*raise tol or max_nfe"):
        attempt(model, name, options | {"max_nfe": 15, "tol": 1e-8})
    assert model.calls == 16


def test_guards_survive_python_without_assertions():
    """`python -O` removes assertions, also those of other libraries; the guards here are not assertions."""
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "import test_faults as f\n"
        "at_once, below = (lambda c, t: True), (lambda c, t: t < 0.3)\n"
        "for when, cases in ((at_once, f.CASES), (below, f.ADAPTIVE)):\n"
        "    for name, options in cases:\n"
        "        try:\n"
        "            f.attempt(f.Broken(when), name, options)\n"
        "        except f.NumericalError:\n"
        "            print('stopped', name)\n"
    )
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.count("stopped") == len(CASES) + len(ADAPTIVE), done.stdout + done.stderr


def test_a_score_of_length_zero_gives_a_finite_step():
    class Flat(Broken):
        def eps(self, x, t):
            return torch.zeros_like(x)

    assert torch.isfinite(attempt(Flat(None), "pc", {"steps": 5}).x).all()
