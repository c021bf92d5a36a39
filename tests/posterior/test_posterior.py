"""Posterior samplers: their laws against closed forms, the evidence, their costs, and what they refuse."""

import math
import re

import numpy as np
import pytest
import scipy.stats
import torch
from drawn import draw

from scoresde import models
from scoresde.conditioners.oracle import PosteriorMixture
from scoresde.core.errors import NumericalError, UsageError
from scoresde.core.options import table
from scoresde.core.random import generators, stream
from scoresde.data import data
from scoresde.models.base import ScoreModel
from scoresde.models.gaussian import GaussianMixtureModel, GaussianModel
from scoresde.models.output import Output
from scoresde.observations import Blur, Crop, Downsample, LinearOperator, Luma, NonLinear, Pixels, covariance
from scoresde.posterior import posteriors, store
from scoresde.posterior.base import Problem
from scoresde.posterior.known import KnownCoordinates
from scoresde.posterior.particles import effective, systematic
from scoresde.sde import VESDE, VPSDE
from scoresde.solvers import MarkovSolver, OneStepSolver, Solver, solvers

SHAPE = (3, 2, 2)
SIZE = math.prod(SHAPE)
ALPHA = 1e-6


def spd(size, seed=0, floor=0.02):
    a = draw((size, size), "spd", seed) / math.sqrt(size)
    return 0.3 * a @ a.T + floor * torch.eye(size, dtype=torch.float64)


C, MEAN = spd(SIZE), 0.2 * draw((SIZE,), "mean")
PRIOR = GaussianModel(MEAN.reshape(SHAPE), C, VPSDE())
TRUTH = PRIOR.draw(1, stream(0, "truth"))
MASK = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).reshape(1, 1, 2, 2)
SMC = {"covariance": covariance.full(C, SHAPE)}
SMALL = {
    "travel": {"solver": "ancestral:steps=12", "jump": 3, "resamplings": 2},
    "langevin": {"solver": "ancestral:steps=6", "inner": 2},
    "gibbs": {"solver": "sde-dpm++:steps=3", "rounds": 4},
    "smc": {"solver": "ancestral:steps=16", "particles": 4, **SMC},
}
every = pytest.mark.parametrize("name", posteriors.all())


def measured(seen, count):
    """One noisy measurement of TRUTH, `count` times."""
    clean = seen.forward(TRUTH)
    y = clean + seen.noise * draw(clean.shape, "error")
    return y.expand(count, *y.shape[1:])


def matrix(seen):
    """A, (m, D), without the rows that see nothing, and which they are."""
    a = seen.forward(torch.eye(SIZE, dtype=torch.float64).reshape(-1, *SHAPE)).flatten(1).T.numpy()
    return a[a.any(1)], a.any(1)


def conditional(mean, c, a, noise, y):
    """Mean and covariance of x given a x + N(0, noise) = y, by adding precisions."""
    precision = np.linalg.inv(c) + a.T @ np.linalg.solve(noise, a)
    posterior = np.linalg.inv(precision)
    return posterior @ (np.linalg.solve(c, mean) + a.T @ np.linalg.solve(noise, y)), posterior


