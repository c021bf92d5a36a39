"""The bundled model with classes: it comes whole and small, and draws what was asked for."""

import json

import pytest
import torch
from torch import Tensor

import scoresde
from scoresde import models
from scoresde.models.classes import meant, names_of

SEEDS = 8


@pytest.fixture(scope="module")
def clothes():
    """Eight pictures of each class, guided, brightness from 0 to 1, (class, B, H, W)."""
    classes = [label for label in range(10) for _ in range(SEEDS)]
    x = scoresde.sample("fashion", "unipc:steps=8", n=len(classes), classes=classes, guidance=2.0, progress=False).x
    return ((x + 1) / 2).clamp(0, 1).reshape(10, SEEDS, 28, 28)


def test_it_is_small_and_its_classes_are_called_as_those_of_its_data():
    folder = models.locate("fashion")
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 3_000_000
    model = scoresde.load("fashion", device="cpu")
    torchvision = pytest.importorskip("torchvision.datasets")
    assert list(names_of(model)) == torchvision.FashionMNIST.classes
    assert (model.shape, model.classes, model.null_class) == ((1, 28, 28), 10, True)
    config = json.loads((folder / "config.json").read_text())
    assert config["recipe"]["data"] == {"name": "fashion-mnist", "root": "data", "download": True, "reduce": 1}
    seen = json.loads((folder / "covariance.json").read_text())
    assert (seen["data"], seen["images"], seen["shape"]) == ("fashion-mnist train", 60_000, [1, 28, 28])


def test_people_find_its_classes():
    names = names_of(scoresde.load("fashion", device="cpu"))
    words = {"sneaker": 7, "trousers": 1, "jeans": 1, "jumper": 2, "jacket": 4, "boots": 9, "handbag": 8, "tee": 0}
    assert {word: meant(word, names) for word in words} == {word: [label] for word, label in words.items()}


def spread(pictures: Tensor, along: int) -> Tensor:
    """Standard deviation of the lit area along the height (1) or the width (2), in pixels, of each picture."""
    light = pictures.sum(3 - along)
    place = torch.arange(28.0)
    mean = (light * place).sum(1) / light.sum(1)
    return ((light * (place - mean[:, None]).square()).sum(1) / light.sum(1)).sqrt()


def test_it_draws_what_was_asked_for(clothes):
    """Trousers and dresses are tall, shoes are wide, and bags, pullovers and coats fill the picture."""
    tall, wide = (clothes[[1, 3]].flatten(0, 1), clothes[[5, 7]].flatten(0, 1))
    shares = [(spread(each, 1) > spread(each, 2)).float().mean() for each in (tall, wide)]
    assert shares[0] >= 0.9 and shares[1] <= 0.1
    light = clothes.mean((1, 2, 3))
    assert light[[2, 4]].min() > light[[5, 7]].max()


def test_it_is_not_chosen_for_photographs():
    from scoresde.commands.photos import colourise, inpaint

    for command in (colourise, inpaint):
        (chosen,) = (option.default for option in command.params if option.name == "model")
        assert models.load(chosen).shape[0] == 3
    assert scoresde.load().shape == (1, 8, 8)


def test_it_can_be_exported_and_comes_back_with_the_same_weights(tmp_path, run):
    pytest.importorskip("diffusers")
    assert "DDIMPipeline" in run(f"export fashion --out {tmp_path / 'out'}")
    run(
        f"import {tmp_path / 'out'} --out {tmp_path / 'again'} --force"
    )  # its check has photographs only, and no clothes
    one, two = (scoresde.load(name, device="cpu") for name in ("fashion", tmp_path / "again"))
    x, t = one.prior(range(3)), torch.full((3,), 0.4, dtype=torch.float64)
    classes = torch.tensor([0, 7, 9])
    with torch.no_grad():
        a, b = (model.evaluate(x, t, classes).eps for model in (one, two))
    torch.testing.assert_close(a, b, rtol=2e-4, atol=2e-4)
    before, after = (sorted(p.double().norm().item() for p in model.net.parameters()) for model in (one, two))
    assert before == after
