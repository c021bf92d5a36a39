"""The laws and the paths of the stochastic solvers, against exact solutions and independent NumPy code."""

import importlib
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresde.core.errors import UsageError
from scoresde.core.random import generators, stream
from scoresde.models.base import ObservedModel
from scoresde.models.evaluations import Evaluations
from scoresde.models.gaussian import GaussianMixtureModel, GaussianModel
from scoresde.sde import VESDE, VPSDE, SubVPSDE
from scoresde.sde.flow import FlowSDE
from scoresde.solvers import solvers
from scoresde.solvers.brownian import BrownianNoise, BrownianPath, Foresight

Z = 4.892  # a false-alarm rate of 1e-6, two-sided
PROBED = [
    ("sde-dpm++", {"order": 1}),
    ("sde-dpm++", {"order": 2}),
    ("sde-dpm++", {"order": 3}),
    ("seeds", {"order": 1}),
    ("seeds", {"order": 2}),
    ("edm", {}),
]


def noise(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- the law, exactly --------------------------------------------------------------------------------------------


def law(run, module, model, monkeypatch):
    """Mean and covariance of the final state, which on a Gaussian model is affine in the start and in every draw."""
    size, draws = model.means.shape[1], []
    monkeypatch.setattr(module, "randn_like", lambda x, g: (draws.append(0), torch.zeros_like(x))[1])
    run(torch.zeros(1, size, dtype=torch.float64))
    count = len(draws)
    blocks = iter(blocks_of(count + 1, size))
    first = next(blocks)
    monkeypatch.setattr(module, "randn_like", lambda x, g: next(blocks))
    out = run(first)
    linear = out[1:] - out[0]
    scale = torch.ones(len(linear), 1, dtype=torch.float64)
    scale[:size] = model.sde.prior_std**2
    return out[0], (scale * linear).T @ linear


def blocks_of(count, size):
    """For each of `count` vectors, its values in a probe of zeros and in all one-hot probes, (1 + count size, size)."""
    rows = torch.eye(1 + count * size, dtype=torch.float64)[:, 1:]
    return [rows[:, i * size : (i + 1) * size] for i in range(count)]


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=lambda sde: sde.name)
@pytest.mark.parametrize(("name", "options"), PROBED)
def test_law_converges_at_the_claimed_order(name, options, sde, gaussian, monkeypatch):
    model = GaussianModel(gaussian.means[0], gaussian.bases[0] * gaussian.variances[0] @ gaussian.bases[0].T, sde)
    mean, cov = model.marginal(1e-3)
    errors = []
    for steps in (64, 128):
        solver = solvers[name](steps=steps, **options)
        module = importlib.import_module(type(solver).__module__)
        m, c = law(lambda x, s=solver: s.solve(model, x, start=1.0, stop=1e-3), module, model, monkeypatch)
        assert (m - mean).norm() < 1e-4 * mean.norm()  # what the prior's missing mean leaves
        errors.append(((c - cov).norm() / cov.norm()).item())
    order, claimed = math.log2(errors[0] / errors[1]), solver.claimed_order
    assert order > claimed - 0.15 and errors[1] < 0.1, f"order {order:.2f}, errors {errors}"


# --- the deterministic part --------------------------------------------------------------------------------------


def silent(module, monkeypatch):
    monkeypatch.setattr(module, "randn_like", lambda x, g: torch.zeros_like(x))


@pytest.fixture
def drift(mixture):
    """Noise, and where the drift of the reverse SDE alone takes it, by SciPy's DOP853 at 1e-12."""
    import scipy.integrate

    x = noise((16, 2))

    def velocity(t, y):
        y = torch.from_numpy(y).reshape(x.shape)
        beta = 0.1 + 19.9 * t
        return (-0.5 * beta * y - beta * mixture.score(y, y.new_full((len(y),), t))).numpy().ravel()

    out = scipy.integrate.solve_ivp(velocity, (1.0, 1e-2), x.numpy().ravel(), method="DOP853", rtol=1e-12, atol=1e-13)
    return mixture, x, torch.from_numpy(out.y[:, -1]).reshape(x.shape)


