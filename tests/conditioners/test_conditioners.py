"""Conditioners: exact where they must be, biased by as much as is known, and the same with every solver."""

import json
import math

import numpy as np
import pytest
import scipy.fft
import scipy.integrate
import torch
from click.testing import CliRunner
from drawn import draw
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import pad

from scoresde import condition, models
from scoresde.cli import scoresde
from scoresde.conditioners import conditioners, dense
from scoresde.conditioners.oracle import PosteriorMixture
from scoresde.core import files
from scoresde.core.errors import CheckpointError, NumericalError, UsageError
from scoresde.core.random import generators, randn, stream
from scoresde.data import data
from scoresde.models.base import ScoreModel
from scoresde.models.gaussian import GaussianMixtureModel, GaussianModel
from scoresde.observations import (
    Blur,
    ChannelMean,
    Crop,
    Downsample,
    GaussianBlur,
    LinearOperator,
    Luma,
    NonLinear,
    Pixels,
    covariance,
)
from scoresde.observations.mixture import Mixture
from scoresde.posterior import store
from scoresde.sampling.sample import sample
from scoresde.sde import VESDE, VPSDE, SubVPSDE
from scoresde.solvers import AdaptiveSolver, OneStepSolver, solvers

SHAPE = (3, 4, 4)
SIZE = math.prod(SHAPE)


def spd(size, seed=0, floor=0.02):
    a = draw((size, size), "spd", seed) / math.sqrt(size)
    return 0.3 * a @ a.T + floor * torch.eye(size, dtype=torch.float64)


MASK = torch.ones(1, 1, 4, 4)
MASK[..., 1:3, 1:3] = 0
PRIOR = GaussianModel(0.2 * draw(SHAPE, "mean"), spd(SIZE), VPSDE())
SIGMA = covariance.full(spd(SIZE), SHAPE)
TRUTH = PRIOR.draw(3, stream(0, "truth"))
EVERY = {
    "pixels": Pixels(MASK),
    "noisy pixels": Pixels(MASK, noise=0.05),
    "luma": Luma(),
    "mean": ChannelMean(),
    "downsample": Downsample(factor=2, noise=0.02),
    "crop": Crop(top=1, right=2),
    "blur": GaussianBlur(sigma=0.7, noise=0.1),
}
EXACT = {"method": "cg", "error": 0.0}
THREE = 0.5 * draw((3, *SHAPE), "centres"), torch.tensor([0.5, 0.3, 0.2]).double()
CLUSTERS = Mixture("full", SHAPE, SIGMA.variances, SIGMA.factors, *THREE)
OPTIONS = {**dict.fromkeys(("covariance", "linearised"), {"covariance": SIGMA}), "mixture": {"covariance": CLUSTERS}}
every = pytest.mark.parametrize("seen", EVERY.values(), ids=EVERY)
GENERAL = [name for name in conditioners.all() if name != "trained"]  # which needs a network trained so
every_conditioner = pytest.mark.parametrize("name", GENERAL)


def build(name, **options):
    return conditioners[name](**{**OPTIONS.get(name, {}), **options})


def matrix(seen, shape=SHAPE):
    """The matrix A, (m, D), written out column by column, and which of its rows see anything."""
    a = seen.forward(torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, *shape)).flatten(1).T
    rows = a.any(1)
    return a[rows].numpy(), rows


def exact(mean, c, a, noise, sde, x, t, y):
    """E[x_0 | x_t, y] of one row by adding precisions: no code and no formula of the package's conditioners."""
    at = torch.tensor([t], dtype=torch.float64)
    alpha, sigma = float(sde.alpha(at)), float(sde.sigma(at))
    inverse = np.linalg.inv(c)
    precision = inverse + (alpha / sigma) ** 2 * np.eye(len(c)) + a.T @ a / noise**2
    return np.linalg.solve(precision, inverse @ mean + alpha / sigma**2 * x + a.T @ y / noise**2)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    size=st.integers(2, 6),
    rows=st.integers(1, 7),
    noise=st.floats(1e-2, 2.0),
    t=st.floats(0.01, 1.0),
    seed=st.integers(0, 1000),
    sde=st.sampled_from([VPSDE(), SubVPSDE(), VESDE(sigma_max=5.0)]),
)
@pytest.mark.parametrize("name", ["covariance", "moment", "moment gmres", "moment preconditioned", "oracle"])
def test_it_is_exact_for_normal_data(name, size, rows, noise, t, seed, sde):
    """For any A, also with more rows than columns, any noise and any time."""
    mean, c, a = draw((size,), "m", seed), spd(size, seed), draw((rows, size), "a", seed)
    model = GaussianModel(mean, c, sde)
    seen = LinearOperator(lambda x: x @ a.T, lambda y: y @ a, noise)
    x, y = draw((2, size), "x", seed), draw((2, rows), "y", seed)
    kind, _, how = name.partition(" ")
    sigma = covariance.full(c, (size,))
    options = {"covariance": {"covariance": sigma}, "moment": EXACT | {"products": size + 2}}.get(kind, {})
    options |= {"gmres": {"method": "gmres"}, "preconditioned": {"covariance": sigma, "products": 1}}.get(how, {})
    found = conditioners[kind](**options).condition(model, seen, y).denoise(x, torch.full((2,), t).double())
    truth = [exact(mean.numpy(), c.numpy(), a.numpy(), noise, sde, x[i].numpy(), t, y[i].numpy()) for i in range(2)]
    assert np.allclose(found.numpy(), truth, rtol=1e-5, atol=1e-5)


