"""Score models against closed forms, automatic differentiation and each other."""

import math

import numpy as np
import pytest
import torch

from scoresde.core.errors import UsageError
from scoresde.core.random import generators
from scoresde.models.base import ObservedModel, ScoreModel
from scoresde.models.evaluations import Evaluations
from scoresde.models.gaussian import GaussianMixtureModel, GaussianModel
from scoresde.models.network import NetworkModel
from scoresde.sampling.sample import sample
from scoresde.sde import DDPM, VESDE, VPSDE, SubVPSDE, VPCosineSDE, expand, sdes
from scoresde.sde.labels import labels

TIMES = torch.tensor([1e-3, 0.01, 0.2, 0.5, 0.99], dtype=torch.float64)
PROCESSES = [VPSDE(), SubVPSDE(), VPCosineSDE(), VESDE()]


def points(count, size, seed=0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mixture_on(sde):
    a = points(3, 4, 5).reshape(3, 2, 2)
    covariances = 0.05 * a @ a.transpose(1, 2) + 0.01 * torch.eye(2, dtype=torch.float64)
    return GaussianMixtureModel(points(3, 2, 6), covariances, sde, weights=[0.2, 0.5, 0.3]), covariances


@pytest.mark.parametrize("sde", PROCESSES, ids=lambda sde: sde.name)
def test_mixture_density_is_that_of_torch(sde):
    """log p_t against torch.distributions, with the diffused means and covariances written out."""
    model, covariances = mixture_on(sde)
    x = points(5, 2)
    alpha, sigma = sde.alpha(TIMES), sde.sigma(TIMES)
    for i, t in enumerate(TIMES):
        law = torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)),
            torch.distributions.MultivariateNormal(
                alpha[i] * points(3, 2, 6), alpha[i] ** 2 * covariances + sigma[i] ** 2 * torch.eye(2).double()
            ),
        )
        assert torch.allclose(model.log_prob(x, t.expand(5)), law.log_prob(x), rtol=1e-10)


@pytest.mark.parametrize("sde", PROCESSES, ids=lambda sde: sde.name)
def test_mixture_score_is_the_gradient_of_its_density(sde):
    model, _ = mixture_on(sde)
    x = points(5, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(model.log_prob(x, TIMES).sum(), x)
    assert torch.allclose(model.score(x, TIMES), gradient, rtol=1e-9)


@pytest.mark.parametrize("modes", [1, 3])
@pytest.mark.parametrize("form", ["full", "one for all", "diagonal"])
def test_every_form_of_covariances_has_the_score_of_torchs_law(form, modes):
    """One law and several, each with the shortcut that its form allows, by automatic differentiation of log p_t."""
    a, means, weights = points(3 * modes, 3, 7).reshape(modes, 3, 3), points(modes, 3, 8), [0.2, 0.5, 0.3][:modes]
    full = 0.05 * a @ a.mT + 0.01 * torch.eye(3).double()
    if form == "one for all":
        full = full[:1].expand(modes, -1, -1)
    elif form == "diagonal":
        full = torch.diag_embed(full.diagonal(dim1=1, dim2=2))
    given = full.diagonal(dim1=1, dim2=2) if form == "diagonal" else full
    model, x, sde = GaussianMixtureModel(means, given, VPSDE(), weights), points(5, 3).requires_grad_(), VPSDE()
    alpha, sigma = (float(v) for v in (sde.alpha(TIMES[2:3]), sde.sigma(TIMES[2:3])))
    law = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.tensor(weights, dtype=torch.float64)),
        torch.distributions.MultivariateNormal(alpha * means, alpha**2 * full + sigma**2 * torch.eye(3).double()),
    )
    (score,) = torch.autograd.grad(law.log_prob(x).sum(), x)
    assert torch.allclose(model.score(x, TIMES[2].expand(5)), score, rtol=1e-9)


def test_the_three_views_agree(mixture):
    x = points(5, 2)
    eps = mixture.eps(x, TIMES)
    alpha, sigma = expand(mixture.sde.alpha(TIMES), x), expand(mixture.sde.sigma(TIMES), x)
    assert torch.allclose(mixture.score(x, TIMES), -eps / sigma)
    assert torch.allclose(alpha * mixture.denoise(x, TIMES) + sigma * eps, x)
    drift = expand(mixture.sde.f(TIMES), x) * x - 0.5 * expand(mixture.sde.g(TIMES) ** 2, x) * mixture.score(x, TIMES)
    assert torch.allclose(mixture.velocity(x, TIMES), drift)


