"""Verbs speak the data's own units: densities, samples, codes and conditions against laws written in those units."""

import copy
import math
import pickle

import numpy as np
import pytest
import scipy.stats
import torch
from drawn import draw

import scoresde
from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.random import generators, stream
from scoresde.core.units import Units
from scoresde.models.base import WrapperModel
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import Downsample, LinearOperator, Luma, NonLinear, Pixels, covariance
from scoresde.observations.rescaled import rescaled
from scoresde.sde import VPSDE


class Known:
    """N(mean, c) over data x = centre + spread u of a shape, and the model of u."""

    def __init__(self, shape, centre, spread):
        size = math.prod(shape)
        a = draw((size, size), "a") / math.sqrt(size)
        c, mean = 0.3 * a @ a.T + 0.02 * torch.eye(size).double(), 0.3 * draw(shape, "m")
        self.units, self.shape = Units(torch.as_tensor(centre), torch.as_tensor(spread)), shape
        self.model = GaussianModel(mean, c, VPSDE())
        self.model.units = self.units
        self.scale = self.units.spread.expand(shape).flatten().numpy()
        self.mean = self.units.to_data(mean).flatten().numpy()
        self.c = self.scale[:, None] * c.numpy() * self.scale

    def draw(self, count, *purpose):
        return self.units.to_data(self.model.draw(count, stream(0, *purpose)))


LAWS = {
    "vector": Known((4,), [100.0, -3.0, 0.0, 1e3], [10.0, 0.5, 2.0, 50.0]),
    "one scale": Known((4,), [5.0, 5.0, 5.0, 5.0], [3.0, 3.0, 3.0, 3.0]),
    "series": Known((2, 3), [[7.0], [-90.0]], [[4.0], [0.2]]),
    "volume": Known((1, 2, 2, 2), [[[[2.0]]]], [[[[5.0]]]]),
    "pictures of floats": Known((3, 2, 2), [[[1.0]], [[2.0]], [[3.0]]], [[[9.0]], [[1.0]], [[0.1]]]),
}
every = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


@every
def test_the_density_is_scipys(law):
    """Nats over the data's own volume. The flow ends in N(0, I) but nearly: the difference is known, and taken out."""
    x = law.draw(3, "x")
    found = scoresde.log_likelihood(law.model, x, exact=True)
    truth = scipy.stats.multivariate_normal(law.mean, law.c).logpdf(x.flatten(1).numpy())
    ends = law.model.log_prob(found.latent, torch.ones(3, dtype=torch.float64)) - found.prior
    assert np.allclose((found.at_zero + ends).numpy(), truth, atol=1e-3) and float(ends.abs().max()) < 0.03
    one = scoresde.log_likelihood(law.model, x[0], exact=True)
    assert torch.allclose(one.log_prob, found.log_prob[:1], atol=1e-6)


@every
def test_samples_and_codes_are_in_the_units_of_the_data(law):
    """Of an exact flow: the samples are its image of the noise, and its codes are those of the network's units."""
    samples = scoresde.sample(law.model, "adams:tol=1e-6", 3, dtype=torch.float64, denoise=False).x
    noise = law.model.prior(generators(range(3)), dtype=torch.float64)
    truth = law.units.to_data(law.model.flow(noise, 1.0, law.model.sde.t_min))
    assert torch.allclose(samples, truth, rtol=1e-4, atol=1e-4)
    codes = scoresde.encode(law.model, samples, "adams:tol=1e-6").x
    assert torch.allclose(codes, noise, atol=1e-3)
    assert torch.allclose(scoresde.decode(law.model, codes, "adams:tol=1e-6").x, samples, rtol=1e-4, atol=1e-4)


def operator(law):
    m = draw((2, len(law.mean)), "rows")
    return LinearOperator(lambda x: x.flatten(1) @ m.to(x).T, lambda y: (y @ m.to(y)).reshape(-1, *law.shape), 0.7)


def seen(kind, law):
    mask = torch.arange(len(law.mean)).reshape(law.shape) % 2 == 0
    return {"exact": Pixels(mask), "noisy": Pixels(mask, 0.3), "operator": operator(law)}[kind]


METHODS = {
    "oracle": {},
    "covariance": {"covariance": None},
    "moment": {"method": "cg", "error": 0.0, "products": 20},
}


