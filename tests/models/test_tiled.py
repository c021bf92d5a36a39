"""Tiles: exact where they must be, counted where the network works, and covariances for another size."""

import numpy as np
import pytest
import scipy.fft
import torch
from drawn import draw

import scoresde
from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.random import generators
from scoresde.core.units import Units
from scoresde.models.evaluations import Evaluations
from scoresde.models.gaussian import GaussianMixtureModel, GaussianModel
from scoresde.models.tiled import TiledModel, layout
from scoresde.observations import Downsample, Pixels
from scoresde.observations.covariance import Covariance, estimate, full
from scoresde.posterior import store
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import solvers


def stationary(shape, mean=(0.3, -0.1), variance=(0.2, 0.05)):
    """Independent pixels with one law at each place: what a tile knows is then all there is to know."""
    ones = torch.ones(shape, dtype=torch.float64)
    scale = torch.tensor([mean, variance], dtype=torch.float64)[:, : shape[0], None, None]
    return GaussianModel(ones * scale[0], ones * scale[1], VPSDE())


@pytest.mark.parametrize("shape", [(2, 4, 6), (2, 4, 17), (2, 9, 7), (2, 11, 23)])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
def test_tiles_of_independent_pixels_are_the_whole(shape, overlap):
    """Against the closed form for the large picture: an eps, and samples with their noise carried by a solver."""
    tiled, whole = TiledModel(stationary((2, 4, 6)), shape, batch=5, overlap=overlap), stationary(shape)
    x, t = draw((3, *shape), "x"), torch.tensor([0.9, 0.3, 0.01], dtype=torch.float64)
    assert torch.allclose(tiled.eps(x, t), whole.eps(x, t), atol=1e-12)
    solver, sources = solvers["dpm++"](steps=8), generators(range(2))
    noise = whole.prior(sources, dtype=torch.float64)
    assert torch.equal(noise, tiled.prior(generators(range(2)), dtype=torch.float64))
    assert torch.allclose(sample(tiled, solver, noise).x, sample(whole, solver, noise).x, atol=1e-11)


def test_a_picture_of_one_tile_is_the_model_itself(mixture):
    means = 0.3 * draw((3, 1, 4, 5), "means")
    model = GaussianMixtureModel(means, torch.full_like(means, 0.05), VPSDE())
    tiled = TiledModel(model, (1, 4, 5))
    x, t = draw((2, 1, 4, 5), "x"), torch.tensor([0.7, 0.1], dtype=torch.float64)
    assert tiled.tiles == 1 and torch.allclose(tiled.eps(x, t), model.eps(x, t), atol=1e-14)


def test_windows_sum_to_one_and_fade_at_the_seams():
    for size, side, overlap in [(32, 32, 0.5), (33, 32, 0.5), (100, 32, 0.25), (64, 8, 0.9)]:
        places, weights = layout(size, side, overlap)
        total = torch.zeros(size, dtype=torch.float64).index_add(0, places.flatten(), weights.flatten())
        assert torch.allclose(total, torch.ones(size, dtype=torch.float64))
        assert places[0, 0] == 0 and places[-1, -1] == size - 1
        shared = side - (places[1:, 0] - places[:-1, 0])
        assert len(shared) == 0 or shared.min() >= min(side * overlap, side - 1) - 1e-9
    inner = layout(100, 32, 0.5)[1][2]
    assert inner[0] < 0.01 and inner[-1] < 0.01 and inner[16] > 0.8


def test_evaluations_and_products_are_those_of_the_inner_model():
    """35 tiles for each of 2 samples: in batches of 16 five calls, of which each is pulled back through once."""
    model = stationary((2, 4, 6))
    tiled = TiledModel(model, (2, 16, 18), batch=16, overlap=0.5)
    assert tiled.tiles == 35
    count = Evaluations()
    x = draw((2, 2, 16, 18), "x").requires_grad_()
    eps = tiled.observed(count).eps(x, torch.tensor([0.5, 0.2], dtype=torch.float64))
    assert (count.calls, count.rows) == (5, 70)
    (gradient,) = torch.autograd.grad(eps.sum(), x)
    (expected,) = torch.autograd.grad(stationary((2, 16, 18)).eps(x, torch.tensor([0.5, 0.2]).double()).sum(), x)
    assert torch.allclose(gradient, expected, atol=1e-12) and count.vjps == 5
    found = sample(tiled, solvers["dpm++"](steps=4), x.detach())
    assert found.nfe == 5 * 5 and found.work == 5 * 35


@pytest.mark.parametrize("name", ["covariance", "moment", "projection", "replace"])
def test_it_goes_under_every_conditioner(name):
    """The same as under the closed form of the whole; known pixels are those of y, bit for bit."""
    shape, mask = (2, 6, 9), torch.ones(1, 1, 6, 9)
    mask[..., 2:5, 3:7] = 0
    tiled, whole = TiledModel(stationary((2, 4, 6)), shape), stationary(shape)
    y = 0.3 * draw((2, *shape), "y")
    options = {"covariance": full(torch.diag(whole.variances[0]), shape)} if name == "covariance" else {}
    if name == "moment":
        options = {"error": 0.0}
    results = []
    for model in (tiled, whole):
        sources = generators(range(2))
        conditioned = conditioners[name](**options).condition(model, Pixels(mask), y, sources)
        x = conditioned.prior(sources, dtype=torch.float64)
        results.append(sample(conditioned, solvers["dpm++"](steps=6), x, generator=sources).x)
    assert torch.allclose(*results, atol=1e-9)
    assert torch.equal(results[0] * mask, y * mask)


