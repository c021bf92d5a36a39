"""JPEG, grey levels, photons, phases, motion and borders: against Pillow, SciPy, NumPy, and laws written out."""

import io
import json
import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch
from click.testing import CliRunner
from drawn import draw
from PIL import Image

import scoresde
from scoresde.cli import scoresde as command
from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.random import generators, poisson, stream
from scoresde.core.units import Units
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import Blur, Composed, Crop, Luma, Noisy, Pixels, Stacked, covariance, observations
from scoresde.observations.cosine import blockwise, cosines
from scoresde.observations.covariance import Covariance
from scoresde.observations.holes import Hole
from scoresde.observations.jpeg import JPEG
from scoresde.observations.listed import NamedObservation
from scoresde.observations.motion import MotionBlur
from scoresde.observations.phase import Phase
from scoresde.observations.poisson import Poisson
from scoresde.observations.rounded import UNIFORM, Quantised
from scoresde.posterior import posteriors
from scoresde.posterior.reading import done_to, read_measured
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

SHAPE = (2, 3, 8, 16)


KERNEL = draw((3, 5), "kernel")
LINEAR = {
    "reflect": Blur(KERNEL, 0.1, "reflect"),
    "zero": Blur(KERNEL, 0.1, "zero"),
    "wider than the picture": Blur(draw((19, 21), "wide"), 0.1, "reflect"),
    "motion": MotionBlur(length=5, angle=30),
    "motion, zero": MotionBlur(length=4, angle=-70, border="zero"),
    "quantised": Quantised(levels=5),
    "jpeg": JPEG(quality=30),
}
linear = pytest.mark.parametrize("seen", LINEAR.values(), ids=LINEAR)


@linear
def test_the_adjoint_is_the_transpose(seen):
    """A and Aᵀ written out as matrices; and both in float32."""
    unit = torch.eye(128, dtype=torch.float64).reshape(128, 1, 8, 16)
    a, back = seen.forward(unit).flatten(1), seen.adjoint(unit).flatten(1)
    assert torch.allclose(a, back.T, atol=1e-13)
    x, y = draw(SHAPE, "x"), draw(SHAPE, "y")
    left, right = (seen.forward(x) * y).flatten(1).sum(1), (x * seen.adjoint(y)).flatten(1).sum(1)
    assert torch.allclose(left, right, rtol=1e-11)
    assert torch.allclose(seen.forward(x.float()).double(), seen.forward(x), atol=1e-4)
    seen.check(seen.measure(torch.zeros(SHAPE)), SHAPE[1:])


@pytest.mark.parametrize("name", ["quantised", "jpeg"])
def test_the_inverse_is_one(name):
    seen, x = LINEAR[name], draw(SHAPE, "x")
    assert torch.allclose(seen.pinv(seen.forward(x)), x, atol=1e-5)  # libjpeg's colours have six digits


@pytest.mark.parametrize(("border", "mode"), [("reflect", "reflect"), ("zero", "constant"), ("periodic", "wrap")])
@pytest.mark.parametrize("size", [(3, 5), (1, 1), (9, 3)])
def test_a_blur_is_scipys_convolution(border, mode, size):
    kernel, x = draw(size, "kernel"), draw((2, 3, 9, 11), "x")
    truth = scipy.ndimage.convolve(x.numpy(), kernel.numpy()[None, None], mode=mode)
    assert np.allclose(
        Blur(kernel, 0.1, border).forward(x).numpy(), truth, atol=1e-2 if border == "periodic" else 1e-12
    )


@pytest.mark.parametrize(("border", "mode"), [("reflect", "reflect"), ("zero", "constant")])
def test_motion_is_the_mean_of_shifted_copies(border, mode):
    """SciPy's own interpolation of copies one pixel apart; an odd number of them along rows is a uniform filter."""
    x = draw((1, 1, 12, 14), "x")
    for angle, length in ((30.0, 5), (-100.0, 4)):
        found = MotionBlur(length=length, angle=angle, border=border).forward(x)[0, 0].numpy()
        copies = []
        for k in range(length):
            s = k - (length - 1) / 2
            move = (-s * math.sin(math.radians(angle)), s * math.cos(math.radians(angle)))
            copies.append(
                scipy.ndimage.shift(x[0, 0].numpy(), move, order=1, mode="grid-constant" if border == "zero" else mode)
            )
        assert np.allclose(found, np.mean(copies, 0), atol=1e-10)
    truth = scipy.ndimage.uniform_filter1d(x.numpy(), 5, axis=3, mode=mode)
    assert np.allclose(MotionBlur(length=5, border=border).forward(x).numpy(), truth, atol=1e-12)


