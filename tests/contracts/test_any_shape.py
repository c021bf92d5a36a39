"""Conditioners and posterior samplers on vectors, series and volumes, against the exact posterior of each."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from drawn import draw

from scoresde.conditioners import conditioners
from scoresde.conditioners.oracle import PosteriorMixture
from scoresde.core.errors import DataError, UsageError
from scoresde.core.random import generators, stream
from scoresde.models.gaussian import GaussianMixtureModel, GaussianModel
from scoresde.observations import Blur, Crop, Downsample, GaussianBlur, LinearOperator, Luma, Pixels, covariance
from scoresde.observations.mixture import Mixture
from scoresde.posterior import posteriors
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

SHAPES = {"vector": (6,), "series": (2, 5), "volume": (2, 1, 2, 3)}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
GENERAL = [name for name in conditioners.all() if name != "trained"]  # which needs a network trained so
EXACT = {"covariance": {}, "oracle": {}, "moment": {"error": 0.0}}
"""Those that have to be exact for normal data, and how; `moment` with the covariance as its preconditioner."""
INDEPENDENT = {"replace": {}, "projection": {}, **EXACT}
"""Those that have to be exact where what is seen says nothing of the rest."""
SMALL = {
    "travel": {"solver": "ancestral:steps=30", "jump": 3, "resamplings": 3},
    "langevin": {"solver": "ancestral:steps=25"},
    "smc": {"solver": "ancestral:steps=40", "particles": 4},
    "gibbs": {"solver": "sde-dpm++:steps=4", "rounds": 8, "start": 1.0, "end": 0.1, "decay": 0.7},
}
ROWS = 200


def law(shape, diagonal=False):
    """Mean and covariance of normal data of a shape."""
    size = math.prod(shape)
    a = draw((size, size), "spd", size) / math.sqrt(size)
    c = 0.3 * a @ a.T + 0.05 * torch.eye(size).double()
    return 0.3 * draw((size,), "mean"), torch.diag(c.diagonal()) if diagonal else c


def prior(shape, diagonal=False):
    mean, c = law(shape, diagonal)
    return GaussianModel(mean.reshape(shape), c, VPSDE())


def options(name, shape, diagonal=False):
    found = {**EXACT, **SMALL}.get(name, {})
    if name == "mixture":
        sigma = covariance.full(law(shape, diagonal)[1], shape)
        centres, shares = draw((3, *shape), "centres"), torch.full((3,), 1 / 3).double()
        return {"covariance": Mixture("full", shape, sigma.variances, sigma.factors, centres, shares)}
    return (
        {**found, "covariance": covariance.full(law(shape, diagonal)[1], shape)}
        if name in ("covariance", "linearised", "moment", "smc")
        else found
    )


def seen(kind, shape):
    mask = torch.arange(math.prod(shape)).reshape(shape) % 3 != 1
    rows = draw((3, math.prod(shape)), "rows")
    return {
        "mask": Pixels(mask),
        "noisy mask": Pixels(mask, 0.2),
        "places": Pixels(mask.reshape(-1, *shape[1:])[0] if len(shape) > 1 else mask, 0.2),
        "matrix": LinearOperator(
            lambda x: x.flatten(1) @ rows.to(x).T, lambda y: (y @ rows.to(y)).reshape(-1, *shape), 0.2
        ),
    }[kind]


def posterior(shape, observation, y, diagonal=False):
    """Mean and covariance of x given y, by adding precisions."""
    mean, c = (v.numpy() for v in law(shape, diagonal))
    a = observation.forward(torch.eye(len(mean)).double().reshape(-1, *shape)).flatten(1).T.numpy()
    rows = a.any(1)
    noise = max(observation.noise, 1e-5)
    inverse = np.linalg.inv(np.linalg.inv(c) + a[rows].T @ a[rows] / noise**2)
    return inverse @ (np.linalg.solve(c, mean) + a[rows].T @ y.flatten().numpy()[rows] / noise**2), inverse


def follows(x, mean, c, hidden):
    """Whether the entries that are not known have this mean and covariance: χ² of the mean, and of the squares."""
    x, mean, c = x.flatten(1).double().numpy()[:, hidden], mean[hidden], c[np.ix_(hidden, hidden)]
    n, d = x.shape
    white = np.linalg.solve(np.linalg.cholesky(c), (x - mean).T)
    squares = np.square(white - white.mean(1, keepdims=True)).sum()
    of_mean = scipy.stats.chi2.sf(n * np.square(white.mean(1)).sum(), d)
    return min(of_mean, scipy.stats.chi2.sf(squares, (n - 1) * d), scipy.stats.chi2.cdf(squares, (n - 1) * d)) > 1e-6


def hidden(observation, shape):
    """The entries that are not known exactly."""
    if observation.noise:
        return np.ones(math.prod(shape), bool)
    return ~observation.known(torch.zeros(1, *shape)).expand(1, *shape).flatten().numpy()


@every_shape
@pytest.mark.parametrize("kind", ["mask", "noisy mask", "places", "matrix"])
@pytest.mark.parametrize("name", EXACT)
def test_it_draws_from_the_exact_posterior(name, kind, shape):
    """ROWS samples of a stochastic solver in 40 steps, for one y."""
    observation, model = seen(kind, shape), prior(shape)
    y = observation.forward(model.draw(1, stream(0, "truth")))
    many, seeds = y.expand(ROWS, *y.shape[1:]), generators(range(ROWS))
    around = conditioners[name](**options(name, shape)).condition(model, observation, many, seeds)
    x = sample(around, solvers["sde-dpm++"](steps=40), around.prior(seeds, dtype=torch.float64), generator=seeds).x
    assert follows(x, *posterior(shape, observation, y), hidden(observation, shape))


@every_shape
@pytest.mark.parametrize("name", INDEPENDENT)
def test_where_what_is_seen_says_nothing_of_the_rest_the_others_are_exact_too(name, shape):
    observation, model = seen("mask", shape), prior(shape, diagonal=True)
    y = observation.forward(model.draw(1, stream(0, "truth")))
    many, seeds = y.expand(ROWS, *y.shape[1:]), generators(range(ROWS))
    around = conditioners[name](**options(name, shape, diagonal=True)).condition(model, observation, many, seeds)
    x = sample(around, solvers["sde-dpm++"](steps=40), around.prior(seeds, dtype=torch.float64), generator=seeds).x
    unknown = hidden(observation, shape)
    assert follows(x, *posterior(shape, observation, y, diagonal=True), unknown)
    assert torch.equal(x.flatten(1)[:, ~unknown], many.flatten(1)[:, ~unknown])


@every_shape
@pytest.mark.parametrize("kind", ["mask", "noisy mask", "places", "matrix"])
@pytest.mark.parametrize("name", GENERAL)
def test_every_conditioner_takes_every_shape(name, kind, shape):
    """Finite samples that are nearer to the measurement than the prior's are; exact entries are met bit for bit."""
    observation, model, seeds = seen(kind, shape), prior(shape), generators(range(3))
    y = observation.forward(model.draw(3, stream(0, "truth")))
    around = conditioners[name](**options(name, shape)).condition(model, observation, y, seeds)
    noise = around.prior(seeds, dtype=torch.float64)
    x = sample(around, solvers["sde-dpm++"](steps=25), noise, generator=seeds).x
    free = sample(model, solvers["sde-dpm++"](steps=25), noise, generator=generators(range(3))).x
    error = lambda x: float(observation.residual(x, y).norm())
    assert x.shape == (3, *shape) and x.isfinite().all() and error(x) < 0.8 * error(free)
    if not observation.noise:
        assert error(x) == 0


