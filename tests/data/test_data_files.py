"""Folders, zips and arrays of the user: their splits, the rules for pictures, and what is said about bad files."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from scoresde.core.errors import DataError
from scoresde.data import DataOptions, data
from scoresde.images.read import read_picture

torch.set_num_threads(1)


def rows(pixels: Tensor) -> set[bytes]:
    return {row.numpy().tobytes() for row in pixels}


def encoded(picture: Image.Image, kind: str = "png", **options: Any) -> io.BytesIO:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    buffer.seek(0)
    return buffer


def make_folder(root: Path, count: int = 20) -> Path:
    """Uniform pictures of the grey levels 10, 20, ..., in folders of four."""
    for i in range(count):
        (root / f"kind{i // 4}").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 8), (10 * (i + 1),) * 3).save(root / f"kind{i // 4}" / f"{i:02}.PNG")
    (root / "notes.txt").write_text("no picture")
    (root / ".hidden.png").write_text("no picture")
    return root


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, file.relative_to(folder))
        archive.writestr("__MACOSX/kind0/00.PNG", "no picture")
    return target


def refused(options: DataOptions, split: Any = "train") -> str:
    with pytest.raises(DataError) as caught:
        options.load(split)
    return str(caught.value)


def test_a_folder_and_its_zip_hold_the_same_images(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "pictures")
    archive = zipped(folder, tmp_path / "pictures.zip")
    grey = {}
    for split, count in (("train", 15), ("test", 5)):
        options = {"size": 8, "held_out": 0.25}
        images = data["folder"](path=str(folder), **options).load(split)
        assert images.shape == (3, 8, 8) and len(images) == count
        assert torch.equal(images.pixels, data["zip"](path=str(archive), **options).load(split).pixels)
        grey[split] = images.pixels[:, 0, 0, 0].tolist()
        assert grey[split] == sorted(grey[split])
    assert sorted(grey["train"] + grey["test"]) == list(range(10, 210, 10))


def test_the_share_held_out_is_at_least_one_image_and_never_all(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "two", 2)
    sizes = {
        (share, split): len(data["folder"](path=str(folder), size=8, held_out=share).load(split))
        for share in (0.01, 0.99)
        for split in ("train", "test")
    }
    assert set(sizes.values()) == {1}
    assert len(data["folder"](path=str(folder), held_out=0).load("train")) == 2
    assert "share above 0" in refused(data["folder"](path=str(folder), held_out=0), "test")
    one = make_folder(tmp_path / "one", 1)
    assert len(data["folder"](path=str(one)).load("train")) == 1
    assert "at least two images" in refused(data["folder"](path=str(one)), "test")


def test_the_shorter_side_is_resized_and_the_middle_kept() -> None:
    wide = np.zeros((20, 60, 3), dtype=np.uint8)
    wide[:, 20:40] = (200, 100, 50)
    out = read_picture(encoded(Image.fromarray(wide)), "x", 10, 3)
    assert out.shape == (3, 10, 10) and out.dtype == torch.uint8
    assert out[:, 5, 5].tolist() == [200, 100, 50] and out[:, 5, 2].tolist() == [200, 100, 50]
    same = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    exact = read_picture(encoded(Image.fromarray(same)), "x", 8, 3)
    assert torch.equal(exact, torch.from_numpy(same).permute(2, 0, 1))
    assert read_picture(encoded(Image.new("RGB", (1, 3000))), "x", 8, 3).shape == (3, 8, 8)


def palette() -> Image.Image:
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    return picture


@pytest.mark.parametrize(
    ("file", "rgb"),
    [
        (encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0))), (255, 255, 255)),
        (encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 51))), (255, 204, 204)),
        (encoded(Image.new("LA", (8, 8), (0, 51))), (204, 204, 204)),
        (encoded(palette()), (10, 20, 30)),
        (encoded(palette(), transparency=1), (255, 255, 255)),
        (encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "tiff"), (0, 255, 255)),
        (encoded(Image.new("1", (8, 8), 1)), (255, 255, 255)),
        (encoded(Image.fromarray(np.full((8, 8), 40000, dtype=np.uint16))), (156, 156, 156)),
        (encoded(Image.fromarray(np.full((8, 8), 65535, dtype=np.int32)), "tiff"), (255, 255, 255)),
    ],
    ids=["clear", "rgba", "la", "palette", "clear-palette", "cmyk", "bits", "16-bit", "16-bit-in-32"],
)
def test_every_mode_follows_its_rule(file: io.BytesIO, rgb: tuple[int, int, int]) -> None:
    file.seek(0)
    assert read_picture(file, "x", 8, 3)[:, 4, 4].tolist() == list(rgb)


def test_the_orientation_of_the_camera_is_applied_and_grey_is_luma() -> None:
    upright = np.zeros((16, 16, 3), dtype=np.uint8)
    upright[:8] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned = read_picture(encoded(Image.fromarray(upright), exif=exif), "x", 16, 1)
    assert turned.shape == (1, 16, 16)
    assert turned[0, 8].tolist() == [0] * 8 + [76] * 8  # 0.299 · 255 = 76.2


@pytest.mark.parametrize("cut", [0, 20, 150])
def test_damaged_pictures_are_named(tmp_path: Path, cut: int) -> None:
    folder = make_folder(tmp_path / "pictures", 3)
    photo = encoded(Image.effect_noise((32, 32), 50)).getvalue()
    (folder / "kind0" / "01.PNG").write_bytes(photo[:cut])
    for options in (data["folder"](path=str(folder)), data["zip"](path=str(zipped(folder, tmp_path / "a.zip")))):
        messages = []
        for split in ("train", "test"):  # the damaged picture is in one of them
            try:
                options.load(split)
            except DataError as error:
                messages.append(str(error))
        assert len(messages) == 1 and "kind0/01.PNG cannot be read as a picture" in messages[0]


def test_a_few_damaged_pictures_may_be_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = make_folder(tmp_path, 120)
    (folder / "kind0" / "03.PNG").write_bytes(b"damage")
    options = {"path": str(folder), "size": 8, "held_out": 0.0}
    assert "03.PNG cannot be read" in refused(data["folder"](**options))
    pixels = data["folder"](**options, skip_bad=True).load("train").pixels
    whole = [min(10 * (i + 1), 255) for i in range(120) if i != 3]
    assert sorted(pixels[:, 0, 0, 0].tolist()) == whole and "03.PNG cannot be read" in caplog.text
    assert caplog.text.count("WARNING") == 1 and "1 of 120 pictures cannot be read" in caplog.text
    for file in sorted(folder.rglob("*.PNG"))[:59]:
        file.write_bytes(b"damage")
    assert len(data["folder"](**options, skip_bad=True).load("train")) == 61
    sorted(folder.rglob("*.PNG"))[60].write_bytes(b"damage")
    assert "60 of 120 pictures cannot be read" in refused(data["folder"](**options, skip_bad=True))


def test_depths_without_a_range_are_refused() -> None:
    for array in (np.full((8, 8), 0.5, dtype=np.float32), np.full((8, 8), 70000, dtype=np.int32)):
        with pytest.raises(DataError, match="x has pixels of more than 16 bits"):
            read_picture(encoded(Image.fromarray(array), "tiff"), "x", 8, 3)


def test_missing_empty_and_damaged_containers_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").write_bytes(b"damage")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    good = zipped(make_folder(tmp_path / "pictures", 1), tmp_path / "flipped.zip")
    content = bytearray(good.read_bytes())
    content[content.index(b"IHDR")] ^= 1  # the checksum of the member no longer fits
    good.write_bytes(content)
    for name, file, words in [
        ("folder", "none", "is not a folder"),
        ("folder", "bad", "is not a folder"),
        ("folder", "empty", "holds no pictures"),
        ("zip", "none", "cannot be read as a zip file"),
        ("zip", "bad", "cannot be read as a zip file"),
        ("zip", "empty.zip", "holds no pictures"),
        ("zip", "flipped.zip", "kind0/00.PNG cannot be unpacked"),
        ("npz", "none", "cannot be read as an .npz or .npy file"),
        ("npz", "bad", "cannot be read as an .npz or .npy file"),
        ("npz", "empty.zip", "no array called 'images'"),
    ]:
        message = refused(data[name](path=str(tmp_path / file)))
        assert words in message and message.startswith(str(tmp_path / file))


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_arrays_are_split_with_their_labels(tmp_path: Path, channels: int | None) -> None:
    shape = (10, 6, 5) if channels is None else (10, 6, 5, channels)
    images = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    images[:, 0, 0] = np.arange(10).reshape(-1, *[1] * (len(shape) - 3))
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(10), classes=np.array(["x"]))
    options = data["npz"](path=str(tmp_path / "a.npz"), held_out=0.3)
    train, test = options.load("train"), options.load("test")
    assert (len(train), len(test), train.shape) == (7, 3, (channels or 1, 6, 5))
    for part in (train, test):
        assert part.labels is not None and part.labels.dtype == torch.int64
        assert part.pixels[:, 0, 0, 0].tolist() == part.labels.tolist()
    expected = torch.from_numpy(images.reshape(10, 6, 5, -1)).permute(0, 3, 1, 2)
    assert rows(train.pixels) | rows(test.pixels) == rows(expected.contiguous())
    np.savez(tmp_path / "b.npz", images=images[:4])
    apart = data["npz"](path=str(tmp_path / "a.npz"), test_path=str(tmp_path / "b.npz"))
    assert (len(apart.load("train")), len(apart.load("test")), apart.load("test").labels) == (10, 4, None)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": np.full((2, 4, 4), np.nan)}, "finite 32-bit numbers"),
        ({"images": np.zeros((2, 3, 4, 3), dtype=np.uint8)}, "(N, C, H, W) or (N, H, W, C)"),
        ({"images": np.zeros((0, 4, 4), dtype=np.uint8)}, "got (0, 4, 4)"),
        ({"a": np.zeros((2, 4, 4)), "b": np.zeros((2, 4, 4))}, "holds a, b"),
        ({"images": np.zeros((2, 4, 4), dtype=np.uint8), "labels": np.zeros(3, dtype=int)}, "each of 2 items"),
        ({"images": np.zeros((2, 4, 4), dtype=np.uint8), "labels": np.zeros(2)}, "whole number"),
        ({"images": np.array([None])}, "cannot be read as an .npz or .npy file"),
    ],
)
def test_wrong_arrays_are_refused_by_name(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    assert words in refused(data["npz"](path=str(tmp_path / "a.npz")))