@every
@pytest.mark.parametrize("kind", ["exact", "noisy", "operator"])
@pytest.mark.parametrize("name", METHODS)
def test_a_condition_is_the_exact_conditional_law(law, kind, name):
    """E[x_0 | x_t, y] by adding precisions in the data's own units, with y, its noise and the covariance in them."""
    observation = seen(kind, law)
    options = (
        {"covariance": covariance.full(torch.from_numpy(law.c), law.shape)} if name == "covariance" else METHODS[name]
    )
    y = observation.forward(law.draw(2, "truth"))
    around = scoresde.condition(law.model, observation, y, conditioners[name](**options))
    if kind != "operator":  # which is a function written in a line
        around = copy.deepcopy(pickle.loads(pickle.dumps(around)))
    a = observation.forward(torch.eye(len(law.mean)).double().reshape(-1, *law.shape)).flatten(1).T.numpy()
    rows = a.any(1)
    noise = observation.noise or 1e-4 * law.scale.min()  # of exact entries: small beside every spread
    t, u = torch.full((2,), 0.3).double(), draw((2, *law.shape), "u")
    alpha, sigma = float(law.model.sde.alpha(t)[0]), float(law.model.sde.sigma(t)[0])
    found = law.units.to_data(around.denoise(u, t)).flatten(1).numpy()
    for i in range(2):
        # x_t in own units is alpha (x_0 - centre) + sigma spread z
        weight = np.diag((alpha / (sigma * law.scale)) ** 2)
        inverse = np.linalg.inv(law.c)
        precision = inverse + weight + a[rows].T @ a[rows] / noise**2
        centre = law.units.centre.expand(law.shape).flatten().numpy()
        moved = centre + law.scale * u[i].flatten().numpy() / alpha
        right = inverse @ law.mean + weight @ moved + a[rows].T @ y[i].flatten().numpy()[rows] / noise**2
        assert np.allclose((found[i] - np.linalg.solve(precision, right)) / law.scale, 0, atol=2e-4)


@every
def test_known_entries_come_back_bit_for_bit_and_one_mask_is_a_condition(law):
    mask = torch.arange(len(law.mean)).reshape(law.shape) % 2 == 0
    y = torch.where(mask, law.draw(1, "truth"), math.nan).float()[0]
    around = scoresde.condition(law.model, mask, y)
    found = scoresde.sample(around, "dpm++", 5, steps=8, batch=2).x
    assert torch.equal(found[:, mask], y[mask].expand(5, -1)) and found.isfinite().all()
    assert (found[:, ~mask].std(0) > 0).all()


class Inside(WrapperModel):
    """A model of which nothing but its predictions is known."""


def test_known_entries_are_not_written_into_states_at_a_time_before_the_data():
    """x_t = α x_0 + σ z has them with the noise z that it began with, which is nearly the code."""
    law = LAWS["vector"]
    mask = torch.tensor([True, False, True, False])
    method = conditioners["covariance"](covariance=covariance.full(torch.from_numpy(law.c), law.shape))
    y, code = law.draw(1, "y"), draw((1, 4), "code")
    model = scoresde.condition(law.model, mask, y, method)
    end = law.units.to_model(scoresde.decode(model, code, "euler:steps=5").x)
    log_alpha = -0.25 * 19.9e-6 - 0.5 * 0.1e-3  # of the default process at t = 1e-3
    truth = math.exp(log_alpha) * law.units.to_model(y) + math.sqrt(-math.expm1(2 * log_alpha)) * code
    assert torch.allclose(end[:, mask], truth[:, mask], atol=1e-4)
    state = scoresde.sample(model, "euler", n=2, steps=5, stop=0.5, denoise=False).x
    assert float((state[0] - state[1])[mask].abs().min()) > 0  # each has noise of its own


def test_without_a_covariance_that_of_samples_is_taken(caplog):
    """Which is exact for normal data, up to the error of 1024 samples: a regression of the rest on what is known."""
    law = LAWS["vector"]
    mask = torch.tensor([True, False, True, False])
    y = law.draw(1, "truth").expand(400, 4)
    x = scoresde.sample(scoresde.condition(Inside(law.model), mask, y), "sde-dpm++", steps=40).x.numpy()
    known, rest = mask.numpy(), ~mask.numpy()
    slope = np.linalg.solve(law.c[np.ix_(known, known)], law.c[np.ix_(known, rest)])
    mean = law.mean[rest] + (y[0].numpy() - law.mean)[known] @ slope
    spread = np.sqrt(np.diag(law.c[np.ix_(rest, rest)] - law.c[np.ix_(rest, known)] @ slope))
    assert np.abs((x[:, rest].mean(0) - mean) / spread).max() < 0.25 + 0.1  # five standard errors, and the estimate's
    assert np.abs(x[:, rest].std(0) / spread - 1).max() < 0.18 + 0.1
    large = GaussianModel(torch.zeros(300), torch.ones(300), VPSDE())
    large.units = Units(torch.zeros(300), torch.full((300,), 2.0))
    assert not caplog.text
    found = scoresde.condition(Inside(large), torch.arange(300) < 9, torch.ones(300))
    assert found.conditioner.covariance.kind == "diagonal" and "300 numbers, which are taken for uncorr" in caplog.text
    with pytest.raises(UsageError, match="covariance needs that of the data: give covariance=estimate"):
        scoresde.condition(Inside(GaussianModel(torch.zeros(3), torch.ones(3), VPSDE())), torch.ones(3), torch.ones(3))


