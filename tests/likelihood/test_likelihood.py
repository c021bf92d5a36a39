"""The likelihood by the probability flow, against closed forms, published digits, SciPy and the laws of its probes."""

import json
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from click.testing import CliRunner

from scoresde import models
from scoresde.bench.problems import gm192
from scoresde.cli import scoresde
from scoresde.conditioners import conditioners
from scoresde.core.errors import DataError, NumericalError, UsageError
from scoresde.core.random import generators, stream
from scoresde.core.units import Units
from scoresde.data import Images, data
from scoresde.likelihood import Exact, Hutchinson, bits_per_dim, dequantise, interleaved, log_likelihood, mean_vlb, nll
from scoresde.models.base import ScoreModel
from scoresde.models.gaussian import GaussianMixtureModel, GaussianModel
from scoresde.models.names import load
from scoresde.models.output import Output
from scoresde.observations import LinearOperator, Pixels
from scoresde.sde import VESDE, VPSDE, SubVPSDE, VPCosineSDE
from scoresde.solvers import solvers

F = torch.float64


def at(x, t):
    return torch.full((len(x),), t, dtype=F)


def with_true_prior(found, model):
    """log p_0 with the exact law at the end of the process in place of N(0, I)."""
    return found.at_zero - found.prior + model.log_prob(found.latent, at(found.latent, model.sde.t_max))


@pytest.mark.parametrize(("eps", "bits"), [(1e-3, -0.9180521835), (1e-5, -0.9183398731)])
def test_golden(eps, bits):
    """Published digits of the flow with an N(0, I) prior, on N((0.3, -0.2), diag(0.5, 0.05)²) at (0.1, -0.15)."""
    model = GaussianModel(torch.tensor([0.3, -0.2], dtype=F), torch.tensor([0.25, 0.0025], dtype=F), VPSDE())
    x = torch.tensor([[0.1, -0.15]], dtype=F)
    found = log_likelihood(model, x, solver=solvers["dop853"](tol=1e-10), divergence=Exact(), eps=eps)
    assert abs(float(found.log_prob) / (-2 * math.log(2)) - bits) < 2e-10
    assert abs(float(with_true_prior(found, model)) - 1.2710023877) < (5e-4 if eps == 1e-3 else 1e-7)
    assert torch.allclose(found.log_prob, found.prior + found.divergence, rtol=0, atol=1e-12)


@pytest.mark.parametrize("sde", [VPSDE(), SubVPSDE(), VESDE(), VPCosineSDE()], ids=lambda sde: sde.name)
@pytest.mark.parametrize("name", ["rk45", "dop853"])
def test_mixture_density_to_a_thousandth_of_a_nat(mixture, sde, name):
    model = GaussianMixtureModel(mixture.means, mixture.bases * mixture.variances[:, None] @ mixture.bases.mT, sde)
    x = model.draw(64, stream(0, "likelihood"))
    found = log_likelihood(model, x, solver=solvers[name](tol=1e-6), divergence=Exact())
    truth = model.log_prob(x, at(x, 0.0))
    if sde.name == "ve":  # whose t = 0 has the noise sigma_min
        truth = model.log_prob(x, at(x, 1e-12))
    assert (with_true_prior(found, model) - truth).abs().max() < 1e-3
    normal = scipy.stats.norm(scale=sde.prior_std).logpdf(found.latent.numpy()).sum(1)
    assert np.abs(found.prior.numpy() - normal).max() < 1e-9
    assert (found.standard_error == 0).all()


def test_latent_is_the_end_of_the_flow(gaussian):
    x = gaussian.draw(8, stream(0, "latent"))
    found = log_likelihood(gaussian, x, solver=solvers["dop853"](tol=1e-9), divergence=Exact(), eps=1e-4)
    assert torch.allclose(found.latent, gaussian.flow(x, 1e-4, 1.0), rtol=0, atol=1e-7)