@every_shape
@pytest.mark.parametrize("name", posteriors.all())
def test_every_posterior_sampler_has_the_posterior_of_every_shape(name, shape):
    """By χ² for those that have it in few steps. `travel` and `gibbs`, which tend to it with rounds, draw what they
    draw of the same numbers as a picture, of which tests/posterior has the law, and come nearer to it than the prior.
    """
    observation, model = seen("noisy mask", shape), prior(shape)
    y = observation.forward(model.draw(1, stream(0, "truth")))
    many = y.expand(ROWS, *y.shape[1:])

    def run(shape, observation, y):
        around = prior(shape)
        return (
            posteriors[name](**options(name, shape)).draw(around, observation, y, generator=generators(range(ROWS))).x
        )

    x, (mean, c) = run(shape, observation, many), posterior(shape, observation, y)
    if name in ("smc", "langevin"):
        assert follows(x, mean, c, hidden(observation, shape))
        return
    flat = (1, 1, math.prod(shape))
    picture = run(flat, Pixels(observation.mask.reshape(flat), observation.noise), many.reshape(ROWS, *flat))
    assert torch.allclose(picture.flatten(1), x.flatten(1), atol=1e-8)
    off = lambda m: np.linalg.norm(np.linalg.solve(np.linalg.cholesky(c), m - mean))
    assert off(x.flatten(1).numpy().mean(0)) < 0.5 * off(law(shape)[0].numpy())