def follows(x, mean, c):
    """Whether samples have this mean and covariance: χ² of the mean, and of the squares about it."""
    x = x.flatten(1).double().numpy()
    n, d = x.shape
    white = np.linalg.solve(np.linalg.cholesky(c), (x - mean).T)
    of_mean = scipy.stats.chi2.sf(n * np.square(white.mean(1)).sum(), d)
    squares = np.square(white - white.mean(1, keepdims=True)).sum()
    tails = scipy.stats.chi2.sf(squares, (n - 1) * d), scipy.stats.chi2.cdf(squares, (n - 1) * d)
    return of_mean > ALPHA and min(tails) > ALPHA


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("smc", {"solver": "ancestral:steps=40", "particles": 4, **SMC}),
        ("langevin", {"solver": "ancestral:steps=25"}),
        ("travel", {"solver": "ancestral:steps=30", "jump": 3, "resamplings": 4}),
    ],
)
@pytest.mark.parametrize("seen", [Pixels(MASK, 0.1), Luma(noise=0.05)], ids=["pixels", "luma"])
def test_the_law_is_the_posterior_of_normal_data(name, options, seen):
    """At a noise above that of the last level, so that what follows τ in `KnownCoordinates` counts. With 200 samples
    samples a mean that is off by half a standard deviation, or a spread by a tenth, does not pass."""
    y = measured(seen, 200)
    out = posteriors[name](**options).draw(PRIOR, seen, y, generator=generators(range(200)))
    a, rows = matrix(seen)
    mean, c = conditional(MEAN.numpy(), C.numpy(), a, seen.noise**2 * np.eye(len(a)), y[0].flatten().numpy()[rows])
    assert follows(out.x, mean, c)


@pytest.mark.parametrize("seen", [Luma(noise=0.05), Luma(noise=0.3), None], ids=["luma", "noisy luma", "any matrix"])
def test_split_gibbs_has_its_stationary_law(seen):
    """At a fixed ρ: v = x/α at the last level r has the prior N(m, C + r²) and the measurement's covariance
    σ² + (ρ² - r²) A Aᵀ; the result is E[x_0 | v], drawn to y by the gain ρ² Aᵀ (σ² + ρ² A Aᵀ)⁻¹."""
    if seen is None:
        m = draw((5, SIZE), "operator")
        seen = LinearOperator(lambda x: x.flatten(1) @ m.T, lambda y: (y @ m).reshape(-1, *SHAPE), 0.3)
    rho, count = 0.4, 2500
    sampler = posteriors["gibbs"](start=rho, end=rho, rounds=12)
    y = measured(seen, count)
    out = sampler.draw(PRIOR, seen, y, generator=generators(range(count)), stop=0.01)
    (a, _), value = matrix(seen), y[0].flatten().numpy()
    level = PRIOR.sde.levels([0.01])[0]
    r2, unit, narrow = (level.sigma / level.alpha) ** 2, np.eye(SIZE), np.eye(len(a))
    wide = C.numpy() + r2 * unit
    mean, c = conditional(MEAN.numpy(), wide, a, seen.noise**2 * narrow + (rho**2 - r2) * a @ a.T, value)
    gain = rho**2 * a.T @ np.linalg.inv(seen.noise**2 * narrow + rho**2 * a @ a.T)
    shrink = C.numpy() @ np.linalg.inv(wide)
    denoised = MEAN.numpy() + shrink @ (mean - MEAN.numpy())
    both = (unit - gain @ a) @ shrink
    mean, c = denoised + gain @ (value - a @ denoised), both @ c @ both.T
    assert follows(out.x, mean, c)
    if isinstance(seen, Luma):  # and where it is seen, which a bug of the measurement's draw would change most
        assert follows(seen.forward(out.x), a @ mean, a @ c @ a.T)


PAIR = torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
COUPLE = GaussianModel(torch.zeros(1, 1, 2), PAIR, VPSDE())
FIRST = Pixels(torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2))


def slope(name, **options):
    """That of the second pixel in the first, which is known: an affine map, so two runs on one noise give it."""
    y = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64).reshape(2, 1, 1, 2)
    x = posteriors[name](**options).draw(COUPLE, FIRST, y, generator=generators([3, 3])).x
    return float(x[1, 0, 0, 1] - x[0, 0, 0, 1])


def test_time_travel_closes_the_gap_of_replacement():
    """The truth is 0.8; replacement alone tends to (1 - √(1 - ρ²))/ρ = 0.5 (tests/test_conditioners.py)."""
    solver = "ancestral:steps=60"
    alone, some, many = (slope("travel", solver=solver, jump=6, resamplings=n) for n in (1, 4, 12))
    assert abs(alone - 0.5) < 0.03 and abs(many - 0.8) < 0.05 and alone + 0.1 < some < many + 0.01


