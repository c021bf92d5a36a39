"""Several observations at once: against the posterior of a normal law with all rows, written out in NumPy."""

import dataclasses
import io
import math

import numpy as np
import pytest
import scipy.fft
import scipy.stats
import torch
from drawn import draw
from PIL import Image

import scoresde
from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.random import generators, randn, stream
from scoresde.core.units import Units
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import (
    ROUNDING,
    Blur,
    Crop,
    Downsample,
    GaussianBlur,
    LinearOperator,
    Luma,
    NonLinear,
    OrthogonalObservation,
    Pixels,
    Stacked,
    covariance,
    observations,
)
from scoresde.observations.rounded import Quantised
from scoresde.posterior import posteriors
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

SHAPE = (3, 4, 4)
SIZE = math.prod(SHAPE)


def spd(size):
    a = draw((size, size), "spd") / math.sqrt(size)
    return 0.3 * a @ a.T + 0.02 * torch.eye(size, dtype=torch.float64)


UNIT = torch.eye(SIZE, dtype=torch.float64).reshape(-1, *SHAPE)
C, MEAN = spd(SIZE), 0.2 * draw((SIZE,), "mean")
PRIOR = GaussianModel(MEAN.reshape(SHAPE), C, VPSDE())
SIGMA = covariance.full(C, SHAPE)
DCT = covariance.estimate(draw((60, *SHAPE), "images") * (1 + draw(SHAPE, "scale").abs()), "dct")
COSINES = DCT.posterior(UNIT, torch.full((SIZE,), 1e14, dtype=torch.float64)).flatten(1)
TRUTH = PRIOR.draw(1, stream(0, "truth"))
LEFT = torch.zeros(1, 1, 4, 4)
LEFT[..., :2] = 1
ODD = torch.zeros(1, 1, 4, 4)
ODD[..., :3] = 1  # one pixel of each pair in half of the squares
MATRIX = draw((5, SIZE), "matrix")
ANY = LinearOperator(lambda x: x.flatten(1) @ MATRIX.T.to(x), lambda y: (y @ MATRIX.to(y)).reshape(-1, *SHAPE), 0.2)
STACKS = {
    "grey and some pixels": Stacked(Luma(noise=0.1), Pixels(LEFT, 0.2)),
    "small and any": Stacked(Downsample(factor=2, noise=0.3), ANY),
    "three": Stacked(Stacked(Luma(noise=0.1), GaussianBlur(sigma=0.7, noise=0.02)), Crop(left=2, noise=0.4)),
    "different pixels": Stacked(Pixels(LEFT, 0.1), Pixels(1 - LEFT, 0.1)),
}
every = pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
EXACT = {"method": "cg", "error": 0.0}


def rows_of(stack):
    """The rows of all parts, (M, D), and the standard deviation of the error of each, (M,), by the parts alone."""
    a = [part.forward(UNIT).flatten(1).T.numpy() for part in stack.parts]
    noise = [np.full(len(rows), part.noise) for rows, part in zip(a, stack.parts, strict=True)]
    seen = np.concatenate(a).any(1)
    return np.concatenate(a)[seen], np.concatenate(noise)[seen], seen


def measurements(stack, count=1):
    """One noisy measurement of the truth by each part, and all of them as one vector."""
    y = [part.forward(TRUTH) for part in stack.parts]
    y = [one + part.noise * draw(one.shape, "n", i) for i, (one, part) in enumerate(zip(y, stack.parts, strict=True))]
    joined = stack.join(*y)
    return joined.expand(count, -1), torch.cat([one.flatten(1) for one in y], 1)[0].numpy()


def posterior(stack, values, c=C, state=0.0, precision=0.0):
    """Mean and covariance of x ~ N(MEAN, c) given the values, and a state x_t, by adding precisions."""
    a, noise, seen = rows_of(stack)
    inverse = np.linalg.inv(c.numpy())
    found = np.linalg.inv(inverse + a.T @ (a / noise[:, None] ** 2) + precision * np.eye(SIZE))
    return found @ (inverse @ MEAN.numpy() + a.T @ (values[seen] / noise**2) + state), found


