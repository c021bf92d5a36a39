"""Options at the ends of their ranges: refused in a sentence, or followed by finite samples or by an error in one."""

import signal
from itertools import pairwise
from types import NoneType
from typing import get_args

import pytest
import torch

from scoresde.conditioners import conditioners
from scoresde.core.errors import ScoreSDEError, UsageError
from scoresde.core.random import generators
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import Luma
from scoresde.posterior import posteriors
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import AdaptiveSolver, solvers
from scoresde.solvers.controllers import Controller, controllers
from scoresde.solvers.grids import APART, Grid, grids

SHAPE = (3, 2, 2)
VALUES = [5e-324, 1e-40, 1e40, 1.7e308]
"""The first and the second are 0 in float32, the third is infinite."""
FEW = {"steps": 4, "nfe": 6, "max_nfe": 60}


def written(registry, base):
    """Options within an option, as they are written."""
    for name, cls in registry.all().items():
        yield name
        if name not in ("karras", "pi"):  # the others have the options of these, or none
            continue
        yield from (f"{name}:{key}={v}" for key, f in cls.model_fields.items() if f.annotation is float for v in VALUES)
    if base is Grid:
        yield from ("list:at=0.5/0.5/0.1", "list:at=0.9999999999999999/0.5/0.4999999999999999")


def ends(cls):
    """Each option of a class at each of the values."""
    for key, field in cls.model_fields.items():
        kinds = [k for k in get_args(field.annotation) or (field.annotation,) if k is not NoneType]
        if float in kinds:
            yield from ((key, value) for value in VALUES)
        if Grid in kinds or (Controller in kinds and cls.name == "rk23"):
            (base,) = (kind for kind in kinds if kind in (Grid, Controller))
            yield from ((key, text) for text in written(grids if base is Grid else controllers, base))


def followed(make, draw):
    """Nothing where the options are refused; else finite numbers, or an error that tells none that is not."""
    try:
        x = draw(make())
    except ScoreSDEError as error:
        assert "nan" not in str(error).lower().split() and "\n" not in str(error)
    else:
        assert torch.isfinite(x).all()


@pytest.fixture(scope="module")
def model():
    return GaussianModel(torch.linspace(-0.5, 0.5, 12).reshape(SHAPE), torch.full(SHAPE, 0.09), VPSDE())


@pytest.fixture(autouse=True)
def soon():
    """A minute for what takes a second: a hang is a failure."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.mark.parametrize("name", solvers.all())
def test_a_solver_with_absurd_options(name, model):
    cls, x = solvers[name], model.prior(generators(range(2)))
    few = {key: value for key, value in FEW.items() if key in cls.model_fields}
    for key, value in ends(cls):
        followed(
            lambda key=key, value=value: cls(**{**few, key: value}),
            lambda solver: sample(model, solver, x, generator=generators(range(2))).x,
        )


@pytest.mark.parametrize("name", [name for name in conditioners.all() if name not in ("oracle", "trained")])
def test_a_conditioner_with_absurd_options(name, model):
    y, cls = torch.zeros(2, 1, 2, 2), conditioners[name]
    x, solver = model.prior(generators(range(2))), solvers["dpm++"](steps=4)
    for key, value in ends(cls):
        followed(
            lambda key=key, value=value: cls(**{key: value}),
            lambda made: sample(made.condition(model, Luma(), y, generators(range(2))), solver, x).x,
        )


@pytest.mark.parametrize("name", posteriors.all())
def test_a_posterior_sampler_with_absurd_options(name, model):
    cls, y = posteriors[name], torch.zeros(2, 1, 2, 2)
    few = {"solver": "em:steps=3", "rounds": 2, "particles": 2, "inner": 1, "jump": 1, "resamplings": 2, "kind": "none"}
    few = {key: value for key, value in few.items() if key in cls.model_fields}
    for key, value in ends(cls):
        followed(
            lambda key=key, value=value: cls(**{**few, key: value}),
            lambda made: made.draw(model, Luma(noise=0.1), y, generator=generators(range(2))).x,
        )


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: solvers["dpm-single"](r1=1e-300), "r1 must be at least 0.001, got 1e-300"),
        (lambda: solvers["ggf"](atol=1e300), "atol must be at most 1000, got 1e+300"),
        (lambda: solvers["rk23"](atol=1e40), "atol must be at most 1000, got 1e+40"),
        (lambda: solvers["em"](steps=10**9), "steps must be at most 1000000, got 1000000000"),
        (lambda: solvers["scipy"](tol=1e-15), "tol must be at least 2.3e-14, got 1e-15"),
        (lambda: solvers["pc"](snr=1e8), "snr must be at most 10, got 100000000.0"),
    ],
)
def test_what_cannot_work_is_refused(make, sentence):
    with pytest.raises(UsageError, match=sentence.replace("+", "[+]")):
        make()


@pytest.mark.parametrize("grid", ["karras:rho=1e40", "karras:rho=1e-40", "list:at=0.9999999999999999/0.5/0.1"])
def test_times_that_cannot_be_told_apart_are_refused(grid):
    given = grids.parse(grid)
    with pytest.raises(UsageError, match="with 4 steps from 1 to 0.001 has times that are too close to each other"):
        given.levels(VPSDE(), 1.0, 1e-3, 4)


def test_many_steps_can_be_told_apart():
    """The least distance of ten thousand is over a hundred times that of a million, which are the most."""
    for rule in ("time", "quadratic", "logsnr", "karras", "cosine"):
        levels = grids[rule]().levels(VPSDE(), 1.0, 1e-3, 10_000)
        assert min(s.log_snr - t.log_snr for t, s in pairwise(levels)) > 200 * APART


def test_every_adaptive_solver_has_the_bound_of_the_absolute_error():
    for cls in solvers.all().values():
        if issubclass(cls, AdaptiveSolver):
            with pytest.raises(UsageError, match="atol must be at most 1000"):
                cls(atol=1001)


@pytest.mark.parametrize("name", ["dpm", "ggf"])
def test_where_the_relative_tolerance_is_nothing_the_absolute_one_rules(name):
    """A quotient of both would be infinite, and every error nothing."""
    model = GaussianModel(torch.zeros(SHAPE), torch.full(SHAPE, 0.3), VPSDE())
    x, numbers = model.prior(range(2)), [1e-12, 1e-300, 5e-324]
    tiny = [sample(model, solvers[name](tol=tol, atol=0.01), x, generator=generators(range(2))) for tol in numbers]
    assert all(each.nfe == tiny[0].nfe > 10 for each in tiny)
    for each in tiny[1:]:
        torch.testing.assert_close(each.x, tiny[0].x)