@pytest.mark.parametrize("seen", [LINEAR["reflect"], LINEAR["zero"], LINEAR["motion"], LINEAR["jpeg"]])
def test_a_preconditioner_saves_products_and_changes_nothing(seen):
    """The same correction without it, by fewer products: of a law of pictures, at noise high and low."""
    from scoresde.conditioners.base import gaussian_update
    from scoresde.conditioners.correction import update

    smooth = 1 / (1 + torch.arange(8)[:, None] ** 2 + torch.arange(16) ** 2).double()
    law = Covariance("dct", SHAPE[1:], smooth.expand(3, 8, 16) * 4, (torch.eye(3).double(), cosines(8), cosines(16)))
    residual, noise = seen.forward(draw(SHAPE, "x")), torch.full((2,), min(seen.noise, 0.3)).double()
    totals = [0, 0]
    for variance in (torch.full((2,), v).double() for v in (100.0, 0.01)):
        calls = [0]

        def times(v, variance=variance, calls=calls):
            calls[0] += 1
            return law.posterior(v, variance)

        plain = gaussian_update(seen, residual, noise, times, lambda b: b)
        near = lambda b, v=variance: seen.near_inverse(b, lambda u, gain: law.precision(u, v, gain, noise))
        totals[0], calls[0] = totals[0] + calls[0], 0
        helped = gaussian_update(seen, residual, noise, times, near)
        totals[1] += calls[0]
        assert torch.allclose(helped.spread, plain.spread, atol=1e-5)
        assert torch.allclose(update(law, seen, residual, variance, noise).spread, plain.spread, atol=1e-5)
    assert totals[1] < totals[0]


def pillow(pixels, quality):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0)
    return np.asarray(Image.open(file))


def picture(colours, seed=0):
    """A smooth picture with some noise, (1, C, 32, 24), uint8."""
    x = np.random.default_rng(seed).normal(size=(32, 24, colours))
    x = scipy.ndimage.gaussian_filter(x, (3, 3, 0)) * 300 + 5 * x + 128
    return x.clip(30, 225).astype(np.uint8)  # far from black and white, at which decoders cut off


def scaled(pixels):
    return torch.from_numpy(np.atleast_3d(pixels).copy()).permute(2, 0, 1)[None].double() / 127.5 - 1


@pytest.mark.parametrize("quality", [5, 30, 75, 95])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillows(quality, channels):
    """The steps that are in its file, but for those near an edge: libjpeg computes in integers, with Y, Cb and Cr of
    256 levels. What is decoded of them, to the rounding of pixels, and of colours twice, by 1.8 for Cb at most."""
    seen, pixels = JPEG(quality=quality), picture(channels)
    file = pillow(pixels if channels == 3 else pixels[..., 0], quality)
    ours, theirs = seen.measure(scaled(pixels)), seen.read(scaled(file))
    assert (ours - theirs).abs().max() < 1.5 and ((ours - theirs).abs() > 0.5).double().mean() < 0.05 * channels
    decoded = 127.5 * (seen.shown(theirs)[0].permute(1, 2, 0).numpy() + 1)
    assert np.abs(decoded - np.atleast_3d(file)).max() < (0.8 if channels == 1 else 2.5)


@pytest.mark.parametrize("seen", [Quantised(levels=4), Quantised(levels=7), JPEG(quality=20)])
def test_what_is_rounded_stays_and_samples_are_put_into_its_cell(seen):
    x, other = draw(SHAPE, "x").clamp(-1, 1).float(), draw(SHAPE, "other").float() / 3
    y = seen.measure(x)
    assert torch.allclose(seen.measure(seen.shown(y)), y, atol=1e-4)
    assert seen.residual(x, y).abs().max() < 0.501
    written = seen.write(other, y)
    assert torch.allclose(seen.measure(written), y, atol=1e-4)
    inside = seen.residual(other, y).abs() < 0.49
    assert torch.allclose(seen.forward(written)[inside], seen.forward(other)[inside], atol=1e-3)
    assert torch.equal(type(seen)(noise=0.5).write(other, y), other)


