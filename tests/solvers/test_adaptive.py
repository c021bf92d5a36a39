"""Adaptive stepping: controllers, first steps, and the states at given times."""

import math

import numpy as np
import pytest
import torch

from scoresde.bench.problems import problem, reference
from scoresde.bench.spec import expand
from scoresde.core.errors import NumericalError, UsageError
from scoresde.core.random import generators, stream
from scoresde.models.base import ObservedModel
from scoresde.models.evaluations import Evaluations
from scoresde.models.gaussian import GaussianMixtureModel, GaussianModel
from scoresde.sde import VESDE, VPSDE, sdes
from scoresde.solvers import PerSampleSolver, solvers
from scoresde.solvers.controllers import Controller, controllers

PER_SAMPLE = [name for name, cls in solvers.all().items() if issubclass(cls, PerSampleSolver)]
ODES = [name for name in PER_SAMPLE if not solvers[name].stochastic]
YES, NO = np.array([True]), np.array([False])


def one(value):
    return np.array([value])


@pytest.mark.parametrize(
    ("name", "exponents"), [("i", (1, 0, 0)), ("pi", (0.7, -0.4, 0)), ("pid", (1 / 18, 1 / 9, 1 / 18))]
)
def test_the_factor_is_the_filter_of_the_last_three_errors(name, exponents):
    """Against the formula, in Python's own arithmetic, for an estimate of order 3."""
    errors = (0.3, 0.8, 0.05)
    expected = 0.9 * math.prod(e ** (-b / 3) for e, b in zip(errors, exponents, strict=True))
    now, *past = map(one, errors)
    assert controllers[name]().factor(now, 3, tuple(past), YES, NO).item() == pytest.approx(expected, rel=1e-12)


def test_a_rejected_step_is_shortened_by_the_last_error_alone():
    rule, past = controllers["pi"](), (one(1e-6), one(1.0))
    assert rule.factor(one(8.0), 3, past, NO, NO).item() == pytest.approx(0.45, rel=1e-12)
    assert rule.factor(one(1.0001), 3, past, NO, NO) <= 0.9
    assert rule.factor(one(1e9), 3, past, NO, NO) == 0.2


def test_a_step_is_not_lengthened_right_after_a_rejection_unless_asked_to():
    past = (one(1.0), one(1.0))
    assert Controller().factor(one(1e-3), 3, past, YES, YES) == 1.0
    assert Controller(hold=False).factor(one(1e-3), 3, past, YES, YES) == pytest.approx(9.0)


def test_a_step_without_error_does_not_rule_the_next():
    factor = controllers["pi"]().factor(one(0.5), 3, (one(0.0), one(0.0)), YES, NO)
    assert 0.2 <= factor.item() <= 10 and not np.isnan(factor)


def test_controllers_are_written_as_text():
    for text in ("i", "pi", "pid", "pi:safety=0.8", "i:slowest=0.0,fastest=inf,hold=False"):
        assert str(controllers.parse(text)) == text
        own = solvers["rk45"](controller=controllers.parse(text), control="max")
        assert solvers.parse(str(own)) == own
    text = "rk45:controller=pi:b1=0.5,b2=0.0,tol=0.1"  # tol is the solver's, b2 is not
    assert solvers.parse(text) == solvers["rk45"](tol=0.1, controller=controllers["pi"](b1=0.5, b2=0))
    assert list(expand(f"{text}/0.2", solvers)) == [solvers.parse(text), solvers.parse(text.replace("0.1", "0.2"))]
    assert solvers["rk45"](controller="pi:b1=0.5").controller == controllers["pi"](b1=0.5)
    with pytest.raises(UsageError, match="no controller is called 'pd'"):
        solvers["rk45"](controller="pd")
    with pytest.raises(UsageError, match="safety must be at most 1"):
        solvers["rk45"](controller="pi:safety=2")


@pytest.mark.parametrize("controller", controllers.all())
@pytest.mark.parametrize("name", ODES)
def test_the_error_falls_with_the_tolerance_under_every_controller(name, controller, gaussian):
    x = gaussian.prior(stream(0, "x"), 8, dtype=torch.float64)
    truth, errors = gaussian.flow(x, 1.0, 1e-3), []
    for tol in (1e-2, 1e-4, 1e-6):
        found = solvers[name](tol=tol, atol=tol, controller=controller).solve(gaussian, x, start=1.0, stop=1e-3)
        errors.append((found - truth).square().mean().sqrt().item() / tol)
    assert max(errors) <= 10, errors


