"""The conditioner `mixture` and the clusters of data that it needs."""

import json
import math

import pytest
import torch
from click.testing import CliRunner
from drawn import draw
from sklearn.metrics import adjusted_rand_score

import scoresde
from scoresde import cli, models
from scoresde.conditioners import conditioners
from scoresde.core.errors import DataError, UsageError
from scoresde.core.random import generators, stream
from scoresde.core.units import Units
from scoresde.models.gaussian import GaussianMixtureModel
from scoresde.observations import Downsample, GaussianBlur, LinearOperator, Luma, Pixels, covariance
from scoresde.observations.mixture import Mixture, clustered
from scoresde.posterior import store
from scoresde.sampling.sample import sample
from scoresde.sde import VESDE, VPSDE, SubVPSDE
from scoresde.solvers import solvers

SHAPE = (3, 4, 4)
SIZE = math.prod(SHAPE)
SHARES = torch.tensor([0.1, 0.2, 0.3, 0.4]).double()


A = draw((SIZE, SIZE), "spd") / math.sqrt(SIZE)
MATRIX = 0.02 * A @ A.T + 0.005 * torch.eye(SIZE).double()
CENTRES = 0.4 * draw((4, *SHAPE), "centres")
SIGMA = covariance.full(MATRIX, SHAPE)
CLUSTERS = Mixture("full", SHAPE, SIGMA.variances, SIGMA.factors, CENTRES, SHARES)
ROWS = draw((5, SIZE), "rows")
MASKS = torch.arange(16).reshape(1, 1, 4, 4) % torch.tensor([2, 3, 5]).reshape(3, 1, 1, 1) != 0
EVERY = {
    "pixels": Pixels(MASKS[1], 0.05),
    "luma": Luma(),
    "downsample": Downsample(factor=2, noise=0.1),
    "blur": GaussianBlur(sigma=0.7, noise=0.1),
    "operator": LinearOperator(lambda x: x.flatten(1) @ ROWS.T, lambda y: (y @ ROWS).reshape(-1, *SHAPE), 0.3),
}


def law(sde=None):
    return GaussianMixtureModel(CENTRES, MATRIX.expand(4, -1, -1), sde or VPSDE(), SHARES.tolist())


def diffused(model, times):
    t = torch.tensor(times).double()
    x0 = model.draw(len(t), stream(0, "truth"))
    shape = (-1, 1, 1, 1)
    x = model.sde.alpha(t).reshape(shape) * x0 + model.sde.sigma(t).reshape(shape) * draw(x0.shape, "noise")
    return x0, x, t


@pytest.mark.parametrize("times", [[0.01] * 3, [0.4] * 3, [1.0] * 3, [0.02, 0.3, 0.9]], ids=str)
@pytest.mark.parametrize("seen", EVERY.values(), ids=EVERY)
def test_it_is_exact_for_clusters_of_one_covariance(seen, times):
    """E[x_0 | x_t, y] against the posterior of the mixture in closed form, also with a time for each row."""
    for sde in (VPSDE(), SubVPSDE(), VESDE(sigma_max=5.0)):
        model = law(sde)
        x0, x, t = diffused(model, times)
        y = seen.forward(x0) + seen.noise * draw(seen.forward(x0).shape, "error")
        found = conditioners["mixture"](covariance=CLUSTERS).condition(model, seen, y).denoise(x, t)
        truth = conditioners["oracle"]().condition(model, seen, y).denoise(x, t)
        assert torch.allclose(found, truth, atol=1e-6)
        without = model.denoise(x, t)
        assert max(times) < 0.1 or (truth - without).abs().max() > 0.05  # y says something


def test_it_is_exact_with_a_mask_for_each_sample():
    model = law()
    x0, x, t = diffused(model, [0.05, 0.3, 0.8])
    found = conditioners["mixture"](covariance=CLUSTERS).condition(model, Pixels(MASKS, 0.05), x0).denoise(x, t)
    for i in range(3):
        row = slice(i, i + 1)
        around = conditioners["oracle"]().condition(model, Pixels(MASKS[row], 0.05), x0[row])
        assert torch.allclose(found[row], around.denoise(x[row], t[row]), atol=1e-6)