def test_the_others_have_no_gap():
    """To the errors of 40 steps, and of the last ρ of `gibbs`, which takes y for one of variance ρ²: 0.8/(1 + ρ²)."""
    smc = {"solver": "ancestral:steps=40", "covariance": covariance.full(PAIR, (1, 1, 2))}
    assert abs(slope("smc", particles=1, **smc) - 0.8) < 0.02
    assert abs(slope("langevin") - 0.8) < 0.03
    assert abs(slope("gibbs", end=0.15) - 0.8 / 1.0225) < 0.03
    assert slope("langevin", strength=0.0) < 0.7  # λ is what does it


@pytest.mark.parametrize("error", [0.0, 0.2])
def test_what_is_seen_is_drawn_as_the_process_has_it(error):
    """N(α y/g, σ² - (α e)²) in the seen coordinates, and nothing else changes: A x_t given A x_0 + g e n = y."""
    seen, model = Luma(noise=error), GaussianModel(torch.zeros(3, 8, 8), torch.eye(192), VPSDE())
    count, (level,) = 400, model.sde.levels([0.4])
    y = draw((1, 1, 8, 8), "y").expand(count, -1, -1, -1)
    problem = Problem(model, seen, y, generators(range(count)), 1e-3)
    x = draw((count, 3, 8, 8), "x")
    moved = KnownCoordinates(posteriors["travel"](), problem).redraw(x, level)
    assert torch.allclose(moved - x, seen.project(moved - x), atol=1e-12)
    z = (seen.forward(moved) / seen.gain - level.alpha * y / seen.gain) / math.sqrt(
        level.sigma**2 - (level.alpha * error / seen.gain) ** 2
    )
    assert scipy.stats.kstest(z.flatten().numpy(), "norm").pvalue > 1e-6
    # A measurement with more noise than the end of the process moves nothing, however large it is.
    blind, ones = Luma(noise=1e4), torch.ones(2, 1, 8, 8, dtype=torch.float64)
    travel = posteriors["travel"](solver="ancestral:steps=3", jump=1)
    small, large = (travel.draw(model, blind, y, generator=generators(range(2))).x for y in (0 * ones, 1e4 * ones))
    assert torch.equal(small, large)


def discretised(model, sigma, steps, stop):
    """Mean and covariance of what `steps` ancestral steps and x_0 ~ N(x̂_0, V) make of noise, in NumPy."""
    sde, (mean, c) = (
        model.sde,
        (model.means[0].numpy(), (model.bases[0] * model.variances[0] @ model.bases[0].T).numpy()),
    )
    times = torch.linspace(1.0, math.sqrt(stop), steps + 1, dtype=torch.float64).square()
    alpha, noise = sde.alpha(times).numpy(), sde.sigma(times).numpy()
    m, v, unit = np.zeros(len(mean)), np.eye(len(mean)), np.eye(len(mean))
    for i in range(steps):
        a, score = alpha[i] / alpha[i + 1], -np.linalg.inv(alpha[i] ** 2 * c + noise[i] ** 2 * unit)
        b2 = noise[i] ** 2 - a**2 * noise[i + 1] ** 2
        step = (unit + b2 * score) / a
        m, v = step @ m - b2 / a * score @ mean * alpha[i], step @ v @ step.T + b2 * unit
    gain = alpha[-1] * c @ np.linalg.inv(alpha[-1] ** 2 * c + noise[-1] ** 2 * unit)
    m, v = mean + gain @ (m - alpha[-1] * mean), gain @ v @ gain.T
    return m, v + np.linalg.inv(np.linalg.inv(sigma) + (alpha[-1] / noise[-1]) ** 2 * unit)