def test_functions_see_the_data_in_their_own_units():
    """dps on f, and by hand on u ↦ f(centre + spread u) for the model without units."""
    law = LAWS["vector"]
    f = lambda x: (x[:, :2] / 50).square()
    y = f(law.draw(2, "truth"))
    around = scoresde.condition(law.model, NonLinear(f, 0.1), y)
    bare = GaussianModel(law.model.means[0], torch.from_numpy(law.c / np.outer(law.scale, law.scale)), VPSDE())
    by_hand = conditioners["dps"]().condition(bare, NonLinear(lambda u: f(law.units.to_data(u)), 0.1), y)
    u, t = draw((2, 4), "u"), torch.full((2,), 0.4).double()
    assert torch.allclose(around.eps(u, t), by_hand.eps(u, t), atol=1e-9)
    assert scoresde.sample(around, "em", 4, steps=200).x.isfinite().all()


def test_one_spread_leaves_an_observation_what_it_is():
    """So that samplers of orthogonal rows still take it; and the noise is in the units of the network."""
    units = Units(torch.full((3, 1, 1), 2.0), torch.full((3, 1, 1), 4.0))
    x = draw((2, 3, 4, 4), "x")
    for observation in (Luma(noise=0.2), Downsample(noise=0.2), Pixels(torch.eye(4), noise=0.2)):
        found, y = rescaled(observation, observation.forward(x), units, (3, 4, 4))
        assert type(found) is type(observation) and found.noise == pytest.approx(0.05) and observation.noise == 0.2
        assert torch.allclose(found.forward(units.to_model(x)), y)
    other = Units(torch.full((3, 1, 1), 2.0), torch.tensor([[[4.0]], [[4.0]], [[5.0]]]))
    found, y = rescaled(Luma(), Luma().forward(x), other, (3, 4, 4))
    v = draw(y.shape, "v")
    u = other.to_model(x)
    assert torch.allclose((found.forward(u) * v).sum(), (u * found.adjoint(v)).sum()) and found.noise == Luma().noise
    assert torch.allclose(found.residual(u, y), torch.zeros(()).double(), atol=1e-12)


@pytest.mark.parametrize("kind", ["channel", "dct", "diagonal", "full"])
@pytest.mark.parametrize("spread", [(3.0, 3.0, 3.0), (9.0, 1.0, 0.1)])
def test_covariances_are_converted(kind, spread):
    """D⁻¹ Σ D⁻¹, as the estimate of converted samples has it, but for the share of the mean variance that is added."""
    x = draw((60, 3, 2, 4), "x") * (1 + draw((3, 2, 4), "scale").abs())
    units = Units(torch.zeros(3, 1, 1), torch.tensor(spread).reshape(3, 1, 1))
    if kind in ("channel", "dct") and len(set(spread)) > 1:
        with pytest.raises(UsageError, match=f"the {kind} covariance .* goes with one scale for all channels"):
            covariance.estimate(x, kind).of_units(units)
        return
    found, truth = covariance.estimate(x, kind).of_units(units), covariance.estimate(units.to_model(x), kind)
    v, variance = draw((2, 3, 2, 4), "v"), torch.tensor([0.1, 2.0]).double()
    scale = float(truth.variances.max())
    assert torch.allclose(found.posterior(v, variance), truth.posterior(v, variance), atol=0.02 * scale)


def test_what_has_no_meaning_in_other_units_is_refused():
    law = LAWS["vector"]
    for call, message in [
        (lambda: scoresde.sample(law.model, clip=True), "clip cuts off at -1 and 1, and these data are no pictures"),
        (lambda: scoresde.condition(law.model, "luma", torch.zeros(1, 4)), "luma sees images of 3 channels"),
        (lambda: scoresde.condition(law.model, "downsample", torch.zeros(1, 4)), "downsample by 2 takes images"),
        (lambda: scoresde.condition(law.model, torch.ones(3), torch.zeros(4)), r"mask of shape \(3,\) does not fit"),
        (lambda: scoresde.condition(law.model, torch.ones(4), torch.zeros(3)), r"y is \(B, 4\) for B rows"),
    ]:
        with pytest.raises(UsageError, match=message):
            call()