def published_3m(model, x, levels):
    """The drift of order 3 as in diffusers: a half with the wrong sign, and half of the second derivative."""
    predictions = []
    for i, (t, s) in enumerate(pairwise(levels)):
        predictions.insert(0, model.denoise(x, t.rows(x)))
        h, d = s.log_snr - t.log_snr, predictions
        weight = 1 - math.exp(-2 * h)
        x = s.sigma / t.sigma * math.exp(-h) * x + s.alpha * weight * d[0]
        if i == 1:
            r0 = (t.log_snr - levels[i - 1].log_snr) / h
            x = x + 0.5 * s.alpha * weight * (d[0] - d[1]) / r0
        if i > 1:
            r0 = (t.log_snr - levels[i - 1].log_snr) / h
            r1 = (levels[i - 1].log_snr - levels[i - 2].log_snr) / h
            near, far = (d[0] - d[1]) / r0, (d[1] - d[2]) / r1
            d1, d2 = near + r0 / (r0 + r1) * (near - far), (near - far) / (r0 + r1)
            x = x + s.alpha * (1 - weight / (2 * h)) * d1
            x = x + s.alpha * ((weight - 2 * h) / (2 * h) ** 2 - 0.5) * d2
    return x


def order_of(run, truth, counts=(64, 128, 256)):
    errors = [(run(n) - truth).square().mean().sqrt().item() for n in counts]
    return math.log2(errors[-2] / errors[-1]), errors


@pytest.mark.parametrize(
    ("name", "order"), [("sde-dpm++", 1), ("sde-dpm++", 2), ("sde-dpm++", 3), ("seeds", 1), ("seeds", 2)]
)
def test_the_drift_alone_has_the_order(name, order, drift, monkeypatch):
    """Without noise, each is a solver of an ordinary differential equation, of just its order."""
    model, x, truth = drift
    silent(importlib.import_module(solvers[name].__module__), monkeypatch)
    run = lambda n: solvers[name](steps=n, order=order).solve(model, x, start=1.0, stop=1e-2)
    found, errors = order_of(run, truth)
    assert order - 0.15 < found < order + 0.35, f"order {found:.2f}, errors {errors}"


def test_the_third_order_of_diffusers_is_the_first(drift):
    model, x, truth = drift
    grid = solvers["sde-dpm++"]().grid

    def run(n):
        return published_3m(model, x, model.sde.levels(grid.times(model.sde, 1.0, 1e-2, n)))

    found, errors = order_of(run, truth, (256, 512, 1024))
    assert abs(found - 1) < 0.15, f"order {found:.2f}, errors {errors}"


# --- the path, with the same noise -------------------------------------------------------------------------------


class Chain:
    """A scalar Gaussian problem in NumPy, with a process of its own account."""

    def __init__(self, sde, seeds, size):
        self.sde, self.mean, self.variance = sde.name, 0.2, 0.3
        self.size, self.draws = size, [torch.Generator().manual_seed(seed) for seed in seeds]

    def alpha(self, t):
        return 1.0 if self.sde == "ve" else math.exp(-0.5 * (0.1 * t + 0.5 * 19.9 * t**2))

    def sigma(self, t):
        if self.sde == "ve":
            return 0.01 * 5000**t
        var = 1 - self.alpha(t) ** 2
        return var if self.sde == "sub-vp" else math.sqrt(var)

    def lam(self, t):
        return math.log(self.alpha(t) / self.sigma(t))

    def time(self, lam):
        import scipy.optimize

        return scipy.optimize.brentq(lambda t: self.lam(t) - lam, 1e-6, 1.0, xtol=1e-15, rtol=1e-14)

    def eps(self, x, t):
        a, s = self.alpha(t), self.sigma(t)
        return s * (x - a * self.mean) / (a**2 * self.variance + s**2)

    def z(self):
        return np.stack([torch.randn(self.size, generator=g, dtype=torch.float64).numpy() for g in self.draws])


def by_2m(c, x, times):
    old = None
    for t, s in pairwise(times):
        h = c.lam(s) - c.lam(t)
        d = (x - c.sigma(t) * c.eps(x, t)) / c.alpha(t)
        slope = 0 if old is None else (d - old[0]) / ((c.lam(t) - c.lam(old[1])) / h)
        old = d, t
        x = c.sigma(s) / c.sigma(t) * math.exp(-h) * x + c.alpha(s) * (1 - math.exp(-2 * h)) * (d + slope / 2)
        x = x + c.sigma(s) * math.sqrt(1 - math.exp(-2 * h)) * c.z()
    return x


