"""The promises of `scoresde.bench.check` notice a breach: for each, a solver that breaks it and is otherwise good."""

import functools
import math
import re
from typing import ClassVar

import pytest
import torch

from scoresde.bench.check import PROMISES, check
from scoresde.core.errors import NumericalError
from scoresde.models.base import ObservedModel
from scoresde.solvers import GridSolver, MarkovSolver, PerSampleSolver, solvers
from scoresde.solvers.euler import Euler
from scoresde.solvers.euler_maruyama import EulerMaruyama
from scoresde.solvers.guard import Guard
from scoresde.solvers.runge_kutta import RK45

BY_NAME = {promise.name: promise for promise in PROMISES}


class Modest(solvers["dpm++"]):
    claimed_order: ClassVar[float] = 1.0


class Boastful(Euler):
    claimed_order: ClassVar[float] = 2.0


class Loose(RK45):
    """Its tolerance is ten thousand times the one asked for."""

    def stepping(self, model, x, *rest):
        loose = RK45(tol=min(1e4 * self.tol, 0.9), atol=1e4 * self.absolute)
        return RK45.stepping(loose, model, x, *rest)


class Ahead(Euler):
    """Begins at t = 1, wherever the process ends."""

    def step(self, model, x, t, s, generator):
        return super().step(model, x, t._replace(time=min(t.time + 1e-3 * (t.time > 0.99), 1.0)), s, generator)


class Proud(RK45):
    claimed_order: ClassVar[float] = 8.0


class Stiff(RK45):
    """Its tolerance is always the same."""

    def stepping(self, *arguments):
        return RK45.stepping(RK45(tol=1e-6), *arguments)


class OneWay(Euler):
    def step(self, model, x, t, s, generator):
        return super().step(model, x, t, s, generator) * (1.001 if s.time > t.time else 1)


class Cold(EulerMaruyama):
    """Its noise is a tenth too weak."""

    def kernel(self, model, x, t, s):
        mean, std = super().kernel(model, x, t, s)
        return mean, 0.9 * std


class Restless(EulerMaruyama):
    """Its kernel and its samples disagree."""

    def step(self, model, x, t, s, generator):
        return super().step(model, x, t, s, generator) * 1.01


class Own(EulerMaruyama):
    """Draws from torch's generator."""

    def step(self, model, x, t, s, generator):
        return super().step(model, x, t, s, None)


class Centred(Euler):
    """Mixes the samples of a batch."""

    def step(self, model, x, t, s, generator):
        return super().step(model, x, t, s, generator) - 1e-9 * x.mean(0)


class Hidden(Euler):
    """Evaluates behind the back of whoever counts."""

    def step(self, model, x, t, s, generator):
        while isinstance(model, ObservedModel):
            model = model.model
        return super().step(model, x, t, s, generator)


class Past(Euler):
    """Also looks at a time outside the process."""

    def step(self, model, x, t, s, generator):
        model.eps(x, t.rows(x) * 0 + 1.5)
        return super().step(model, x, t, s, generator)


class Double(Euler):
    def step(self, model, x, t, s, generator):
        return super().step(model, x, t, s, generator).double()


class Hushed(Euler):
    """Replaces what is not finite by zero."""

    def _checked(self, model, x, start, stop):
        return Guard(self.name, finite=False, budget=math.inf)

    def step(self, model, x, t, s, generator):
        return super().step(model, x, t, s, generator).nan_to_num(0, 0, 0)


class Fragile(RK45):
    """Gives up at the first fault."""

    def _solve(self, model, x, *rest):
        def watch(x, t, eps):
            if not torch.isfinite(eps).all():
                raise NumericalError("a fault")

        return super()._solve(ObservedModel(model, watch), x, *rest)


class Patient(RK45):
    """Has no budget and returns its noise where the steps vanish."""

    def _solve(self, model, x, *rest):
        try:
            return super()._solve(model, x, *rest)
        except NumericalError:
            return x


class Detached(Euler):
    def step(self, model, x, t, s, generator):
        return super().step(model, x.detach(), t, s, generator) + 0 * x


class Cut(RK45):
    """Adaptive, with half of the gradient cut off."""

    def _solve(self, model, x, *rest):
        return super()._solve(model, x.detach() + (x - x.detach()) / 2, *rest)


BROKEN = [
    ("order on a Gaussian", Modest),
    ("order on a Gaussian", Boastful),
    ("order on a mixture", Modest),
    ("order on a mixture", Boastful),
    ("order of adaptive steps", Proud),
    ("order of adaptive steps", Stiff),
    ("error proportional to the tolerance", Loose),
    ("error proportional to the tolerance", Stiff),
    ("a flow runs both ways", OneWay),
    ("law of the data", Cold),
    ("order of the law", Cold),
    ("samples of the chain", Restless),
    ("law on vp-cosine", Restless),
    ("law on sub-vp", Restless),
    ("law on ve", Cold),
    ("law on wide ve", Cold),
    ("law on edm", Cold),
    ("law on flow", Restless),
    ("law on flow", Ahead),
    ("error bounded where noise is large", Loose),
    ("a function of its seed", Own),
    ("independent of its batch", Centred),
    ("evaluations counted", Hidden),
    ("evaluations counted", Past),
    ("shape and dtype kept", Double),
    ("a NaN is an error at once", Hushed),
    ("a lasting fault is an error", Hushed),
    ("a passing fault costs a step", Fragile),
    ("a vanishing step is an error", Patient),
    ("gradients flow", Detached),
    ("gradients follow the flow", Cut),
]


@pytest.mark.parametrize(("name", "cls"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_promise_is_noticed(name, cls):
    promise, parent = BY_NAME[name], cls.__bases__[0]
    verdict = promise.verdict(cls, fast=True)
    assert promise.applies(cls()) and not verdict.kept
    own = "the times of this process lie from"  # what the model itself says to Ahead and Past
    assert not re.match(rf"(?!Numerical)\w+Error: (?!{own})", verdict.measured), "the fault is another one"
    assert parent in solvers.all().values()  # and keeps it without the fault, as test_solvers.py finds of all of them


def test_every_promise_can_be_broken():
    assert {name for name, _ in BROKEN} == set(BY_NAME)


def test_an_error_breaks_a_promise():
    class Raises(Euler):
        def step(self, *arguments):
            raise ZeroDivisionError("oops")

    verdicts = {verdict.promise: verdict for verdict in check(Raises, fast=True)}
    assert not any(verdict.kept for verdict in verdicts.values())
    assert verdicts["a function of its seed"].measured == "ZeroDivisionError: oops"


def test_what_applies_to_whom():
    names = lambda build: {promise.name for promise in PROMISES if promise.applies(build())}
    assert "law of the data" in names(functools.partial(solvers["ddim"], eta=1.0))
    assert "law of the data" not in names(solvers["ddim"])
    assert "independent of its batch" not in names(solvers["scipy"])
    for name, cls in solvers.all().items():
        promised = names(cls)
        assert {"a function of its seed", "evaluations counted", "law on ve"} <= promised
        assert ("order of the law" in promised) == issubclass(cls, MarkovSolver), name
        assert ("gradients flow" in promised) == issubclass(cls, GridSolver), name
        assert ("a passing fault costs a step" in promised) == issubclass(cls, PerSampleSolver), name
