"""`scoresde noise`: the files show x_t of the picture, and one noise in all of them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return pixels[:, 8:32] / 127.5 - 1  # its middle square, as data


def x(name):
    with Image.open(f"noise/{name}.png") as picture:
        return np.asarray(picture) / 127.5 - 1


def test_the_pictures_are_those_of_the_definition(photo, run, tmp_path):
    said = run("noise photo.png --size 24 --times 0,1/100,0.5 --process vp --process flow --process ddpm:steps=100")
    assert said.strip() == "3 rows at 3 times, in noise"
    record = json.loads((tmp_path / "noise" / "noise.json").read_text())
    assert record["shares"] == [0, 0.01, 0.5] and record["done"] == ["40x24, its middle 24x24 cut out"]
    z = torch.randn(3, 24, 24, generator=torch.Generator().manual_seed(0)).permute(1, 2, 0).numpy()
    for name, row in record["processes"].items():
        for share, alpha, sigma in zip(record["shares"], row["alpha"], row["sigma"], strict=True):
            expected = (alpha * photo + sigma * z) / np.hypot(alpha, sigma)
            found = x(f"{name.replace(':', '-').replace('=', '-')}-{share:g}")
            assert np.abs(found - expected.clip(-1, 1)).max() <= 1.01 / 255
    assert record["processes"]["flow"]["alpha"] == pytest.approx([1, 0.99001, 0.5005])
    assert record["processes"]["ddpm:steps=100"]["alpha"][1] == pytest.approx(np.sqrt(0.999))  # one step, β = 0.1/100
    with Image.open(tmp_path / "noise" / "sheet.png") as sheet:
        assert sheet.height == 20 + 3 * 2 * 26


def test_several_pictures_and_what_is_refused(photo, run, tmp_path):
    Image.new("L", (16, 16), 128).save(tmp_path / "grey.png")
    run("noise photo.png grey.png --size 16 --times 0.3 --process ve")
    names = {path.name for path in (tmp_path / "noise").iterdir()}
    assert names == {"0-ve-0.3.png", "1-ve-0.3.png", "sheet.png", "noise.json"}
    assert "the times must differ" in run("noise grey.png --times 0.5,1/2", 2)
    assert "share of the process" in run("noise grey.png --times 5", 2)
    assert "no-such" in run("noise grey.png --process no-such", 2)
    assert "none.png cannot be opened" in run("noise none.png", 3)
    assert {path.name for path in (tmp_path / "noise").iterdir()} == names