@every_shape
@pytest.mark.parametrize("name", ["oracle", "smc"])
def test_the_modes_of_a_mixture_have_their_weights(name, shape):
    """Two far modes of which the measurement says little: shares to five standard errors, from Bayes' rule by SciPy."""
    size = math.prod(shape)
    means = torch.stack([torch.full((size,), 0.5), torch.full((size,), -0.5)]).double()
    means[:, 0] = torch.tensor([0.1, -0.1])
    model = GaussianMixtureModel(means.reshape(2, *shape), torch.full((2, *shape), 0.02), VPSDE(), [0.6, 0.4])
    first = torch.zeros(size, dtype=torch.bool)
    first[0] = True
    observation = Pixels(first.reshape(shape), 0.1)
    y = torch.zeros(1, *shape, dtype=torch.float64)
    y.view(-1)[0] = -0.05
    weights = np.array([0.6, 0.4]) * scipy.stats.norm(means[:, 0].numpy(), math.sqrt(0.02 + 0.01)).pdf(-0.05)
    many, seeds = y.expand(300, *shape), generators(range(300))
    if name == "oracle":
        posterior = PosteriorMixture(model, observation.of_shape(shape), many)
        assert np.allclose(posterior.log_weights[0].exp().numpy(), weights / weights.sum(), atol=1e-9)
        around = conditioners["oracle"]().condition(model, observation, many, seeds)
        x = sample(around, solvers["sde-dpm++"](steps=40), around.prior(seeds, dtype=torch.float64), generator=seeds).x
    else:
        centre = 0.2 * means[0]  # of the mixture
        spread = 0.02 * torch.eye(size).double() + 0.24 * torch.outer(means[0] - means[1], means[0] - means[1])
        assert float(centre.norm()) > 0
        sampler = posteriors["smc"](**SMALL["smc"] | {"particles": 16}, covariance=covariance.full(spread, shape))
        x = sampler.draw(model, observation, many, generator=seeds).x
    share = float((x.flatten(1)[:, 1:].mean(1) > 0).double().mean())
    assert abs(share - weights[0] / weights.sum()) < 5 * 0.5 / math.sqrt(300)


@every_shape
@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (Luma(), "luma sees images of 3 channels"),
        (Downsample(), "downsample by 2 takes images"),
        (Crop(top=1), "crop sees images"),
        (GaussianBlur(), "blur sees images"),
        (Blur(torch.ones(1, 1)), "a blur sees pictures"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_of_pictures_refuses_other_shapes(observation, message, shape):
    with pytest.raises(UsageError, match=message):
        conditioners["dps"]().condition(prior(shape), observation, torch.zeros(2, *shape))


@every_shape
def test_covariances_of_pictures_refuse_other_shapes_and_the_others_take_them(shape):
    x = prior(shape).draw(4000, stream(0, "samples"))
    for kind in ("channel", "dct"):
        with pytest.raises(DataError, match=f"a {kind} covariance is one of pictures"):
            covariance.estimate(x, kind)
    v, variance, truth = draw((1, *shape), "v"), torch.tensor([1e9]).double(), np.cov(x.flatten(1).numpy().T, ddof=0)
    whole, alone = (
        covariance.estimate(x, kind).posterior(v, variance).flatten().numpy() for kind in (None, "diagonal")
    )
    assert np.allclose(whole, truth @ v.flatten().numpy(), atol=1e-3)
    assert np.allclose(alone, np.diag(truth) * v.flatten().numpy(), atol=1e-3)