def test_draws_follow_the_mixture(mixture):
    """The first coordinate's distribution function at 40,000 draws: Kolmogorov distance at alpha = 1e-6."""
    for t in (0.0, 0.3):
        x = mixture.draw(40_000, torch.Generator().manual_seed(1), t)[:, 0].sort().values
        at = torch.tensor([t], dtype=torch.float64)
        alpha, sigma = mixture.sde.alpha(at), mixture.sde.sigma(at)
        mean = alpha * torch.tensor([0.8, -0.5, -0.3]).double()
        std = (alpha**2 * torch.tensor([0.04, 0.02, 0.03]).double() + sigma**2).sqrt()
        weights = torch.tensor([0.5, 0.3, 0.2]).double()
        truth = (weights * torch.special.ndtr((x[:, None] - mean) / std)).sum(1)
        distance = (truth - torch.arange(1, len(x) + 1) / len(x)).abs().max()
        assert distance < math.sqrt(-0.5 * math.log(0.5e-6) / len(x)), f"distance {distance:.4f} at t = {t}"


def test_draws_of_each_mode_have_its_covariance():
    """Of two modes far apart: within five standard errors of an entry, √((c_ii c_jj + c_ij²)/n)."""
    c = torch.tensor([[[0.5, 0.3], [0.3, 0.4]], [[2.0, -1.0], [-1.0, 1.0]]]).double()
    model = GaussianMixtureModel(torch.tensor([[-99.0, 0.0], [99.0, 0.0]]), c, VPSDE(), [0.3, 0.7])
    x = model.draw(20_000, torch.Generator().manual_seed(2))
    for k, rows in enumerate((x[:, 0] < 0, x[:, 0] > 0)):
        var = c[k].diag()
        error = ((var[:, None] * var + c[k].square()) / rows.sum()).sqrt()
        assert bool(((torch.cov(x[rows].T) - c[k]).abs() < 5 * error).all())


@pytest.mark.parametrize("sde", PROCESSES, ids=lambda sde: sde.name)
def test_flow_carries_the_law_and_composes(sde):
    a = torch.tensor([[0.5, 0.0], [0.3, 0.4]], dtype=torch.float64)
    model = GaussianModel(torch.tensor([0.3, -0.2]).double(), a @ a.T, sde)
    x = points(4, 2)
    there = model.flow(x, 0.9, 0.1)
    assert torch.allclose(model.flow(model.flow(x, 0.9, 0.4), 0.4, 0.1), there, rtol=1e-10)
    assert torch.allclose(model.flow(there, 0.1, 0.9), x, rtol=1e-10)
    h = 1e-5  # the flow's time derivative is the velocity, at every point
    slope = (model.flow(there, 0.1, 0.1 + h) - model.flow(there, 0.1, 0.1 - h)) / (2 * h)
    assert torch.allclose(slope, model.velocity(there, torch.full((4,), 0.1).double()), rtol=1e-6)


def test_bad_mixtures_are_refused():
    eye = torch.eye(2)[None]
    with pytest.raises(UsageError, match="do not fit means"):
        GaussianMixtureModel(torch.zeros(2, 3), eye, VPSDE())
    with pytest.raises(UsageError, match="eigenvalue -1"):
        GaussianMixtureModel(torch.zeros(1, 2), -eye, VPSDE())
    with pytest.raises(UsageError, match="weights must be 1 positive"):
        GaussianMixtureModel(torch.zeros(1, 2), eye, VPSDE(), weights=[0.0])
    with pytest.raises(UsageError, match="must be symmetric"):  # torch would read one half of it
        GaussianMixtureModel(torch.zeros(1, 2), torch.tensor([[[1.0, 0.9], [0.0, 1.0]]]), VPSDE())
    for means, covariances in ((torch.full((1, 2), math.nan), eye), (torch.zeros(1, 2), math.inf * torch.ones(1, 2))):
        with pytest.raises(UsageError, match="must be finite"):
            GaussianMixtureModel(means, covariances, VPSDE())