def follows(x, mean, c):
    """Whether samples have this mean and covariance: χ² of the mean, and of the squares about it."""
    x = x.flatten(1).double().numpy()
    n, d = x.shape
    white = np.linalg.solve(np.linalg.cholesky(c), (x - mean).T)
    squares = np.square(white - white.mean(1, keepdims=True)).sum()
    of_mean = scipy.stats.chi2.sf(n * np.square(white.mean(1)).sum(), d)
    return min(of_mean, scipy.stats.chi2.sf(squares, (n - 1) * d), scipy.stats.chi2.cdf(squares, (n - 1) * d)) > 1e-6


@every
@pytest.mark.parametrize("name", ["covariance", "covariance of cosines", "moment", "oracle"])
def test_it_is_exact_for_normal_data(name, stack):
    """E[x_0 | x_t, y] with the noise of each part, by a matrix, by preconditioned conjugate gradients, by products."""
    y, values = measurements(stack, 2)
    c, sigma = (COSINES, DCT) if "cosines" in name else (C, SIGMA)
    options = {"moment": {"method": "cg", "error": 0.0, "products": 2 * SIZE}}.get(name, {})
    options = options or ({} if name == "oracle" else {"covariance": sigma})
    model = GaussianModel(MEAN.reshape(SHAPE), c, VPSDE())
    around = conditioners[name.partition(" ")[0]](**options).condition(model, stack, y)
    x = draw((2, *SHAPE), "x")
    for t in (0.03, 0.8):
        found = around.denoise(x, torch.full((2,), t).double()).flatten(1).numpy()
        (level,) = model.sde.levels([t])
        pull, ratio = level.alpha / level.sigma**2, (level.alpha / level.sigma) ** 2
        for i in range(2):
            mean, _ = posterior(stack, values, c, pull * x[i].flatten().numpy(), ratio)
            assert np.allclose(found[i], mean, atol=2e-5)


def test_a_blur_beside_a_mask_is_solved_exactly():
    """A Aᵀ has more eigenvalues than are looked for; before, the error was 1e-4 where the residual said 1e-8."""
    side, noise = 10, 0.02
    basis = np.kron(*[scipy.fft.idct(np.eye(side), norm="ortho", axis=0)] * 2)
    spectrum = 0.05 / (1 + np.hypot(*np.indices((side, side)))) ** 2
    c = basis @ np.diag(spectrum.ravel()) @ basis.T
    sigma = covariance.estimate(draw((2, 1, side, side), "any"), "dct")
    sigma = dataclasses.replace(sigma, variances=torch.from_numpy(spectrum)[None])
    prior = GaussianModel(torch.zeros(1, side, side), torch.from_numpy((c + c.T) / 2), VPSDE())
    stack = Stacked(GaussianBlur(sigma=1.0, noise=noise), Pixels(draw((side, side), "m") > 0, noise))
    stack = stack.of_shape((1, side, side))
    y = stack.forward(prior.draw(1, stream(0, "truth")))
    y = y + stack.residual(torch.zeros(1, 1, side, side).double(), noise * draw(y.shape, "n"))
    x, t = draw((1, 1, side, side), "x"), torch.tensor([0.02]).double()
    found = conditioners["covariance"](covariance=sigma).condition(prior, stack, y).denoise(x, t)
    a = stack.forward(torch.eye(side**2).double().reshape(-1, 1, side, side)).numpy().T
    (level,) = prior.sde.levels(t.tolist())
    precision = np.linalg.inv(c) + (level.alpha / level.sigma) ** 2 * np.eye(side**2) + a.T @ a / noise**2
    pull = level.alpha / level.sigma**2 * x.flatten().numpy() + a.T @ y[0].numpy() / noise**2
    assert np.allclose(found.flatten().numpy(), np.linalg.solve(precision, pull), atol=1e-6)