@pytest.mark.parametrize("proposal", ["gradient", "covariance"])
@pytest.mark.parametrize(("particles", "threshold"), [(1, 0.5), (6, 0.5), (6, 1.0)])
def test_the_evidence_is_unbiased_whatever_the_twist(proposal, particles, threshold):
    """Ten coarse steps and a wrong Σ: exp(log_z) has the evidence of the discretised model for its mean, and weighted
    by it the particles have its posterior mean. Five standard errors of 2000 populations."""
    c, mean, a = spd(3, 1), draw((3,), "m"), draw((2, 3), "a")
    model, wrong = GaussianModel(mean, c, VPSDE()), torch.diag(1.5 * c.diagonal())
    seen = LinearOperator(lambda x: x @ a.T, lambda y: y @ a, 0.2)
    y = (seen.forward(mean[None]) + 0.3).expand(2000, 2)
    sampler = posteriors["smc"](
        covariance=covariance.full(wrong, (3,)),
        particles=particles,
        proposal=proposal,
        solver="ancestral:steps=10",
        threshold=threshold,
    )
    found = sampler.run(model, seen, y, generator=generators(range(2000)), stop=0.01)
    m, v = discretised(model, wrong.numpy(), 10, 0.01)
    s = a.numpy() @ v @ a.numpy().T + 0.04 * np.eye(2)
    ratio = found.log_z.exp().numpy() / scipy.stats.multivariate_normal(a.numpy() @ m, s).pdf(y[0].numpy())
    close = lambda values, truth: (np.abs(values.mean(0) - truth) < 5 * values.std(0) / math.sqrt(2000)).all()
    assert close(ratio, 1.0) and found.log_z.std() > 0.05
    posterior = m + v @ a.numpy().T @ np.linalg.solve(s, y[0].numpy() - a.numpy() @ m)
    means = (found.log_weights.exp()[..., None] * found.x).sum(1).numpy()
    assert close(ratio[:, None] * (means - posterior), 0.0)
    assert (found.ess >= 1 - 1e-9).all() and (found.ess <= particles + 1e-9).all()
    assert (found.resamplings > 0).any() == (particles > 1)


def test_only_particles_find_the_weights_of_far_modes():
    """Three modes of which y fits two: their weights to five standard errors, where one particle is far off."""
    means = torch.tensor([[0.8, 0.6], [0.6, -0.8], [-0.8, 0.0]], dtype=torch.float64)
    model = GaussianMixtureModel(means, torch.full((3, 2), 0.01), VPSDE(), [0.2, 0.4, 0.4])
    seen, count = LinearOperator(lambda x: x[:, :1], lambda y: torch.cat([y, 0 * y], 1), 0.1), 300
    y = torch.full((count, 1), 0.78, dtype=torch.float64)
    truth = PosteriorMixture(model, seen, y[:1]).log_weights[0].exp()
    offset = means - model.log_weights.exp() @ means
    sigma = offset.T @ (model.log_weights.exp()[:, None] * offset) + 0.01 * torch.eye(2)
    errors = []
    for particles in (1, 16):
        sampler = posteriors["smc"](
            covariance=covariance.full(sigma, (2,)), particles=particles, solver="ancestral:steps=40"
        )
        x = sampler.draw(model, seen, y, generator=generators(range(count))).x
        nearest = torch.cdist(x, means).argmin(1)
        share = torch.bincount(nearest, minlength=3) / count
        errors.append(float((share - truth).abs().max()))
    assert 0.1 < truth[:2].min() and errors[1] < 5 * 0.5 / math.sqrt(count) < errors[0]


def test_redrawing_is_systematic():
    """Each particle stays floor or ceil of K w times, and K w times in the mean."""
    w = torch.tensor([0.05, 0.5, 0.02, 0.13, 0.3], dtype=torch.float64).expand(2000, 5)
    kept = systematic(w.log() + 7.0, generators(range(2000)))
    counts = torch.nn.functional.one_hot(kept, 5).sum(1).double()
    assert ((counts - 5 * w).abs() < 1).all()
    assert ((counts.mean(0) - 5 * w[0]).abs() < 5 * 0.5 / math.sqrt(2000)).all()
    assert torch.allclose(effective(w.log() - 900), torch.full((2000,), 1 / 0.3598, dtype=torch.float64))


