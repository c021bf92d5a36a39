"""Observations: every one against what its adjoint, pseudo-inverse and basis must be, and against other libraries."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from drawn import draw
from PIL import Image

from scoresde import condition, models
from scoresde.conditioners import conditioners
from scoresde.core.errors import NumericalError, UsageError
from scoresde.core.random import generators, stream
from scoresde.data import data
from scoresde.observations import (
    ROUNDING,
    Blur,
    ChannelMean,
    Crop,
    Downsample,
    GaussianBlur,
    LinearOperator,
    Luma,
    Noisy,
    NonLinear,
    Observation,
    OrthogonalObservation,
    Pixels,
    Stacked,
    observations,
)
from scoresde.observations.covariance import estimate
from scoresde.posterior import store
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers

SHAPE = (3, 3, 4, 6)


MASK = torch.rand(1, 1, 4, 6, generator=stream(0, "mask")) < 0.4
MASKS = torch.rand(3, 1, 4, 6, generator=stream(1, "mask")) < 0.6
MATRIX = draw((7, 72), "matrix")
KERNEL = torch.tensor([[0.0, 0.1, 0.0], [0.2, 0.4, 0.1], [0.0, 0.2, 0.0]])
COLOURED = MASKS[:, 0].permute(1, 2, 0)  # (H, W, 3), with channels that differ
REDUNDANT = torch.cat([MATRIX[:3], MATRIX[:2] + MATRIX[1:3]])


class Silent(Observation):
    """A measurement of one's own that leaves out its error."""

    def forward(self, x):
        return x


def operator(matrix):
    return LinearOperator(
        lambda x: x.flatten(1) @ matrix.to(x).T,
        lambda y: (y @ matrix.to(y)).reshape(-1, *SHAPE[1:]),
    )


EVERY = {
    "pixels": Pixels(MASK),
    "a mask each": Pixels(MASKS.float()),
    "luma": Luma(),
    "mean": ChannelMean(),
    "downsample": Downsample(factor=2),
    "crop": Crop(top=1, left=2, right=1),
    "noisy": Noisy(noise=0.3),
    "blur": Blur(KERNEL),
    "box blur": Blur(torch.ones(3, 3) / 9),
    "gaussian blur": GaussianBlur(sigma=0.7, noise=0),
    "operator": operator(MATRIX),
    "redundant rows": operator(REDUNDANT),
}
every = pytest.mark.parametrize("seen", EVERY.values(), ids=EVERY)


@every
def test_the_adjoint_is_the_transpose(seen):
    """<A x, y> = <x, Aᵀ y>, row by row."""
    x, y = draw(SHAPE, "x"), draw(seen.forward(draw(SHAPE)).shape, "y")
    left, right = (seen.forward(x) * y).flatten(1).sum(1), (x * seen.adjoint(y)).flatten(1).sum(1)
    assert torch.allclose(left, right, rtol=1e-12, atol=1e-12)
    assert seen.adjoint(y).shape == SHAPE


@every
def test_the_pseudo_inverse_satisfies_penrose(seen):
    """The four conditions that only A⁺ satisfies."""
    x, y = draw(SHAPE, "x"), draw(seen.forward(draw(SHAPE)).shape, "y")
    a, plus = seen.forward, seen.pinv
    close = lambda u, v: torch.allclose(u, v, rtol=1e-7, atol=1e-8)
    assert close(a(plus(a(x))), a(x)) and close(plus(a(plus(y))), plus(y))
    w, v = draw(SHAPE, "w"), draw(y.shape, "v")
    dot = lambda p, q: (p * q).flatten(1).sum(1)
    assert close(dot(a(plus(y)), v), dot(y, a(plus(v)))) and close(dot(seen.project(x), w), dot(x, seen.project(w)))