@pytest.mark.parametrize("sde", [VPSDE(), SubVPSDE(), VESDE(), VPCosineSDE()], ids=lambda sde: sde.name)
def test_the_correction_leaves_an_error_of_second_order(mixture, sde):
    """log p_0 - log p_eps, which the mixture knows: what is left falls by 100 where eps falls by 10."""
    model = GaussianMixtureModel(mixture.means, mixture.bases * mixture.variances[:, None] @ mixture.bases.mT, sde)
    x, left = mixture.draw(16, stream(1, "correction")), []
    for eps in (1e-3, 1e-4):
        found = log_likelihood(model, x, solver=solvers["rk23"](tol=0.1), divergence=Exact(), eps=eps)
        gap = model.log_prob(x, at(x, 1e-14)) - model.log_prob(x, at(x, eps))
        left.append(float((found.correction - gap).abs().max() / gap.abs().max()))
    assert left[0] < 0.02 and left[1] < left[0] / 8


def test_scipy_takes_the_same_steps():
    """With control "batch": SciPy's evaluations and result on the same equations, written out for a Gaussian."""
    mean, var, eps, tol = np.array([0.3, -0.2]), np.array([0.25, 0.01]), 1e-4, 1e-4
    model = GaussianModel(torch.from_numpy(mean), torch.from_numpy(var), VPSDE())
    x = model.draw(16, stream(0, "scipy"))
    found = log_likelihood(model, x, solver=solvers["rk45"](tol=tol, control="batch"), divergence=Exact(), eps=eps)

    def slope(theta, state):
        y = state.reshape(16, 4)[:, :2]
        c, s = np.cos(theta), np.sin(theta)
        v = c**2 * var + s**2
        rate = ((s * s / v).sum() / s - 2 * s) / (2 * c) * np.ones((16, 2))
        return np.concatenate([(s * (y - c * mean) / v - y * s) / c, rate], axis=1).ravel()

    alpha = np.exp(-0.25 * np.array([eps, 1.0]) ** 2 * 19.9 - 0.5 * np.array([eps, 1.0]) * 0.1)
    theta = np.arctan(np.sqrt(-np.expm1(2 * np.log(alpha))) / alpha)
    start = np.concatenate([x.numpy(), np.zeros((16, 2))], axis=1).ravel()
    theirs = scipy.integrate.solve_ivp(slope, theta, start, method="RK45", rtol=tol, atol=tol)
    end = theirs.y[:, -1].reshape(16, 4)
    assert found.nfe == theirs.nfev and found.vjps == 2 * theirs.nfev
    assert np.abs(found.latent.numpy() - end[:, :2]).max() < 1e-9
    assert np.abs(found.divergence.numpy() - 2 * end[:, 2]).max() < 1e-9


def test_a_thousandth_of_a_bit_in_fifty_evaluations():
    """On 192 dimensions with the spectrum of images; interleaved classes stand in for the exact divergence."""
    model = gm192()
    x = model.draw(4, stream(3, "bar"))
    found = log_likelihood(
        model,
        x,
        solver=solvers["rk45"](tol=3e-3, controller="pi"),
        divergence=Hutchinson(classes=48),
        eps=1e-4,
        generator=generators(range(4)),
    )
    error = (model.log_prob(x, at(x, 0.0)) - with_true_prior(found, model)) / (192 * math.log(2))
    assert found.nfe <= 50 and found.vjps == 48 * found.nfe
    assert abs(float(error.mean())) < 2e-3  # a bias below 1e-3, and the spread of these probes


def linear(matrix, estimator, probes, rows=1):
    """Estimates of the trace of x -> A x at some rows, (rows R,)."""
    x = torch.zeros(rows, len(matrix), dtype=F, requires_grad=True)
    drawn = estimator.draw(x.detach(), generators(range(rows)))
    assert len(drawn) == probes
    return estimator.trace(x @ matrix.T, x, drawn).flatten()


@pytest.mark.parametrize("noise", ["rademacher", "gaussian"])
@pytest.mark.parametrize("classes", [1, 2, 4])
def test_probes_are_unbiased_and_have_their_variance(noise, classes):
    """For S = (A + Aᵀ)/2 within each class: 2 Σ_{i≠j} S_ij² for signs, 2 Σ_ij S_ij² for Gaussian probes."""
    a = torch.randn(8, 8, generator=torch.Generator().manual_seed(0), dtype=F)
    found = linear(a, Hutchinson(probes=10, classes=classes, noise=noise), 10, rows=200)
    assert found.shape == (2000,)
    s = (a + a.T) / 2
    together = interleaved((8,), classes)[:, None] == interleaved((8,), classes)
    if noise == "rademacher":
        together = together & ~torch.eye(8, dtype=torch.bool)
    variance = float(2 * s[together].square().sum())
    assert abs(float(found.mean() - a.trace())) < 4 * math.sqrt(variance / 2000)
    assert abs(float(found.var()) / variance - 1) < 0.2