@pytest.mark.parametrize("name", STACKS)
def test_samples_have_the_law_of_the_posterior(name):
    """By a wrapped model and, where all rows are orthogonal, by `langevin`: 300 samples each."""
    stack, sources = STACKS[name], generators(range(300))
    y, values = measurements(stack, 300)
    law = posterior(stack, values)
    around = conditioners["covariance"](covariance=SIGMA).condition(PRIOR, stack, y)
    x = around.prior(sources, dtype=torch.float64)
    assert follows(sample(around, solvers["dpm++"](steps=30), x, generator=sources).x, *law)
    if name == "different pixels":
        langevin = posteriors["langevin"](solver="ancestral:steps=25")
        assert follows(langevin.draw(PRIOR, stack, y, generator=generators(range(300))).x, *law)


def test_one_after_the_other_is_not_both():
    """The model that was conditioned on one part is not N(m, Σ) any more, as the second conditioner takes it to be."""
    grey, pixels = Luma(noise=0.02), Pixels(LEFT, 0.02)
    y, values = measurements(Stacked(grey, pixels))
    own = Stacked(grey, pixels).of_shape(SHAPE).split(y)
    made = conditioners["covariance"](covariance=SIGMA)
    x, t = draw((1, *SHAPE), "x"), torch.tensor([0.5]).double()
    (level,) = PRIOR.sde.levels([0.5])
    pull = level.alpha / level.sigma**2 * x.flatten().numpy()
    truth, _ = posterior(Stacked(grey, pixels), values, C, pull, (level.alpha / level.sigma) ** 2)
    both = made.condition(PRIOR, Stacked(grey, pixels), y).denoise(x, t).flatten().numpy()
    twice = made.condition(made.condition(PRIOR, grey, own[0]), pixels, own[1]).denoise(x, t).flatten().numpy()
    assert abs(both - truth).max() < 1e-6 and abs(twice - truth).max() > 0.01


@pytest.mark.parametrize("name", ["projection", "replace", "dps"])
def test_the_other_conditioners_take_it(name):
    """Baselines that meet all that is exact."""
    stack, sources = Stacked(Downsample(factor=2), Pixels(LEFT)), generators(range(4))
    y, _ = measurements(stack, 4)
    around = conditioners[name]().condition(PRIOR, stack, y, sources)
    out = sample(around, solvers["ancestral"](steps=80), around.prior(sources), generator=sources).x.double()
    assert torch.equal(Pixels(LEFT).forward(out), Pixels(LEFT).forward(TRUTH.float()).double().expand(4, *SHAPE))
    assert (Downsample(factor=2).forward(out) - Downsample(factor=2).forward(TRUTH)).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gibbs", {"rounds": 10, "solver": "sde-dpm++:steps=4"}),
        ("smc", {"covariance": SIGMA, "solver": "ancestral:steps=30", "particles": 4, "error": 0}),
    ],
)
def test_posterior_samplers_take_it(name, options):
    """The mean of 20 samples, to five standard errors and the bias of few rounds, steps and particles."""
    stack = STACKS["small and any"]
    y, values = measurements(stack, 20)
    out = posteriors[name](**options).draw(PRIOR, stack, y, generator=generators(range(20))).x.flatten(1)
    mean, c = posterior(stack, values)
    error = 5 * np.sqrt(np.diag(c) / 20)
    assert (abs(out.mean(0).numpy() - mean) < error + 0.03).all()


def test_rows_that_are_orthogonal_together_have_a_basis():
    """Exact pixels of one half and the luma of the other; not the luma of all, nor of another noise."""
    right = Pixels(1 - LEFT)
    for one, other, is_so in (
        (Pixels(LEFT), right, True),
        (Pixels(LEFT), Crop(left=2), True),
        (Crop(bottom=2), Downsample(factor=2), False),
        (Pixels(LEFT, 0.1), Pixels(1 - LEFT, 0.2), False),
        (Pixels(LEFT, 0.1), right, False),
        (Pixels(LEFT), ANY, False),
    ):
        stack = Stacked(one, other).of_shape(SHAPE)
        assert isinstance(stack, OrthogonalObservation) == is_so
        if is_so:
            b = (stack.forward(UNIT) / stack.gain).flatten(1).T
            b = b[b.any(1)]
            assert torch.allclose(b @ b.T, torch.eye(len(b)).double())


