"""Training a classifier of noisy data: against the exact law of two classes, and what it refuses."""

import pytest
import torch

import scoresde
from scoresde.core.errors import DataError, UsageError
from scoresde.core.random import generators, randn
from scoresde.data import Images, Tensors
from scoresde.models.classifier import ClassifierGuidedModel
from scoresde.models.gaussian import GaussianMixtureModel, GaussianModel
from scoresde.sde import VESDE, VPSDE, noised
from scoresde.training.classifier import SHARES, ClassifierTraining, accuracies, fit

RAMP = torch.linspace(-0.5, 0.5, 4)
MEANS = torch.stack([RAMP.expand(4, 4), RAMP[:, None].expand(4, 4)])[:, None].double()
SPREAD = 0.5
LABELS = torch.arange(4000) % 2


def mixture(sde):
    """Two normal laws of equal spread, which differ in the direction of a slope."""
    return GaussianMixtureModel(MEANS, torch.full((2, 1, 4, 4), SPREAD**2).double(), sde)


def points(first=0):
    noise = randn((len(LABELS), 1, 4, 4), torch.Generator().manual_seed(first))
    return Tensors(MEANS[LABELS].float() + SPREAD * noise, LABELS)


def exact(sde, x, t):
    """log p(1 | x_t)/p(0 | x_t), (B,), and its gradient, (B, 1, 4, 4): linear, as in linear discriminant analysis."""
    alpha, sigma = (v.reshape(-1, 1, 1, 1) for v in (sde.alpha(t), sde.sigma(t)))
    slope = alpha * (MEANS[1] - MEANS[0]) / (alpha**2 * SPREAD**2 + sigma**2)
    return (slope * (x - alpha * MEANS.mean(0))).flatten(1).sum(1), slope


@pytest.mark.slow
@pytest.mark.parametrize("sde", [VPSDE(), VESDE(sigma_max=20.0)], ids=str)
def test_it_learns_the_exact_classifier(sde):
    """Its accuracy is Bayes', and the gradient of log p(c | x_t) points where the exact one does, at all levels."""
    model, held = mixture(sde), points(1)
    made = fit(model, points(), ClassifierTraining(images=20_000, learning_rate=2e-3))
    for row in accuracies(made, model, held):
        t = torch.full((len(held),), row["time"], dtype=torch.float64)
        x = noised(sde, held.values.double(), t, randn(held.values.shape, generators(range(len(held)))).double())
        odds, slope = exact(sde, x, t)
        bayes = float(((odds > 0) == (LABELS == 1)).float().mean())
        assert abs(row["accuracy"] - bayes) < 0.05  # 6 standard errors of a share of 4,000
        if bayes > 0.6:  # else there is next to no gradient
            p, own = torch.sigmoid(odds).reshape(-1, 1, 1, 1), LABELS.reshape(-1, 1, 1, 1)
            truth = (own - p) * slope
            found = ClassifierGuidedModel(model, made, 1.0, LABELS).gradient(x, t)
            cosine = float((found * truth).sum() / found.norm() / truth.norm())
            assert cosine > 0.6  # that of chance is 0, and a wrong class has -0.6
    labels = LABELS[:600]
    drawn = scoresde.sample(ClassifierGuidedModel(model, made, 1.0, labels), "dpm++:steps=30", n=600).x.double()
    odds, _ = exact(sde, drawn, torch.zeros(600).double())
    assert float(((odds > 0) == (labels == 1)).float().mean()) > 0.75  # by chance 0.5, from the exact law 0.98


def test_a_seed_makes_the_same_classifier():
    tries = (ClassifierTraining(images=200, seed=seed) for seed in (0, 0, 1))
    one, same, other = (fit(mixture(VPSDE()), points(), options) for options in tries)
    weights = [[p.clone() for p in each.parameters()] for each in (one, same, other)]
    assert all(torch.equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights[0], weights[2], strict=True))
    assert one.classes == 2 and not one.training and not any(p.requires_grad for p in one.parameters())


def test_before_it_has_learned_it_guesses():
    """With a rate of next to nothing the cross-entropy is ln 2, and each level of noise has its row."""
    made = fit(mixture(VPSDE()), points(), ClassifierTraining(images=100, learning_rate=1e-9))
    rows = accuracies(made, mixture(VPSDE()), points(1))
    assert [row["time"] for row in rows] == [max(1e-3, share) for share in SHARES]
    assert all(abs(row["accuracy"] - 0.5) < 0.2 and row["cross_entropy"] < 3 for row in rows)


@pytest.mark.parametrize(
    ("shape", "levels"), [((1, 8, 8), 2), ((3, 32, 32), 4), ((1, 28, 28), 3), ((3, 256, 256), 7), ((1, 5, 4), 1)]
)
def test_maps_are_halved_as_often_as_they_can_be(shape, levels):
    options = ClassifierTraining().network(10, shape)
    assert options.multipliers == tuple(float(min(1 + k, 4)) for k in range(levels))
    options.build(shape)


def test_what_it_refuses():
    model = mixture(VPSDE())
    pixels = torch.zeros((200, 1, 4, 4), dtype=torch.uint8)
    for data, message in [
        (Images(pixels), "two classes or more"),
        (Images(pixels, labels=torch.zeros(200, dtype=torch.int64)), "two classes or more"),
        (Images(pixels[..., :3], labels=torch.arange(200) % 2), r"pictures of shape \(1, 4, 3\): name others"),
    ]:
        with pytest.raises(DataError, match=message):
            fit(model, data, ClassifierTraining(images=100))
    vectors = GaussianModel(torch.zeros(2), torch.eye(2), VPSDE())
    with pytest.raises(UsageError, match=r"takes samples \(C, H, W\), got \(2,\)"):
        fit(vectors, Tensors(torch.randn(200, 2), torch.arange(200) % 2), ClassifierTraining(images=100))
    with pytest.raises(UsageError, match="multiple of 32, got 40"):
        ClassifierTraining(channels=40)


def test_numbers_are_seen_in_the_units_of_the_model():
    """Another set of the same numbers is scaled as the model's data were, and not by its own mean and deviation."""
    data = Tensors(10 + 3 * points().values, LABELS)
    model = mixture(VPSDE())
    model.units = data.units
    shifted = Tensors(data.values + 5, LABELS)
    seen = []

    class Watching(Tensors):
        def scaled(self, index=slice(None)):
            seen.append(super().scaled(index))
            return seen[-1]

    made = fit(model, Watching(shifted.values, LABELS), ClassifierTraining(images=100))
    assert abs(float(seen[0].mean()) - 5 / float(data.units.spread.mean())) < 0.1 and made.units is data.units