@pytest.mark.parametrize("noise", ["rademacher", "gaussian"])
def test_probes_have_mean_zero_and_variance_one(noise):
    """Each with a false-alarm rate of 1e-6; signs that are not even would bias the trace by their mean squared."""
    probes = Hutchinson(probes=1000, noise=noise).draw(torch.zeros(4, 10, dtype=torch.float64), generators(range(4)))
    assert abs(probes.mean().item()) * 200 < 4.892
    assert abs(probes.square().mean().item() - 1) * 200 < 4.892 * 2**0.5


def test_as_many_classes_as_values_are_exact():
    a = torch.randn(8, 8, generator=torch.Generator().manual_seed(1), dtype=F)
    assert torch.allclose(linear(a, Hutchinson(probes=3, classes=8), 3), a.trace().expand(3), atol=1e-12)
    assert torch.allclose(linear(a, Exact(), 1), a.trace()[None], atol=1e-12)
    assert Exact().vjps(8) == 8 and Hutchinson(probes=3, classes=8).vjps(8) == 24


@pytest.mark.parametrize(("shape", "classes"), [((1, 8, 8), 4), ((1, 8, 8), 16), ((3, 8, 8), 16), ((3, 16, 16), 12)])
def test_classes_are_even_and_far_apart(shape, classes):
    """No two of a class touch, their sizes differ little, and random classes have closer pairs."""
    parts = interleaved(shape, classes)
    sizes = torch.bincount(parts.flatten(), minlength=classes)
    assert sizes.min() > 0.7 * sizes.max()
    i, j, k = torch.nonzero(torch.ones(shape), as_tuple=True)
    places = torch.stack([i, j, k], 1).double()
    distance = torch.cdist(places, places)
    same = (parts.flatten()[:, None] == parts.flatten()) & (distance > 0)
    assert distance[same].min() > 1.4


def test_the_exact_divergence_of_a_network_is_the_trace_of_its_jacobian():
    model, t = load("digits"), torch.full((1,), 0.2, dtype=F)
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=F).requires_grad_()
    jacobian = torch.autograd.functional.jacobian(lambda v: model.eps(v, t).flatten(), x).reshape(64, 64)
    trace = Exact().trace(model.eps(x, t), x, Exact().draw(x, None))
    assert torch.allclose(trace[0, 0], jacobian.trace(), rtol=1e-4)


def test_hutchinson_stays_within_its_standard_error(gaussian):
    """On a correlated Gaussian, whose Jacobian is not diagonal: no bias, and the error that it reports."""
    x = gaussian.draw(200, stream(2, "hutchinson"))
    options = {"solver": solvers["rk45"](tol=1e-6)}
    exact = log_likelihood(gaussian, x, divergence=Exact(), **options)
    noisy = log_likelihood(gaussian, x, divergence=Hutchinson(probes=8), generator=generators(range(200)), **options)
    difference = noisy.log_prob - exact.log_prob
    assert difference.abs().max() > 0.1  # the probes do make noise here
    assert abs(float(difference.mean())) < 4 * float(difference.std()) / math.sqrt(200)
    assert abs(float(noisy.standard_error.square().mean().sqrt() / difference.std()) - 1) < 0.2
    assert noisy.vjps == 8 * noisy.nfe
    single = log_likelihood(gaussian, x[:2], generator=generators(range(2)), **options)
    assert torch.isnan(single.standard_error).all() and single.vjps == single.nfe


def test_a_likelihood_depends_on_its_seed_and_not_on_its_batch(gaussian):
    x = gaussian.draw(6, stream(3, "batch"))
    options = {"solver": solvers["rk45"](tol=1e-4), "divergence": Hutchinson(probes=2)}
    whole = log_likelihood(gaussian, x, generator=generators(range(6)), **options)
    alone = log_likelihood(gaussian, x[4:5], generator=generators([4]), **options)
    other = log_likelihood(gaussian, x[4:5], generator=generators([5]), **options)
    assert torch.allclose(whole.log_prob[4:5], alone.log_prob, rtol=0, atol=1e-10)
    assert (alone.log_prob - other.log_prob).abs() > 1e-4