def test_what_is_exact_is_in_the_samples_and_what_is_not_is_not():
    """Pixels bit for bit, the means of squares beside them as far as both can be; noisy luma is left alone."""
    x, stack = draw((2, *SHAPE), "x").float(), Stacked(Pixels(ODD), Downsample(factor=2), Luma())
    y = stack.join(*(part.forward(TRUTH.float()) for part in stack.parts)).expand(2, -1)
    written = stack.write(x, y)
    assert torch.equal(Pixels(ODD).forward(written), Pixels(ODD).forward(TRUTH.float()).expand(2, *SHAPE))
    assert (Downsample(factor=2).forward(written) - Downsample(factor=2).forward(TRUTH.float())).abs().max() < 1e-5
    both = Stacked(Pixels(ODD), Downsample(factor=2)).of_shape(SHAPE)
    a = both.forward(UNIT).flatten(1).T.numpy()
    plus = np.linalg.pinv(a)
    wanted = both.join(*both.of_shape(SHAPE).split(both.forward(TRUTH)))[0].numpy()
    truth = x[0].flatten().double().numpy() + plus @ (wanted - a @ x[0].flatten().double().numpy())
    assert np.allclose(written[0].flatten().numpy(), truth, atol=1e-5)  # the nearest point
    noisy = Stacked(Luma(), Pixels(ODD, 0.1))
    assert torch.equal(noisy.write(x, noisy.join(Luma().forward(TRUTH), TRUTH).float().expand(2, -1)), x)


@pytest.mark.parametrize("spread", [None, 2.0, [0.5, 2.0, 1.0, 3.0]])
def test_what_is_rounded_ends_in_its_cell_beside_what_is_exact_or_noisy(spread):
    model = GaussianModel(torch.zeros(1, 2, 2), torch.eye(4).double(), VPSDE())
    if spread is not None:
        spreads = torch.as_tensor(spread).expand(4).reshape(1, 2, 2)
        model.units = Units(torch.full((1, 2, 2), 0.25), spreads)
    first = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    truth = torch.tensor([[[[0.3, -0.6], [0.9, -0.1]]]])
    rounded = torch.from_numpy(np.round(2 * truth.numpy()))  # five levels: steps of 1/2
    noisy = observations["noisy"](noise=0.5)
    seen = [Quantised(levels=5), Pixels(first), noisy]
    x = scoresde.sample(
        scoresde.condition(model, Stacked(*seen), [rounded, truth * first, truth]), "dpm++:steps=5", n=16
    ).x
    assert (2 * x - rounded).abs().max() <= 0.5 and torch.allclose(x[:, 0, 0, 0], truth[0, 0, 0, 0])
    assert x[:, 0, 1, 1].std() > 0.02  # and are samples


def test_cells_and_exact_numbers_of_the_same_pixels_hold_together():
    truth = randn((2, 1, 8, 8), stream(0, "truth"), dtype=torch.float64)
    known = torch.zeros(8, 8, dtype=torch.float64)
    known[::2] = 1
    jpeg = observations["jpeg"](quality=20)
    seen = Stacked(jpeg, Pixels(known)).of_shape((1, 8, 8))
    x = seen.write(randn((2, 1, 8, 8), stream(1, "start"), dtype=torch.float64), seen.measure(truth))
    cosines = np.asarray(scipy.fft.dctn((x - truth).numpy(), axes=(2, 3), norm="ortho"))
    steps = np.asarray(Image.open(written(20)).quantization[0]).reshape(8, 8) / 127.5  # of a file that Pillow wrote
    assert np.abs(cosines / steps).max() < 1.001 and torch.equal(x * known, truth * known)