def test_nothing_measured_has_the_evidence_1():
    seen = Pixels(torch.zeros(1, 1, 2, 2))
    found = posteriors["smc"](**SMALL["smc"]).run(PRIOR, seen, TRUTH, generator=generators([0]))
    assert float(found.log_z) == 0 and (found.ess == 4).all() and (found.resamplings == 0).all()


@every
@pytest.mark.parametrize(
    "seen", [Pixels(MASK), Luma(), Downsample(factor=2, noise=0.2)], ids=["pixels", "luma", "downsample"]
)
def test_a_sample_depends_on_its_seed_and_not_on_its_batch(name, seen):
    before, y = torch.get_rng_state(), measured(seen, 3) + torch.arange(3.0)[:, None, None, None] / 10

    def run(rows):
        seeds = generators([7, 8, 9][rows])
        return posteriors[name](**SMALL[name]).draw(PRIOR, seen, y[rows], generator=seeds).x

    whole = run(slice(0, 3))
    assert torch.equal(run(slice(0, 3)), whole) and torch.equal(torch.get_rng_state(), before)
    for i in range(3):
        assert torch.allclose(run(slice(i, i + 1)), whole[i : i + 1], atol=1e-9)


@every
def test_what_is_exact_is_written_and_luma_is_met_to_its_rounding(name):
    sampler, seeds = posteriors[name](**SMALL[name]), generators(range(4))
    for seen in (Pixels(MASK), Crop(left=1)):
        y = measured(seen, 4).float()
        out = sampler.draw(PRIOR, seen, y, generator=seeds).x
        assert torch.equal(seen.forward(out), seen.forward(TRUTH).float().expand(4, *y.shape[1:]))
        assert out.dtype == torch.float32
    y = measured(Luma(), 4)
    out = sampler.draw(PRIOR, Luma(), y, generator=seeds).x
    assert 0 < (Luma().forward(out) - y).abs().max() < 4 * Luma().noise


class Counted(ScoreModel):
    """Counts its own calls, rows and backward passes."""

    def __init__(self):
        super().__init__()
        self.sde, self.shape, self.calls, self.rows, self.pulls = PRIOR.sde, PRIOR.shape, 0, 0, 0

    def evaluate(self, x, t, classes=None):
        self.calls, self.rows = self.calls + 1, self.rows + len(x)
        model = self

        class Identity(torch.autograd.Function):
            @staticmethod
            def forward(ctx, value):
                return value.clone()

            @staticmethod
            def backward(ctx, slope):
                model.pulls += 1
                return slope

        return Output(Identity.apply(x * self.sde.sigma(t[:1])))  # the score of normal data of variance 1


@pytest.mark.parametrize(
    ("name", "options", "nfe", "vjps"),
    [
        ("travel", {"solver": "ancestral:steps=22", "jump": 5, "resamplings": 3}, 2 + 3 * 20 + 1, 0),
        ("travel", {"solver": "em:steps=4", "jump": 9}, 4 + 1, 0),
        ("travel", {"solver": "em:steps=250"}, 2410 + 1, 0),  # as RePaint's own schedule of 250 steps, 10 and 10
        ("langevin", {"solver": "ddim:steps=7,eta=1", "inner": 3}, 7 * 4 + 1, 0),
        ("gibbs", {"solver": "ancestral:steps=4", "rounds": 5}, 5 * 4 + 1, 0),
        ("smc", {"solver": "em:steps=9", "particles": 3, **SMC}, 10, 0),
        ("smc", {"solver": "em:steps=9", "particles": 3, "proposal": "gradient", **SMC}, 10, 9),
    ],
)
def test_evaluations_are_counted_at_the_model(name, options, nfe, vjps):
    model, outer, count = Counted(), [], 1 if nfe > 1000 else 2
    observers, seeds = (lambda x, t, eps: outer.append(len(x)),), generators(range(count))
    y = measured(Pixels(MASK), count)
    out = posteriors[name](**options).draw(model, Pixels(MASK), y, generator=seeds, observers=observers)
    assert (out.nfe, out.vjps, out.work) == (model.calls, model.pulls, model.rows / count)
    assert (out.nfe, out.vjps, out.work) == (nfe, vjps, sum(outer) / count)
    assert out.work == nfe * options.get("particles", 1) and out.seconds > 0
    own = {"ess", "lowest_ess", "log_z", "resamplings"} if name == "smc" else set()
    assert set(out.info) == {"misfit"} | own