SOME = draw((10, SIZE), "some")
WITHOUT_NOISE = {
    "operator": LinearOperator(lambda x: x.flatten(1) @ SOME.T.to(x), lambda y: (y @ SOME.to(y)).reshape(-1, *SHAPE)),
    "a blur that leaves nothing of a frequency": Blur(torch.tensor([[0.25, 0.5, 0.25]])),
    "a Gaussian blur that leaves nothing of many": GaussianBlur(sigma=1.5, noise=0),
}


@pytest.mark.parametrize("seen", WITHOUT_NOISE.values(), ids=WITHOUT_NOISE)
def test_an_exact_measurement_in_float32_is_met(seen):
    """Its rounding, also in what A cannot see, is no contradiction; the mean is that of NumPy's pseudo-inverse."""
    x, y, t = draw((3, *SHAPE), "x").float(), seen.forward(TRUTH).float(), 0.5
    conditioned = build("covariance").condition(PRIOR, seen, y)
    (a, _), c, mean = matrix(seen), spd(SIZE).numpy(), PRIOR.means[0].numpy()
    at = torch.tensor([t], dtype=torch.float64)
    alpha, sigma = float(PRIOR.sde.alpha(at)), float(PRIOR.sde.sigma(at))
    v = np.linalg.inv(np.linalg.inv(c) + (alpha / sigma) ** 2 * np.eye(SIZE))
    prior = v @ (np.linalg.solve(c, mean) + alpha / sigma**2 * x.flatten(1).double().numpy()).T
    shift = v @ a.T @ np.linalg.pinv(a @ v @ a.T, rcond=1e-9) @ (y.flatten(1).double().numpy().T - a @ prior)
    found = conditioned.denoise(x, at.expand(3)).flatten(1).numpy()
    assert np.allclose(found, (prior + shift).T, atol=1e-3)
    for name in ("covariance", "projection", "replace"):
        posed = build(name).condition(PRIOR, seen, y, generators(range(3)))
        out = sample(posed, solvers["dpm++"](steps=3), posed.prior(range(3)), generator=generators(range(3)))
        assert torch.allclose(seen.forward(out.x), y, atol=1e-5)


REPEATED = draw((6, 3), "six rows") @ draw((3, SIZE), "of three")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("times", [(0.5, 0.5, 0.5), (0.01, 0.5, 1.0)], ids=["one matrix", "iterations"])
@pytest.mark.parametrize("name", ["covariance", "oracle"])
def test_rows_that_follow_from_others_say_nothing_more(name, times, dtype):
    """The mean is that of NumPy's pseudo-inverse, whatever rounding makes of the rows; before, errors were of 1e8."""
    seen = LinearOperator(lambda x: x.flatten(1) @ REPEATED.T.to(x), lambda y: (y @ REPEATED.to(y)).reshape(-1, *SHAPE))
    y, at = seen.forward(TRUTH), torch.tensor(times, dtype=torch.float64)
    alpha, sigma = (v.numpy()[:, None] for v in PRIOR.sde.alpha_sigma(at))
    x = (alpha * TRUTH.flatten(1).numpy() + sigma * draw((3, SIZE), "z").numpy()).reshape(3, *SHAPE)
    posed = build(name).condition(PRIOR, seen, y.to(dtype))
    found, a, c, mean = (
        posed.denoise(torch.from_numpy(x).to(dtype), at),
        REPEATED.numpy(),
        spd(SIZE).numpy(),
        PRIOR.means[0],
    )
    for i in range(3):
        v = np.linalg.inv(np.linalg.inv(c) + (alpha[i] / sigma[i]) ** 2 * np.eye(SIZE))
        prior = v @ (np.linalg.solve(c, mean.numpy()) + alpha[i] / sigma[i] ** 2 * x[i].ravel())
        truth = prior + v @ a.T @ np.linalg.pinv(a @ v @ a.T, rcond=1e-9) @ (y[i].numpy() - a @ prior)
        assert np.allclose(found[i].flatten().numpy(), truth, atol=3e-4 if dtype == torch.float32 else 1e-6)


@pytest.mark.parametrize("name", ["covariance", "oracle"])
def test_an_exact_measurement_of_correlated_data_may_say_everything(name):
    """A square A without noise: x_0 = A⁻¹ y, whatever x_t is; the variances of the data differ by a factor of 1e9."""
    axes, rows = np.linalg.qr(draw((6, 6), "axes2").numpy())[0], draw((6, 6), "rows2")
    c = torch.from_numpy(axes * np.logspace(-8, 1, 6) @ axes.T)
    prior = GaussianModel(torch.zeros(6), (c + c.T) / 2, VPSDE())
    seen = LinearOperator(lambda x: x @ rows.T, lambda y: y @ rows)
    options = {"covariance": covariance.full(c, (6,))} if name == "covariance" else {}
    y, t = draw((3, 6), "y") @ c @ rows.T, torch.tensor([0.001, 0.3, 1.0], dtype=torch.float64)
    posed = conditioners[name](**options).condition(prior, seen, y)
    truth = np.linalg.solve(rows.numpy(), y.numpy().T).T
    assert np.allclose(posed.denoise(draw((3, 6), "x"), t).numpy(), truth, atol=1e-6)


@pytest.mark.parametrize("name", ["covariance", "oracle"])
def test_rows_that_contradict_each_other_are_refused(name):
    seen = LinearOperator(lambda x: x.flatten(1) @ REPEATED.T.to(x), lambda y: (y @ REPEATED.to(y)).reshape(-1, *SHAPE))
    with pytest.raises(NumericalError, match="contradict each other: give the observation some noise"):
        build(name).condition(PRIOR, seen, seen.forward(TRUTH) + 0.1 * draw((3, 6), "error"))