def written(quality):
    """A grey JPEG file of a quality."""
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "JPEG", quality=quality)
    file.seek(0)
    return file


def test_all_numbers_of_y_have_one_error_and_come_back():
    stack = Stacked(Luma(noise=0.01), Pixels(LEFT), Downsample(factor=2, noise=0.5)).of_shape(SHAPE)
    assert stack.noise == ROUNDING and stack.weights == (ROUNDING / 0.01, 1.0, ROUNDING / 0.5)
    parts = [part.forward(TRUTH) for part in stack.parts]
    y = stack.join(*parts)
    assert y.shape == (1, 16 + 48 + 12) and torch.equal(stack.split(y)[1], parts[1])
    assert all(torch.allclose(a, b) for a, b in zip(stack.split(y), parts, strict=True))
    assert torch.allclose(stack.residual(TRUTH, y), torch.zeros_like(y), atol=1e-15)
    assert Stacked(Luma(noise=0.001), Pixels(LEFT)).noise == 0.001 and Stacked(Pixels(LEFT), ANY).noise == ROUNDING
    assert Stacked(Downsample(factor=2), Pixels(LEFT)).weights == (2.0, 1.0)
    assert str(Stacked(Luma(), Pixels(LEFT))) == "luma and pixels"


def test_masks_of_each_sample_and_rows():
    masks = (torch.rand(3, 1, 4, 4, generator=stream(0, "mask")) < 0.5).float()
    stack = Stacked(Luma(), Pixels(masks, 0.1)).of_shape(SHAPE)
    x = draw((3, *SHAPE), "x")
    y = stack.forward(x)
    assert stack.bound == 3 and torch.equal(stack.of_rows([2, 0]).forward(x[[2, 0]]), y[[2, 0]])
    whole = conditioners["covariance"](covariance=SIGMA).condition(PRIOR, stack, y)
    t = torch.full((3,), 0.4).double()
    one = conditioners["covariance"](covariance=SIGMA).condition(PRIOR, stack.of_rows([1]), y[1:2])
    assert torch.allclose(whole.denoise(x, t)[1:2], one.denoise(x[1:2], t[1:2]), atol=1e-7)


def test_the_verbs_take_a_list_of_measurements():
    """As objects in the forms that each part alone may have; in units of the data's own, too."""
    image = scoresde.sample("digits", "dpm++", n=1, steps=5).images
    known = np.zeros((8, 8), dtype=bool)
    known[:3] = True
    small = image.double().reshape(1, 1, 4, 2, 4, 2).mean((3, 5)) / 127.5 - 1
    stack = Stacked(Downsample(factor=2, noise=0.01), Pixels(known))
    out = scoresde.sample(scoresde.condition("digits", stack, [small, image[0]]), "dpm++:steps=8", n=2)
    assert torch.equal(out.images[:, :, :3], image.expand(2, -1, -1, -1)[:, :, :3])
    assert (Downsample(factor=2).forward(out.x) - small).abs().max() < 0.05
    joined = scoresde.condition("digits", stack, stack.join(small, image / 127.5 - 1))
    assert torch.allclose(scoresde.sample(joined, "dpm++:steps=8", n=2).x, out.x, atol=1e-5)
    with pytest.raises(UsageError, match="make it of the measurements of the parts with `join`"):
        scoresde.condition("digits", stack, image / 127.5 - 1)
    with pytest.raises(UsageError, match="a list of 2 measurements, one for each part"):
        scoresde.condition("digits", stack, image)
    with pytest.raises(UsageError, match="from -1 to 1"):
        scoresde.condition("digits", stack, [small, image[0].float()])