def test_pi_control_rejects_less(mixture):
    """What it is for: fewer than half of the rejections of the elementary rule, at no more evaluations."""
    x = mixture.prior(stream(0, "x"), 32, dtype=torch.float64)
    spent = {}
    for controller in ("i", "pi"):
        count, info = Evaluations(), {}
        solver = solvers["rk23"](tol=1e-4, controller=controller)
        solver.solve(ObservedModel(mixture, count), x, start=1.0, stop=1e-3, info=info)
        spent[controller] = info["rejected"], count.calls
    assert spent["pi"][0] < 0.5 * spent["i"][0] and spent["pi"][1] <= spent["i"][1]


@pytest.mark.parametrize("name", PER_SAMPLE)
def test_the_first_step_can_be_given(name, mixture):
    """The second evaluation, or third where stages follow, is at most that step away from the start."""
    x, seen = mixture.prior(stream(0, "x"), 2, dtype=torch.float64), []
    solver = solvers[name](first_step=1e-3)
    watched = ObservedModel(mixture, lambda x, t, eps: seen.append(t.clone()))
    solver.stepping(watched, x, 1.0, 0.5, generators([0, 1]))
    probes = len(seen)
    solver.solve(watched, x, start=1.0, stop=0.5, generator=generators([0, 1]))
    after = seen[probes + probes]
    place = after if name in ("rk23", "rk45", "dop853", "ggf") else mixture.sde.log_snr(after)
    begin = 1.0 if name in ("rk23", "rk45", "dop853", "ggf") else mixture.sde.log_snr(torch.ones(1).double())
    gap = (place - begin).abs()
    assert (gap > 0).all() and (gap <= 1.0001e-3).all()


@pytest.mark.parametrize("name", ODES)
def test_tol_alone_is_kept_where_noise_is_large(name):
    """Against the flow of a normal law. `dpm` had an atol of 0.0078 that did not follow a smaller tol: 110 tol.

    Errors relative to a state that has lost its noise since would leave 13 times as much.
    """
    model = GaussianModel(torch.tensor([0.3, -0.2]), torch.tensor([0.25, 0.0025]), VESDE(sigma_max=348.0))
    x = model.prior(stream(0, "x"), 32, dtype=torch.float64)
    found = solvers[name](tol=1e-4).solve(model, x, start=1.0, stop=model.sde.t_min)
    assert (found - model.flow(x, 1.0, model.sde.t_min)).square().mean().sqrt() < 8e-4


@pytest.mark.parametrize("process", ["vp", "ve", "flow"])
@pytest.mark.parametrize("name", ODES)
def test_no_step_passes_over_what_changes_between_two_scales(name, process):
    """N(0, 0.01²) or N(0, 1): at t the variance is at most α² + σ², and x/√(α² + σ²) only falls in size towards data.

    `dpm` took steps of 7 and 8 in log-SNR, whose two orders agreed by chance, to points eight times as far out.
    """
    sde = sdes.parse(process)
    model = GaussianMixtureModel(torch.zeros(2, 2), torch.tensor([[1e-4] * 2, [1.0] * 2]), sde)
    x = model.prior(stream(0, "x"), 64, dtype=torch.float64)
    found = solvers[name]().solve(model, x, start=sde.t_max, stop=sde.t_min)
    least, most = (sde.levels([t])[0] for t in (sde.t_min, sde.t_max))
    bound = x.abs() * math.hypot(least.alpha, least.sigma) / math.hypot(most.alpha, most.sigma)
    assert (found.abs() - bound).max() < 0.15, f"{(found.abs() - bound).max():.2f}"


@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize("name", ODES)
def test_a_path_holds_the_states_at_its_times(name, direction, gaussian):
    """Against the exact flow, at every time, towards the data and towards the noise."""
    times = [1.0, 0.9, 0.5, 0.499, 0.1, 1e-3] if direction == "down" else [1e-3, 0.2, 0.21, 0.8, 1.0]
    x = gaussian.flow(gaussian.prior(stream(0, "x"), 4, dtype=torch.float64), 1.0, times[0])
    given = torch.tensor(times, dtype=torch.float64) if direction == "up" else times
    path = solvers[name](tol=1e-5, atol=1e-5).path(gaussian, x, given)
    assert len(path) == len(times) and path[0] is x
    for t, state in zip(times[1:], path[1:], strict=True):
        assert (state - gaussian.flow(x, times[0], t)).abs().max() < 2e-4, t