def test_tiles_of_a_network_are_conditioned_in_one_line():
    """The covariance of the network's data is brought to the size of the picture, as the commands do."""
    tiled, seen = scoresde.TiledModel(scoresde.load("digits"), (1, 12, 20)), Downsample(factor=2)
    y = 0.3 * draw((1, 1, 6, 10), "y")
    method = store.fitted(conditioners["covariance"](), "digits", seen, tiled.shape)
    sources = generators(range(2))
    expected = method.condition(tiled, seen, y.expand(2, -1, -1, -1), sources)
    by_hand = sample(expected, solvers["dpm++"](steps=4), expected.prior(sources), generator=sources)
    found = scoresde.sample(scoresde.condition(tiled, seen, y), "dpm++", n=2, steps=4)
    assert torch.equal(found.x, by_hand.x)


def test_bad_tiles_are_refused():
    model = stationary((2, 4, 6))
    for shape in [(2, 3, 9), (2, 9, 5), (1, 8, 8), (16, 16)]:
        with pytest.raises(UsageError, match=r"cannot be laid out with tiles of shape \(2, 4, 6\)"):
            TiledModel(model, shape)
    with pytest.raises(UsageError, match="batch of at least 1 and an overlap in"):
        TiledModel(model, (2, 8, 8), overlap=1.0)
    model.units = Units(torch.zeros(2, 4, 1), torch.ones(2, 4, 1))
    with pytest.raises(UsageError, match="differ by place"):
        TiledModel(model, (2, 8, 8))


def test_samples_are_in_the_units_of_the_data():
    """Against the closed form for the large picture in the same units."""
    small, whole = stationary((2, 4, 6)), stationary((2, 5, 8))
    small.units = whole.units = Units(torch.tensor([[[100.0]], [[-3.0]]]), torch.tensor([[[10.0]], [[2.0]]]))
    found, truth = (scoresde.sample(m, "dpm++", n=2, steps=8).x for m in (TiledModel(small, (2, 5, 8)), whole))
    assert torch.allclose(found, truth, rtol=1e-4)


def field(n, rho=0.5):
    """The covariance of n neighbours in a stationary chain, ρ^|i - j|, and its values in the cosine basis."""
    c = rho ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return c, np.diag(scipy.fft.dctn(c, norm="ortho"))


def of_field(height, width):
    """The covariance `dct` of a picture of such chains in both directions, from SciPy's cosine transform."""
    shape = (1, height, width)
    variances = torch.from_numpy(np.multiply.outer(field(height)[1], field(width)[1]))[None]
    found = estimate(draw((4, *shape), "any"), "dct")
    return Covariance("dct", shape, variances, (torch.ones(1, 1, dtype=torch.float64), *found.factors[1:]))


@pytest.mark.parametrize("size", [(40, 24), (32, 32), (12, 16)])
def test_a_spectrum_belongs_to_every_size(size):
    """The variances of a stationary field at one size, from those at 16x16.

    The ends of a chain of n change a variance by up to Σ_j |j| ρ^|j| / (n S(0)) = 2 ρ / ((1 - ρ²) n), a twelfth here,
    on each of two axes; a tenth more is left for the interpolation.
    """
    found, truth = of_field(16, 16).resized((1, *size)), of_field(*size)
    assert found.shape == truth.shape
    error = (found.variances / truth.variances).log().abs()
    assert error.max() < 1.1 * 2 / 12
    v = draw((2, 1, *size), "v")
    for ours, theirs in zip(found.factors[1:], truth.factors[1:], strict=True):
        assert torch.allclose(ours, theirs)
    near, exact = (c.posterior(v, torch.tensor([0.1, 2.0]).double()) for c in (found, truth))
    assert (near - exact).norm() < 0.05 * exact.norm()


def test_what_can_be_resized():
    images = draw((50, 3, 6, 6), "images")
    channel = estimate(images, "channel")
    larger = channel.resized((3, 9, 20))
    assert larger.shape == (3, 9, 20) and torch.equal(larger.variances, channel.variances)
    assert channel.resized((3, 6, 6)) is channel
    with pytest.raises(UsageError, match="full covariance .* cannot be resized .*: take the kind dct or channel"):
        estimate(images, "full").resized((3, 9, 20))
    with pytest.raises(UsageError, match="only height and width may differ"):
        channel.resized((1, 6, 6))


def test_super_resolution_of_a_larger_picture_has_its_means():
    """A resized covariance and tiles together: the means of the squares are those that were given."""
    shape = (1, 8, 20)
    tiled = TiledModel(GaussianModel(torch.zeros(1, 8, 8), torch.full((1, 8, 8), 0.2), VPSDE()), shape)
    spread = estimate(0.45 * draw((300, 1, 8, 8), "images"), "dct").resized(shape)
    y, sources = 0.2 * draw((2, 1, 4, 10), "y").float(), generators(range(2))
    conditioned = conditioners["covariance"](covariance=spread).condition(tiled, Downsample(factor=2), y, sources)
    found = sample(conditioned, solvers["dpm++"](steps=5), conditioned.prior(sources), generator=sources).x
    assert torch.allclose(Downsample(factor=2).forward(found), y, atol=1e-6) and found.shape == (2, *shape)
