"""Classifier guidance: against a mixture whose classes are its modes, with the exact classifier of noisy points."""

import math

import pytest
import torch
from torch import nn

import scoresde
from scoresde.core.errors import UsageError
from scoresde.core.random import generators
from scoresde.models.classifier import ClassifierGuidedModel
from scoresde.models.evaluations import Evaluations
from scoresde.models.gaussian import GaussianMixtureModel, GaussianModel
from scoresde.observations import Pixels
from scoresde.sampling.sample import sample
from scoresde.sde import DDPM, VESDE, VPSDE
from scoresde.solvers import solvers

MEANS = torch.tensor([[-0.9, 0.4], [0.7, 0.6], [0.1, -0.8]], dtype=torch.float64)
SPREAD = torch.tensor([[0.09, 0.04], [0.01, 0.09], [0.02, 0.03]], dtype=torch.float64)
WEIGHTS = [0.2, 0.3, 0.5]
LABELS = torch.tensor([0, 1, 2, 1])


class Exact(nn.Module):
    """log w_k N(x_t; α m_k, α² v_k + σ²) written out, for a process whose label is t itself."""

    def __init__(self, sde, shape=(2,)):
        super().__init__()
        self.sde, self.means, self.spread = sde, MEANS.reshape(3, *shape), SPREAD.reshape(3, *shape)

    def forward(self, x, label):
        alpha, sigma = (v.reshape(-1, *[1] * x.ndim) for v in (self.sde.alpha(label), self.sde.sigma(label)))
        variance = alpha**2 * self.spread + sigma**2
        square = (x[:, None] - alpha * self.means) ** 2 / variance + variance.log()
        return torch.tensor(WEIGHTS, dtype=x.dtype).log() - 0.5 * square.flatten(2).sum(2) + 7.0


def whole(sde, shape=(2,)):
    return GaussianMixtureModel(MEANS.reshape(3, *shape), SPREAD.reshape(3, *shape), sde, WEIGHTS)


def guided(scale=1.0, classes=LABELS, sde=None, shape=(2,)):
    sde = sde or VPSDE()
    return ClassifierGuidedModel(whole(sde, shape), Exact(sde, shape), scale, classes, label=lambda t: t)


def parts(sde):
    return [GaussianModel(mean, spread, sde) for mean, spread in zip(MEANS, SPREAD, strict=True)]


def noise(count, sde=None):
    return whole(sde or VPSDE()).prior(generators(range(count)), dtype=torch.float64)


@pytest.mark.parametrize("sde", [VPSDE(), VESDE(), DDPM(steps=50)], ids=str)
@pytest.mark.parametrize("share", [1e-3, 0.05, 0.3, 0.7, 1.0])
def test_the_exact_classifier_at_scale_1_gives_the_conditional_law(sde, share):
    x, t = noise(4, sde), torch.full((4,), share * sde.t_max, dtype=torch.float64)
    expected = torch.stack([part.eps(x, t) for part in parts(sde)])[LABELS, torch.arange(4)]
    torch.testing.assert_close(guided(sde=sde).eps(x, t), expected, rtol=1e-9, atol=1e-9)


def test_a_scale_sharpens_the_class():
    """The gradient of log p(x) + w log p(c | x), differentiated numerically from the densities."""
    sde, scale, t = VPSDE(), 2.5, torch.full((4,), 0.4, dtype=torch.float64)
    x, h = 0.5 * noise(4), 1e-5

    def log_density(x):
        free = whole(sde).log_prob(x, t)
        own = torch.stack([part.log_prob(x, t) for part in parts(sde)])[LABELS, torch.arange(4)]
        return free + scale * (own - free)

    steps = h * torch.eye(2, dtype=torch.float64)
    slope = torch.stack([(log_density(x + e) - log_density(x - e)) / (2 * h) for e in steps], 1)
    torch.testing.assert_close(guided(scale).score(x, t), slope, rtol=1e-7, atol=1e-7)


def test_samples_follow_the_class_and_the_evaluations_are_those_of_the_model():
    labels = torch.arange(300) % 3
    model = guided(classes=labels)
    found = sample(model, solvers["dpm++"](steps=30), noise(300))
    z = (found.x - MEANS[labels]) / SPREAD[labels].sqrt()
    # 600 values, mean and variance of N(0, 1) to 4.9 standard errors: a wrong class is off by several.
    assert abs(z.mean()) < 4.9 / math.sqrt(600) and abs(z.var() - 1) < 4.9 * math.sqrt(2 / 600)
    assert found.nfe == found.work == 31 and found.vjps == 0
    free = sample(guided(0.0, labels), solvers["dpm++"](steps=30), noise(300)).x
    assert torch.equal(free, sample(whole(VPSDE()), solvers["dpm++"](steps=30), noise(300)).x)