@every
def test_options_survive_a_table_and_a_text(name):
    sampler = posteriors[name](**{k: v for k, v in SMALL[name].items() if k != "covariance"})
    assert posteriors.build(table(sampler)) == sampler
    text = f"{name}:solver=em:steps=30,grid=karras:rho=3,brownian=false"
    assert posteriors.parse(text).solver == solvers["em"](steps=30, grid="karras:rho=3")
    assert all(field.description for field in type(sampler).model_fields.values())


def kinds(name):
    return {"smc": MarkovSolver, "gibbs": Solver}.get(name, OneStepSolver)


@every
@pytest.mark.parametrize("solver", solvers.all())
def test_solvers_without_the_noise_of_the_reverse_process_are_refused(name, solver):
    sound = issubclass(solvers[solver], kinds(name)) and solvers[solver]().noisy and solver not in ("edm", "pc")
    if sound:
        assert posteriors[name](solver=solver).solver.name == solver
    else:
        with pytest.raises(UsageError, match=rf"which {re.escape(solver)} does not: use .*ancestral, .*ddim:eta=1"):
            posteriors[name](solver=solver)


TALL = LinearOperator(
    lambda x: x.new_ones(len(x), 4097) * x.flatten(1)[:, :1],
    lambda y: torch.nn.functional.pad(y.sum(1, keepdim=True), (0, SIZE - 1)).reshape(-1, *SHAPE),
)
SQUARES, BOX = NonLinear(lambda x: x.square()), Blur(torch.ones(1, 1))
TWICE = torch.cat([MASK, 1 - MASK])


KNOWN = Pixels(MASK)


def attempt(name, seen=KNOWN, y=None, count=2, seeds=(0, 1), model=PRIOR, stop=None, **options):
    y = seen.forward(TRUTH).expand(count, *seen.forward(TRUTH).shape[1:]) if y is None else y
    return posteriors[name](**{**SMALL[name], **options}).draw(model, seen, y, generator=generators(seeds), stop=stop)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: attempt("travel", BOX), UsageError, "travel takes pixels, luma, mean, downsample or crop, Blur has"),
        (lambda: attempt("langevin", BOX), UsageError, "rows that are not orthogonal; use gibbs or smc"),
        (lambda: attempt("gibbs", SQUARES), UsageError, "gibbs takes linear observations, NonLinear is none; use dps"),
        (lambda: attempt("smc", SQUARES), UsageError, "smc takes linear observations, NonLinear is none; use dps"),
        (lambda: attempt("smc", covariance=None), UsageError, "smc needs that of the data: give covariance=estimate"),
        (
            lambda: attempt("smc", Pixels(TWICE), TRUTH.expand(2, *SHAPE)),
            UsageError,
            "smc takes one mask for all samples, got 2",
        ),
        (lambda: attempt("smc", TALL), UsageError, "of at most 4096 numbers, got 4097: use travel, langevin or gibbs"),
        (lambda: attempt("smc", solver="ddim"), UsageError, "must have a transition density, which ddim does not"),
        (lambda: attempt("gibbs", solver="sde-dpm++:eta=0.5"), UsageError, "reverse SDE, which sde-dpm.*eta=0.5 does"),
        (lambda: attempt("travel", solver="em:brownian=True"), UsageError, "which em:brownian=True does not"),
        (lambda: attempt("travel", jump=0), UsageError, "jump must be at least 1, got 0"),
        (lambda: attempt("gibbs", end=0.01), UsageError, "between 152 and 0.0105, .* got start 3 and end 0.01"),
        (lambda: attempt("gibbs", start=0.02), UsageError, "got start 0.02 and end 0.03"),
        (lambda: attempt("travel", seeds=(0,)), UsageError, "one generator for each of 2 samples, got 1"),
        (lambda: attempt("travel", stop=1.0), UsageError, r"stop must lie in \(0, 1\), got 1"),
        (lambda: attempt("travel", y=TRUTH[:, :1], seeds=(0,)), UsageError, r"is \(1, 3, 2, 2\), got"),
        (lambda: attempt("travel", y=math.nan * TRUTH, seeds=(0,)), UsageError, "must be finite"),
        (lambda: posteriors["scm"], UsageError, "no posterior sampler is called 'scm'. Did you mean 'smc'?"),
    ],
)
def test_what_is_unsound_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@every
def test_a_model_that_breaks_is_named_at_once(name):
    class Broken(Counted):
        def evaluate(self, x, t, classes=None):
            eps = super().evaluate(x, t).eps
            return Output(eps * math.nan if self.calls == 3 else eps)

    with pytest.raises(NumericalError, match=r"prediction for samples .* is not finite at t = .* \(evaluation 3\)"):
        attempt(name, model=Broken())