@pytest.mark.parametrize("name", ODES)
def test_a_path_of_sixteen_bits_is_stepped_in_more(name, gaussian):
    """Its states are those of the exact flow but for their own rounding; stepped in bfloat16 the errors never pass."""
    x = gaussian.prior(stream(0, "x"), 4).to(torch.bfloat16)
    times = [1.0, 0.5, 1e-3]
    path = solvers[name](tol=1e-4, atol=1e-4).path(gaussian, x, times)
    for t, state in zip(times[1:], path[1:], strict=True):
        exact = gaussian.flow(x.double(), 1.0, t)
        assert state.dtype == x.dtype
        assert bool(((state.double() - exact).abs() <= exact.abs() * 2**-8 + 2e-3).all()), t


def test_a_path_ends_as_its_solver_does(gaussian):
    x, solver = gaussian.prior(stream(0, "x"), 4), solvers["rk45"](final_corrector=0.16)
    end = solver.solve(gaussian, x, start=1.0, stop=1e-3, generator=generators(range(4)))
    path = solver.path(gaussian, x, [1.0, 1e-3], generator=generators(range(4)))
    assert torch.equal(path[-1], end)
    assert not torch.equal(end, solvers["rk45"]().solve(gaussian, x, start=1.0, stop=1e-3))


@pytest.mark.parametrize("name", ODES)
def test_a_path_costs_at_most_a_step_per_time(name, mixture):
    x = mixture.prior(stream(0, "x"), 1, dtype=torch.float64)
    plain, landing = {}, {}
    solver = solvers[name](tol=1e-4, atol=1e-4)
    solver.solve(mixture, x, start=1.0, stop=1e-3, info=plain)
    solver.path(mixture, x, [1.0, 0.7, 0.4, 0.2, 1e-3], info=landing)
    assert landing["steps"] + landing["rejected"] <= plain["steps"] + plain["rejected"] + 3 + 2


def test_rows_of_a_path_do_not_depend_on_their_batch(mixture):
    x, times = mixture.prior(stream(0, "x"), 5, dtype=torch.float64), [1.0, 0.5, 0.1, 1e-3]
    together = solvers["adams"]().path(mixture, x, times)
    alone = solvers["adams"]().path(mixture, x[3:4], times)
    for a, b in zip(together, alone, strict=True):
        assert torch.allclose(a[3:4], b, rtol=1e-9, atol=1e-10)


def test_a_stochastic_path_has_the_law_of_the_process_at_each_time():
    model = GaussianModel(torch.full((64,), 0.5), torch.full((64,), 0.09), VPSDE())
    times = [1.0, 0.5, 0.2, 1e-3]
    x = model.prior(stream(0, "x"), 128, dtype=torch.float64)
    for t, state in zip(times, solvers["ggf"]().path(model, x, times, generator=stream(1)), strict=True):
        if t < 1:
            mean, covariance = model.marginal(t)
            assert abs(state.mean() - mean[0]) < 0.02
            assert state.std().item() == pytest.approx(covariance[0, 0].sqrt().item(), rel=0.06)


@pytest.mark.parametrize(
    "times", [[1.0], [1.0, 0.5, 0.7], [1.0, 1.0], [1.0, 0.5, 0.5, 0.1], [1.0, 0.0], [2.0, 0.5], [1.0, math.nan]]
)
def test_times_that_make_no_path_are_refused(times, mixture):
    x = mixture.prior(stream(0, "x"), 2, dtype=torch.float64)
    with pytest.raises(UsageError, match=r"times of a path|start and stop"):
        solvers["rk45"]().path(mixture, x, times)


def test_a_path_has_its_budget(mixture):
    x = mixture.prior(stream(0, "x"), 2, dtype=torch.float64)
    with pytest.raises(NumericalError, match="max_nfe = 20"):
        solvers["rk45"](tol=1e-6, max_nfe=20).path(mixture, x, [1.0, 0.5, 1e-3])


def test_a_path_on_a_mixture_agrees_with_scipy():
    model = problem("gm2")
    x = model.prior(stream(2, "gm2"), 4, dtype=torch.float64)
    path = solvers["adams"](tol=1e-6).path(model, x, [1.0, 0.3, 1e-3])
    for t, state in zip((0.3, 1e-3), path[1:], strict=True):
        assert (state - reference(model, x, start=1.0, stop=t, tol=1e-10)).abs().max() < 1e-4