def test_the_likelihood_is_that_of_the_class():
    """The divergence differentiates the guided prediction, so that the classifier is differentiated twice."""
    sde, options = VPSDE(), {"exact": True, "solver": "rk45:tol=1e-8"}
    x = MEANS[LABELS] + 0.1
    found = scoresde.log_likelihood(guided(), x, **options).log_prob
    for row, label in enumerate(LABELS):
        alone = scoresde.log_likelihood(parts(sde)[label], x[row : row + 1], **options).log_prob
        torch.testing.assert_close(found[row : row + 1], alone, rtol=0, atol=1e-5)


def test_what_is_known_around_it_and_the_class_inside_it():
    mask = torch.ones(1, 1, 1, 2)
    mask[..., 1] = 0
    labels = torch.ones(300, dtype=torch.int64)
    y = torch.full((300, 1, 1, 2), 0.6, dtype=torch.float64)
    model = guided(classes=labels, shape=(1, 1, 2))
    x = scoresde.sample(scoresde.condition(model, Pixels(mask), y, "replace"), "dpm++:steps=30", n=300).x.flatten(1)
    z = (x[:, 1] - MEANS[1, 1]) / SPREAD[1, 1].sqrt()
    assert torch.allclose(x[:, 0], torch.tensor(0.6))
    assert abs(z.mean()) < 4.9 / math.sqrt(300) and abs(z.var() - 1) < 4.9 * math.sqrt(2 / 300)


@pytest.mark.parametrize(
    ("sde", "label", "expected"),
    [(VPSDE(), None, 0.4 * 999), (DDPM(steps=50), None, None), (VPSDE(), "scaled:scale=2", 0.8)],
)
def test_the_classifier_is_given_the_label_of_the_process(sde, label, expected):
    seen = []

    class Watching(nn.Linear):
        def forward(self, x, label):
            seen.append(label)
            return super().forward(x)

    t, classifier = torch.full((4,), 0.4, dtype=torch.float64), Watching(2, 3)
    found = ClassifierGuidedModel(whole(sde), classifier, 1.0, LABELS, label=label).eps(noise(4), t)
    share = classifier(noise(4).float(), t).softmax(1).detach()
    slope = classifier.weight[LABELS] - share @ classifier.weight  # of the log of a softmax of linear functions
    shift = (whole(sde).eps(noise(4), t) - found) / sde.sigma(t)[:, None]
    torch.testing.assert_close(shift.float(), slope.detach(), rtol=1e-4, atol=1e-5)
    assert found.dtype == torch.float64 and not found.requires_grad and seen[0].dtype == torch.float32
    torch.testing.assert_close(seen[0].double(), sde.step(t) if expected is None else torch.full_like(t, expected))


def test_observers_see_the_model_and_another_model_keeps_the_classifier():
    count, model = Evaluations(), guided(2.0)
    t = torch.full((4,), 0.4, dtype=torch.float64)
    assert torch.equal(model.observed(count).eps(noise(4), t), model.eps(noise(4), t)) and count.calls == 1
    other = model.around(whole(VPSDE(beta_max=10)))
    assert other.classifier is model.classifier and other.bound == 4 and other.sde == VPSDE(beta_max=10)


class Fixed(nn.Module):
    def __init__(self, result):
        super().__init__()
        self.result = result

    def forward(self, x, label):
        return self.result(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: guided(classes=[]), "whole numbers from 0"),
        (lambda: guided(classes=[-1]), "whole numbers from 0"),
        (lambda: guided(-1.0), "at least 0, got -1.0"),
        (lambda: guided(math.nan), "at least 0, got nan"),
        (lambda: guided(classes=[0, 3]).eps(noise(2), torch.ones(2).double()), "from 0 to 2, one per sample, got 3"),
        (lambda: guided().eps(noise(3), torch.ones(3).double()), "classes of 4 samples, got 3"),
        (
            lambda: ClassifierGuidedModel(whole(VPSDE()), Fixed(lambda x: x[:1]), 1.0, LABELS).eps(
                noise(4), torch.ones(4).double()
            ),
            r"logits of shape \(4, K\), got \(1, 2\)",
        ),
        (
            lambda: ClassifierGuidedModel(whole(VPSDE()), Fixed(lambda x: None), 1.0, LABELS).eps(
                noise(4), torch.ones(4).double()
            ),
            "got NoneType",
        ),
    ],
)
def test_what_is_not_allowed_is_said(call, message):
    with pytest.raises(UsageError, match=message):
        call()
