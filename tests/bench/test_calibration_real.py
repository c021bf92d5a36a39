"""The figures of `benchmarks/calibration.py`, on samples that are exact by construction."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from scoresde.data.base import Images
from scoresde.models.gaussian import GaussianMixtureModel
from scoresde.observations.covariance import estimate
from scoresde.sde import sdes

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SPREAD = 0.5  # of the logarithms of the images' strengths


@pytest.fixture
def calibration(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import calibration

    yield calibration
    del sys.modules["calibration"]


def pictures(count, strength, rng):
    """Pictures of colour noise, each of a strength of its own, which nobody can know: exact draws of one another."""
    own = np.exp(SPREAD * rng.standard_normal((count, 1, 1, 1)))
    return torch.from_numpy(strength * 0.1 * own * rng.standard_normal((count, 3, 8, 8)))


def drawn(strength=1.0, count=1000, samples=4):
    rng = np.random.default_rng(0)
    return torch.stack([pictures(count, strength, rng) for _ in range(samples)], 1), pictures(count, 1.0, rng)


def figures(calibration, x, truth):
    return {name: float(figure(calibration.sums(x, truth))) for name, figure in calibration.FIGURES.items()}


def test_exact_samples_have_pooled_ratios_of_1_and_means_of_ratios_that_are_not(calibration):
    x, truth = drawn()
    found = figures(calibration, x, truth)
    assert found["chroma, pooled"] == pytest.approx(1, abs=0.06)
    assert found["spread/error, pooled"] == pytest.approx(1, abs=0.06)
    # E[sqrt of the mean square of 4 strengths] E[1 / strength], with strengths exp(N(0, 1/4))
    inverse = quad(lambda z: math.exp(-SPREAD * z) * norm.pdf(z), -12, 12)[0]
    four = np.exp(SPREAD * np.random.default_rng(1).standard_normal((400_000, 4)))
    expected = np.sqrt(np.square(four).mean(1)).mean() * inverse
    assert found["chroma, mean of ratios"] == pytest.approx(expected, rel=0.03) and expected > 1.3
    assert abs(found["strengths"]) < 0.06 and abs(found["warmth"]) < 0.003


def test_a_wrong_strength_is_seen_by_the_pooled_ratios_alone(calibration):
    found = figures(calibration, *drawn(1.28))
    assert found["chroma, pooled"] == pytest.approx(1.28, rel=0.06)
    right = figures(calibration, *drawn())
    assert found["energy score"] > right["energy score"] and found["error of a sample"] > right["error of a sample"]


def test_a_row_says_what_exact_samples_would_have(calibration):
    cells = dict(
        zip([*calibration.FIGURES, "p"], calibration.row(*(v.float() for v in drawn(count=200)), "colour"), strict=True)
    )
    value, exact = cells["chroma, mean of ratios"].split(" (exact: ")
    low, half = (float(part) for part in value.split(" ± "))
    assert abs(float(exact.rstrip(")")) - low) < 2 * half and float(cells["p"]) > 0.01
    wide = calibration.row(*(v.float() for v in drawn(2.0, count=200)), "colour")
    assert float(wide[-1]) < 0.01  # the ranks are not even


def test_the_chosen_images_have_all_classes_and_the_strength_of_all(calibration):
    rng = np.random.default_rng(0)
    pixels = (pictures(2000, 1.0, rng).clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    test = Images(pixels, labels=torch.arange(2000) % 10)
    picked = calibration.chosen(test, 60)
    strength = [calibration.chroma(v).square().mean().sqrt() for v in (picked, test.scaled())]
    assert strength[0] == pytest.approx(float(strength[1]), rel=0.05)
    every = {image.numpy().tobytes(): int(label) for image, label in zip(test.scaled(), test.labels, strict=True)}
    assert sorted(every[image.numpy().tobytes()] for image in picked) == sorted(list(range(10)) * 6)


@pytest.mark.parametrize(("wrong", "expected"), [(1.0, 1.0), (0.5, 0.5)])
def test_a_networks_own_spread_is_its_error_where_it_is_right(calibration, monkeypatch, wrong, expected):
    """The exact model of normal data; and one of half the deviation, at σ/α = 12."""
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.standard_normal((600, 3, 4, 4))).float()
    model = GaussianMixtureModel(torch.zeros(1, 3, 4, 4), wrong**2 * torch.eye(48)[None], sdes["vp"]())
    monkeypatch.setattr(calibration.models, "load", lambda name: model)
    monkeypatch.setattr(calibration.store, "load", lambda name, kind: estimate(truth, kind))
    rows = [line.split(" | ") for line in list(calibration.own_spread("normal", truth))[2:]]
    assert len(rows) == len(calibration.LEVELS)
    assert float(rows[0][1].split(" ± ")[0]) == pytest.approx(expected, rel=0.09)  # three deviations
