"""`scoresde sample --start`: the same samples as in Python, and what one evaluation makes of the picture."""

import json

import numpy as np
import pytest
import torch
from latents import latent_folder
from PIL import Image

import scoresde
from scoresde.core.errors import UsageError
from scoresde.core.random import generators
from scoresde.data import data
from scoresde.sampling.sample import noised_to

LINE = "sample --solver unipc --steps 5 --start-time 0.3 --device cpu --quiet"


@pytest.fixture
def held():
    return data["digits"]().load("test").scaled()


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def record(folder):
    return json.loads((folder / "samples.json").read_text())


def rms(x, y):
    return float((x - y).square().mean().sqrt())


def test_samples_begin_with_the_noised_pictures_in_turn(held, run, tmp_path):
    run(f"{LINE} --start data:3 --start data:7 -n 4 --batch 3 --seed 5 --out out")
    found = scoresde.sample("digits", "unipc", seeds=range(5, 9), steps=5, x=held[[3, 7]], start=0.3)
    for seed, image in zip(range(5, 9), found.images, strict=True):
        assert np.array_equal(pixels(tmp_path / "out" / f"{seed:06d}.png"), image[0].numpy())
    model, truth = scoresde.load("digits"), held[[3, 7, 3, 7]]
    x = noised_to(model, truth, 0.3, generators(range(5, 9)))
    with torch.no_grad():
        predicted = model.denoise(x, torch.full((4,), 0.3, dtype=torch.float64))
    said = record(tmp_path / "out")["start"]
    assert said["from"] == ["data:3", "data:7"] and (said["share"], said["time"]) == (0.3, 0.3)
    assert said["rms"]["predicted"] == pytest.approx(rms(predicted, truth), rel=1e-4)
    assert said["rms"]["samples"] == pytest.approx(rms(found.x, truth), rel=1e-4)
    sheet, cells = pixels(tmp_path / "out" / "start.png")[..., 0], slice(-4 * 72, None, 72)
    shown = sheet[8:72:8, cells][:, 0]  # the first column of pixels of the pictures' row
    assert np.array_equal(shown, ((held[3, 0, :, 0] + 1) * 127.5).round().to(torch.uint8).numpy())


def test_a_picture_file_is_the_picture(held, run, tmp_path):
    levels = ((held[3, 0] + 1) * 127.5).round().to(torch.uint8)
    Image.fromarray(levels.numpy()).save(tmp_path / "three.png")
    run(f"{LINE} --start three.png -n 2 --out out --trajectory 3")
    found = scoresde.sample("digits", "unipc", n=2, steps=5, x=levels, start=0.3)
    assert np.array_equal(pixels(tmp_path / "out" / "000001.png"), found.images[1, 0].numpy())
    assert {"start.png", "trajectory.png"} <= set(record(tmp_path / "out")["files"])


def test_a_model_of_latents_begins_with_the_latents_of_the_picture(run, tmp_path):
    folder = latent_folder(tmp_path / "grey")
    levels = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(levels).save(tmp_path / "photo.png")
    run(f"{LINE} --model grey --start photo.png -n 1 --out out")
    found = scoresde.sample(folder, "unipc", n=1, steps=5, x=levels, start=0.3)
    assert np.array_equal(pixels(tmp_path / "out" / "000000.png"), found.images[0, 0].numpy())


def test_a_sample_of_a_conditioned_model_keeps_what_is_known(held):
    known = torch.zeros(1, 8, 8, dtype=torch.bool)
    known[..., :4] = True
    model = scoresde.condition("digits", known, held[:1], "replace")
    found = scoresde.sample(model, "unipc", n=3, steps=5, x=held[:1], start=0.5).x
    assert torch.equal(found[..., :4], held[:1, ..., :4].expand(3, -1, -1, -1))
    assert found[..., 4:].std(0).max() > 0.01


def test_the_number_of_samples_is_that_of_the_data(held):
    assert len(scoresde.sample("digits", "unipc", steps=2, x=held[:3], start=0.1)) == 3
    assert len(scoresde.sample("digits", "unipc", n=5, steps=2, x=held[:3], start=0.1)) == 5


def test_what_is_refused(held, run, tmp_path):
    assert "a start time needs a start" in run("sample --start-time 0.3", 2)
    assert "numbered from 0 to" in run("sample --start data:99999", 2)
    assert "none.png cannot be opened" in run("sample --start none.png", 3)
    assert "a share above 0" in run("sample --start data:0 --start-time 0", 2)
    assert "share of the process" in run("sample --start data:0 --start-time 300", 2)
    for options in ({"x": held[:1]}, {"start": 0.3}):
        with pytest.raises(UsageError, match="x and start belong together"):
            scoresde.sample("digits", n=1, **options)
    with pytest.raises(UsageError, match=r"lies in \(0, 1\], got 1\.5"):
        scoresde.sample("digits", n=1, x=held[:1], start=1.5)
    assert not list(tmp_path.iterdir())