def test_a_single_generator_is_refused():
    with pytest.raises(UsageError, match="one generator for each of 1 sample, got a single source"):
        posteriors["travel"]().draw(PRIOR, Pixels(MASK), TRUTH, generator=stream(0))


@every
def test_another_process(name):
    """Variance exploding: what is known is met, and the samples stay where the data are."""
    model = GaussianModel(MEAN.reshape(SHAPE), C, VESDE(sigma_max=10.0))
    steps = {"gibbs": {}, "langevin": {"solver": "ancestral:steps=30"}}.get(name, {"solver": "ancestral:steps=60"})
    out = attempt(name, model=model, **steps).x
    assert torch.equal(Pixels(MASK).forward(out[:1]), Pixels(MASK).forward(TRUTH)) and out.abs().max() < 4


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The bundled model, four test images, and a folder that holds the covariance of its training images."""
    folder = tmp_path_factory.mktemp("digits")
    images = data["digits"]()
    for file in models.locate("digits").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    store.save(folder, [covariance.estimate(images.load("train").scaled(), "dct")], {})
    return models.load("digits"), images.load("test").scaled(slice(0, 4)), folder


@every
def test_a_trained_network_fills_in_every_other_pixel(name, digits):
    """What is known stays bit for bit; what is not is nearer to the truth than another image is."""
    model, truth, folder = digits
    mask = (torch.arange(8)[:, None] + torch.arange(8)).remainder(2)[None, None]
    fast = {
        "smc": {"solver": "ancestral:steps=20", "particles": 3},
        "gibbs": {"solver": "sde-dpm++:steps=4", "rounds": 12, "decay": 0.65},
        "travel": {"solver": "ancestral:steps=16", "jump": 4, "resamplings": 3},
        "langevin": {"solver": "ancestral:steps=10", "inner": 2},
    }[name]
    sampler = store.fitted(posteriors[name](**fast), folder, Pixels(mask))
    assert (sampler == posteriors[name](**fast)) == (name != "smc")
    out = sampler.draw(model, Pixels(mask), truth, generator=generators(range(4))).x
    hidden = mask[0, 0] == 0
    assert torch.equal(out[..., ~hidden], truth[..., ~hidden]) and out.abs().max() < 1.5
    error = lambda x: (x - truth)[..., hidden].square().mean().sqrt()
    assert error(out) < 0.7 * error(truth.roll(1, 0))