def test_float32_images_are_integrated_in_float64(gaussian):
    x = gaussian.draw(4, stream(4, "float")).float()
    options = {"solver": solvers["rk45"](tol=1e-6), "divergence": Exact()}
    single, double = (log_likelihood(gaussian, v, **options) for v in (x, x.double()))
    assert single.log_prob.dtype == F and torch.equal(single.log_prob, double.log_prob)


class Broken(ScoreModel):
    """A Gaussian model that gives NaN for sample 1 beyond a time."""

    def __init__(self, after):
        super().__init__()
        self.model, self.after = GaussianModel(torch.zeros(3, dtype=F), torch.ones(3, dtype=F), VPSDE()), after
        self.sde, self.shape = self.model.sde, (3,)

    def evaluate(self, x, t, classes=None):
        bad = (t > self.after) & (torch.arange(len(x)) == 1)
        return Output(torch.where(bad[:, None], torch.nan, self.model.eps(x, t)))


@pytest.mark.parametrize("after", [0.0, 0.5])
def test_not_finite(after):
    with pytest.raises(NumericalError, match="sample 1 of 4 is not finite|vanishes"):
        log_likelihood(Broken(after), torch.ones(4, 3, dtype=F), divergence=Exact())


def test_refusals(gaussian):
    x = gaussian.draw(2, stream(5, "refuse"))
    with pytest.raises(UsageError, match="by rk23, rk45 or dop853, got euler"):
        log_likelihood(gaussian, x, solver=solvers["euler"]())
    with pytest.raises(UsageError, match="got rk45:final_corrector=0.16: leave out final_corrector"):
        log_likelihood(gaussian, x, solver=solvers["rk45"](final_corrector=0.16))
    drawing = conditioners["replace"](as_published=True).condition(gaussian, Pixels([True, False, False]), x)
    with pytest.raises(UsageError, match="this model draws new noise at each evaluation: condition it by"):
        log_likelihood(drawing, x)
    with pytest.raises(UsageError, match=r"samples of shape \(B, 3\), got \(2, 2\)"):
        log_likelihood(gaussian, x[:, :2])
    with pytest.raises(UsageError, match="eps must lie between 0 and 1, got 0"):
        log_likelihood(gaussian, x, eps=0.0)
    with pytest.raises(UsageError, match="sample 1 of 2 is not"):
        log_likelihood(gaussian, torch.stack([x[0], x[1] * torch.inf]))
    with pytest.raises(UsageError, match="classes must be at most the 3 values of a sample, got 4"):
        log_likelihood(gaussian, x, divergence=Hutchinson(classes=4))
    with pytest.raises(NumericalError, match="has not ended after max_nfe = 20 evaluations"):
        log_likelihood(gaussian, x, solver=solvers["rk45"](tol=1e-8, max_nfe=20), divergence=Exact())


def test_bits_per_dim():
    """+7 for 256 levels in [-1, 1], + 3.087 for 17; the exact density of the golden problem, published with + 7."""
    assert abs(float(bits_per_dim(torch.tensor(1.2710023877, dtype=F), levels=256, dims=2)) - 6.0831655792) < 1e-9
    zero = torch.zeros(1, dtype=F)
    assert float(bits_per_dim(zero, levels=17, dims=64)) == pytest.approx(3.087, abs=5e-4)
    # The uniform law on [-1, 1]ᴰ gives each grey level the probability 1/L: log₂ L bits.
    assert float(bits_per_dim(-5 * math.log(2) * torch.ones(1, dtype=F), levels=17, dims=5)) == math.log2(17)


@pytest.mark.parametrize("levels", [17, 256])
def test_dequantise_fills_the_bins(levels):
    pixels = torch.arange(levels, dtype=torch.uint8).repeat(40)[None, None, None].expand(2, 1, 1, -1)
    x = dequantise(pixels, levels, generators([0, 1]))
    assert torch.equal(((x + 1) / 2 * levels).floor().to(torch.uint8), pixels)
    share = (x + 1) / 2 * levels - pixels
    assert scipy.stats.kstest(share.flatten().numpy(), "uniform").pvalue > 1e-4
    assert torch.equal(dequantise(pixels[1:], levels, generators([1])), x[1:]) and not torch.equal(x[0], x[1])