@pytest.mark.parametrize("name", [n for n in EVERY if n != "a mask each"])
def test_each_row_is_measured_by_itself(name):
    seen, x = EVERY[name], draw(SHAPE, "x")
    assert torch.allclose(seen.forward(x)[1:2], seen.forward(x[1:2]), rtol=1e-12, atol=1e-14)
    assert torch.allclose(seen.pinv(seen.forward(x))[1:2], seen.pinv(seen.forward(x[1:2])), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", [n for n, seen in EVERY.items() if isinstance(seen, OrthogonalObservation)])
def test_the_basis_of_what_is_seen_is_orthonormal(name):
    """B Bᵀ = I on every coordinate that is seen, with the matrix B written out column by column."""
    seen = EVERY[name]
    if name == "a mask each":
        seen = Pixels(MASKS[:1])
    b = (seen.forward(torch.eye(72, dtype=torch.float64).reshape(72, *SHAPE[1:])) / seen.gain).flatten(1).T
    b = b[b.any(1)]
    assert torch.allclose(b @ b.T, torch.eye(len(b)).double(), atol=1e-14)
    x = draw(SHAPE, "x")
    assert torch.allclose(seen.project(x).flatten(1), x.flatten(1) @ b.T @ b, atol=1e-13)


@pytest.mark.parametrize(("name", "seen"), EVERY.items(), ids=EVERY)
def test_what_is_exact_is_written_and_what_is_noisy_is_not(name, seen):
    x, y = draw(SHAPE, "x"), seen.forward(draw(SHAPE, "truth"))
    if seen.noise:
        assert name in ("luma", "noisy") and torch.equal(seen.write(x, y), x)
        if name == "noisy":
            return  # which is never exact
        seen = Luma(noise=0)
    written = seen.write(x, y)
    assert seen.residual(written, y).abs().max() < 1e-8
    unseen = lambda v: v - seen.project(v)
    assert torch.allclose(unseen(written), unseen(x), atol=1e-8)


@pytest.mark.parametrize("seen", [Pixels(MASK), Pixels(MASKS), Crop(top=1, left=2, right=1)])
def test_known_pixels_are_written_bit_for_bit(seen):
    x, truth = draw(SHAPE, "x").float(), draw(SHAPE, "truth").float()
    written = seen.write(x, seen.forward(truth))
    known = seen.forward(torch.ones(SHAPE)) == 1
    assert torch.equal(seen.forward(written)[known], seen.forward(truth)[known])


def test_the_holes_of_a_measurement_are_not_read():
    x, y = draw(SHAPE, "x"), torch.where(MASK, draw(SHAPE, "y"), math.nan)
    seen = Pixels(MASK)
    for result in (seen.residual(x, y), seen.pinv(y), seen.write(x, y)):
        assert torch.isfinite(result).all()
    seen.check(y, SHAPE[1:])


def test_luma_is_pillows_up_to_its_rounding():
    """Its default noise is the standard deviation of what Pillow rounds away."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    grey = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float64)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 127.5 - 1
    error = Luma().forward(x)[0, 0].numpy() - (grey / 127.5 - 1)
    assert abs(error).max() < 0.501 / 127.5
    assert abs(error.std() / ROUNDING - 1) < 0.02 and abs(error.mean()) < 0.05 * ROUNDING
    assert Luma().noise == ROUNDING == pytest.approx(0.00226, abs=5e-6)


def test_the_mean_is_that_of_score_sde():
    """√3 times it is the first coordinate of the rotation in score_sde's colouriser, typed in here to 8 digits."""
    m = torch.tensor([5.7735014e-01, 5.7735026e-01, 5.7735026e-01], dtype=torch.float64)
    x = draw(SHAPE, "x")
    assert torch.allclose(math.sqrt(3) * ChannelMean().forward(x)[:, 0], torch.einsum("bihw,i->bhw", x, m), atol=1e-6)


def test_downsampling_is_pillows_box_filter():
    x = draw((1, 1, 8, 12), "x").float()
    box = Image.fromarray(x[0, 0].numpy()).resize((3, 2), Image.Resampling.BOX)
    assert np.allclose(Downsample(factor=4).forward(x)[0, 0].numpy(), np.asarray(box), atol=1e-6)


def test_blur_is_scipys_periodic_convolution():
    x = draw(SHAPE, "x")
    truth = scipy.ndimage.convolve(x.numpy(), KERNEL.numpy()[None, None], mode="wrap")
    assert np.allclose(Blur(KERNEL).forward(x).numpy(), truth, atol=1e-7)


@pytest.mark.parametrize("sigma", [0.3, 0.5, 0.8, 1.5])
def test_gaussian_blur_is_scipys_with_mirrored_edges(sigma):
    """But for the frequencies of which less than 1/1000 is left, of which there are some from sigma 1.2 on."""
    x = draw((2, 3, 12, 17), "x")
    truth = scipy.ndimage.gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="reflect")
    difference = np.abs(GaussianBlur(sigma=sigma).forward(x).numpy() - truth).max()
    assert difference < (1e-12 if sigma < 1 else 5e-3)


