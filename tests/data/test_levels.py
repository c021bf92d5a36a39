"""Pixels of few values: what is taken for grey levels, what is not, and that splits agree."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from scoresde.core.errors import DataError
from scoresde.data import Images, data
from scoresde.data.levels import graded, levels_of
from scoresde.data.survey import survey

EVEN = {n: [int(255 * k / (n - 1) + 0.5) for k in range(n)] for n in range(2, 20)}


def pixels(values: Sequence[int], shape: tuple[int, ...] = (50, 1, 8, 8)) -> torch.Tensor:
    drawn = np.random.default_rng(0).choice(np.array(values, dtype=np.uint8), shape)
    drawn.flat[: len(values)] = values
    return torch.from_numpy(drawn)


@pytest.mark.parametrize("most", [1, 2, 9, 15, 16, 31])
def test_levels_from_zero_are_found(most: int, caplog: pytest.LogCaptureFixture) -> None:
    given = pixels(range(most + 1))
    found, levels = graded(given, None, "the set")
    assert levels == most + 1 and torch.equal(found, given)
    assert f"the pixels of the set are only 0 to {most}" in caplog.text and "levels=256" in caplog.text
    assert Images(found, levels).scaled().max() == 1  # and not near black


@pytest.mark.parametrize("levels", [2, 3, 4, 8, 16, 17])
@pytest.mark.parametrize("rounding", [np.floor, np.rint, np.ceil])
def test_levels_spread_from_0_to_255_are_found(levels: int, rounding: Any) -> None:
    values = rounding(255 * np.arange(levels) / (levels - 1)).astype(int).tolist()
    given = pixels(values)
    found, count = graded(given, None, "the set")
    assert count == levels
    assert torch.equal(torch.tensor(values, dtype=torch.uint8)[found.long()], given)
    assert torch.equal(graded(given, levels, "the set")[0], found)


@pytest.mark.parametrize(
    "values",
    [
        range(256),
        range(33),
        [0],
        [255],
        [0, 64],
        [17, 34],
        [0, 100, 255],
        [*range(21), 255],
        EVEN[18],
        range(0, 255, 2),
    ],
)
def test_other_pixels_have_256_levels(values: Sequence[int], caplog: pytest.LogCaptureFixture) -> None:
    given = pixels(values)
    found, levels = graded(given, None, "the set")
    assert levels == 256 and found is given and not caplog.text


def test_sets_of_pictures_are_not_taken_for_levels() -> None:
    tiles = data["photos"](size=32).load("train").pixels
    assert levels_of([tiles]) == 256
    # Crops of a dark background alone are as dark as levels would be: two of them with any other are not.
    order = tiles.flatten(1).amax(1).argsort()
    assert levels_of([tiles[order[:2]]]) < 32 and levels_of([tiles[order[[0, 1, 100]]]]) == 256
    # A set of one dark picture and one of 256 levels is no set of few levels, whichever comes first.
    dark = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    assert levels_of([dark, tiles[:1]]) == levels_of([tiles[:1], dark]) == 256


def test_the_digits_of_scikit_learn_keep_their_levels(tmp_path: Path) -> None:
    images = load_digits().images.astype(np.uint8)
    np.savez(tmp_path / "digits.npz", images=images)
    found = data["npz"](path=str(tmp_path / "digits.npz"), held_out=0).load("train")
    assert found.levels == data["digits"]().load("train").levels == 17
    assert np.allclose(found.scaled()[:, 0].numpy(), images / 8 - 1)


def test_levels_may_be_said(caplog: pytest.LogCaptureFixture) -> None:
    zeros = pixels([0, 1])
    assert graded(zeros, 16, "x")[1] == 16 and torch.equal(graded(zeros, 16, "x")[0], zeros)
    assert graded(zeros, 256, "x")[1] == 256 and not caplog.text
    with pytest.raises(DataError, match="x has the pixel value 100, and 4 grey levels are 0 to 3"):
        graded(pixels([0, 85, 100, 255]), 4, "x")


@pytest.mark.parametrize("values", [[0, 1], [0, 255], EVEN[4], range(16)])
def test_the_splits_of_arrays_agree(tmp_path: Path, values: Sequence[int]) -> None:
    given = pixels(values, (20, 6, 6)).numpy()
    given[3:] = values[0]  # most images show one value, so that a split alone would not tell
    np.savez(tmp_path / "a.npz", images=given)
    np.savez(tmp_path / "b.npz", images=given[3:])
    for options in ({"held_out": 0.5}, {"test_path": str(tmp_path / "b.npz")}):
        splits = [data["npz"](path=str(tmp_path / "a.npz"), **options).load(split) for split in ("train", "test")]
        assert {part.levels for part in splits} == {len(values)}
    kept = data["npz"](path=str(tmp_path / "a.npz"), levels=256, held_out=0).load("train")
    assert kept.levels == 256 and torch.equal(kept.pixels[:, 0], torch.from_numpy(given))


def test_the_means_of_few_levels_are_more_levels(tmp_path: Path) -> None:
    given = pixels([0, 255], (40, 8, 8)).numpy()
    np.savez(tmp_path / "a.npz", images=given)
    found = data["npz"](path=str(tmp_path / "a.npz"), reduce=2, held_out=0).load("train")
    means = given.reshape(40, 4, 2, 4, 2).mean((2, 4)) / 255
    assert found.levels == 5 and np.allclose(found.scaled()[:, 0].numpy(), 2 * means - 1)


def test_pictures_of_two_levels_are_masks_until_they_are_resized(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    masks = np.random.default_rng(0).integers(0, 2, (30, 8, 8), dtype=np.uint8) * 255
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for i, mask in enumerate(masks):
            Image.fromarray(mask).convert("1" if i % 2 else "L").save(tmp_path / "set" / f"{i:02}.png")
            archive.write(tmp_path / "set" / f"{i:02}.png", f"{i:02}.png")
    for name, path in (("folder", "set"), ("zip", "set.zip")):
        options = {"path": str(tmp_path / path), "channels": 1}
        train, test = (data[name](**options, size=8, held_out=0.2).load(split) for split in ("train", "test"))
        assert train.levels == test.levels == 2 and set(train.pixels.unique().tolist()) == {0, 1}
        assert data[name](**options, size=12).load("train").levels == 256
        assert data[name](**options, size=8, levels=256).load("train").pixels.max() == 255


def test_the_test_pictures_have_the_levels_of_the_training_pictures(tmp_path: Path) -> None:
    for i in range(20):
        for split, values in (("train", range(256)), ("test", [0, 255])):
            (tmp_path / split).mkdir(exist_ok=True)
            Image.fromarray(pixels(values, (16, 16)).numpy()).save(tmp_path / split / f"{i}.png")
    options = {"path": str(tmp_path), "channels": 1, "size": 16}
    assert data["folder"](**options).load("test").levels == 256
    (tmp_path / "test").rename(tmp_path / "other"), (tmp_path / "train").rename(tmp_path / "test")
    (tmp_path / "other").rename(tmp_path / "train")
    assert data["folder"](**options).load("train").levels == 2
    with pytest.raises(DataError, match="give the right levels, or 256"):
        data["folder"](**options).load("test")
    assert data["folder"](**options, levels=256).load("test").levels == 256


def test_dark_pictures_of_16_bits_are_not_taken_for_few_levels(tmp_path: Path) -> None:
    """A camera of 12 bits fills 16 of 256 levels, which would be told apart as black to white."""
    for name, most in (("dark", 4096), ("full", 65536)):
        (tmp_path / name).mkdir()
        for i, values in enumerate(np.random.default_rng(0).integers(0, most, (4, 8, 8)).astype(np.uint16)):
            Image.fromarray(values).save(tmp_path / name / f"{i}.png")
    assert data["folder"](path=str(tmp_path / "full"), size=8, channels=1).load("train").levels == 256
    with pytest.raises(DataError, match=r"16 bits, as 0.png .* 0 to 1[56] of 255"):
        data["folder"](path=str(tmp_path / "dark"), size=8, channels=1, held_out=0).load("train")
    assert "16 bits the upper 8" in " ".join(survey(tmp_path / "full").said)


def test_a_command_that_reads_its_data_twice_warns_once(tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", images=np.arange(4, dtype=np.uint8).repeat(16).reshape(4, 4, 4).repeat(8, 0))
    done = forked.run("-m", "scoresde", "train", "few.npz", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr.count("taken for 4 grey levels") == 1, done.stderr