def images(count=24):
    """Small pictures of five grey levels, and a model of them that is not perfect."""
    g = torch.Generator().manual_seed(0)
    pixels = (2 + torch.randn(count, 1, 2, 2, generator=g)).clamp(0, 4).round().to(torch.uint8)
    model = GaussianModel(torch.zeros(1, 2, 2, dtype=F), torch.full((1, 2, 2), 0.2, dtype=F), VPSDE())
    return model, pixels


def test_nll_is_the_mean_over_images_and_draws():
    """Against the closed form at the same dequantisations, which are a function of (seed, image, draw)."""
    model, pixels = images()
    options = {"levels": 5, "draws": 3, "divergence": Exact(), "solver": solvers["rk45"](tol=1e-6)}
    found = nll(model, pixels, batch=7, **options)
    x = [dequantise(pixels, 5, [stream(0, "dequantise", i, k) for i in range(24)]) for k in range(3)]
    p = torch.stack([model.log_prob(v, at(v, 0.0)) for v in x])
    bits = bits_per_dim(p, levels=5, dims=4)
    assert found.value == pytest.approx(float(bits.mean()), abs=1e-3)
    assert found.bound == pytest.approx(float(bits_per_dim(p.exp().mean(0).log(), levels=5, dims=4).mean()), abs=1e-3)
    assert found.bound < found.value - 0.01
    assert found.standard_error == pytest.approx(float(bits.mean(0).std()) / math.sqrt(24), rel=1e-3)
    assert found.from_probes == 0 and found.images == 24 and found.draws == 3
    assert found.standard_error**2 == pytest.approx(found.from_images**2 + found.from_this_set**2)
    whole = nll(model, pixels, batch=100, **options)
    assert whole.value == pytest.approx(found.value, abs=1e-9) and whole.vjps == 4 * whole.nfe


def test_nll_of_a_model_that_is_bound_to_a_sample_for_each_image():
    """Each image under its own measurement in every draw, whatever the batch, against the closed form; or an error."""
    _, pixels = images()
    model = GaussianModel(torch.zeros(1, 2, 2, dtype=F), torch.full((1, 2, 2), 0.2, dtype=F), VPSDE(beta_max=40.0))
    y = torch.linspace(-1, 1, 24, dtype=F).reshape(24, 1, 1, 1).expand(24, 1, 2, 2)
    seen = LinearOperator(lambda x: x, lambda y: y, noise=0.3)  # so p(x | y) = N(y 0.2/0.29, 0.2 - 0.2²/0.29)
    around = conditioners["oracle"]().condition(model, seen, y)
    found = nll(around, pixels, levels=5, draws=2, divergence=Exact(), solver=solvers["rk45"](tol=1e-4), batch=7)
    x = torch.stack([dequantise(pixels, 5, [stream(0, "dequantise", i, k) for i in range(24)]) for k in range(2)])
    law = torch.distributions.Normal(y * (0.2 / 0.29), math.sqrt(0.2 - 0.04 / 0.29))
    bits = bits_per_dim(law.log_prob(x).flatten(2).sum(2), levels=5, dims=4)
    assert found.value == pytest.approx(float(bits.mean()), abs=3e-3)
    half = conditioners["oracle"]().condition(model, seen, y[:12])  # which the other images would share, 12 at a time
    with pytest.raises(UsageError, match="bound to 12 samples, got 24 images"):
        nll(half, pixels, levels=5, batch=12)
    with pytest.raises(UsageError, match="bound to 12 samples, got 24 images"):
        mean_vlb(half, Images(pixels, 5), 4, batch=12)


def test_nll_knows_its_error_from_draws_and_probes():
    """Its standard error for fixed images is the spread over seeds."""
    model, pixels = images()
    basis = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1), dtype=F))[0]
    covariance = basis * torch.tensor([0.02, 0.1, 0.2, 0.5], dtype=F) @ basis.T
    model = GaussianModel(torch.zeros(1, 2, 2, dtype=F), covariance, VPSDE())
    options = {"levels": 5, "draws": 2, "divergence": Hutchinson(probes=2), "solver": solvers["rk45"](tol=1e-2)}
    found = [nll(model, pixels, seed=seed, **options) for seed in range(30)]
    spread = torch.tensor([n.value for n in found], dtype=F).std()
    claimed = torch.tensor([n.from_this_set for n in found], dtype=F).square().mean().sqrt()
    assert abs(float(claimed / spread) - 1) < 0.35
    assert all(n.from_probes > 0 and n.from_draws > 0 and math.isnan(n.bound) for n in found)
    single = nll(model, pixels, levels=5, solver=solvers["rk45"](tol=1e-2))
    assert math.isnan(single.from_draws) and math.isnan(single.from_probes) and math.isnan(single.from_this_set)
    assert math.isnan(single.from_images)
    assert single.standard_error > 0