def test_levels_are_numpys():
    x = np.random.default_rng(0).uniform(-1, 1, (1, 3, 8, 16))
    at = np.linspace(-1, 1, 6)
    nearest = at[np.abs(x[..., None] - at).argmin(-1)]
    seen = Quantised(levels=6)
    assert np.allclose(seen.shown(seen.measure(torch.from_numpy(x))).numpy(), nearest)
    assert seen.noise == UNIFORM == pytest.approx(scipy.stats.uniform(-0.5, 1).std())


def test_counts_have_poissons_law():
    """2,000 of each of five brightnesses: χ² against SciPy's probabilities; the root of them varies by 1."""
    seen = Poisson(peak=20)
    x = torch.tensor([-0.8, -0.4, 0.0, 0.5, 1.0]).double().expand(2000, 5)
    y = seen.measure(x, stream(0, "counts"))
    counts = ((y / 2) ** 2 - 3 / 8).round()
    assert torch.allclose(seen.shown(y), counts / 10.0 - 1, atol=1e-9)
    for i, mean in enumerate((10 * (x[0] + 1)).tolist()):
        places = np.arange(int(scipy.stats.poisson(mean).ppf(0.001)), int(scipy.stats.poisson(mean).ppf(0.999)) + 1)
        edges = np.r_[-1, places[1:-1], np.inf]
        expected = np.diff(scipy.stats.poisson(mean).cdf(edges))
        found = np.histogram(counts[:, i], np.r_[-1, places[1:-1] + 0.5, np.inf])[0]
        keep = expected * 2000 > 5
        assert (
            scipy.stats.chisquare(found[keep], expected[keep] / expected[keep].sum() * found[keep].sum()).pvalue > 1e-4
        )
    assert ((y - seen.forward(x))[:, 1:].std(0) - 1).abs().max() < 0.1


def test_counts_depend_on_their_own_seed():
    rates = torch.full((3, 50), 4.0)
    whole = poisson(rates, generators([1, 2, 3]))
    assert torch.equal(poisson(rates[1:2], generators([2])), whole[1:2]) and whole.dtype == torch.float32
    with pytest.raises(UsageError, match="2 generators for a batch of 3"):
        poisson(rates, generators([1, 2]))