def test_laws_are_given_as_tensors_arrays_or_lists_and_processes_by_name():
    matrix, x, t = [[1.0, 0.4], [0.4, 0.5]], points(3, 2), torch.full((3,), 0.4, dtype=torch.float64)
    mean = torch.tensor([0.1, -0.2], dtype=torch.float64)
    expected = GaussianModel(mean, torch.tensor(matrix, dtype=torch.float64), VPSDE()).score(x, t)
    for mean, covariance in (([0.1, -0.2], matrix), (np.array([0.1, -0.2]), np.array(matrix))):
        assert torch.equal(GaussianModel(mean, covariance, "vp").score(x, t), expected)
        assert torch.equal(GaussianMixtureModel([mean], [covariance], VPSDE).score(x, t), expected)
    assert GaussianModel([0.0], [[1.0]], "vp:beta_max=15").sde == VPSDE(beta_max=15)
    net = torch.nn.Identity()
    assert NetworkModel(net, "ve", (2,)).sde == sdes["ve"]()
    with pytest.raises(UsageError, match="no SDE is called 'vq'"):
        NetworkModel(net, "vq", (2,))


class Oracle(torch.nn.Module):
    """A network that gives the exact prediction of some kind for a Gaussian, seen through its label."""

    def __init__(self, model, predicts):
        super().__init__()
        self.model, self.predicts = model, predicts

    def forward(self, x, label):
        t = label.double() / 999
        eps, x0 = self.model.eps(x, t), self.model.denoise(x, t)
        alpha, sigma = expand(self.model.sde.alpha(t), x), expand(self.model.sde.sigma(t), x)
        v = alpha * eps - sigma * x0
        out = {"eps": eps, "x0": x0, "v": v, "score": -eps / sigma}[self.predicts]
        return torch.cat([out, torch.full_like(out, 7.0)], dim=1)  # and a variance, to be cut off


@pytest.mark.parametrize("sde", PROCESSES, ids=lambda sde: sde.name)
@pytest.mark.parametrize("predicts", ["eps", "x0", "v", "score"])
def test_a_network_may_predict_anything(predicts, sde):
    truth = GaussianModel(torch.full((1, 2, 2), 0.3), torch.full((1, 2, 2), 0.25), sde)
    model = NetworkModel(Oracle(truth, predicts), sde, (1, 2, 2), predicts=predicts)
    x = points(5, 4).reshape(5, 1, 2, 2)
    assert torch.allclose(model.eps(x, TIMES), truth.eps(x, TIMES), rtol=1e-6, atol=1e-9)


def test_network_and_state_may_differ_in_dtype():
    class Net(torch.nn.Conv2d):
        def forward(self, x, label):
            assert x.dtype == self.weight.dtype and label.dtype == torch.float32
            return super().forward(x)

    for weights in (torch.float32, torch.bfloat16):
        model = NetworkModel(Net(1, 1, 1).to(weights), VPSDE(), (1, 4, 4))
        assert model.eps(points(2, 16).reshape(2, 1, 4, 4), TIMES[:2]).dtype == torch.float64
    with pytest.raises(UsageError, match="no prediction is called 'noise'. There are: edm, eps, flow, score, v, x0"):
        NetworkModel(Net(1, 1, 1), VPSDE(), (1, 4, 4), predicts="noise")


def test_a_network_without_a_label_or_a_class_is_refused_in_a_sentence():
    x, classes = points(2, 16).reshape(2, 1, 4, 4), torch.tensor([0, 2])
    with pytest.raises(UsageError, match=r"called as net\(x, label\), but its forward takes \(input\)$"):
        NetworkModel(torch.nn.Sequential(torch.nn.Identity()), VPSDE(), (1, 4, 4)).eps(x, 0.5)

    class Unlabelled(torch.nn.Module):
        def forward(self, x, label):
            return x

    class Faulty(torch.nn.Module):
        def forward(self, x, label):
            return x + None

    model = NetworkModel(Unlabelled(), VPSDE(), (1, 4, 4), classes=3)
    with pytest.raises(UsageError, match=r"called as net\(x, label, classes\), but its forward takes \(x, label\)$"):
        model.evaluate(x, torch.full((2,), 0.5, dtype=torch.float64), classes)
    assert torch.equal(model.eps(x, 0.5), x)
    with pytest.raises(TypeError, match="unsupported operand"):  # which is the network's own
        NetworkModel(Faulty(), VPSDE(), (1, 4, 4)).eps(x, 0.5)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"shape": (2,)}, "Own has no sde: a model has sde = VPSDE"),
        ({"sde": VPSDE()}, "Own has no shape"),
        ({"__init__": lambda self: None}, r"Own.__init__ must begin with super\(\).__init__\(\)"),
        ({"sde": VPSDE(), "shape": (2,)}, r"evaluate must return scoresde.models.output.Output\(eps\), got a Tensor"),
    ],
)
def test_what_a_model_of_ones_own_lacks_is_said_in_a_sentence(own, message):
    model = type("Own", (ScoreModel,), {"evaluate": lambda self, x, t, classes=None: x, **own})()
    with pytest.raises(UsageError, match=message):
        sample(model, "euler:steps=2", points(3, 2))
    assert not hasattr(model, "nothing")


