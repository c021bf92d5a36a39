"""Model folders: what is written is read back, and nothing damaged is ever used."""

import json
import random
import shutil
from pathlib import Path

import pytest
import torch

from scoresde import models
from scoresde.core import files
from scoresde.core.errors import CheckpointError, ResourceError, UsageError
from scoresde.core.random import generators
from scoresde.core.units import Units
from scoresde.data import data
from scoresde.images.sheets import to_uint8
from scoresde.metrics import extractors, metrics
from scoresde.models.clipped import ClippedModel
from scoresde.models.names import BUNDLED
from scoresde.models.record import record
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(models.locate("digits"), tmp_path / "model")


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_bundled_model_makes_digits():
    """200 samples are nearer to held-out digits than 1.5 times as far as 200 real ones are; pure noise is not."""
    model = models.load("digits")
    sources = generators(range(200))
    x = sample(model, solvers["dpm++"](steps=10), model.prior(sources), generator=sources).x
    train, held_out = (to_uint8(data["digits"]().load(split).scaled()) for split in ("train", "test"))

    def distance(images):
        return metrics["pixel-frechet"]().measure(images, held_out)[0].value

    floor = distance(train[:200])
    assert distance(to_uint8(x)) < 1.5 * floor < 0.2 * distance(to_uint8(model.prior(sources)))


def test_the_bundled_model_is_small_and_says_where_it_comes_from():
    folder = models.locate("digits")
    assert (folder / "model.safetensors").stat().st_size <= 2_000_000
    recipe = files.read_json(folder / "config.json")["recipe"]
    assert recipe["command"] == "scoresde train digits" and recipe["seed"] == 0


def test_a_folder_keeps_the_units_of_the_data(folder, tmp_path):
    model = models.load(folder)
    assert model.units is None and "units" not in files.read_json(folder / "config.json")
    model.units = Units(torch.tensor([[[0.1]]], dtype=torch.float64), torch.tensor([[[7.3]]], dtype=torch.float64))
    models.save(model, tmp_path / "copy")
    again = models.load(tmp_path / "copy").units
    assert torch.equal(again.centre, model.units.centre) and torch.equal(again.spread, model.units.spread)
    assert ClippedModel(model).units is model.units
    for damaged in ({"centre": [[[0.1]]]}, {"centre": 0.0, "spread": 0.0}, {"centre": 0.0, "spread": "1"}, []):
        edit(tmp_path / "copy", units=damaged)
        with pytest.raises(CheckpointError, match=r"config\.json"):
            models.load(tmp_path / "copy")


def test_round_trip(folder, tmp_path):
    model = models.load(folder)
    config = files.read_json(folder / "config.json")
    models.save(model, tmp_path / "copy", {"recipe": config["recipe"]})
    before = torch.get_rng_state()
    again = models.load(tmp_path / "copy")
    assert torch.equal(torch.get_rng_state(), before)  # the caller's own random numbers do not depend on it
    x, t = torch.randn(3, 1, 8, 8), torch.rand(3).double()
    assert torch.equal(model.eps(x, t), again.eps(x, t))
    written = files.read_json(tmp_path / "copy" / "config.json")  # which also has the defaults of younger options
    for name, rows in config.items():
        assert written[name] == rows if not isinstance(rows, dict) else rows.items() <= written[name].items()
    models.save(again, tmp_path / "third", {"recipe": config["recipe"]})
    assert files.read_json(tmp_path / "third" / "config.json") == written
    assert not again.training and not any(p.requires_grad for p in again.parameters())


def test_no_flipped_bit_and_no_cut_is_ever_used(folder):
    path = folder / "model.safetensors"
    good, draw = path.read_bytes(), random.Random(0)
    for trial in range(60):
        bad = bytearray(good)
        if trial % 3:
            bad[draw.randrange(len(bad))] ^= 1 << draw.randrange(8)
        else:
            bad = bad[: draw.randrange(len(bad))]
        path.write_bytes(bad)
        with pytest.raises(CheckpointError, match="is damaged: its sha256 begins"):
            models.load(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "is not a model folder: it holds no config.json"),
        (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda f: (f / "config.json").write_text("{"), "config.json is unreadable"),
        (lambda f: (f / "config.json").write_text("[]"), "must hold a JSON object"),
        (lambda f: edit(f, format=99), "has the format 99; this version reads format 1"),
        (lambda f: edit(f, network={"name": "transformer"}), "a model: no network is called 'transformer'"),
        (lambda f: edit(f, network={"name": "unet", "channels": 8}), "does not fit its config"),
        (lambda f: edit(f, shape=["a"]), "does not describe a model"),
        (lambda f: edit(f, sde={"name": "vp", "beta_min": -1}), "beta_min must be greater than 0, got -1"),
        (lambda f: edit(f, model={}), "lacks the entry 'predicts'"),
    ],
)
def test_a_bad_folder_is_one_sentence(folder, damage, message):
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        models.load(folder)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 4


def test_unknown_names_and_unwritable_places(tmp_path):
    with pytest.raises(UsageError, match="called 'digit'. Did you mean 'digits'"):
        models.load("digit")
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot write"):
        files.write_text(tmp_path / "file" / "config.json", "{}")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(ResourceError, match="No space left"):
        files.write(path, fail)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_the_folder_here_or_above_is_called_by_its_name(folder, monkeypatch):
    """What a result is recorded with, and its own folder, were called "" and ".."."""
    (folder / "within").mkdir()
    for place, given in ((folder, "."), (folder / "within", "..")):
        monkeypatch.chdir(place)
        assert record(models.load(given), models.locate(given))["model"]["name"] == folder.name


def test_a_folder_of_something_else_does_not_hide_a_bundled_model(tmp_path, monkeypatch):
    """Of pictures, say, which are called photos or digits; a run or a model folder of that name is meant."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("photos/one.png").touch()
    assert models.locate("photos") == BUNDLED / "photos" and extractors.load("digits").shape == (1, 8, 8)
    Path("digits").mkdir()
    assert extractors.load("digits").shape == (1, 8, 8) and models.load("digits").shape == (1, 8, 8)
    for mark in ("config.json", "config.toml"):
        Path("photos", mark).touch()
        assert models.locate("photos") == Path("photos")
        Path("photos", mark).unlink()
    assert models.locate("./photos").samefile("photos")
