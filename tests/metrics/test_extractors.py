"""Domain extractors: training with and without labels, what their features see, and their folders."""

import json
import shutil

import pytest
import torch
from click.testing import CliRunner

from scoresde import models
from scoresde.cli import scoresde
from scoresde.core.errors import CheckpointError, NumericalError, UsageError
from scoresde.core.random import permutation, stream
from scoresde.data import Images, data
from scoresde.images import sheets
from scoresde.metrics import extractors, metrics
from scoresde.metrics.extractors import FitOptions

QUICK = FitOptions(images=10_000, width=8)


@pytest.fixture(scope="module")
def digits():
    return [data["digits"]().load(split) for split in ("train", "test")]


@pytest.fixture(scope="module")
def classifier(digits):
    return extractors.fit(*digits, QUICK)


def test_labels_make_a_classifier(digits, classifier):
    """Its score is that of held-out digits, and the nearest mean of its features, a rule without its head, agrees."""
    train, test = digits
    assert classifier.kind == "classifier" and 0.9 < classifier.score <= 1
    x, y = classifier.extractor(train.scaled()), classifier.extractor(test.scaled())
    means = torch.stack([x[train.labels == digit].mean(0) for digit in range(10)])
    assert float((torch.cdist(y, means).argmin(1) == test.labels).float().mean()) > 0.9
    assert torch.allclose(x.mean(0), torch.zeros(32), atol=1e-4)
    assert torch.allclose(x.std(0), torch.ones(32), atol=1e-4)


def test_without_labels_it_is_an_autoencoder(digits):
    """Which restores more of held-out digits than the best two linear features, and less than everything."""
    train, test = (Images(part.pixels, part.levels) for part in digits)
    made = extractors.fit(train, test, QUICK)
    x, y = train.scaled().flatten(1), test.scaled().flatten(1)
    *_, directions = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    centred = y - x.mean(0)
    rest = centred - centred @ directions[:2].T @ directions[:2]
    linear = float(1 - rest.square().sum() / (y - y.mean(0)).square().sum())
    assert made.kind == "autoencoder" and linear + 0.2 < made.score < 1