@pytest.mark.parametrize("name", ["covariance", "moment", "oracle"])
@pytest.mark.parametrize("label", ["noisy pixels", "luma", "downsample"])
def test_it_is_exact_on_images_with_their_own_operators(name, label):
    seen, (a, rows) = EVERY[label], matrix(EVERY[label])
    y, x = seen.forward(TRUTH) + seen.noise * draw(seen.forward(TRUTH).shape, "n"), draw((3, *SHAPE), "x")
    conditioned = build(name, **(EXACT | {"products": SIZE, "covariance": SIGMA} if name == "moment" else {}))
    for t in (0.002, 0.1, 0.9):
        found = conditioned.condition(PRIOR, seen, y).denoise(x, torch.full((3,), t).double()).flatten(1)
        for i in range(3):
            parts = (v[i].flatten().numpy() for v in (x, y))
            xi, yi = parts
            c, mean = spd(SIZE).numpy(), PRIOR.means[0].numpy()
            truth = exact(mean, c, a, seen.noise, PRIOR.sde, xi, t, yi[rows.numpy()])
            assert np.allclose(found[i].numpy(), truth, atol=2e-6)


def test_the_oracle_is_the_score_of_the_conditional_mixture():
    """Against the gradient of log ∫ p_t(x | x_0) p(x_0) p(y | x_0), each term a joint normal law of (x_t, y)."""
    means, c = draw((4, 3), "means"), torch.stack([spd(3, k) for k in range(4)])
    weights, a, noise = [0.4, 0.3, 0.2, 0.1], draw((2, 3), "a"), 0.3
    model = GaussianMixtureModel(means, c, VPSDE(), weights)
    seen = LinearOperator(lambda x: x @ a.T, lambda y: y @ a, noise)
    x, y, t = draw((5, 3), "x").requires_grad_(), draw((5, 2), "y"), torch.linspace(0.02, 1.0, 5).double()
    logs = []
    for k, w in enumerate(weights):
        for_row = []
        for i in range(5):
            alpha, sigma = model.sde.alpha(t[i]), model.sde.sigma(t[i])
            both = torch.cat([alpha * torch.eye(3).double(), a])
            error = torch.cat([sigma.expand(3) ** 2, draw((2,)) * 0 + noise**2])
            law = torch.distributions.MultivariateNormal(both @ means[k], both @ c[k] @ both.T + torch.diag(error))
            for_row.append(law.log_prob(torch.cat([x[i], y[i]])))
        logs.append(math.log(w) + torch.stack(for_row))
    (score,) = torch.autograd.grad(torch.logsumexp(torch.stack(logs), 0).sum(), x)
    found = build("oracle").condition(model, seen, y).score(x.detach(), t)
    assert torch.allclose(found, score, rtol=1e-9, atol=1e-9)


def test_the_oracles_draws_have_its_mean_and_weights():
    """20,000 draws for one y: the mean of the posterior mixture to five standard errors."""
    model = GaussianMixtureModel(draw((2, 2), "means"), torch.stack([spd(2, 1), spd(2, 2)]), VPSDE(), [0.6, 0.4])
    seen = LinearOperator(lambda x: x[:, :1], lambda y: torch.cat([y, 0 * y], 1), 0.5)
    posterior = PosteriorMixture(model, seen, torch.full((20_000, 1), 0.1).double())
    x = posterior.draw(20_000, stream(0, "draw"))
    mean = (posterior.log_weights[0].exp()[:, None] * posterior.means[0]).sum(0)
    assert ((x.mean(0) - mean).abs() < 5 * x.std(0) / math.sqrt(20_000)).all()
    with pytest.raises(UsageError, match="laws for 20000 rows, one each, got the count 3"):
        posterior.draw(3, stream(0))


@pytest.mark.parametrize("kind", ["channel", "dct", "diagonal", "full"])
def test_covariances_multiply_as_their_matrix(kind):
    """posterior and precision against dense NumPy, with Σ read off from its own products at infinite noise."""
    images = draw((50, *SHAPE), "images") * (1 + draw(SHAPE, "scale").abs())
    found = covariance.estimate(images, kind)
    unit = torch.eye(SIZE, dtype=torch.float64).reshape(-1, *SHAPE)
    dense = lambda f: f(unit).flatten(1).numpy()
    sigma = dense(lambda v: found.posterior(v, torch.full((SIZE,), 1e12).double()))
    variance = torch.full((SIZE,), 0.3).double()
    v = np.linalg.inv(np.linalg.inv(sigma) + np.eye(SIZE) / 0.3)
    assert np.allclose(dense(lambda u: found.posterior(u, variance)), v, atol=1e-8)
    inverse = np.linalg.inv(0.49 * v + 0.04 * np.eye(SIZE))
    assert np.allclose(dense(lambda u: found.precision(u, variance, 0.7, 0.2 + 0 * variance)), inverse, atol=1e-6)
    offset = (images - images.mean(0)).numpy()
    flat = offset.reshape(50, SIZE)
    if kind in ("full", "diagonal"):
        truth = flat.T @ flat / 50 if kind == "full" else np.diag(flat.var(0))
    else:
        channels = np.einsum("nihw,njhw->ij", offset, offset) / (50 * 16)
        truth = np.kron(channels, np.eye(16))
    if kind == "dct":  # variances of SciPy's transform of the images in their principal colours
        _, colours = np.linalg.eigh(channels)
        rotate = lambda v: scipy.fft.dctn(np.einsum("nchw,ck->nkhw", v, colours), axes=(2, 3), norm="ortho")
        axes = rotate(unit.numpy()).reshape(SIZE, SIZE)
        truth = axes @ np.diag((rotate(offset) ** 2).mean(0).ravel()) @ axes.T
    s = covariance.SHRINKAGE
    assert np.allclose(sigma, (1 - s) * truth + s * np.trace(truth) / SIZE * np.eye(SIZE), atol=1e-8)