@pytest.mark.parametrize("kind", ["channel", "dct", "full"])
def test_with_one_cluster_it_is_covariance_bit_for_bit(kind):
    model = law()
    samples = model.draw(200, stream(0, "samples"))
    x0, x, t = diffused(model, [0.3, 0.3, 0.3])
    one, plain = clustered(samples, 1, kind), covariance.estimate(samples, kind)
    seen = Luma()
    a, b = (
        conditioners[name](covariance=c).condition(model, seen, seen.forward(x0)).denoise(x, t)
        for name, c in (("mixture", one), ("covariance", plain))
    )
    assert torch.allclose(one.variances, plain.variances, rtol=1e-12) and torch.allclose(a, b, atol=1e-12)


def test_what_the_network_knows_beyond_the_clusters_stays():
    """Of a law of other centres than the clusters': a nearly exact y is met, and no y changes nothing."""
    other = GaussianMixtureModel(CENTRES + 0.1 * draw(CENTRES.shape, "off"), MATRIX.expand(4, -1, -1), VPSDE())
    x0, x, t = diffused(other, [0.2, 0.2, 0.2])
    method = conditioners["mixture"](covariance=CLUSTERS)
    y = x0 + 0.3  # far from what the clusters would say
    whole = method.condition(other, Pixels(torch.ones(4, 4), 1e-3), y)
    assert torch.allclose(whole.denoise(x, t), y, atol=1e-3)
    nothing = method.condition(other, Pixels(torch.zeros(4, 4)), y)
    assert torch.equal(nothing.denoise(x, t), other.denoise(x, t))


@pytest.mark.parametrize("solver", ["dpm++:steps=20", "adams:tol=0.01"])
def test_shares_of_modes_follow_the_measurement(solver):
    """Two far modes of which y says 4 to 1: their shares among 400 samples to four standard errors. `covariance` is
    off by more than that."""
    means = torch.tensor([[-1.0, -0.8], [1.0, 0.8]]).double()
    model = GaussianMixtureModel(means, torch.full((2, 2), 0.01).double(), VPSDE())
    seen, y = LinearOperator(lambda x: x[:, :1], lambda y: torch.cat([y, 0 * y], 1), 1.0), torch.full((400, 1), -0.7)
    sigma = covariance.full(0.01 * torch.eye(2).double(), (2,))
    mixture = Mixture("full", (2,), sigma.variances, sigma.factors, means, torch.full((2,), 0.5).double())
    whole = covariance.full(0.01 * torch.eye(2).double() + means.T @ means / 2, (2,))
    odds = math.exp(2 * 0.7 / 1.01)  # N(y; -1, 1.01)/N(y; 1, 1.01)
    expected = odds / (1 + odds)
    error = 4 * math.sqrt(expected * (1 - expected) / 400)
    share = {}
    for name, given in (("mixture", mixture), ("covariance", whole)):
        seeds = generators(range(400))
        around = conditioners[name](covariance=given).condition(model, seen, y.double(), seeds)
        x = sample(around, solvers.parse(solver), around.prior(seeds, dtype=torch.float64), generator=seeds).x
        share[name] = float((x[:, 0] < 0).double().mean())
    assert abs(share["mixture"] - expected) < error < abs(share["covariance"] - expected)


def test_clusters_are_found_with_their_covariance():
    """Long clusters, of which Euclidean distances cut pieces off: against the labels, by scikit-learn's index."""
    scale = torch.tensor([0.4, 0.05]).double()
    label = torch.arange(900) % 3
    centres = torch.tensor([[0.0, 0.0], [0.3, 0.6], [-0.3, 1.2]]).double()
    x = centres[label] + scale * draw((900, 2), "long")
    found = clustered(x, 3)
    apart = found.power((x[:, None] - found.centres).flatten(0, 1), -0.5).square().sum(1)
    nearest = apart.reshape(900, 3).argmin(1)
    assert adjusted_rand_score(label.numpy(), nearest.numpy()) > 0.95
    assert torch.allclose(found.shares.sort().values, torch.full((3,), 1 / 3).double(), atol=0.02)
    deviations = found.variances.sqrt().sort().values
    assert torch.allclose(deviations, scale.sort().values, rtol=0.1)
    inverse = found.power(torch.eye(2).double(), -1.0)
    assert torch.allclose(inverse @ found.power(torch.eye(2).double(), 1.0), torch.eye(2).double(), atol=1e-9)


