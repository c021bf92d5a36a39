"""What a path holds, said before it is loaded: pictures of all kinds, folders that mean something, arrays."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scoresde.core.errors import DataError, ScoreSDEError, UsageError
from scoresde.data import Images, data
from scoresde.data.layout import layout
from scoresde.data.survey import survey


def picture(path: Path, level: int = 0, size: tuple[int, int] = (12, 9), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).convert(mode).save(path)
    return path


def test_pictures_are_counted_and_measured(tmp_path: Path) -> None:
    for i, side in enumerate([9, 20, 31, 40, 50]):
        picture(tmp_path / f"{i}.png", i, (side, 60), ("RGB", "L", "1", "LA", "RGB")[i])
    found = survey(tmp_path)
    assert (found.kind, found.count, found.shape, found.sides) == ("pictures", 5, None, (9, 31, 50))
    assert (found.channels, found.classes, found.levels, found.test) == (3, (), 256, 0)
    text = ". ".join(found.said)
    assert "5 pictures in" in text and "9 to 50 pixels, 31 in the median" in text and "RGB (2), L (1)" in text
    assert "no classes: they lie in one folder" in text
    options = found.options(size=16)
    assert options == data["folder"](path=str(tmp_path), size=16, channels=3, skip_bad=True)
    assert len(options.load("train")) + len(options.load("test")) == found.count


@pytest.mark.parametrize(
    ("modes", "channels"), [("1 L LA I;16", 1), ("L RGB", 3), ("L RGBA", 3), ("CMYK", 3), ("P", 3)]
)
def test_a_set_is_grey_if_all_pictures_are(tmp_path: Path, modes: str, channels: int) -> None:
    for i, mode in enumerate(modes.split()):
        if mode == "P":
            Image.effect_noise((9, 9), 50).convert("RGB").quantize(8, kmeans=1).save(tmp_path / "p.png")
            Image.new("RGB", (9, 9), "red").quantize(8).save(tmp_path / "q.png")
        else:
            picture(tmp_path / f"{i}.tiff", 100, mode=mode)
    assert survey(tmp_path).channels == channels


def test_a_grey_palette_is_grey(tmp_path: Path) -> None:
    Image.effect_noise((9, 9), 50).convert("P").save(tmp_path / "a.png")
    Image.effect_noise((9, 9), 50).save(tmp_path / "a.gif")
    assert survey(tmp_path).channels == 1


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"around/{file.relative_to(folder)}")
    return target


@pytest.mark.parametrize("container", ["folder", "zip"])
@pytest.mark.parametrize("splits", [(), ("train", "test"), ("training", "Validation"), ("Train", "testing", "val")])
def test_folders_are_splits_and_classes(tmp_path: Path, splits: tuple[str, ...], container: str) -> None:
    root = tmp_path / "set"
    kinds = {"bird": 30, "ant": 10, "cat": 20}
    for s, split in enumerate(splits or ("",)):
        for kind, level in kinds.items():
            for i in range(4 - s):
                picture(root / split / kind / f"{i}.png", 60 * s + level + i)
    found = survey(root if container == "folder" else zipped(root, tmp_path / "set.zip"))
    assert found.classes == ("ant", "bird", "cat") and (found.count, found.test) == (12, 9 if splits else 0)
    text = ". ".join(found.said)
    assert "3 classes, by folder: ant (4); bird (4); cat (4)" in text
    assert ("12 pictures to train with and 9 to test with" in text) == bool(splits)
    assert ("of its folder of validation pictures 6 are not used" in text) == (len(splits) == 3)
    options = found.options(size=9, levels=256)
    train, test = options.load("train"), options.load("test")
    assert (len(train), len(test)) == ((12, 9) if splits else (11, 1))
    names = ["ant", "bird", "cat"]
    for part, shift in ((train, 0), (test, 60 if splits else 0)):
        levels = part.pixels[:, 0, 0, 0].long() - shift
        assert part.labels is not None
        assert torch.equal(levels // 10 * 10, torch.tensor([kinds[names[label]] for label in part.labels]))
    assert found.options(size=9, labels=False).load("train").labels is None


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["a.png", "b.png"], "one folder"),
        (["x/a.png", "x/b.png"], "one folder"),
        (["x/y/a.png", "x/y/b.png"], "one folder"),
        (["x/a.png", "x/b.png", "y/a.png", "y/b.png", "cover.png"], "several depths"),
        (["x/1/a.png", "x/1/b.png", "y/a.png", "y/b.png"], "several depths"),
        (["x/1/a.png", "x/2/b.png", "y/1/a.png", "y/2/b.png"], "their folders lie in other folders"),
        (["x/a.png", "y/b.png", "z/c.png"], "single picture"),
        (["train/a.png", "train/b.png", "test/a.png"], "one folder"),
        (["train/x/a.png", "train/x/b.png", "test/x/a.png"], "one folder"),
    ],
)
def test_other_folders_are_no_classes(tmp_path: Path, names: list[str], why: str) -> None:
    found = layout(names)
    assert not found.classes and why in found.why
    assert [*found.train, *found.test] == names
    for name in names:
        picture(tmp_path / name)
    with pytest.raises(DataError, match="names no classes of its pictures: .*" + why):
        data["folder"](path=str(tmp_path), labels=True).load("train")
    assert data["folder"](path=str(tmp_path), size=8).load("train").labels is None


def test_what_is_called_like_a_split_is_one_only_beside_another() -> None:
    assert not layout(["test/a.png", "test/b.png"]).test
    assert not layout(["train/a.png", "other/b.png", "test/c.png"]).test
    assert not layout(["train/a.png", "test/b.png", "c.png"]).test
    assert layout(["train/a.png", "train/b.png", "other/c.png", "other/d.png"]).classes == ("other", "train")
    both = layout(["train/x/a.png", "train/x/b.png", "train/y/a.png", "train/y/b.png", "test/c.png"])
    assert both.classes == ("x", "y") and both.labels(both.test) is None
    more = layout(["train/x/a.png", "train/x/b.png", "train/y/a.png", "train/y/b.png", "val/z/c.png"])
    assert more.classes == ("x", "y", "z") and more.labels(more.test) == [2]


def test_a_folder_of_mixed_and_damaged_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tmp_path / "my pictures 🐈 2024"
    kinds = ["PNG", "jpg", "JPEG", "gif", "webp", "bmp", "tga", "jfif", "avif", "tif", "ppm", "jp2"]
    for i, kind in enumerate(kinds):
        saved = {"tga": "TGA", "jfif": "JPEG"}.get(kind)
        root.mkdir(exist_ok=True)
        mode = ("RGB", "L", "CMYK")[i % 3 if kind in ("jpg", "JPEG", "tif") else 0]
        Image.effect_noise((20 + i, 30), 40).convert(mode).save(root / f"bild é{i} 😀.{kind}", saved)
    Image.fromarray(np.full((30, 30), 40000, dtype=np.uint16)).save(root / "deep.png")
    Image.new("RGBA", (30, 30)).save(root / "clear.png")
    photo = (root / "bild é0 😀.PNG").read_bytes()
    (root / "empty.png").write_bytes(b"")
    (root / "cut.png").write_bytes(photo[: len(photo) // 2])  # its head is whole
    (root / "text.jpg").write_text("no picture")
    (root / os.fsdecode(b"caf\xe9.png")).write_bytes(b"damage")
    for name in ("notes.txt", "Thumbs.db", "photo.HEIC", "drawing.svg", ".DS_Store", "._bild.png"):
        (root / name).write_bytes(b"no picture")
    os.symlink(tmp_path / "nowhere", root / "gone.png")
    found = survey(root)
    text = ". ".join(found.said)
    text.encode()  # can be written
    assert found.count == 15 and found.sides == (20, 26, 30) and found.channels == 3
    assert "3 of 18 pictures cannot be read (caf?.png cannot be read as a picture" in text
    assert "cannot be read here: 2 files (1 .heic, 1 .svg)" in text and "cannot be opened: gone.png" in text
    assert "no pictures: 2 files (1 .db, 1 .txt)" in text
    for split, count in (("train", 12), ("test", 2)):
        loaded = found.options(size=16).load(split)
        assert len(loaded) in (count, count - 1) and loaded.shape == (3, 16, 16)
    assert sum(len(found.options(size=16).load(split)) for split in ("train", "test")) == 14
    assert "cut.png cannot be read as a picture" in caplog.text and "1 .heic, 1 .svg" in caplog.text
    caplog.text.encode()


def test_names_in_a_zip_may_be_of_any_encoding(tmp_path: Path) -> None:
    png = io.BytesIO()
    Image.new("RGB", (9, 9)).save(png, "PNG")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(2):
            archive.writestr(f"ab\\{i}.png", png.getvalue())  # as some programs for Windows write
            archive.writestr(f"XXX/{i}.png", png.getvalue())
            archive.writestr(f"\U0001f408/{i}.png", png.getvalue())
        archive.mkdir("folder.png")
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(b"XXX/", "é_/".encode()))  # UTF-8 that is not said to be
    found = survey(tmp_path / "a.zip")
    assert found.classes == ("ab", "é_", "🐈") and found.count == 6
    (tmp_path / "b.zip").write_bytes(content.replace("🐈".encode(), b"\xff\xfe\xff\xfe"))  # said to be, and is not
    with pytest.raises(DataError, match="b.zip cannot be read as a zip file"):
        survey(tmp_path / "b.zip")
    (tmp_path / "c.zip").write_bytes(content.replace(b"XXX/", b"\x82\x8a_/"))
    assert len(survey(tmp_path / "c.zip").classes) == 3


@pytest.mark.parametrize("end", ["npz", "zip", "npy"])
def test_arrays_are_looked_at(tmp_path: Path, end: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    arrays: dict[str, Any] = {"images": images, "labels": np.arange(30) % 4}
    np.savez(tmp_path / "a.npz", **arrays)
    os.replace(tmp_path / "a.npz", tmp_path / f"a.{end}")
    if end == "npy":
        np.save(tmp_path / "a.npy", images)
    found = survey(tmp_path / f"a.{end}")
    assert (found.kind, found.count, found.shape, found.channels, found.levels) == ("images", 30, (3, 8, 8), 3, 256)
    assert found.classes == (() if end == "npy" else ("0", "1", "2", "3"))
    assert isinstance(found.options(held_out=0.5).load("train"), Images)


def test_masks_vectors_and_test_splits_in_arrays_are_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", x=np.eye(8, dtype=np.uint8)[None].repeat(9, 0), x_test=np.eye(8, dtype=np.uint8)[None])
    found = survey(tmp_path / "m.npz")
    assert (found.levels, found.count, found.test) == (2, 9, 1) and "its pixels have 2 grey levels" in found.said
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(100, 2)))
    vectors = survey(tmp_path / "v.npy")
    assert (vectors.kind, vectors.shape, vectors.levels, vectors.sides) == ("tensors", (2,), None, (0, 0, 0))
    assert "100 items of 2 numbers" in vectors.said[0]


def test_what_cannot_be_trained_on_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    picture(tmp_path / "one.jpg")
    (tmp_path / "text.txt").write_text("x")
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04damage")
    for i in range(4):
        (tmp_path / "damaged").mkdir(exist_ok=True)
        (tmp_path / "damaged" / f"{i}.png").write_bytes(b"x")
    np.savez((tmp_path / "pictures" / "a.npz"), x=np.zeros(3))
    for name, kind, words in [
        ("pictuers", UsageError, "there is no file or folder .*Did you mean 'pictures'"),
        ("nothing at all", UsageError, "there is no file or folder"),
        ("one.jpg", UsageError, "is one picture"),
        ("text.txt", DataError, "is neither a folder"),
        ("bad.zip", DataError, "is neither a folder"),
        (
            "pictures",
            DataError,
            "holds no pictures, .*1 file \\(1 .npz\\) that are no pictures; give the .npz file itself",
        ),
        ("damaged", DataError, "4 of 4 pictures cannot be read .* and 1 more"),
    ]:
        with pytest.raises(ScoreSDEError, match=words) as caught:
            survey(tmp_path / name)
        assert isinstance(caught.value, kind) and "\n" not in str(caught.value)