def conditioned(name, seen, rows=slice(None), model: ScoreModel = PRIOR, **options):
    """The conditioned model, noise and seeds of some rows of one batch of three."""
    seeds = generators([7, 8, 9][rows])
    y = seen.forward(TRUTH)[rows]
    around = build(name, **options).condition(model, seen, y, seeds)
    return around, around.prior(seeds, dtype=torch.float64), seeds


def fast(name):
    cls = solvers[name]
    fields = {"steps": 5, "nfe": 5, "tol": 0.9, "atol": 0.9}
    return cls(**{name: value for name, value in fields.items() if name in cls.model_fields})


@pytest.mark.parametrize("solver", solvers.all())
@every_conditioner
def test_every_conditioner_runs_with_every_solver(name, solver):
    """What is known exactly is in the samples, and evaluations are counted at the model in the middle."""
    model, x, seeds = conditioned(name, EVERY["pixels"])
    outer = []
    out = sample(model, fast(solver), x, generator=seeds, observers=(lambda x, t, eps: outer.append(len(x)),))
    assert torch.equal(EVERY["pixels"].forward(out.x), EVERY["pixels"].forward(TRUTH))
    per_call = {"dps": 1, "moment": 1}.get(name, 0)
    assert out.nfe == len(outer) and out.vjps == per_call * out.nfe and out.cost == out.nfe + 2 * out.vjps


@every
@every_conditioner
def test_a_sample_depends_on_its_seed_and_not_on_its_batch(name, seen):
    """One that its own adaptive steps carry; and the whole batch again, bit for bit."""

    def run(rows):
        model, x, seeds = conditioned(name, seen, rows)
        return sample(model, solvers["rk23"](tol=0.5), x, generator=seeds).x

    whole = run(slice(0, 3))
    assert torch.allclose(run(slice(1, 2)), whole[1:2], atol=1e-7)
    assert torch.equal(run(slice(0, 3)), whole)


@every_conditioner
@pytest.mark.parametrize("label", ["pixels", "mean"])
def test_what_is_exact_is_met_and_luma_to_its_rounding(name, label):
    model, x, seeds = conditioned(name, EVERY[label])
    out = sample(model, solvers["dpm++"](steps=10), x, generator=seeds).x.float()
    assert (EVERY[label].forward(out) - EVERY[label].forward(TRUTH).float()).abs().max() < 1e-6
    exactly = Luma(noise=0)
    model, x, seeds = conditioned(name, exactly)
    out = sample(model, solvers["dpm++"](steps=10), x, generator=seeds).x.float()
    assert (exactly.forward(out) - exactly.forward(TRUTH).float()).abs().max() < 1e-6


@pytest.mark.parametrize("name", ["covariance", "moment", "oracle", "projection"])
def test_noisy_luma_is_met_to_its_noise_without_being_written(name):
    """The default luma: within four standard deviations of Pillow's rounding, 0.00226."""
    model, x, seeds = conditioned(name, EVERY["luma"], **({"products": 3} if name == "moment" else {}))
    out = sample(model, solvers["dpm++"](steps=20), x, generator=seeds).x
    assert 0 < (Luma().forward(out) - Luma().forward(TRUTH)).abs().max() < 4 * Luma().noise


@every_conditioner
def test_all_known_returns_it_and_none_known_is_unconditional(name):
    if name != "oracle":  # which has no measurement to invert
        model, x, seeds = conditioned(name, Pixels(torch.zeros(1, 1, 4, 4)))
        free = sample(PRIOR, solvers["dpm++"](steps=8), x).x
        assert torch.equal(sample(model, solvers["dpm++"](steps=8), x, generator=seeds).x, free)
    model, x, seeds = conditioned(name, Pixels(torch.ones(1, 1, 4, 4)))
    assert torch.equal(sample(model, solvers["dpm++"](steps=8), x, generator=seeds).x, TRUTH)


@pytest.mark.parametrize("solver", [dict(name="dpm++", steps=10), dict(name="ddim", steps=10), dict(name="euler")])
def test_replacement_with_one_noise_is_projection_under_the_probability_flow(solver):
    """The seen part then moves on a straight line in either, which is exactly so for exponential integrators."""
    model, x, _ = conditioned("replace", EVERY["mean"])
    solver = solvers.build(solver)
    one, two = (sample(m, solver, x).x for m in (model, conditioned("projection", EVERY["mean"])[0]))
    assert (one - two).abs().max() < (1e-9 if solver.name != "euler" else 0.05)


PAIR = torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64)


def pair():
    """Two correlated pixels of unit variance, of which the first is known, as images of (1, 1, 2)."""
    mask = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    return GaussianModel(torch.zeros(1, 1, 2), PAIR, VPSDE()), Pixels(mask)