def test_a_seed_makes_the_same_extractor(digits, classifier):
    again, other = (extractors.fit(*digits, QUICK.model_copy(update={"seed": seed})) for seed in (0, 1))
    weights = [made.extractor.layers[0].weight for made in (classifier, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(("shape", "labelled"), [((3, 16, 20), True), ((3, 9, 4), False), ((1, 3, 3), False)])
def test_any_shape_of_image(shape, labelled):
    pixels = torch.randint(256, (12, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    some = Images(pixels, labels=torch.arange(12) % 3 if labelled else None)
    seen = []
    options = FitOptions(images=40, batch=24, width=4, dimension=5)
    made = extractors.fit(some, some, options, watch=lambda count, loss: seen.append(count))
    assert made.extractor(some.scaled()).shape == (12, 5)
    assert seen == [12, 24, 36, 48]  # a batch is all images where there are fewer than it holds


def test_what_training_refuses(digits):
    with pytest.raises(NumericalError, match="the loss is .* lower the learning rate"):
        extractors.fit(*digits, FitOptions(learning_rate=1e30, images=2000))


def test_the_bundled_extractor():
    """Small, made by the command that its documentation gives, and right about held-out digits."""
    folder = extractors.BUNDLED / "digits"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 500_000 and extractors.bundled() == ["digits"]
    config = json.loads((folder / "config.json").read_text())
    assert config["recipe"] == {"data": {"name": "digits"}, "train": 1500, "test": 297, **FitOptions().model_dump()}
    train, test = (data["digits"]().load(split) for split in ("train", "test"))
    net = extractors.load("digits")
    x, y = net(train.scaled()), net(test.scaled())
    means = torch.stack([x[train.labels == digit].mean(0) for digit in range(10)])
    assert float((torch.cdist(y, means).argmin(1) == test.labels).float().mean()) > 0.98
    assert net.source == f"digits@{config['sha256'][:8]}" and config["held_out"] > 0.99


def test_its_distance_has_power():
    """Held-out digits are at the floor; blurred ones, 30 repeated ones and a missing class are above it."""
    train, test = (data["digits"]().load(split) for split in ("train", "test"))
    real = sheets.to_uint8(train.scaled())
    blur = torch.nn.functional.avg_pool2d(test.scaled(), 3, 1, 1, count_include_pad=False)
    without = train.scaled(train.labels != 3)
    sets = {
        "held out": test.scaled(),
        "blurred": blur,
        "repeated": train.scaled(permutation(1500, stream(0, "some"))[:30]).repeat(10, 1, 1, 1)[:297],
        "no 3": without[permutation(len(without), stream(0, "no 3"))[:297]],
    }
    found = {name: metrics["fd"]().measure(sheets.to_uint8(x), real)[0] for name, x in sets.items()}
    ratio = {name: estimate.value / estimate.floor for name, estimate in found.items()}
    assert ratio["held out"] < 1.2 and ratio["blurred"] > 10 and ratio["repeated"] > 5 and ratio["no 3"] > 2
    assert all(found[name].low > found[name].floor for name in ("blurred", "repeated", "no 3"))


def test_round_trip_and_damage(classifier, digits, tmp_path):
    folder = tmp_path / "mine"
    extractors.save(classifier, folder, {"data": "digits"})
    again = extractors.load(folder)
    x = digits[1].scaled()
    assert torch.equal(again(x), classifier.extractor(x)) and again.source == classifier.extractor.source
    assert again.source.startswith("mine@") and not again.training
    for name, change, message in [
        ("flipped", lambda f: (f / "model.safetensors").write_bytes(b"x" * 900), "damaged: its sha256"),
        ("bare", lambda f: (f / "config.json").unlink(), "holds no config.json"),
        ("future", lambda f: edit(f, format=2), "not the folder of an extractor of format 1"),
        ("wide", lambda f: edit(f, dimension=7), "does not fit its config"),
        ("vague", lambda f: edit(f, shape="round"), "does not describe an extractor"),
    ]:
        change(shutil.copytree(folder, tmp_path / name))
        with pytest.raises(CheckpointError, match=message):
            extractors.load(tmp_path / name)
    with pytest.raises(CheckpointError, match="not the folder of an extractor"):
        extractors.load(models.BUNDLED / "digits")
    with pytest.raises(UsageError, match="no folder or bundled extractor is called 'digit'. Did you mean 'digits'"):
        extractors.load("digit")


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(line, code=0):
        result = CliRunner().invoke(scoresde, line.split(), prog_name="scoresde")
        assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
        return " ".join(result.output.split())

    said = run("features fit --data digits --images 2000 --dimension 8 --out mine --quiet")
    assert "classifier of 8 features" in said and "in the right class on 297 held-out images" in said
    assert extractors.load(tmp_path / "mine").dimension == 8
    assert "already holds an extractor" in run("features fit --data digits --out mine", 2)
    said = run("features fit --data photos --size 8 --images 400 --width 4 --quiet")
    assert "autoencoder of 32 features" in said and (tmp_path / "features" / "photos").is_dir()
    assert "Did you mean 'digits'" in run("features fit --data digit", 2)
    assert "--size is not an option of digits" in run("features fit --data digits --size 8", 2)
    assert "dimension must be at least 2, got 1" in run("features fit --data digits --dimension 1", 2)


@pytest.mark.slow
def test_the_default_command_makes_the_bundled_extractor(digits):
    """Up to what another machine's rounding does in the course of a training."""
    made, bundled = extractors.fit(*digits, FitOptions()), extractors.load("digits")
    recorded = json.loads((extractors.BUNDLED / "digits" / "config.json").read_text())["held_out"]
    assert abs(made.score - recorded) < 0.01
    assert [p.shape for p in made.extractor.parameters()] == [p.shape for p in bundled.parameters()]
