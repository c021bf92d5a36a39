"""The contract of a solver, for every registered one. A new solver is tested by existing.

Truth: the exact flow and law of Gaussians and mixtures (closed forms), SciPy's own runs, and published values.
"""

import math
from functools import partial

import pytest
import torch
from pydantic_core import PydanticUndefined

from scoresde.errors import NumericalError, UsageError
from scoresde.gaussian import GaussianModel
from scoresde.grids import grids
from scoresde.model import Evaluations, ObservedModel, ScoreModel
from scoresde.random import generators
from scoresde.registry import table
from scoresde.sample import sample
from scoresde.sde import VPSDE, sdes
from scoresde.solvers import AdaptiveSolver, GridSolver, MarkovSolver, OneStepSolver, PerSampleSolver, Solver, solvers

ALL = solvers.all()
CASES = {
    name + "".join(f" {key}={value}" for key, value in options.items()): partial(cls, **options)
    for name, cls in ALL.items()
    for options in ({}, *cls.examples)
}


def of(*kinds, **traits):
    """The cases whose class is of all the kinds and that have the traits."""
    return [
        case
        for case, make in CASES.items()
        if issubclass(make.func, kinds if len(kinds) > 1 else kinds[0])
        and all(getattr(make(), trait) == value for trait, value in traits.items())
    ]