@pytest.mark.parametrize("steps", [10, 50])
def test_the_published_replacement_is_its_own_recursion(steps):
    """score_sde's loop written out in NumPy: step, then known <- α y + σ z at the level that the step came from."""
    model, seen = pair()
    y = torch.tensor([0.7, 0.0], dtype=torch.float64).reshape(1, 1, 1, 2)
    around = conditioners["replace"](as_published=True).condition(model, seen, y, stream(0, "noise"))
    x = draw((1, 1, 1, 2), "x")
    out = sample(around, solvers["em"](steps=steps, grid="time"), x, generator=stream(0, "noise"), denoise=False)
    assert out.nfe == steps
    fresh, walk = stream(0, "noise"), stream(0, "noise")
    sde, state = model.sde, x.flatten().numpy().copy()
    times = np.linspace(1.0, sde.t_min, steps + 1)
    state[0] = 0.7
    for t, s in zip(times, times[1:], strict=False):
        at = torch.tensor([t]).double()
        alpha, sigma, beta = float(sde.alpha(at)), float(sde.sigma(at)), float(sde.beta(at))
        score = -np.linalg.solve(alpha**2 * PAIR.numpy() + sigma**2 * np.eye(2), state)
        z = randn((1, 1, 1, 2), walk, dtype=torch.float64).flatten().numpy()
        step = t - s
        state = state + step * (0.5 * beta * state + beta * score) + math.sqrt(beta * step) * z
        if s > times[-1]:
            known = randn((1, 1, 1, 2), fresh, dtype=torch.float64).flatten().numpy()
            state[0] = alpha * 0.7 + sigma * known[0]
    assert abs(float(out.x.flatten()[1]) - state[1]) < 1e-10
    assert float(around.finish(out.x).flatten()[0]) == 0.7 and out.x.flatten()[1] == around.finish(out.x).flatten()[1]


@pytest.mark.parametrize(("published", "solver"), [(True, "em"), (False, "dpm++"), (False, "rk45")])
def test_the_gap_of_replacement(published, solver):
    """E[u | y] is 0.8 y. As published, replacement gives (1 - √(1 - ρ²))/ρ y = 0.500 y however many steps it takes;
    under the probability flow it gives ρ (1 - ρ²)^¼ ∫₀¹ α² (1 - ρ² α⁴)^(-5/4) dα y = 0.347 y, the solution of the
    flow's equation in α. The map is affine, so two runs on the same noise give its slope."""
    model, seen = pair()
    options = {"em": {"steps": 800}, "dpm++": {"steps": 100}, "rk45": {"tol": 1e-4}}[solver]
    ends = []
    for value in (0.0, 1.0):
        y = torch.tensor([value, 0.0]).double().reshape(1, 1, 1, 2)
        conditioner, seed = conditioners["replace"](as_published=published), stream(0, "gap")
        around = conditioner.condition(model, seen, y, seed)
        x = around.prior(stream(0, "prior"), 1, dtype=torch.float64)
        ends.append(float(sample(around, solvers[solver](**options), x, generator=seed).x.flatten()[1]))
    slope = ends[1] - ends[0]
    flow = 0.8 * 0.36**0.25 * scipy.integrate.quad(lambda a: a**2 * (1 - 0.64 * a**4) ** -1.25, 0, 1)[0]
    assert abs(slope - (0.5 if published else flow)) < (0.01 if published else 5e-4)


def test_replacement_is_exact_where_what_is_seen_says_nothing_of_the_rest():
    """Independent pixels: the hidden ones are those of the unconditional run."""
    model = GaussianModel(torch.zeros(SHAPE), 0.3 * torch.ones(SHAPE), VPSDE())
    around, x, seeds = conditioned("replace", EVERY["pixels"], model=model)
    hidden = lambda v: v - EVERY["pixels"].project(v)
    for solver in (solvers["dpm++"](steps=10), solvers["rk45"](tol=1e-3, control="batch")):
        assert torch.allclose(hidden(sample(around, solver, x).x), hidden(sample(model, solver, x).x), atol=1e-2)


def test_covariance_leaves_no_gap():
    """The same two pixels by the default conditioner: slope 0.8 at 10 steps already, to the solver's error."""
    model, seen = pair()
    ends = []
    for value in (0.0, 1.0):
        y = torch.tensor([value, 0.0]).double().reshape(1, 1, 1, 2)
        sigma = covariance.full(PAIR, (1, 1, 2))
        around = conditioners["covariance"](covariance=sigma).condition(model, seen, y)
        x = draw((1, 1, 1, 2), "x")
        ends.append(float(sample(around, solvers["dpm++"](steps=10), x).x.flatten()[1]))
    assert abs(ends[1] - ends[0] - 0.8) < 5e-3


def test_dps_scales_with_its_rate_and_takes_any_function():
    """The added ε is σ r/g² ∇|y - f(x̂_0)|, by finite differences, each row with its own norm."""
    seen = NonLinear(lambda x: x.square().mean((1, 2, 3))[:, None])
    y, x, t = 0.3 * torch.ones(3, 1).double(), draw((3, *SHAPE), "x"), torch.tensor([0.1, 0.4, 0.8]).double()
    added = build("dps", rate=3.0).condition(PRIOR, seen, y).eps(x, t) - PRIOR.eps(x, t)
    sde, norm = PRIOR.sde, lambda v: (y - seen.forward(PRIOR.denoise(v, t))).flatten(1).norm(dim=1)
    direction = draw((3, *SHAPE), "d")
    slope = (norm(x + 1e-6 * direction) - norm(x - 1e-6 * direction)) / 2e-6
    expected = 3.0 * sde.sigma(t) / sde.g(t) ** 2 * slope
    assert torch.allclose((added * direction).flatten(1).sum(1), expected, rtol=1e-5)
    model, noise, seeds = (
        build("dps", rate=300.0).condition(PRIOR, seen, y),
        draw((3, *SHAPE), "x"),
        generators(range(3)),
    )
    out = sample(model, solvers["ancestral"](steps=100), noise, generator=seeds).x
    free = sample(PRIOR, solvers["ancestral"](steps=100), noise, generator=generators(range(3))).x
    miss = lambda v: (y - seen.forward(v)).abs().mean()
    assert miss(out) < 0.2 * miss(free)


