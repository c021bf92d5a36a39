"""What `benchmarks/conditioning_features.py` makes of features and images, where the answer is known."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from scoresde.data.base import Images
from scoresde.metrics.frechet import Frechet
from scoresde.metrics.moments import Statistics
from scoresde.metrics.normal import factored

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def judge(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import conditioning_features

    yield conditioning_features
    for name in ("conditioning_features", "calibration", "conditional_real", "short"):
        del sys.modules[name]


class Plain(Frechet):
    """The Frechet distance of the normal laws of numbers that are features already."""

    def ready(self, shape):
        return 3

    def source(self):
        return "numbers"

    def features(self, images):
        return images


class Means(Plain):
    """That of normal laws of the same covariance."""

    def values(self, x, reference):
        return [float((x.mean(0) - reference.mu).square().sum())]


def test_each_ten_images_have_all_classes(judge):
    labels = torch.arange(10).repeat_interleave(40)  # sorted, as some files are
    images = Images(torch.zeros(400, 3, 4, 4, dtype=torch.uint8), labels=labels)
    order = judge.balanced(images)
    assert sorted(order.tolist()) == list(range(400)) and order.tolist() != sorted(order.tolist())
    assert all(sorted(ten.tolist()) == list(range(10)) for ten in labels[order].split(10))


def test_samples_that_are_moved_are_farther_by_the_square_of_the_way(judge):
    """FD of normal laws of one covariance is |m - m'|²; that of the true features, and its bias, falls out."""
    rng = np.random.default_rng(0)
    reference, truth = (torch.from_numpy(rng.standard_normal((n, 3))) for n in (4000, 200))
    metric, way = Plain(), torch.tensor([0.3, 0.0, -0.4], dtype=torch.float64)
    prepared = metric.prepare(reference, 0)
    value, half = judge.above(metric, prepared, [truth + way], [truth])
    between = truth.mean(0) - reference.mean(0)
    assert value == pytest.approx(float((between + way).square().sum() - between.square().sum()), abs=1e-9)
    assert 0 < half < 0.25  # 2.3 deviations of 2 way . mean, 2 * 0.5 / sqrt(200)
    assert judge.above(metric, prepared, [truth, truth], [truth]) == (0, 0)


def test_intervals_hold_the_value_of_many_images_as_often_as_they_say(judge):
    """N(way, 1) is |way|² from N(0, 1). Where the way is 0 the jackknife is too wide, and holds it nearly always."""
    rng = np.random.default_rng(0)
    metric, way, inside = Means(), torch.tensor([0.8, 0.0, -0.6]), 0
    prepared = factored(Statistics(torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)))
    for _ in range(200):
        truth, x = torch.from_numpy(rng.standard_normal((2, 50, 3)))
        value, half = judge.above(metric, prepared, [x + way], [truth])
        inside += abs(value - 1) < half
    assert inside / 200 == pytest.approx(0.95, abs=0.05)  # three deviations of 200 throws


def test_exact_samples_have_a_spread_as_large_as_their_error_in_features(judge):
    rng = np.random.default_rng(0)
    known = rng.integers(0, 256, (200, 3, 4, 4))  # each image has its own mean, and noise around it
    sets = [
        torch.from_numpy(np.clip(known + 25 * rng.standard_normal(known.shape), 0, 255).astype("uint8"))
        for _ in range(3)
    ]
    features = lambda pixels: pixels.flatten(1).double() ** 2  # any will do
    far = {"fd": lambda seen, others: (float(len(others)), 0.0)}
    row = judge.judged(sets[:2], sets[2].float() / 127.5 - 1, sets[:1], features, far)
    for where in ("pixels", "features"):
        value, half = row[f"spread/error, {where}"]
        assert value == pytest.approx(1, abs=0.05) and half < 0.1
    assert row["n"] == 200 and row["k"] == 2 and row["chroma, pixels"][0] == pytest.approx(1, abs=0.02)
    narrow = [sets[0], sets[0]]
    assert judge.judged(narrow, sets[2].float() / 127.5 - 1, sets[:1], features, far)["spread/error, features"][0] == 0