def noise(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def solve(solver, model, x, *, start=1.0, stop=1e-3, generator=None, info=None):
    return solver.solve(model, x, start=start, stop=stop, generator=generator, info=info)


def quick(case):
    """The case with few steps, where it has steps."""
    options = {"steps": 40} if "steps" in CASES[case].func.model_fields else {}
    return CASES[case](**options)


def finely(case, steps):
    """The case at a setting that leaves little error."""
    fields = CASES[case].func.model_fields
    budgets = ({"steps": steps}, {"nfe": steps}, {"tol": 1e-4, "atol": 1e-4})
    options = next(budget for budget in budgets if budget.keys() <= fields.keys())
    if CASES[case]().noisy and "tol" in options:
        options = {"tol": 1e-2, "atol": 1e-2}  # the law is what is tested, and its error is of second order
    # A Langevin step has a bias of its own, proportional to snr², which more steps do not remove.
    return CASES[case](**options, **({"snr": 0.05} if "snr" in fields else {}))


# --- accuracy of the deterministic solvers -----------------------------------------------------------------------


@pytest.fixture
def problem(mixture):
    """Noise and where the probability flow takes it, by SciPy's DOP853 at 1e-12, not by our code."""
    import scipy.integrate

    x = noise((24, 2))

    def velocity(t, y):
        y = torch.from_numpy(y).reshape(x.shape)
        return mixture.velocity(y, y.new_full((len(y),), t)).numpy().ravel()

    out = scipy.integrate.solve_ivp(velocity, (1.0, 1e-3), x.numpy().ravel(), method="DOP853", rtol=1e-12, atol=1e-13)
    return mixture, x, torch.from_numpy(out.y[:, -1]).reshape(x.shape)


@pytest.mark.parametrize("case", of(GridSolver, noisy=False))
def test_order_on_a_fixed_grid(case, problem):
    model, x, truth = problem
    solver = CASES[case]
    errors = [(solve(solver(steps=n), model, x) - truth).square().mean().sqrt().item() for n in (64, 128, 256)]
    slopes = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    claimed = solver(steps=1).claimed_order
    assert slopes[-1] > claimed - 0.15, f"order {slopes}, errors {errors}"
    assert claimed > 3 or slopes[-1] < claimed + 0.5, f"order {slopes}, errors {errors}"


# A tolerance follows the error per step, so the path's error stays within some multiple of it.
@pytest.mark.parametrize("case", of(AdaptiveSolver, noisy=False))
def test_error_follows_the_tolerance(case, problem):
    model, x, truth = problem
    calls = []
    for tol in (1e-2, 1e-3, 1e-4) if CASES[case]().claimed_order < 3 else (1e-3, 1e-5, 1e-7):
        count = Evaluations()
        error = solve(CASES[case](tol=tol, atol=tol), ObservedModel(model, count), x) - truth
        calls.append(count.calls)
        assert error.square().mean().sqrt() <= 10 * tol, f"tol {tol}: rms error {error.square().mean().sqrt():.1e}"
        assert error.abs().max() <= 50 * tol, f"tol {tol}: largest error {error.abs().max():.1e}"
    assert calls == sorted(calls), f"evaluations {calls} must not fall with the tolerance"


@pytest.mark.parametrize("case", of(PerSampleSolver, noisy=False))
def test_order_of_an_adaptive_solver(case, gaussian):
    """Where the tolerance is small, the error falls as the number of steps to the minus claimed order."""
    x, points = noise((16, 3)), []
    solver = CASES[case]
    order = solver().claimed_order
    low, high = (-3.5, -5) if order < 3 else (-4, -7) if order < 4 else (-6, -11)
    for exponent in (low, high):
        info = {}
        found = solve(solver(tol=10.0**exponent, atol=10.0**exponent), gaussian, x, info=info)
        error = (found - gaussian.flow(x, 1.0, 1e-3)).square().mean().sqrt().item()
        points.append((info["steps"], error))
    (n0, e0), (n1, e1) = points
    measured = math.log(e0 / e1) / math.log(n1 / n0)
    assert measured > order - 0.3, f"order {measured:.2f} from (steps, error) {points}"


@pytest.mark.parametrize("case", of(AdaptiveSolver, noisy=False) + of(GridSolver, noisy=False))
def test_a_flow_runs_both_ways(case, gaussian):
    x = noise((8, 3))
    adaptive = issubclass(CASES[case].func, AdaptiveSolver)
    options = {"tol": 1e-4, "atol": 1e-4} if adaptive else {"steps": 500}
    there = solve(CASES[case](**options), gaussian, x)
    back = solve(CASES[case](**options), gaussian, there, start=1e-3, stop=1.0)
    assert (back - x).square().mean().sqrt() < 2e-2


# --- law of the stochastic solvers -------------------------------------------------------------------------------


def transition_law(solver, model, steps):
    """Mean and covariance that a chain of affine normal transitions has at the end, computed exactly by probing."""
    size = model.means.shape[1]
    levels = model.sde.levels(solver.grid.times(model.sde, 1.0, 1e-3, steps))
    mean, cov = torch.zeros(size, dtype=torch.float64), torch.eye(size, dtype=torch.float64)
    for t, s in zip(levels, levels[1:], strict=False):
        probes = torch.cat([torch.zeros(1, size, dtype=torch.float64), torch.eye(size, dtype=torch.float64)])
        images, std = solver.kernel(model, probes, t, s)
        shift, linear = images[0], (images[1:] - images[0]).T
        mean, cov = linear @ mean + shift, linear @ cov @ linear.T + std**2 * torch.eye(size, dtype=torch.float64)
    return mean, cov


@pytest.mark.parametrize("case", of(MarkovSolver))
def test_law_converges_at_the_claimed_order(case, gaussian):
    solver = CASES[case]
    mean, cov = gaussian.marginal(1e-3)
    errors = []
    for steps in (128, 256, 512):
        m, c = transition_law(solver(steps=steps), gaussian, steps)
        errors.append(((m - mean).norm() / mean.norm() + (c - cov).norm() / cov.norm()).item())
    slopes = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    claimed = solver().claimed_order
    assert slopes[-1] > claimed - 0.15 and errors[-1] < 2e-2, f"orders {slopes}, errors {errors}"


@pytest.mark.parametrize("case", of(MarkovSolver))
def test_samples_follow_the_law_of_the_chain(case, gaussian):
    """Drawn samples have the chain's exact mean and variance: 60,000 of them, at a false-alarm rate of 1e-6 each."""
    solver, count = CASES[case](steps=20), 60_000
    out = solve(solver, gaussian, noise((count, 3)), generator=torch.Generator().manual_seed(5))
    mean, cov = transition_law(solver, gaussian, 20)
    z = 4.892
    off = (out.mean(0) - mean).abs() / (cov.diagonal() / count).sqrt()
    spread = (out.var(0) / cov.diagonal() - 1).abs() / math.sqrt(2 / (count - 1))
    assert off.max() < z and spread.max() < z, f"mean off by {off.tolist()}, variance by {spread.tolist()} sigma"


@pytest.mark.parametrize("case", of(GridSolver, noisy=True))
def test_law_is_near_the_truth(case):
    """Mean and standard deviation of 32,768 pooled values at 400 steps; the bias that remains is first order."""
    mean, std = torch.linspace(-0.5, 0.5, 4), torch.tensor([0.1, 0.3, 0.5, 0.8])
    model = GaussianModel(mean.repeat(16), std.repeat(16).square(), VPSDE())  # Langevin steps need many dimensions
    out = solve(finely(case, 400), model, noise((512, 64)), generator=torch.Generator().manual_seed(1))
    out = out.reshape(-1, 4)
    _, cov = model.marginal(1e-3)
    ratio = out.std(0) / cov.diagonal()[:4].sqrt()
    assert ((out.mean(0) - mean).abs() / std).max() < 0.06, f"means {out.mean(0).tolist()}"
    assert (ratio - 1).abs().max() < 0.08, f"ratios of standard deviations {ratio.tolist()}"


@pytest.mark.parametrize("case", of(Solver, noisy=True))
def test_a_stochastic_solver_refuses_to_run_towards_noise(case, gaussian):
    with pytest.raises(UsageError, match="only runs from noise to data"):
        solve(quick(case), gaussian, noise((2, 3)), start=1e-3, stop=1.0)


# --- seeds and batches -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", of(Solver, batch_independent=True))
def test_a_sample_depends_on_its_seed_alone(case, mixture):
    x = noise((6, 2))
    batch = solve(quick(case), mixture, x, generator=generators(range(6)))
    alone = solve(quick(case), mixture, x[4:5], generator=generators([4]))
    assert torch.allclose(batch[4:5], alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", of(Solver, batch_independent=True))
def test_another_sample_cannot_disturb(case, mixture):
    x = noise((6, 2))
    calm = solve(quick(case), mixture, x, generator=generators(range(6)))
    x[2] *= 8
    wild = solve(quick(case), mixture, x, generator=generators(range(6)))
    assert torch.equal(calm[[0, 1, 3, 4, 5]], wild[[0, 1, 3, 4, 5]]) and not torch.equal(calm[2], wild[2])


@pytest.mark.parametrize("case", CASES)
def test_same_seed_same_bits_and_the_global_generator_rests(case, mixture):
    before = torch.get_rng_state()
    first, again, other = (
        solve(quick(case), mixture, noise((4, 2)), generator=torch.Generator().manual_seed(s)) for s in (3, 3, 4)
    )
    assert torch.equal(first, again) and torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, other) != CASES[case]().noisy


# --- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_options_round_trip(case):
    solver = CASES[case]()
    assert solvers.build(table(solver)) == solver
    names = {cls.__name__: cls for cls in (type(solver), *grids.all().values())}
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


# --- counting, types, gradients ----------------------------------------------------------------------------------


class Independent(ScoreModel):
    """Counts evaluations by itself, below whatever the library wraps around."""

    def __init__(self, model):
        super().__init__()
        self.model, self.sde, self.shape, self.calls = model, model.sde, model.shape, 0

    def eps(self, x, t):
        self.calls += 1
        assert t.shape == (len(x),) and t.dtype == torch.float64
        assert (t > 0).all() and (t <= self.sde.end).all(), "a solver left the process"
        return self.model.eps(x, t)


@pytest.mark.parametrize("case", CASES)
def test_nfe_is_what_the_model_saw(case, mixture):
    model = Independent(mixture)
    out = sample(model, quick(case), noise((4, 2)), generator=generators(range(4)))
    assert out.nfe == model.calls and out.work == model.calls and out.seconds > 0
    per_step = 1 + quick(case).corrector_steps if hasattr(quick(case), "corrector_steps") else 1
    if issubclass(CASES[case].func, OneStepSolver):
        assert (out.nfe - 1) % (40 * per_step) == 0, "a step without memory costs the same everywhere"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_dtype_are_kept(case, dtype):
    model = GaussianModel(torch.zeros(2, 3, 4), torch.full((2, 3, 4), 0.25), VPSDE())
    x = noise((5, 2, 3, 4)).to(dtype)
    out = solve(quick(case), model, x, generator=generators(range(5)))
    assert out.shape == x.shape and out.dtype == dtype and torch.isfinite(out).all()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("process", ["vp-cosine", "sub-vp", "ve"])
def test_every_process(case, process):
    """On other processes too, a solver ends near the law of the data."""
    sde = sdes[process]()
    # Sixty-four dimensions: the Langevin rule's step depends on the state, a bias of the order of 1/dimension.
    mean, std = torch.linspace(-0.3, 0.3, 64, dtype=torch.float64), 0.5
    model = GaussianModel(mean, torch.full((64,), std**2, dtype=torch.float64), sde)
    x = sde.prior_std * noise((200, 64))
    out = sample(model, finely(case, 250), x, generator=torch.Generator().manual_seed(2)).x
    ratio = ((out - mean).std() / std).item()
    assert abs((out - mean).mean() / std) < 0.05 and abs(ratio - 1) < 0.05, f"ratio of standard deviations {ratio:.3f}"


@pytest.mark.parametrize("case", of(GridSolver))
def test_gradients_flow(case, gaussian):
    x = noise((2, 3)).requires_grad_()
    f = lambda x: solve(CASES[case](steps=3), gaussian, x, stop=0.1, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(f, (x,), eps=1e-6, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_bad_times_are_refused(case, gaussian):
    for start, stop in ((1.0, 0.0), (1.0, 1.0), (1.5, 0.1), (1.0, math.nan), (1.0, -0.1)):
        with pytest.raises(UsageError, match="must differ and lie in"):
            solve(quick(case), gaussian, noise((2, 3)), start=start, stop=stop)


@pytest.mark.parametrize("case", CASES)
def test_bad_noise_is_refused(case, gaussian):
    x = noise((4, 3))
    x[2, 1] = math.inf
    with pytest.raises(NumericalError, match="starting noise of sample 2 of 4 is not finite"):
        solve(quick(case), gaussian, x)