def test_samples_of_which_many_are_equal_are_no_fault():
    """Three places, one of them wide, and more clusters than that: empty ones are left out."""
    x = torch.eye(3).repeat(20, 1)
    x[::3] += 0.1 * draw((20, 3), "wide")
    found = clustered(x, 12)
    assert len(found.centres) == len(found.shares) <= 12 and float(found.shares.sum()) == pytest.approx(1)
    with pytest.raises(DataError, match="nothing varies within 5 clusters of 100 samples: take fewer clusters"):
        clustered(torch.eye(5).repeat(20, 1), 5)


def test_units_of_the_data_are_those_of_the_clusters_too():
    units = Units(torch.tensor([3.0, -1.0]), torch.tensor([2.0, 2.0]))
    x = draw((300, 2), "units") + 4 * (torch.arange(300) % 2)[:, None]
    data, own = clustered(units.to_data(x), 2).of_units(units), clustered(x, 2)
    order = [m.centres[:, 0].argsort() for m in (data, own)]
    assert torch.allclose(data.centres[order[0]], own.centres[order[1]], atol=1e-6)
    assert torch.allclose(data.variances.sort().values, own.variances.sort().values, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: clustered(torch.zeros(9, 2), 5), DataError, "5 clusters take at least 10 samples, got 9"),
        (lambda: clustered(torch.zeros(9, 2), 0), DataError, "0 clusters take at least 2 samples, got 9"),
        (lambda: CLUSTERS.resized((3, 8, 8)), UsageError, "cannot be resized to .3, 8, 8.: use the conditioner cov"),
        (
            lambda: conditioners["mixture"](covariance=SIGMA).condition(law(), Luma(), torch.zeros(1, 1, 4, 4)),
            UsageError,
            "mixture does not take the full covariance of samples of shape .3, 4, 4.: give covariance=clustered",
        ),
        (
            lambda: conditioners["covariance"](covariance=CLUSTERS).condition(law(), Luma(), torch.zeros(1, 1, 4, 4)),
            UsageError,
            "covariance does not take the mixture of 4 clusters with a full covariance, .* give covariance=estimate",
        ),
        (
            lambda: store.fitted(conditioners["mixture"](), models.locate("digits"), Luma()),
            UsageError,
            "digits has no clusters yet: .* stats digits --kinds channel,dct,full --clusters 32`, and .* models/digits",
        ),
        (
            lambda: store.load("digits", "full", clustered=True),
            UsageError,
            "digits has no clusters .* full: make .* `scoresde stats digits --kinds channel,dct,full --clusters 32`",
        ),
    ],
)
def test_what_is_unsound_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_stats_keeps_clusters_with_the_model_and_conditioning_finds_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = "stats digits -n 400 --clusters 10 --kinds dct --json"
    result = CliRunner().invoke(cli.scoresde, line.split(), prog_name="scoresde")
    assert result.exit_code == 0, result.output
    assert [row["clusters"] for row in json.loads(result.output)] == [1, 10]
    kept = store.load("models/digits", "dct", clustered=True)
    assert isinstance(kept, Mixture) and kept.centres.shape == (10, 1, 8, 8)
    assert not isinstance(store.load("models/digits", "dct"), Mixture)
    folder = tmp_path / "models/digits"
    for more, kinds, clusters in (("", ["channel"], ["dct"]), (" --data digits", ["channel"], [])):  # other data
        CliRunner().invoke(cli.scoresde, f"stats digits -n 300 --kinds channel{more}".split(), prog_name="scoresde")
        assert list(store.every(folder)) == kinds + ["dct"] * (not more) and list(store.every(folder, True)) == clusters
        assert more or bool((store.load(folder, "dct", clustered=True).centres == kept.centres).all())
    CliRunner().invoke(cli.scoresde, line.split(), prog_name="scoresde")
    top = torch.zeros(8, 8)
    top[:4] = 1
    image = scoresde.sample("digits", n=1).images
    model = scoresde.condition("models/digits", top, image, "mixture")
    out = scoresde.sample(model, "dpm++:steps=5", n=4)
    assert (out.nfe, out.vjps) == (6, 0) and bool((out.images[:, :, :4] == image[:, :, :4]).all())


def test_a_model_of_a_table_makes_clusters_of_its_own_samples():
    table = law()
    table.units = Units(torch.zeros(1, 1, 1), torch.full((1, 1, 1), 2.0))
    around = scoresde.condition(table, "downsample:factor=2,noise=0.1", torch.zeros(1, 3, 2, 2), "mixture")
    assert scoresde.sample(around, "dpm++:steps=5", n=2).x.isfinite().all()