def test_conditioning_twice_is_conditioning_on_both():
    """Left half and then top half by the exact conditioner for normal data, against both at once."""
    first, second = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    first[..., :2], second[..., :2, 2:] = 1, 1
    moment = build("moment", products=SIZE, **EXACT)
    inner = moment.condition(PRIOR, Pixels(first, 0.1), Pixels(first).forward(TRUTH))
    both = moment.condition(PRIOR, Pixels(first + second, 0.1), Pixels(first + second).forward(TRUTH))
    x, t = draw((3, *SHAPE), "x"), torch.tensor([0.05, 0.3, 0.9]).double()

    class Differentiable(ScoreModel):
        """The exact posterior after the first half, which can be differentiated, as the inner one cannot."""

        def __init__(self):
            super().__init__()
            self.sde, self.shape = PRIOR.sde, PRIOR.shape
            self.law = build("oracle").condition(PRIOR, Pixels(first, 0.1), Pixels(first).forward(TRUTH))

        def evaluate(self, x, t, classes=None):
            return self.law.evaluate(x, t)

    assert torch.allclose(Differentiable().eps(x, t), inner.eps(x, t), atol=1e-8)
    twice = moment.condition(Differentiable(), Pixels(second, 0.1), Pixels(second).forward(TRUTH))
    assert torch.allclose(twice.denoise(x, t), both.denoise(x, t), atol=1e-6)
    outer = build("projection").condition(inner, Pixels(second), Pixels(second).forward(TRUTH))
    out = sample(outer, solvers["dpm++"](steps=5), x)
    assert out.vjps == SIZE * out.nfe and out.nfe == 6


@pytest.mark.parametrize("solver", [n for n, c in solvers.all().items() if not issubclass(c, OneStepSolver)])
def test_new_noise_at_each_evaluation_is_refused_where_it_cannot_be_followed(solver):
    model, x, seeds = conditioned("replace", EVERY["pixels"], as_published=True)
    model.draws = True
    with pytest.raises(UsageError, match="new noise at each: use em, ancestral or pc, or") as error:
        sample(model, fast(solver), x, generator=seeds)
    verb = "compares" if issubclass(solvers[solver], AdaptiveSolver) else "combines"
    assert str(error.value).startswith(f"{solver} {verb} evaluations at different times")


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("seen", [EVERY["luma"], EVERY["noisy pixels"]])
def test_replacement_takes_a_noisy_measurement_for_exact(seen, published):
    model, x, seeds = conditioned("replace", seen, as_published=published)
    for solver in (solvers["em"](steps=20), solvers["pc"](steps=20)):
        out = sample(model, solver, x, generator=seeds).x
        assert seen.residual(out, seen.forward(TRUTH)).abs().max() < 1e-9 and out.abs().max() < 10


SKEWED = LinearOperator(lambda x: x.flatten(1)[:, :4], lambda y: pad(y, (1, 43)).reshape(-1, *SHAPE))
GREYS, LATE = TRUTH[:, :1], torch.ones(3, dtype=torch.float64)
SQUARES = NonLinear(lambda x: x.square())
OTHER = covariance.full(torch.eye(4), (1, 2, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: build("projection").condition(PRIOR, SQUARES, TRUTH), UsageError, "NonLinear is none; use dps"),
        (lambda: build("moment").condition(PRIOR, Luma(), TRUTH), UsageError, r"is \(3, 1, 4, 4\), got"),
        (lambda: build("dps").condition(PRIOR, Luma(), math.nan * GREYS), UsageError, "must be finite"),
        (
            lambda: build("oracle").condition(conditioned("dps", Luma())[0], Luma(), GREYS),
            UsageError,
            "mixtures",
        ),
        (lambda: conditioners["covariance"]().condition(PRIOR, Luma(), GREYS), UsageError, "needs that of the data"),
        (lambda: build("moment", products=0), UsageError, "products must be at least 1, got 0"),
        (lambda: build("dps", rate=-1), UsageError, "rate must be greater than 0, got -1"),
        (lambda: conditioners["repalce"], UsageError, "Did you mean 'replace'?"),
        (
            lambda: build("covariance", covariance=OTHER).condition(PRIOR, Luma(), GREYS),
            UsageError,
            r"full covariance of samples of shape \(1, 2, 2\), and the model's samples have the shape \(3, 4, 4\)",
        ),
        (
            lambda: conditioned("dps", Luma())[0].eps(TRUTH[:2], torch.ones(2).double()),
            UsageError,
            "conditioned on measurements of 3 samples, got 2",
        ),
        (
            lambda: conditioned("moment", Luma())[0].eps(TRUTH.clone().requires_grad_(), LATE),
            UsageError,
            "moment takes derivatives and has none itself; use covariance",
        ),
        (
            lambda: build("oracle").condition(PRIOR, Pixels(MASK.expand(3, 1, 4, 4)), TRUTH),
            UsageError,
            "oracle takes one mask for all samples, got 3",
        ),
        (
            lambda: build("covariance").condition(PRIOR, SKEWED, GREYS[:, 0, 0]).eps(TRUTH, LATE),
            NumericalError,
            "its adjoint is not the transpose of its forward",
        ),
        (
            lambda: covariance.estimate(TRUTH, "fourier"),
            UsageError,
            "must be one of channel, dct, diagonal, full, got 'fourier'",
        ),
        (lambda: covariance.estimate(torch.zeros(2, 1, 65, 64), "full"), UsageError, "at most 4096 values, got 4160"),
        (lambda: covariance.full(-torch.eye(2), (2,)), UsageError, "no negative eigenvalue, got -1"),
    ],
)
def test_what_is_unsound_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(line, code=0):
        result = CliRunner().invoke(scoresde, line.split(), prog_name="scoresde")
        assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
        return " ".join(result.output.split())

    return call


