"""Pictures unlike the training data are noticed, and others are not."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dctn
from sklearn.datasets import load_sample_images
from tiny import tiny_model

from scoresde.core.random import randn, stream
from scoresde.data import data
from scoresde.images import pictures
from scoresde.models import locate
from scoresde.observations import Luma, covariance
from scoresde.posterior import photograph, store, typicality
from scoresde.posterior.tasks import hole

CIFAR10 = locate("cifar10")


def smooth(count, seed, channels=3, size=8):
    wide = randn((count, channels, size + 2, size + 2), stream(seed, "images"))
    return torch.nn.functional.avg_pool2d(wide, 3, 1)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "smooth"
    tiny_model(folder, 3)
    x = smooth(2000, 0)
    found = [covariance.estimate(x, kind) for kind in store.USUAL]
    store.save(folder, found, {"data": "smooth noise", "images": len(x), **typicality.usual(found, x)})
    return folder


def test_energies_are_whitened_by_the_variances_of_the_luma():
    """SciPy's cosines of many images are the truth: each frequency of the luma, over its variance, has a mean of 1."""
    x = smooth(4000, 1)
    luma = Luma().forward(x).double()
    c = dctn(luma[:, 0].numpy(), axes=(1, 2), norm="ortho") ** 2
    octaves = np.ceil(np.log2(1 + np.maximum(*np.mgrid[:8, :8])))
    whitened = c / c.mean(0)
    expected = np.stack([np.log(whitened[:, octaves == k].mean(1)) for k in range(4)], 1)
    found = typicality.energies(covariance.estimate(x, "dct"), luma).numpy()
    assert found.shape == (4000, 4) and np.abs(np.exp(found) - np.exp(expected)).mean() < 0.05


def test_one_picture_in_a_hundred_is_a_false_alarm(home):
    """Of 2,000 held-out pictures 20 are expected, with a standard deviation of 4.4, and of the limit as much again."""
    alarms = int((typicality.distance(home, typicality.luma(smooth(2000, 2))) > 1).sum())
    assert 4 <= alarms <= 40
    assert float((typicality.distance(home, typicality.luma(smooth(100, 3, size=12))) > 1).double().mean()) < 0.3


def test_noise_and_flat_pictures_are_noticed_and_photographs_are_not():
    """By the bundled model, with and without a hole; photographs are scikit-learn's, reduced."""
    known = torch.ones(32, 32, dtype=torch.bool)
    known[8:24, 8:24] = False
    noise = randn((50, 1, 32, 32), stream(0, "noise")).tanh()
    flat = torch.linspace(-1, 1, 9)[:, None, None, None].expand(-1, 1, 32, 32)
    for mask in (None, known):
        assert bool((typicality.distance(CIFAR10, noise, mask) > 1).all())
        assert bool((typicality.distance(CIFAR10, flat, mask) > 1).all())
    for array in load_sample_images().images:
        case = photograph.coloured(Image.fromarray(array), (3, 32, 32))
        assert case.shape == (3, 32, 48) and float(typicality.distance(CIFAR10, case.y)) < 1


def test_digits_as_colours_are_noticed():
    digits = torch.nn.functional.interpolate(data["digits"]().load("test").scaled(), size=32, mode="bicubic")
    assert float((typicality.distance(CIFAR10, digits) > 1).double().mean()) > 0.9


def test_a_picture_is_judged_by_what_is_known_of_it(home):
    """What is in the hole does not matter, and of a picture that is mostly hole nothing is said."""
    picture, known = smooth(1, 4), torch.ones(8, 8, dtype=torch.bool)
    known[2:6, 2:6] = False
    other = torch.where(known, picture, 10.0)
    found = [typicality.distance(home, typicality.luma(x), known) for x in (picture, other)]
    assert torch.equal(*found)
    assert typicality.distance(home, typicality.luma(picture), ~known) is None
    assert typicality.warning(hole(picture, known, ""), home, (3, 8, 8)) == ""
    said = typicality.warning(hole(torch.zeros(1, 3, 8, 8), known, ""), home, (3, 8, 8))
    assert "unlike those that the model was trained on (smooth noise)" in said


def test_the_sentence_comes_before_the_samples_and_is_in_the_record(run, tmp_path, home):
    Image.new("L", (8, 8), 128).save(tmp_path / "flat.png")
    Image.new("L", (32, 20), 128).save(tmp_path / "large.png")
    said = " ".join(run(f"colourise flat.png large.png --model {home} --steps 2 -n 1 --quiet --out out").split())
    assert said.count("unlike those that the model was trained on (smooth noise)") == 2
    rows = json.loads((tmp_path / "out" / "colourise.json").read_text())["pictures"]
    assert all(row["unlike"].startswith("this picture is unlike") for row in rows)
    assert pictures.load_picture(tmp_path / "out" / "large-000000.png").size == (32, 20)


def test_models_without_the_numbers_say_nothing(tmp_path):
    tiny_model(tmp_path / "bare", 3)
    assert typicality.distance(tmp_path / "bare", torch.zeros(1, 1, 8, 8)) is None
    store.save(tmp_path / "bare", [covariance.estimate(smooth(50, 5), "channel")], {"data": "x", "images": 50})
    assert typicality.distance(tmp_path / "bare", torch.zeros(1, 1, 8, 8)) is None
    assert typicality.usual([covariance.estimate(smooth(200, 5), "channel")], smooth(200, 5)) == {}
