"""The bundled colour model: what `scoresde colourise` and `inpaint` do when they are told nothing but a picture."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from scoresde import models
from scoresde.core import files
from scoresde.data import data
from scoresde.images import sheets

LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def crops():
    """Four crops of the part of the photographs that no training image touches."""
    test = data["photos"]().load("test")
    return test.scaled(torch.linspace(0, len(test) - 1, 4).long())


def pixels(path):
    return np.asarray(Image.open(path)).astype(float)


def test_it_is_small_and_says_where_it_comes_from():
    folder = models.locate("photos")
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 3_000_000
    recipe = files.read_json(folder / "config.json")["recipe"]
    assert recipe["command"] == "scoresde train photos" and recipe["images"] == 120_000


def test_it_colourises(run, tmp_path, crops):
    """The luma comes back to within a level, colours differ between samples and vary as much as real ones do."""
    for i, crop in enumerate(crops):
        sheets.save(sheets.single(crop).convert("L"), tmp_path / "grey" / f"{i}.png")
    run("colourise grey --steps 10 -n 2 --out out --quiet")
    drawn = np.stack([[pixels(tmp_path / "out" / f"{i}-{n:06d}.png") for n in range(2)] for i in range(len(crops))])
    grey = np.stack([pixels(tmp_path / "grey" / f"{i}.png") for i in range(len(crops))])
    assert np.abs(drawn @ LUMA - grey[:, None]).mean() < 1
    chroma = (drawn - grey[:, None, ..., None]).std()
    real = sheets.to_uint8(crops).permute(0, 2, 3, 1).double().numpy()
    assert 0.4 < chroma / (real - grey[..., None]).std() < 1.6 and np.abs(drawn[:, 0] - drawn[:, 1]).mean() > 1


def test_it_fills_holes(run, tmp_path, crops):
    """Known pixels come back bit for bit; in the hole the samples are nearer to the truth than another crop is."""
    for i, crop in enumerate(crops):
        sheets.save(sheets.single(crop), tmp_path / "whole" / f"{i}.png")
    run("inpaint whole --box 8,8,24,24 --steps 10 -n 1 --out out --quiet")
    drawn = np.stack([pixels(tmp_path / "out" / f"{i}-000000.png") for i in range(len(crops))])
    whole = np.stack([pixels(tmp_path / "whole" / f"{i}.png") for i in range(len(crops))])
    hole = np.zeros((32, 32), dtype=bool)
    hole[8:24, 8:24] = True
    assert np.array_equal(drawn[:, ~hole], whole[:, ~hole])
    error, other = (np.abs(x - whole)[:, hole].mean() for x in (drawn, np.roll(whole, 1, 0)))
    assert error < 0.5 * other
    record = json.loads((tmp_path / "out" / "inpaint.json").read_text())
    assert record["pictures"][0]["nfe"] == 11 and record["pictures"][0]["vjps"] == 0