@pytest.mark.parametrize(
    ("text", "sde", "expected"),
    [
        ("scaled", VPSDE(), [99.9, 999]),
        ("scaled:scale=1000", VPSDE(), [100, 1000]),
        ("sigma", VESDE(sigma_min=0.01, sigma_max=50), [0.01 * 5000**0.1, 50]),
        ("sigma:scale=0.5", VESDE(sigma_min=0.02, sigma_max=100), [0.01 * 5000**0.1, 50]),
        ("log-sigma", VESDE(sigma_min=0.002, sigma_max=80), [math.log(0.002 * 40000**0.1) / 4, math.log(80) / 4]),
        ("reversed", VPSDE(), [0.9, 0]),
        ("reversed:scale=999", VESDE(), [899.1, 0]),
    ],
)
def test_a_label_is_what_its_formula_says(text, sde, expected):
    t = torch.tensor([0.1, 1.0], dtype=torch.float64)
    for label in (text, labels.parse(text)):
        model = NetworkModel(torch.nn.Identity(), sde, (1, 4, 4), label=label)
        assert model.time_input(t).numpy() == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert str(labels.parse(text)).partition(":")[0] == text.partition(":")[0]


def test_the_label_of_a_chain_meets_each_step_at_its_own_noise_level():
    """Every step of DDPM's chain is found at the time of equal log-SNR; beyond the ends it is that of the end."""
    betas = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
    alphas_cumprod = torch.cumprod(1 - betas, 0)
    model = NetworkModel(torch.nn.Identity(), DDPM(), (1, 4, 4))
    t = DDPM().time(0.5 * (alphas_cumprod / (1 - alphas_cumprod)).log())
    assert torch.allclose(model.time_input(t), torch.arange(1000).double(), atol=1e-6)
    assert model.time_input(torch.tensor([1e-5, 2.0]).double()).tolist() == [0.0, 999.0]
    rescaled = NetworkModel(torch.nn.Identity(), DDPM(), (1, 4, 4), label="step:scale=0.25")
    assert torch.allclose(rescaled.time_input(t), torch.arange(1000).double() / 4, atol=1e-6)
    own = NetworkModel(torch.nn.Identity(), VPSDE(), (1, 4, 4), label=lambda t: -t)
    assert own.time_input(t[:2]).tolist() == (-t[:2]).tolist()
    with pytest.raises(UsageError, match="no label is called 'sigmoid'. Did you mean 'sigma'"):
        NetworkModel(torch.nn.Identity(), VPSDE(), (1, 4, 4), label="sigmoid")


def test_prior_depends_on_its_seed_alone(mixture):
    alone = mixture.prior(generators([3]))
    assert torch.equal(mixture.prior(generators(range(5)))[3:4], alone) and alone.dtype == torch.float32
    with pytest.raises(UsageError, match="takes a count with a single generator"):
        mixture.prior(torch.Generator())
    assert VESDE().prior_std == 50 and GaussianModel(torch.zeros(2), torch.ones(2), VESDE()).prior(
        torch.Generator().manual_seed(0), 10_000
    ).std() == pytest.approx(50, rel=0.05)


def test_observers_see_every_evaluation(mixture):
    outer, inner = Evaluations(), Evaluations()
    model = ObservedModel(ObservedModel(mixture, inner), outer)
    for view in (model.eps, model.score, model.denoise, model.velocity):
        view(points(5, 2), TIMES)
    assert (outer.calls, outer.rows, inner.calls) == (4, 20, 4)
