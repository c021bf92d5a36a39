"""The contract of a solver, for every registered one. A new solver is tested by existing.

The promises that any solver has to keep are those of `scoresde.bench.check`; here are also those that our own
documentation, options and errors make. Truth: the exact flow and law of Gaussians and mixtures, SciPy's own runs,
published values.
"""

import math
from functools import partial

import pytest
import torch
from pydantic_core import PydanticUndefined

from scoresde.bench.check import PROMISES
from scoresde.core.errors import NumericalError, UsageError
from scoresde.core.options import table
from scoresde.core.random import randn, stream
from scoresde.solvers import Solver, solvers
from scoresde.solvers.controllers import controllers
from scoresde.solvers.grids import grids

ALL = solvers.all()
CASES = {
    name + "".join(f" {key}={value}" for key, value in options.items()): partial(cls, **options)
    for name, cls in ALL.items()
    for options in ({}, *cls.examples)
}
NARROWER = ("law on ve", "law on edm")
"""Of processes with less noise than "wide ve", of the same class: these are measured at the defaults only."""


def noise(*shape):
    return randn(shape, stream(0, "noise"), dtype=torch.float64)


@pytest.mark.parametrize(
    ("promise", "case"),
    [
        pytest.param(promise, case, id=f"{promise.name}-{case}")
        for promise in PROMISES
        for case, build in CASES.items()
        if promise.applies(build()) and (case in ALL or promise.name not in NARROWER)
    ],
)
def test_a_promise_is_kept(promise, case):
    verdict = promise.verdict(CASES[case], fast=True)
    assert verdict.kept, f"{promise.measure.__doc__}\nmeasured: {verdict.measured}"


# --- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_options_round_trip(case):
    solver = CASES[case]()
    assert solvers.build(table(solver)) == solver
    known = (type(solver), *grids.all().values(), *controllers.all().values())
    names = {"inf": math.inf, **{cls.__name__: cls for cls in known}}
    assert eval(repr(solver), names) == solver
    assert hash(solver) == hash(solvers.build(table(solver)))


@pytest.mark.parametrize("name", ALL)
def test_options_are_documented_and_checked(name):
    cls = ALL[name]
    assert cls.__doc__ and "Reference" in cls.__doc__ and "https://" in cls.__doc__
    for field, info in cls.model_fields.items():
        assert info.description and info.description.endswith("."), f"{field} needs a sentence"
        assert info.default is not PydanticUndefined, f"{field} needs a default"
        for bound in info.metadata:
            for key, step in (("gt", 0), ("ge", -1), ("lt", 0), ("le", 1)):
                if (limit := getattr(bound, key, None)) is not None:
                    with pytest.raises(UsageError, match=f"{field} must be .*, got"):
                        cls(**{field: limit + step})
    with pytest.raises(UsageError, match=f"stepz is not an option of {name}"):
        cls(stepz=3)
    with pytest.raises(ValueError, match="frozen"):
        setattr(cls(), next(iter(cls.model_fields)), 3)


def test_a_shared_option_means_the_same_everywhere():
    seen = {}
    for name, cls in ALL.items():
        for field, info in cls.model_fields.items():
            first, kind, text = seen.setdefault(field, (name, info.annotation, info.description))
            assert (info.annotation, info.description) == (kind, text), f"{field} differs between {first} and {name}"


# --- refusals ----------------------------------------------------------------------------------------------------


def solve(solver: Solver, model, x, *, start=1.0, stop=1e-3):
    return solver.solve(model, x, start=start, stop=stop)


@pytest.mark.parametrize("case", [case for case, build in CASES.items() if build().noisy])
def test_a_stochastic_solver_refuses_to_run_towards_noise(case, gaussian):
    with pytest.raises(UsageError, match="only runs from noise to data"):
        solve(CASES[case](), gaussian, noise(2, 3), start=1e-3, stop=1.0)


@pytest.mark.parametrize("case", CASES)
def test_bad_times_are_refused(case, gaussian):
    for start, stop in ((1.0, 0.0), (1.0, 1.0), (1.5, 0.1), (1.0, math.nan), (1.0, -0.1)):
        with pytest.raises(UsageError, match="must differ and lie in"):
            solve(CASES[case](), gaussian, noise(2, 3), start=start, stop=stop)


@pytest.mark.parametrize("case", CASES)
def test_bad_noise_is_refused(case, gaussian):
    x = noise(4, 3)
    x[2, 1] = math.inf
    with pytest.raises(NumericalError, match="starting noise of sample 2 of 4 is not finite"):
        solve(CASES[case](), gaussian, x)