@pytest.mark.parametrize("spread", [[3.0, 3.0, 3.0], [3.0, 0.5, 40.0]])
def test_data_in_their_own_units(spread):
    """x = centre + spread u, two exact numbers and a noisy sum of all: against the law of x itself."""
    c = torch.tensor([[1.0, 0.8, 0.2], [0.8, 1.0, 0.4], [0.2, 0.4, 1.0]], dtype=torch.float64)
    units = Units(torch.tensor([5.0, -1.0, 100.0]), torch.tensor(spread))
    model = GaussianModel(torch.zeros(3), c, VPSDE())
    model.units = units
    total = LinearOperator(lambda x: x.sum(1, keepdim=True), lambda y: y.expand(-1, 3), noise=0.7)
    stack = Stacked(Pixels([True, False, False]), total)
    posed = scoresde.condition(model, stack, [torch.tensor([[7.0, 0.0, 0.0]]), torch.tensor([[110.0]])])
    out = scoresde.sample(posed, "dpm++:steps=40", n=400, dtype=torch.float64).x.double()
    assert (out[:, 0] == 7).all()
    d = np.diag(spread)
    own, a = d @ c.numpy() @ d, np.array([[1.0, 0, 0], [1, 1, 1]])
    s = a @ own @ a.T + np.diag([1e-9, 0.49])
    gain = own @ a.T @ np.linalg.inv(s)
    mean = units.centre.numpy() + gain @ (np.array([7.0, 110.0]) - a @ units.centre.numpy())
    law = (own - gain @ a @ own)[1:, 1:]
    assert follows(out[:, 1:], mean[1:], law)


def test_a_covariance_that_does_not_fit_is_named(caplog):
    """The covariance of the channels is for what is alike at every pixel: no hole, no means, no matrix, no stack."""
    channel = covariance.estimate(draw((20, *SHAPE), "images"), "channel")
    for seen, is_named in (
        (Luma(noise=0.1), False),
        (Pixels(LEFT), True),
        (Downsample(factor=2), True),
        (ANY, True),
        (STACKS["grey and some pixels"], True),
    ):
        caplog.clear()
        y = seen.forward(TRUTH)
        conditioners["covariance"](covariance=channel).condition(PRIOR, seen, y)
        assert ("take kind=dct, made by" in caplog.text) == is_named
        caplog.clear()
        conditioners["covariance"](covariance=DCT).condition(PRIOR, seen, y)
        assert not caplog.records


def test_what_is_not_linear_goes_with_dps():
    stack = Stacked(NonLinear(torch.abs, noise=0.1), Luma())
    y = stack.join(TRUTH.abs(), Luma().forward(TRUTH))
    seen = stack.of_shape(SHAPE)
    assert not isinstance(seen, type(STACKS["three"].of_shape(SHAPE))) and seen.residual(TRUTH, y).abs().max() < 1e-12
    around = conditioners["dps"]().condition(PRIOR, stack, y)
    assert sample(around, solvers["em"](steps=60), around.prior([0])).x.isfinite().all()
    with pytest.raises(UsageError, match="takes linear observations"):
        conditioners["projection"]().condition(PRIOR, stack, y)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stacked(), "at least one observation"),
        (lambda: Stacked(Luma()).join(TRUTH, TRUTH), "takes 1 measurement, one a part, got 2"),
        (lambda: Stacked(Luma()).split(TRUTH.flatten(1)), "say stack.of_shape"),
        (lambda: Stacked(Luma()).check(TRUTH, SHAPE), r"is \(B, 16\) for samples of shape .* with `join`"),
        (lambda: Stacked(Luma(), Blur(torch.ones(9, 9))).check(torch.zeros(1, 64), SHAPE), "kernel of 9x9"),
        (lambda: Stacked(Luma()).check(torch.full((1, 16), math.nan), SHAPE), "must be finite"),
        (
            lambda: posteriors["langevin"]().draw(
                PRIOR, STACKS["three"], measurements(STACKS["three"])[0], generator=generators([0])
            ),
            "rows that are not orthogonal",
        ),
    ],
)
def test_what_cannot_be_stacked_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()