def test_stats_keeps_the_covariance_of_the_training_images_beside_the_weights(run, tmp_path):
    """The bundled model is left alone; its copy serves a conditioner, and a damaged file serves nobody."""
    bundled = (models.locate("digits") / store.TENSORS).read_bytes()
    rows = json.loads(run("stats digits -n 100 --kinds dct,full --json"))
    assert [row["kind"] for row in rows] == ["dct", "full"] and rows[1]["directions"] == 64
    assert (models.locate("digits") / store.TENSORS).read_bytes() == bundled
    images = data["digits"]().load("train").drawn(100).scaled()
    v, variance = draw((2, 1, 8, 8), "v"), torch.tensor([0.1, 3.0]).double()
    for kind in ("dct", "full"):
        kept, made = store.load("models/digits", kind), covariance.estimate(images, kind)
        assert torch.allclose(kept.posterior(v, variance), made.posterior(v, variance), atol=1e-5)
    assert "digits train" in (tmp_path / "models/digits" / store.RECORD).read_text()
    with pytest.raises(UsageError, match="no channel covariance: make it with `scoresde stats models/digits") as told:
        store.load("models/digits", "channel")
    run(str(told.value).split("`")[1].removeprefix("scoresde "))  # which keeps what was there
    assert list(store.every(tmp_path / "models/digits")) == ["channel", "dct", "full"]
    file = tmp_path / "models/digits" / store.TENSORS
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="is damaged"):
        store.load("models/digits")


EMBEDDED = ("digits", "photos")
"""Bundled models whose training images come with the package."""


def test_the_covariance_of_cifar10_has_the_published_deviations():
    """(0.2470, 0.2435, 0.2616) of [0, 1], as training recipes divide by; about the mean image a little less is left."""
    assert set(models.bundled()) == {*EMBEDDED, "cifar10", "fashion"}
    kept = store.every(models.locate("cifar10"))
    published = torch.tensor([0.2470, 0.2435, 0.2616]).double()
    # A pixel's variance is the mean over all frequencies of theirs.
    for kind in ("channel", "dct"):
        colours, total = kept[kind].factors[0].double(), kept[kind].variances.double().mean((1, 2))
        deviations = torch.einsum("ck,k,ck->c", colours, total, colours).sqrt() / 2
        assert torch.allclose(deviations, published, rtol=0.05)


@pytest.mark.parametrize("name", EMBEDDED)
def test_bundled_models_come_with_the_covariance_of_their_training_images(name):
    recipe = files.read_json(models.locate(name) / models.CONFIG)["recipe"]
    images = data.build(recipe["data"]).load("train").scaled()
    found = store.every(models.locate(name))
    assert {"channel", "dct"} <= set(found)
    v, variance = draw((2, *images.shape[1:]), "v"), torch.tensor([0.1, 3.0]).double()
    for kind, kept in found.items():
        made = covariance.estimate(images, kind)
        assert torch.allclose(kept.posterior(v, variance), made.posterior(v, variance), atol=1e-5)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "stats digits --kinds dtc",
            "--kinds takes any of channel, dct, diagonal, full, got 'dtc'. Did you mean 'dct'?",
        ),
        ("stats digits --data photos", "and the model's samples have the shape (1, 8, 8)"),
        ("stats digitz", "Did you mean 'digits'?"),
    ],
)
def test_bad_input_of_stats_is_one_sentence(run, tmp_path, line, message):
    assert message in run(line, 2) and not (tmp_path / "models").exists()


@pytest.mark.parametrize("name", [name for name in GENERAL if name != "oracle"])
def test_a_trained_network_fills_in_every_other_pixel(name):
    """The bundled digits: what is known stays bit for bit, and what is not comes nearer to the truth than samples
    without the measurement do, without leaving the range of the data."""
    model, images = models.load("digits"), data["digits"]()
    truth = images.load("test").scaled(slice(0, 6))
    mask = (torch.arange(8)[:, None] + torch.arange(8)).remainder(2)[None, None]
    needs = name in ("covariance", "linearised", "mixture")
    options = {"covariance": conditioners[name].estimate(images.load("train").scaled())} if needs else {}
    seeds, solver = generators(range(6)), solvers["dpm++"](steps=50 if name == "dps" else 15)
    around = conditioners[name](**options).condition(model, Pixels(mask), truth, seeds)
    out = sample(around, solver, around.prior(seeds), generator=seeds).x
    free = sample(model, solver, model.prior(generators(range(6)))).x
    assert torch.equal(out[..., mask[0, 0] == 1], truth[..., mask[0, 0] == 1]) and out.abs().max() < 1.5
    error = lambda x: (x - truth)[..., mask[0, 0] == 0].square().mean().sqrt()
    assert error(out) < 0.8 * error(free)