def test_nll_refuses(gaussian):
    model, pixels = images()
    with pytest.raises(DataError, match="images of 4 grey levels hold the value 4"):
        nll(model, pixels, levels=4)
    with pytest.raises(DataError, match=r"must be a non-empty \(N, C, H, W\) uint8 tensor"):
        nll(model, pixels.float(), levels=5)
    with pytest.raises(DataError, match=r"takes images of shape \(1, 2, 2\), got \(1, 2, 1\)"):
        nll(model, pixels[..., :1], levels=5)
    with pytest.raises(UsageError, match="draws must be at least 1, got 0"):
        nll(model, pixels, levels=5, draws=0)
    for batch in (0, -1):
        with pytest.raises(UsageError, match=f"batch must be at least 1, got {batch}"):
            nll(model, pixels, levels=5, batch=batch)
        with pytest.raises(UsageError, match=f"batch must be at least 1, got {batch}"):
            mean_vlb(model, Images(pixels, 5), 4, batch=batch)
    model.units = Units(torch.full((1, 1, 1), 0.1), torch.full((1, 1, 1), 0.2))  # of data elsewhere
    with pytest.raises(UsageError, match="have units of their own: take log_likelihood"):
        nll(model, pixels, levels=5)
    with pytest.raises(UsageError, match="have units of their own: take log_likelihood"):
        mean_vlb(model, Images(pixels, 5), 4)
    with pytest.raises(UsageError, match="1 generator for 24 images"):
        dequantise(pixels, 5, generators([0]))


def run(line, code=0):
    result = CliRunner().invoke(scoresde, line.split(), prog_name="scoresde")
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.output


def test_command():
    record = json.loads(run("likelihood digits -n 2 --tol 0.2 --probes 2 --classes 2 --seed 5 --json --quiet"))
    assert record["images"] == "digits test" and record["levels"] == 17 and record["vjps"] == 4 * record["nfe"]
    assert 1.5 < record["bits_per_dim"] < 4 and record["from_probes"] > 0 and record["from_draws"] is None
    assert (
        record["solver"]["tol"] == 0.2
        and record["solver"]["controller"] == "pi"
        and record["seed"] == 5
        and record["versions"]["torch"]
    )
    model, held = models.load("digits"), data["digits"]().load("test").drawn(2, seed=5)
    rough = solvers["rk45"](tol=0.2, controller="pi")
    mine = nll(model, held.pixels, levels=17, seed=5, solver=rough, divergence=Hutchinson(probes=2, classes=2), batch=2)
    # In batches of another size float32 rounds otherwise; the deviation of one image from another is 0.2.
    assert record["bits_per_dim"] == pytest.approx(mine.value, abs=2e-3) and record["chosen"] == "2 of 297 by the seed"
    text = run("likelihood digits -n 2 --vlb 5 --quiet")
    assert "decoder" in text and "bits per dim" in text


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("likelihood --solver em", 2, "--solver must be rk23, rk45 or dop853, got 'em'"),
        ("likelihood --tol 0", 2, "tol must be greater than 0, got 0"),
        ("likelihood --exact --probes 2", 2, "--exact leaves nothing to estimate"),
        ("likelihood --vlb 5 --draws 2", 2, "--vlb integrates no flow: leave out --draws"),
        ("likelihood --vlb 5 --tol 1e-3", 2, "--vlb integrates no flow: leave out --tol"),
        ("likelihood --variance large", 2, "--variance large is of the chain that --vlb STEPS takes"),
        ("likelihood --eps 2 -n 2", 2, "eps must lie between 0 and 1, got 2"),
        ("likelihood --data photos", 3, "takes images of shape (1, 8, 8), those of photos test have (3, 32, 32)"),
        ("likelihood --data photoz", 2, "Did you mean 'photos'?"),
        ("likelihood -n 298", 2, "digits test has 297 images, got -n 298: leave out -n for all of them"),
    ],
)
def test_the_command_refuses(line, code, message):
    assert message in " ".join(run(f"{line} --quiet", code).split())