def by_seeds(c, x, times):
    for t, s in pairwise(times):
        h, z1, z2 = c.lam(s) - c.lam(t), c.z(), c.z()
        m = c.time((c.lam(s) + c.lam(t)) / 2)
        u = c.alpha(m) / c.alpha(t) * x - 2 * c.sigma(m) * (math.exp(h / 2) - 1) * c.eps(x, t)
        u = u + c.sigma(m) * math.sqrt(math.exp(h) - 1) * z1
        x = c.alpha(s) / c.alpha(t) * x - 2 * c.sigma(s) * (math.exp(h) - 1) * c.eps(u, m)
        x = x + c.sigma(s) * (math.sqrt(math.exp(2 * h) - math.exp(h)) * z1 + math.sqrt(math.exp(h) - 1) * z2)
    return x


def by_edm(c, x, times, churn=0.7, low=0.02, high=3.0, scale=1.01):
    level = lambda t: c.sigma(t) / c.alpha(t)
    slope = lambda y, v: c.eps(c.alpha(c.time(-math.log(v))) * y, c.time(-math.log(v)))
    y = x / c.alpha(times[0])
    for t, s in pairwise(times):
        v, end = level(t), level(s)
        gamma = min(churn / (len(times) - 1), math.sqrt(2) - 1) if low <= v <= high else 0.0
        up = v * (1 + gamma)
        if gamma:
            y = y + math.sqrt(up**2 - v**2) * scale * c.z()
        first = slope(y, up)
        second = slope(y + (end - up) * first, end)
        y = y + (end - up) * (first + second) / 2
    return c.alpha(times[-1]) * y


@pytest.mark.parametrize("sde", [VPSDE(), SubVPSDE(), VESDE()], ids=lambda sde: sde.name)
@pytest.mark.parametrize(
    ("name", "options", "oracle"),
    [
        ("sde-dpm++", {}, by_2m),
        ("seeds", {}, by_seeds),
        ("edm", {"churn": 0.7, "s_min": 0.02, "s_max": 3.0, "s_noise": 1.01}, by_edm),
    ],
)
def test_the_path_is_the_papers(name, options, oracle, sde):
    rows, size = 4, 3
    ones = torch.ones(size, dtype=torch.float64)
    model = GaussianModel(0.2 * ones, 0.3 * ones, sde)
    x, times = noise((rows, size)), [0.6, 0.5, 0.45, 0.2, 0.1]
    solver = solvers[name](steps=4, grid="list:at=0.5/0.45/0.2", **options)
    found = solver.solve(model, x, start=0.6, stop=0.1, generator=generators(range(rows)))
    expected = oracle(Chain(sde, range(rows), size), x.numpy(), times)
    assert np.abs(found.numpy() - expected).max() < 1e-9


def test_edm_without_churn_is_heun_and_stays_inside(gaussian):
    x = noise((8, 3))
    run = lambda n: solvers["edm"](steps=n, churn=0.0).solve(gaussian, x, start=1.0, stop=1e-2)
    found, errors = order_of(run, gaussian.flow(x, 1.0, 1e-2))
    assert abs(found - 2) < 0.15, f"order {found:.2f}, errors {errors}"
    seen = []
    watched = ObservedModel(gaussian, lambda x, t, eps: seen.append(t.max().item()))
    solvers["edm"](steps=10, churn=100.0).solve(watched, x, start=1.0, stop=1e-3)
    assert max(seen) == 1.0 and len(seen) == 20


# --- ggf ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tol", [5e-2, 1e-3])
def test_ggf_has_the_law_of_the_data(tol):
    """Many steps are rejected in one dimension; were their noise drawn anew, the law would be wrong at any tol."""
    std = torch.tensor([0.5], dtype=torch.float64)
    model = GaussianModel(torch.tensor([0.3], dtype=torch.float64), std**2, VPSDE())
    count, info, calls = 4000, {}, Evaluations()
    solver = solvers["ggf"](tol=tol, atol=1e-3)
    out = solver.solve(
        ObservedModel(model, calls), noise((count, 1)), start=1.0, stop=1e-3, generator=stream(0, "ggf"), info=info
    )
    mean, cov = model.marginal(1e-3)
    off = abs(out.mean() - mean).item() / math.sqrt(cov.item() / count)
    spread = abs(out.var() / cov - 1).item() / math.sqrt(2 / (count - 1))
    assert off < Z and spread < Z, f"mean off by {off:.2f}, variance by {spread:.2f} sigma, {count} samples, 1e-6"
    assert info["rejected"] > 1


def test_ggf_takes_no_step_that_is_right_by_chance():
    """Modes of ±5, of deviation 0.1: errors of one value are small on steps over all noise, which ended up to 4 off."""
    sde = FlowSDE()
    model = GaussianMixtureModel([[-5.0], [5.0]], [[0.01], [0.01]], sde)
    x, options = noise((100, 1)), {"start": sde.t_max, "stop": sde.t_min}
    found = solvers["ggf"](tol=0.05).solve(model, x, **options, generator=stream(0, "ggf"))
    off = (found.abs() - 5).abs().max().item()
    assert off < 6 * 0.1, f"{off:.2f} from the nearest mode"