@pytest.mark.parametrize("kind", ["dct", "channel"])
def test_the_preconditioner_of_gaussian_blur_is_the_inverse(kind):
    """(A V A + noise²)⁻¹ for a covariance of the kind dct; nothing at all for another."""
    seen, spread = GaussianBlur(sigma=0.8), estimate(draw((40, 2, 6, 5), "images"), kind)
    variance, noise, b = (torch.tensor([0.3]).double(), torch.tensor([0.01]).double(), draw((1, 2, 6, 5), "b"))
    u = seen.near_inverse(b, lambda v, gain: spread.precision(v, variance, gain, noise))
    back = seen.forward(spread.posterior(seen.adjoint(u), variance)) + noise**2 * u
    assert torch.allclose(back, b, atol=1e-10) if kind == "dct" else torch.equal(u, b)


def test_noise_is_taken_off_by_a_network_that_was_not_trained_for_it():
    """Digits drawn from p(x | y) are nearer to the truth than y is, though a draw errs √2 times as much as the mean."""
    truth = data["digits"]().load("test").scaled(slice(0, 16))
    seen = observations.parse("noisy:noise=0.4")
    y = truth + 0.4 * torch.randn(truth.shape, generator=stream(0, "noise"))
    model, seeds = models.load("digits"), generators(range(16))
    conditioner = store.fitted(conditioners["covariance"](), "digits", seen)
    around = conditioner.condition(model, seen, y, seeds)
    out = sample(around, solvers["dpm++"](steps=10), around.prior(seeds), generator=seeds).x
    assert (out - truth).square().mean().sqrt() < 0.75 * (y - truth).square().mean().sqrt()


def test_a_frequency_that_a_blur_removes_stays_removed():
    """A box of 3 has a zero at a third of the frequencies of 6 columns."""
    column = torch.cos(2 * math.pi * torch.arange(6).double() / 3).expand(1, 1, 4, 6)
    seen = Blur(torch.ones(1, 3) / 3)
    assert seen.forward(column).abs().max() < 1e-12 and seen.project(column).abs().max() < 1e-12


def test_the_pseudo_inverse_of_an_operator_is_numpys():
    y = draw((3, 5), "y")
    truth = y.numpy() @ np.linalg.pinv(REDUNDANT.numpy()).T
    assert np.allclose(operator(REDUNDANT).pinv(y).flatten(1).numpy(), truth, atol=1e-9)


def test_names_and_texts():
    assert {n: observations[n].name for n in observations.all()} == {n: n for n in observations.all()}
    assert observations.parse("downsample:factor=4") == Downsample(factor=4)
    assert str(Crop(top=2)) == "crop:top=2" and observations.parse("luma") == Luma()


def test_a_mask_may_be_an_array_and_samples_may_be_chosen():
    x = draw(SHAPE)
    flat = Pixels(MASK[0, 0].numpy())
    assert torch.equal(flat.forward(x), Pixels(MASK).forward(x)) and flat.of_rows([1, 0]) is flat
    rows = [len(x) - 1, 0]
    assert torch.equal(Pixels(MASKS).of_rows(rows).forward(x[rows]), Pixels(MASKS).forward(x)[rows])
    luma = Luma()
    assert luma.of_rows(rows) is luma