def test_the_error_of_the_model_is_noise_of_the_measurement():
    """With `error` δ the conditioner `moment` is exact for the noise √(σ_y² + δ² σ²/α²)."""
    seen, (a, _), t = EVERY["downsample"], matrix(EVERY["downsample"]), 0.2
    y, x, at = seen.forward(TRUTH), draw((3, *SHAPE), "x"), torch.full((3,), 0.2).double()
    found = build("moment", products=SIZE, error=0.3).condition(PRIOR, seen, y).denoise(x, at)[0].flatten()
    noise = math.sqrt(seen.noise**2 + 0.09 * float((PRIOR.sde.sigma(at) / PRIOR.sde.alpha(at))[0]) ** 2)
    mean, rows = PRIOR.means[0].numpy(), y[0].flatten().numpy()
    truth = exact(mean, spd(SIZE).numpy(), a, noise, PRIOR.sde, x[0].flatten().numpy(), t, rows)
    assert np.allclose(found.numpy(), truth, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in GENERAL if name != "oracle"])
def test_masks_of_their_own_and_rows_of_no_use_leave_the_others_alone(name):
    """One sample has nothing known, one everything, one is not finite: each is as it would be by itself."""
    masks = torch.cat([torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4), MASK, MASK])
    truth, x, t = TRUTH[[0, 1, 2, 2]], draw((4, *SHAPE), "x"), torch.tensor([0.1, 0.2, 0.3, 0.3]).double()
    x[3] *= math.nan
    options = {"products": 3, "method": "cg"} if name == "moment" else {}

    def eps(rows):
        seeds = generators([5, 6, 7, 8][rows])
        around = build(name, **options).condition(PRIOR, Pixels(masks[rows]), truth[rows], seeds)
        return around.eps(x[rows], t[rows])

    whole = eps(slice(0, 4))
    assert whole[3].isnan().all()
    # One mask is factorised with a full covariance; many are iterated with, until 1e-8 of the residual is left.
    tol = 1e-7 if name in ("covariance", "mixture") else 1e-9
    for i in range(3):
        assert torch.allclose(whole[i], eps(slice(i, i + 1))[0], rtol=tol, atol=tol)
    if name != "replace":  # whose other coordinates see the overwritten ones
        assert torch.equal(whole[0], PRIOR.eps(x, t)[0])


@pytest.mark.parametrize("seen", EVERY.values(), ids=EVERY)
def test_one_matrix_for_all_rows_does_what_conjugate_gradients_do_for_each(seen):
    """A full covariance is factorised where all rows have one time, and iterated with where they have not."""
    y = seen.forward(TRUTH)
    x = PRIOR.prior(generators(range(3)), dtype=torch.float64)
    around = conditioners["covariance"](covariance=SIGMA).condition(PRIOR, seen, y)
    apart = torch.tensor([0.3, 0.5, 0.01], dtype=torch.float64)
    together = [around.eps(x, torch.full((3,), float(t), dtype=torch.float64))[i] for i, t in enumerate(apart)]
    torch.testing.assert_close(around.eps(x, apart), torch.stack(together), rtol=1e-6, atol=1e-6)


def test_threads_that_share_a_conditioned_model_leave_each_other_alone(monkeypatch):
    """Between the choice of a noise level's gain and its use, another thread comes with another level."""
    y, levels = torch.ones(1, 2, dtype=torch.float64), [torch.tensor([v], dtype=torch.float64) for v in (0.1, 9.0)]
    gain = dense.Gain(covariance.full(torch.eye(2, dtype=torch.float64), (2,)), Pixels([True, False], noise=0.5), y)

    def interrupted(x):
        monkeypatch.undo()
        gain(y, levels[1])
        return x

    monkeypatch.setattr(dense, "double", interrupted)
    variance = 1 / (1 + 1 / 0.1)  # of x_0 given x_t, so that the gain is this by itself and σ_y²
    assert gain(y, levels[0]).tolist() == [[pytest.approx(variance / (variance + 0.25)), 0.0]]


def test_a_redundant_exact_measurement_is_met_by_either_way():
    """Two equal rows of A make S singular, so that it is not factorised; they agree, so that iterations converge."""
    double = LinearOperator(lambda x: torch.stack([x.flatten(1)[:, 0]] * 2, 1), lambda y: torch.nn.functional.pad(
        y.sum(1, keepdim=True), (0, SIZE - 1)).reshape(-1, *SHAPE))  # fmt: skip
    around = conditioners["covariance"](covariance=SIGMA).condition(PRIOR, double, double.forward(TRUTH))
    t = torch.full((3,), 0.2, dtype=torch.float64)
    x = PRIOR.prior(generators(range(3)), dtype=torch.float64)
    torch.testing.assert_close(around.denoise(x, t)[:, 0, 0, 0], TRUTH[:, 0, 0, 0], rtol=0, atol=1e-7)


@pytest.fixture
def warned():
    """A warning each time that torch has one, instead of once for a process; any ends the test."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


@pytest.mark.parametrize("name", ["covariance", "projection", "moment", "replace", "dps"])
def test_a_measurement_may_have_weights_that_are_trained(name, warned):
    """Those of a module, say: nothing is said of their gradients, and the samples have none."""
    weight = torch.nn.Parameter(torch.full((), 0.5, dtype=torch.float64))
    half = LinearOperator(lambda x: x * weight.to(x), lambda y: y * weight.to(y), noise=0.1)
    y = (0.5 * TRUTH[:1]).float()
    posed = condition(PRIOR, half, y, build(name))
    assert not sample(posed, "euler:steps=2", posed.prior(1), generator=generators([0])).x.requires_grad
    assert weight.grad is None