def test_moduli_are_numpys():
    x = draw((2, 3, 5, 6), "x")
    wide = np.zeros((2, 3, 15, 18))
    wide[..., :5, :6] = (x.numpy() + 1) / 2
    truth = np.abs(np.fft.fft2(wide)) / math.sqrt(15 * 18)
    seen = Phase(oversampling=3)
    assert np.allclose(seen.forward(x).numpy(), truth, atol=1e-12)
    assert torch.allclose(seen.forward(x.flip(2, 3)), seen.forward(x))  # turned by 180 degrees
    shown = seen.shown(seen.forward(x))
    assert shown.shape == (2, 3, 15, 18) and shown.max() == 1 and shown.min() >= -1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Blur(KERNEL, 0.1, "mirror"), "border of a blur is 'periodic', 'reflect' or 'zero', got 'mirror'"),
        (lambda: Blur(KERNEL, 0.1, "zero").forward(draw((2, 4, 6))), "a blur sees pictures"),
        (lambda: MotionBlur().adjoint(draw((2, 4, 6))), "a blur sees pictures"),
        (lambda: MotionBlur(length=0), "length must be at least 1, got 0"),
        (lambda: MotionBlur(border="wrap"), "border must be"),
        (lambda: JPEG().forward(draw((1, 1, 8, 12))), "with sides that 8 divides, got"),
        (lambda: JPEG().forward(draw((1, 2, 8, 8))), "jpeg sees pictures"),
        (lambda: JPEG().check(draw(SHAPE), SHAPE[1:]), r"y of jpeg counts in whole steps, .* measure\(picture\)"),
        (lambda: Quantised(levels=1), "levels must be at least 2, got 1"),
        (lambda: Quantised().measure(torch.tensor([[math.nan]])), "must be finite"),
        (lambda: Phase().forward(draw((2, 4, 6))), "phase sees images"),
        (lambda: Phase().read(draw((1, 1, 4, 6))), "give the original, with --degrade"),
        (lambda: Composed(JPEG(), Pixels(torch.ones(8, 16))), "jpeg leaves no picture, .* let it come last"),
        (lambda: Composed(Composed(Luma(noise=0), JPEG()), Quantised()), "leaves no picture"),
        (lambda: Composed(Luma(), Poisson()), "what is composed are linear observations"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


SMALL = (1, 8, 8)
SPREAD = (0.3 / (1 + torch.arange(8)[:, None] ** 2 + torch.arange(8) ** 2).double())[None]
UNIT = torch.eye(64).double().reshape(64, *SMALL)
SIGMA = blockwise(SPREAD * blockwise(UNIT, cosines(8).T), cosines(8)).flatten(1)
WAVES = GaussianModel(torch.zeros(SMALL), SIGMA, VPSDE())
ALONE = 0.05 + 0.2 * torch.rand(64, generator=stream(0, "alone"), dtype=torch.float64)
MEANS = 0.5 * torch.rand(64, generator=stream(0, "means"), dtype=torch.float64) - 0.25
PIXELS = GaussianModel(MEANS.reshape(SMALL), torch.diag(ALONE), VPSDE())
DRAWS = 200


def drawn(model, seen, y, conditioner, solver, count=DRAWS):
    sources = generators(range(count))
    around = conditioner.condition(model, seen, y.expand(count, *y.shape[1:]), sources)
    x = around.prior(sources, dtype=torch.float64)
    return sample(around, solver, x, generator=sources)


def near(found, mean, deviation, miss, ratio):
    """Means to a share of the posterior's deviation, root mean square, and the deviations to a factor."""
    found = found.reshape(len(found), -1).numpy()
    assert np.sqrt(np.square((found.mean(0) - mean) / deviation).mean()) < miss
    assert abs((found.std(0) / deviation).mean() - 1) < ratio


@pytest.mark.parametrize("seen", [MotionBlur(length=5, angle=30, noise=0.1), Blur(KERNEL / 4, 0.1, "zero")])
def test_blurs_with_a_border_have_the_posterior_of_a_normal_law(seen):
    """Written out in NumPy with the matrix A."""
    a = seen.forward(UNIT).flatten(1).T.numpy()
    c, truth = SIGMA.numpy(), WAVES.draw(1, stream(1, "x"))
    y = seen.measure(truth, stream(0, "y"))
    gain = c @ a.T @ np.linalg.inv(a @ c @ a.T + 0.01 * np.eye(64))
    mean, deviation = gain @ y.flatten().numpy(), np.sqrt(np.diag(c - gain @ a @ c))
    conditioner = conditioners["covariance"](covariance=covariance.full(SIGMA, SMALL))
    out = drawn(WAVES, seen, y, conditioner, solvers["dpm++"](steps=15))
    near(out.x, mean, deviation, 0.1, 0.05)
    assert 0.9 < out.info["misfit"] < 1.1


@pytest.mark.parametrize(
    ("seen", "problems"), [(Quantised(levels=4), 3), (Quantised(levels=9), 2), (JPEG(quality=15), 3)]
)
def test_what_was_rounded_has_the_posterior_of_its_cells(seen, problems):
    """Independent numbers, so that the posterior is a product of truncated normal laws, which SciPy has: of pixels for
    grey levels, and of cosines, the axes of a smooth law, for JPEG. A normal error in place of a uniform one moves
    means by a tenth of a deviation and narrows by a tenth."""
    model, sigma = (PIXELS, torch.diag(ALONE)) if isinstance(seen, Quantised) else (WAVES, SIGMA)
    to = (lambda x: x) if isinstance(seen, Quantised) else (lambda x: blockwise(x, cosines(8).T))
    scale = (
        seen.forward(UNIT if isinstance(seen, Quantised) else blockwise(UNIT, cosines(8))).flatten(1).diagonal().numpy()
    )
    centre, std = (MEANS, ALONE.sqrt()) if isinstance(seen, Quantised) else (torch.zeros(64), SPREAD.flatten().sqrt())
    centre, std = centre.numpy(), std.numpy()
    for problem in range(problems):
        y = seen.measure(model.draw(1, stream(problem, "x")).clamp(-1, 1))
        low, high = ((y.flatten().numpy() + edge) / scale for edge in (-0.5, 0.5))
        truth = scipy.stats.truncnorm((low - centre) / std, (high - centre) / std, centre, std)
        conditioner = conditioners["covariance"](covariance=covariance.full(sigma, SMALL))
        out = drawn(model, seen, y, conditioner, solvers["dpm++"](steps=15))
        near(to(out.x), truth.mean(), truth.std(), 0.15, 0.12)
        assert torch.allclose(seen.measure(out.x), y.expand(DRAWS, *SMALL), atol=1e-6)  # of every sample


def grid_posterior(log_likelihood):
    """Mean and deviation of each pixel of `PIXELS`, by quadrature."""
    at = np.linspace(-3, 3, 6001)[:, None]
    log = scipy.stats.norm(MEANS.numpy(), ALONE.sqrt().numpy()).logpdf(at) + log_likelihood(at)
    weights = np.exp(log - log.max(0))
    weights /= weights.sum(0)
    mean = (weights * at).sum(0)
    return mean, np.sqrt((weights * (at - mean) ** 2).sum(0))


@pytest.mark.parametrize("peak", [8.0, 60.0])
def test_counts_have_the_posterior_of_poissons_law(peak):
    """By quadrature with SciPy's probabilities themselves, pixel by pixel: the error of a normal law for the root of a
    count, and that of 200 draws, which is 0.07. The counts themselves miss by more."""
    seen = Poisson(peak=peak)
    y = seen.measure(PIXELS.draw(1, stream(3, "x")).clamp_min(-1), stream(0, "counts"))
    counts = (y.flatten().numpy() ** 2 / 4 - 3 / 8).round()
    mean, deviation = grid_posterior(lambda x: scipy.stats.poisson((peak * (x + 1) / 2).clip(1e-9)).logpmf(counts))
    conditioner = conditioners["linearised"](covariance=covariance.full(torch.diag(ALONE), SMALL))
    out = drawn(PIXELS, seen, y, conditioner, solvers["dpm++"](steps=10))
    near(out.x, mean, deviation, 0.3, 0.1)
    assert 0.9 < out.info["misfit"] < 1.2
    by_count = np.sqrt(np.square((seen.shown(y).flatten().numpy() - mean) / deviation).mean())
    assert by_count > 0.4


def test_linearised_is_covariance_where_the_measurement_is_linear():
    seen, law = Blur(KERNEL, 0.3, "zero"), covariance.full(SIGMA, SMALL)
    y, x, t = (
        seen.measure(WAVES.draw(3, stream(1, "x")), stream(0, "y")),
        draw((3, *SMALL), "x"),
        torch.tensor([0.01, 0.3, 0.9]),
    )
    found, truth = (
        conditioners[name](covariance=law).condition(WAVES, seen, y).denoise(x, t.double())
        for name in ("linearised", "covariance")
    )
    assert torch.allclose(found, truth, atol=1e-6)
    with pytest.raises(UsageError, match="linearised takes derivatives and has none itself"):
        conditioners["dps"]().condition(
            conditioners["linearised"](covariance=law).condition(WAVES, seen, y), seen, y
        ).score(x, t.double())


def test_a_phase_is_found_by_the_restart_with_the_least_misfit():
    """Of few smooth pixels: that restart is the truth, upright or turned, and the misfit tells it from the others."""
    seen = Phase(noise=0.01)
    truth = WAVES.draw(1, stream(5, "x")).clamp(-1, 1)
    y = seen.measure(truth, stream(0, "noise"))
    out = drawn(WAVES, seen, y, conditioners["dps"](weight="likelihood"), solvers["ancestral"](steps=100), 24)
    off = torch.stack([(v - truth).flatten(1).norm(dim=1) for v in (out.x, out.x.flip(2, 3))]).amin(0) / truth.norm()
    best = int(np.argmin(out.misfit))
    assert off[best] < 0.25 and out.misfit[best] < 1.5 and off.median() > off[best]


@pytest.mark.parametrize("seen", [Poisson(), Phase()])
def test_methods_for_linear_measurements_refuse_the_others(seen):
    y = seen.measure(torch.zeros(2, *SMALL).double(), stream(0, "y"))
    for name in ("covariance", "mixture", "moment", "projection", "replace", "oracle"):
        with pytest.raises(
            UsageError, match=f"{name} takes linear observations, {type(seen).__name__} is none; use {seen.method}"
        ):
            conditioners[name]().condition(PIXELS, seen, y)
    for name in ("gibbs", "smc", "langevin", "travel"):
        law = {"covariance": covariance.full(SIGMA, SMALL)} if name == "smc" else {}
        with pytest.raises(UsageError, match="takes"):
            posteriors[name](**law).draw(PIXELS, seen, y, generator=generators(range(2)))
    assert scoresde.sample(scoresde.condition("digits", seen, y[:1]), "ancestral:steps=4", n=2).x.shape == (2, *SMALL)


def test_parts_are_measured_one_after_the_other_and_side_by_side():
    x = draw((4, 3, 8, 16), "x").clamp(-1, 1)
    both = Composed(Luma(noise=0.0), Quantised(levels=3)).of_shape((3, 8, 16))
    y = both.measure(x)
    assert torch.equal(y, Quantised(levels=3).measure(Luma().forward(x)))
    assert torch.equal(both.shown(both.read(both.shown(y))), both.shown(y)) and both.shown(y).abs().max() == 1
    others = draw((4, 3, 8, 16), "others").clamp(-1, 1).float()
    cut = Composed(Crop(top=3), Composed(Luma(noise=0.0), Quantised()))
    for seen in (both, cut, Composed(Luma(noise=0.0), JPEG(quality=30))):
        y = seen.measure(x)
        assert torch.equal(seen.measure(seen.write(others, y)), y)  # in the cells, as of what is rounded by itself
    stack = Stacked(Luma(noise=0.0), Quantised(levels=3)).of_shape((3, 8, 16))
    grey, levels = stack.split(stack.measure(x))
    assert torch.allclose(grey, Luma().forward(x)) and torch.allclose(levels, Quantised(levels=3).measure(x))
    noisy = Composed(Luma(noise=0.3), Pixels(torch.ones(8, 16))).measure(x, stream(0, "noise"))
    assert 0.25 < float((noisy - Luma().forward(x)).std()) < 0.35


def test_names_on_the_command_line():
    assert observations.parse("motion:length=4,angle=45,border=zero") == MotionBlur(length=4, angle=45, border="zero")
    assert str(JPEG(quality=10)) == "jpeg:quality=10" and observations.parse("phase") == Phase()


class Rows(NamedObservation):
    """The five lowest frequencies of each row, as another package may define it: y, (B, C, H, 5, 2), is no picture."""

    def forward(self, x):
        return torch.view_as_real(torch.fft.fft(x, norm="ortho")[..., :5])

    def adjoint(self, y):
        return torch.fft.ifft(torch.view_as_complex(y.contiguous()), n=16, norm="ortho").real


def grey_file(folder, pixels, name="left.png"):
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def test_a_picture_file_is_read_as_what_is_left(tmp_path):
    """Of JPEG and grey levels the cells that it lies in, of photons the counts; or made of the original."""
    grey = picture(1)[:16, :16, 0]
    left = grey_file(tmp_path, pillow(grey, 20))
    case = read_measured(left, (1, 8, 8), JPEG(quality=20))
    assert torch.equal(case.y, JPEG(quality=20).measure(scaled(pillow(grey, 20)).float())) and case.shape == (1, 16, 16)
    assert (case.seen - scaled(pillow(grey, 20))[0]).abs().max() < 0.02
    odd = read_measured(
        grey_file(tmp_path, pillow(picture(1)[:13, :18, 0], 20), "odd.png"), (1, 8, 10), JPEG(quality=20)
    )
    padded = np.pad(picture(1)[:13, :18, 0], ((0, 3), (0, 6)), "edge")  # as libjpeg has it
    off = odd.y - JPEG(quality=20).measure(scaled(pillow(padded, 20)).float())
    assert off[..., :8, :16].abs().max() == 0 and (off.abs() > 0.5).float().mean() < 0.05
    assert odd.shape == (1, 16, 24) and odd.seen.shape == odd.finish(torch.zeros(2, 1, 16, 24))[0].shape == (1, 13, 18)
    assert (odd.seen - scaled(pillow(picture(1)[:13, :18, 0], 20))[0]).abs()[:, :8, :16].max() < 0.02
    small = read_measured(tmp_path / "odd.png", (1, 26, 20), done_to(["downsample:2", "jpeg:20"], None))
    assert small.shape == (1, 32, 48) and small.finish(torch.zeros(1, 1, 32, 48)).shape == (1, 1, 26, 36)
    made = read_measured(grey_file(tmp_path, grey, "whole.png"), (1, 8, 8), Poisson(peak=9), degrade=True, seed=3)
    counts = made.y.double() ** 2 / 4 - 3 / 8
    assert (counts - counts.round()).abs().max() < 1e-4 and made.shape == (1, 16, 16) and made.truth is not None
    again = read_measured(left, (1, 8, 8), Poisson(peak=9))
    assert torch.allclose(again.seen, scaled(pillow(grey, 20))[0].float().clamp_min(-1), atol=1e-5)
    moduli = read_measured(left, (1, 8, 8), Phase(), degrade=True)
    assert moduli.y.shape == (1, 1, 32, 32) and moduli.shape == (1, 16, 16)
    frequencies = read_measured(left, (1, 8, 8), Composed(Rows(), Noisy(noise=0.01)), degrade=True)
    kept = np.fft.ifft(np.fft.fft(frequencies.truth.numpy()) * (np.arange(16) < 5)).real
    assert frequencies.y.shape == (1, 1, 16, 5, 2) and np.abs(frequencies.seen.numpy() - kept).max() < 0.05
    both = read_measured(left, (1, 8, 8), done_to(["downsample:2", "quantised:4"], None), degrade=True)
    assert both.shape == (1, 16, 16) and both.seen.shape == (1, 16, 16) and both.y.shape == (1, 1, 8, 8)


@pytest.mark.parametrize(
    ("observation", "options", "message"),
    [
        (Phase(), {}, "give the original, with --degrade"),
        (Rows(), {}, "leaves .1, 8, 5, 2. of a picture, which no file holds: give the original, with --degrade"),
        (JPEG(), {"mode": "resize"}, "the blocks of a JPEG file are lost when it is fitted"),
        (Poisson(), {"where": True}, "a hole goes with what is linear, which poisson is not"),
        (JPEG(), {"where": True}, "jpeg leaves no picture"),
    ],
)
def test_what_a_file_cannot_be_is_refused(observation, options, message, tmp_path):
    options = {**options, "where": Hole((0, 0, 4, 4))} if "where" in options else options
    with pytest.raises(UsageError, match=message):
        read_measured(grey_file(tmp_path, picture(1)[:16, :16, 0]), (1, 8, 8), observation, **options)
    if isinstance(observation, Phase | Poisson | Rows):  # whatever the file is
        with pytest.raises(UsageError, match=message):
            read_measured(tmp_path / "nowhere.png", (1, 8, 8), observation, **options)


def test_the_commands_take_them(tmp_path):
    """`restore` with the conditioner of the table, one sample each."""
    digit = grey_file(tmp_path, (np.random.default_rng(0).random((8, 8)) * 255).astype(np.uint8))
    for task, used in (("jpeg:30", "covariance"), ("poisson:40", "linearised"), ("phase", "dps")):
        steps = ["--steps", "3"] if used != "dps" else ["--steps", "4", "--solver", "ancestral"]
        out = tmp_path / used
        words = ["restore", str(digit), "--model", "digits", "--task", task, "--degrade", "-n", "1", "--quiet"]
        found = CliRunner().invoke(command, [*words, *steps, "--out", str(out)])
        assert found.exit_code == 0, found.output
        record = json.loads((out / "restore.json").read_text())
        assert record["conditioner"]["name"] == used and record["pictures"][0]["observation"].startswith(task[:4])


@pytest.mark.parametrize("spread", [1.0, 2.0, [0.5, 2.0, 1.0, 3.0]])
def test_rounded_numbers_in_units_of_their_own_end_in_their_cells(spread):
    model = GaussianModel(torch.zeros(4), torch.eye(4).double(), VPSDE())
    model.units = Units(torch.full((4,), 0.25), torch.as_tensor(spread).expand(4))
    y = torch.tensor([[-1.0, 0.0, 1.0, 2.0], [2.0, 2.0, -2.0, 0.0]])
    known = [True, True, False, True]
    for seen, all_of_it in ((Quantised(levels=5), slice(None)), (Composed(Pixels(known), Quantised(levels=5)), known)):
        x = scoresde.sample(scoresde.condition(model, seen, y), "dpm++:steps=5", n=6).x
        assert (2 * x - y.repeat(3, 1))[:, all_of_it].abs().max() <= 0.5  # steps of 1/2