ONE = MASK[0, 0]
MEAN = LinearOperator(lambda x: x.mean(1, keepdim=True), lambda y: y / 3)


@pytest.mark.parametrize(
    ("mask", "shape", "truth"),
    [
        (ONE, (3, 4, 6), MASK),
        (ONE.numpy(), (3, 4, 6), MASK),
        (ONE.tolist(), (3, 4, 6), MASK),
        (ONE.double(), (3, 4, 6), MASK),
        (255 * ONE.byte(), (3, 4, 6), MASK),
        (Image.fromarray(ONE.numpy()), (3, 4, 6), MASK),
        (Image.fromarray(ONE.numpy()).convert("RGB"), (3, 4, 6), MASK),
        (ONE[None], (3, 4, 6), MASK),
        (ONE[None].expand(3, -1, -1), (3, 4, 6), MASK),
        (ONE[..., None].expand(-1, -1, 3), (3, 4, 6), MASK),
        (ONE[..., None].expand(-1, -1, 3), (1, 4, 6), MASK),
        (MASK.expand(5, 3, -1, -1), (3, 4, 6), MASK.expand(5, 1, -1, -1)),
        (MASKS[:, 0], (3, 4, 6), MASKS[None, :, 0]),  # of the sample's shape: each number by itself
        (ONE[0], (6,), ONE[:1]),
        (ONE, (6,), ONE),  # a mask each for four vectors
        (ONE, (4, 6), ONE[None]),
        (ONE[0], (4, 6), ONE[None, :1]),  # the same instants of all channels
        (MASKS[:, 0], (4, 6), MASKS[:, 0]),
        (MASKS[:, 0], (2, 3, 4, 6), MASKS[None, None, :, 0]),
    ],
)
def test_a_mask_has_one_meaning_for_samples_of_a_shape(mask, shape, truth):
    """Against torch's own broadcasting of the mask written out."""
    x = draw((truth.shape[0] if len(truth) > 1 else 2, *shape), "x")
    seen = Pixels(mask)
    assert torch.equal(seen.forward(x), torch.where(truth, x, 0))
    placed = seen.of_shape(shape)
    assert torch.equal(placed.mask, truth) and placed.bound == (len(truth) if len(truth) > 1 else None)
    assert torch.equal(
        placed.of_rows([1, 0]).forward(x[:2]), torch.where(truth[[1, 0]] if len(truth) > 1 else truth, x[:2], 0)
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Pixels(torch.ones(2, 4, 6)).forward(draw(SHAPE)),
            r"has the shape \(3, 4, 6\) or \(4, 6\) for all chan",
        ),
        (lambda: Pixels(torch.ones(1, 3, 6, 4)).forward(draw(SHAPE)), r"mask of shape \(1, 3, 6, 4\) does not fit"),
        (lambda: Pixels(torch.full((1, 1, 4, 6), 0.5)), "only 1, for known pixels, and 0"),
        (lambda: LinearOperator(torch.eye(3), torch.eye(3)), "made by functions, got a Tensor: of a matrix A, it is"),
        (lambda: NonLinear(3), "made by functions, got an int"),
        (lambda: Silent().measure(torch.zeros(2, 3)), "Silent has no noise: set it to the deviation of its error, or"),
        (lambda: Stacked(Luma(), Silent()), "Silent has no noise"),
        (lambda: condition("digits", torch.abs, torch.zeros(1, 8, 8)), r"as NonLinear\(f\), or LinearOperator"),
        (lambda: Pixels(MASK, noise=-1), "noise of an observation must be a number of at least 0, got -1"),
        (lambda: Pixels(torch.ones(1, 1, 1, 1)).forward(draw(SHAPE)), "does not fit samples"),
        (lambda: Pixels(torch.ones(4, 1)).forward(draw(SHAPE)), r"mask of shape \(4, 1\) does not fit"),
        (lambda: Pixels(torch.ones(6)).forward(draw(SHAPE)), r"mask of shape \(6,\) does not fit"),
        (lambda: Pixels(torch.ones(3)).forward(draw((2, 4))), r"the shape \(4,\), or \(B, 4\) for one each"),
        (lambda: Pixels(torch.ones(4, 1)).forward(draw((2, 4))), "does not fit"),
        (lambda: Pixels(torch.ones(2, 1)).forward(draw((5, 2, 9))), "does not fit"),
        (lambda: Pixels(COLOURED).forward(draw((2, 1, 4, 6))), "does not fit"),
        (lambda: Pixels(Image.new("RGBA", (6, 4), (9, 9, 9, 0))), "has no transparency"),
        (lambda: Pixels([]), "a mask holds only 1"),
        (lambda: Pixels([0, 1, 255]), "a mask holds only 1"),
        (lambda: Pixels([math.nan, 1]), "a mask holds only 1"),
        (lambda: Pixels([Luma(), Luma()]), r"got a list of other things: several observations are Stacked\(a, b\)"),
        (lambda: Pixels([[1, 0], [1]]), "a mask is an array, a tensor or a picture, got a list"),
        (lambda: Pixels(MASKS[:2]).forward(draw(SHAPE)), "masks for 2 samples, got 3"),
        (lambda: Luma().forward(draw((2, 1, 4, 6))), "luma sees images of 3 channels"),
        (lambda: Luma(noise=-1), "noise must be at least 0, got -1"),
        (lambda: Downsample(factor=4).forward(draw(SHAPE)), "sides that it divides"),
        (lambda: Crop(top=4).forward(draw(SHAPE)), "leave nothing of images"),
        (lambda: Blur(torch.ones(2, 2)), "both odd"),
        (lambda: Blur(torch.ones(1, 1)).forward(draw((2, 4, 6))), "a blur sees pictures"),
        (lambda: GaussianBlur().forward(draw((2, 4, 6))), "blur sees images"),
        (lambda: Crop(top=1).forward(draw((2, 4))), "crop sees images"),
        (lambda: Luma().forward(draw((2, 3))), "luma sees images"),
        (lambda: Downsample().forward(draw((2, 4, 4))), "downsample by 2 takes images"),
        (lambda: Blur(torch.ones(5, 5)).forward(draw(SHAPE)), "kernel of 5x5 does not fit images of 4x6"),
        (lambda: Luma().check(torch.zeros(2, 3, 4, 6), SHAPE[1:]), r"Luma of 2 samples of shape \(3, 4, 6\) is \(2, 1"),
        (
            lambda: NonLinear(lambda x: x.mean()).check(torch.zeros(2), (3,)),
            "one row for each sample, 2, .* keep the firs",
        ),
        (lambda: NonLinear(lambda x: x[0]).check(torch.zeros(2, 3), (3,)), r"of \(2, 3\) must be .* got \(3,\)"),
        (lambda: NonLinear(lambda x: [x]).check(torch.zeros(3, 3), (3,)), "got a list"),
        (
            lambda: MEAN.check(torch.zeros(2, 1), (3,)),
            r"LinearOperator: its adjoint must return \(2, 3\), got \(2, 1",
        ),
        (lambda: Luma().check(torch.full((2, 1, 4, 6), math.nan), SHAPE[1:]), "must be finite"),
    ],
)
def test_what_is_no_observation_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_an_adjoint_that_is_none_is_found_out():
    wrong = LinearOperator(lambda x: x.flatten(1) @ MATRIX.T, lambda y: (y @ MATRIX).flip(1).reshape(-1, *SHAPE[1:]))
    with pytest.raises(NumericalError, match="its adjoint is the transpose of its forward"):
        wrong.pinv(draw((2, 7), "y"))


def test_any_function_is_an_observation():
    seen = NonLinear(lambda x: x.abs().sum((1, 2, 3)), noise=0.1)
    x = draw(SHAPE, "x")
    assert torch.equal(seen.forward(x), x.abs().sum((1, 2, 3))) and torch.equal(seen.write(x, x), x)