def test_ggf_counts_two_evaluations_per_attempt_less_those_kept(gaussian):
    info, calls = {}, Evaluations()
    x = noise((1, 3))
    solvers["ggf"]().solve(
        ObservedModel(gaussian, calls), x, start=1.0, stop=1e-3, generator=generators([0]), info=info
    )
    assert calls.calls == 2 * info["steps"] + info["rejected"]  # a rejected attempt keeps its first evaluation


# --- Brownian motion ---------------------------------------------------------------------------------------------

times = st.floats(1e-3, 1.0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(times, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_a_path_is_one_function(asked, random):
    """Whatever was asked before, and in what order, W(t) is the same bits; increments add up."""
    path = BrownianPath((2,), 7, 1.0, 1e-3)
    values = {t: path(t) for t in asked}
    other = BrownianPath((2,), 7, 1.0, 1e-3)
    random.shuffle(asked)
    assert all(torch.equal(other(t), values[t]) for t in asked)
    a, b, c = asked[0], asked[-1], asked[len(asked) // 2]
    assert torch.allclose(path.increment(a, b) + path.increment(b, c), path.increment(a, c), rtol=0, atol=1e-14)
    assert not torch.equal(BrownianPath((2,), 8, 1.0, 1e-3)(0.5), path(0.5))
    assert torch.equal(path(1.0), torch.zeros(2, dtype=torch.float64))


def test_a_path_has_independent_increments_of_the_right_variance():
    """Seven uneven steps of 20,000 components: standardised, their Gram matrix is the identity."""
    path, count = BrownianPath((20_000,), 3, 1.0, 1e-3), 20_000
    at = [1.0, 0.93, 0.5, 0.499, 0.31, 0.3, 0.0011, 1e-3]
    z = torch.stack([path.noise(t, s) for t, s in pairwise(at)])
    gram = z @ z.T / count
    assert ((gram.diagonal() - 1).abs() * math.sqrt(count / 2)).max() < Z
    assert ((gram - gram.diagonal().diag()).abs() * math.sqrt(count)).max() < Z
    assert (z.mean(1).abs() * math.sqrt(count)).max() < Z


def test_noise_of_a_row_depends_on_its_own_seed():
    x = torch.zeros(3, 2, 2)
    batch, alone = BrownianNoise(x, generators([4, 5, 6]), 1.0, 0.1), BrownianNoise(x[1:2], generators([5]), 1.0, 0.1)
    assert torch.equal(batch(0.7, 0.4)[1:2], alone(0.7, 0.4)) and batch(0.7, 0.4).dtype == x.dtype
    single = BrownianNoise(x, torch.Generator().manual_seed(0), 1.0, 0.1)(0.7, 0.4)
    assert single.shape == x.shape and not torch.equal(single[0], single[1])
    for count in (1, 2):  # one generator would have given all rows the same noise
        with pytest.raises(UsageError, match=f"{count} generators for a batch of 3: give one per row, or a single one"):
            BrownianNoise(x, generators(range(count)), 1.0, 0.1)


def test_foresight_keeps_what_was_seen():
    """Of 20,000 rows: after 1 -> 0.4 and 1 -> 0.7 were rejected, the steps over 0.8, 0.65 and 0.3 are Brownian."""
    count = 20_000
    x = torch.zeros(count, 1, dtype=torch.float64)
    path = Foresight(x, torch.Generator().manual_seed(1), 1.0)
    ask = lambda t, s: path(x[:, 0] + t, x[:, 0] + s)[:, 0]
    far, middle = ask(1.0, 0.4), ask(1.0, 0.7)
    steps = [ask(1.0, 0.8), ask(0.8, 0.65), ask(0.65, 0.3)]
    z = torch.stack([w / math.sqrt(d) for w, d in zip(steps, (0.2, 0.15, 0.35), strict=True)])
    gram = z @ z.T / count
    assert ((gram.diagonal() - 1).abs() * math.sqrt(count / 2)).max() < Z
    assert ((gram - gram.diagonal().diag()).abs() * math.sqrt(count)).max() < Z
    # Cov(W(a), W(b)) = min(a, b): what was seen is part of the same path.
    both = torch.stack([steps[0], middle, steps[0] + steps[1], far, sum(steps)])
    lengths = torch.tensor([0.2, 0.3, 0.35, 0.6, 0.7], dtype=torch.float64)
    expected = torch.minimum(lengths[:, None], lengths)
    error = (both @ both.T / count - expected).abs() / torch.sqrt((lengths[:, None] * lengths + expected**2) / count)
    assert error.max() < Z, error


def test_foresight_of_a_row_at_rest_is_zero_and_leaves_its_path():
    """Row 1 waits at 1, then at 0.7, beside row 0 that moves; and then goes where it would have gone."""
    x = torch.zeros(2, 3, dtype=torch.float64)
    waits, alone = (Foresight(x, generators([5, 6]), 1.0) for _ in range(2))
    ask = lambda path, t, s: path(torch.tensor(t, dtype=torch.float64), torch.tensor(s, dtype=torch.float64))
    assert not ask(waits, [1.0, 1.0], [0.9, 1.0])[1].any()
    seen = ask(waits, [0.9, 1.0], [0.8, 0.4])[1]
    first = ask(waits, [0.8, 1.0], [0.7, 0.7])[1]
    assert not ask(waits, [0.7, 0.7], [0.6, 0.7])[1].any()
    assert torch.allclose(first + ask(waits, [0.6, 0.7], [0.5, 0.4])[1], seen, atol=1e-12)
    assert not ask(alone, [1.0, 1.0], [1.0, 1.0]).any()


def test_foresight_knows_the_time_on_which_a_step_landed():
    """A step from 1 that lands on 0.3 ends at 1 + (0.3 - 1), above 0.3 by a rounding; one on 0.1 ends below 0.1."""
    count = 20_000
    x = torch.zeros(count, 1, dtype=torch.float64)
    for begin, goal in ((1.0, 0.3), (1.0, 0.1)):
        end, path = begin + (goal - begin), Foresight(x, torch.Generator().manual_seed(1), 1.0)
        assert end != goal
        first, then = path(x[:, 0] + begin, x[:, 0] + end)[:, 0], path(x[:, 0] + goal, x[:, 0] + goal / 2)[:, 0]
        assert not path(x[:, 0] + goal / 2, x[:, 0] + goal / 2).any()
        assert abs(then.var().item() / (goal / 2) - 1) * math.sqrt(count / 2) < Z
        assert abs(torch.corrcoef(torch.stack([first, then]))[0, 1].item()) * math.sqrt(count) < Z


@pytest.mark.parametrize("options", [{}, {"final_corrector": 0.16}])
def test_what_a_row_of_ggf_draws_does_not_depend_on_how_long_the_others_take(options, gaussian):
    """After it has arrived a row draws nothing: its generator is where it is if the row runs alone."""
    solver, start = solvers["ggf"](**options), noise((6, 3))
    together = generators(range(6))
    whole = solver.solve(gaussian, start, start=1.0, stop=1e-3, generator=together)
    for i in range(6):
        (alone,) = own = generators([i])
        one = solver.solve(gaussian, start[i : i + 1], start=1.0, stop=1e-3, generator=own)
        assert torch.allclose(one, whole[i : i + 1], rtol=0, atol=1e-12)
        assert torch.equal(alone.get_state(), together[i].get_state())


@pytest.mark.parametrize(
    ("fixture", "mean", "within"), [("gaussian", torch.mean, 0.15), ("mixture", torch.median, 0.3)]
)
def test_strong_order_one_on_one_path(fixture, mean, within, request):
    """With one path at every number of steps, noise that does not depend on x leaves strong order 1, not 1/2.

    The reference is Euler-Maruyama's at 2048 steps, for all three: they share their path. On the mixture a few
    samples pass so near the border of two modes that any step size sends them elsewhere; hence the median there.
    """
    model = request.getfixturevalue(fixture)
    x = noise((64, model.means.shape[1]))

    def run(name, steps, **options):
        generator = torch.Generator().manual_seed(3)
        return solvers[name](steps=steps, **options).solve(model, x, start=1.0, stop=1e-2, generator=generator)

    truth = run("em", 2048, brownian=True)
    off = lambda out: mean((out - truth).square().sum(1)).sqrt().item()
    for name in ("em", "reverse-diffusion", "ancestral"):
        few, many = (off(run(name, n, brownian=True)) for n in (32, 128))
        order, other = math.log2(few / many) / 2, off(run(name, 128))
        assert abs(order - 1) < within and other > 20 * many, (
            f"{name}: {order:.2f}, {many:.1e}, other noise {other:.1e}"
        )
