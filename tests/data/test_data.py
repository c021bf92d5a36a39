"""The image sets of scikit-learn and torchvision: splits, pixels, and what is said about missing or damaged files."""

import hashlib
import pickle
import struct
import sys
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scoresde.core.errors import DataError, UsageError
from scoresde.core.options import table
from scoresde.data import DataOptions, Images, data

torch.set_num_threads(1)
NAMES = ("cifar10", "cifar100", "digits", "fashion-mnist", "folder", "mnist", "npz", "photos", "zip")


def refused(options: DataOptions, split: Any = "train") -> str:
    with pytest.raises(DataError) as caught:
        options.load(split)
    return str(caught.value)


def test_every_set_is_registered_described_and_survives_a_round_trip() -> None:
    assert set(NAMES) <= set(data.all())
    for name in NAMES:
        cls = data[name]
        options = cls(path="here") if "path" in cls.model_fields else cls()
        assert data.build(table(options)) == options
        assert all((field.description or "").endswith(".") for field in cls.model_fields.values())
    assert {data[name].model_fields["size"].annotation for name in ("photos", "folder", "zip")} == {int}


def test_the_shape_is_known_before_loading() -> None:
    for options in (data["digits"](), data["photos"](size=24)):
        assert options.shape == options.load("train").shape
    assert (data["mnist"]().shape, data["fashion-mnist"]().shape) == ((1, 28, 28), (1, 28, 28))
    assert data["cifar10"]().shape == data["cifar100"]().shape == (3, 32, 32)
    assert data["folder"](path="x", size=24).shape == (3, 24, 24)
    assert data["zip"](path="x", size=24, channels=1).shape == (1, 24, 24)
    assert data["npz"](path="x").shape is None  # the arrays decide


# Inside scikit-learn


def test_digits_are_split_once_and_for_all() -> None:
    from sklearn.datasets import load_digits

    train, test = (data["digits"]().load(split) for split in ("train", "test"))
    assert (len(train), len(test), train.shape, train.levels) == (1500, 297, (1, 8, 8), 17)
    source = load_digits()
    everything = torch.from_numpy(source.images).to(torch.uint8)
    both = torch.cat([train.pixels, test.pixels])[:, 0]
    assert sorted(r.numpy().tobytes() for r in both) == sorted(r.numpy().tobytes() for r in everything)
    label_of = {r.numpy().tobytes(): int(y) for r, y in zip(everything, source.target, strict=True)}
    assert all(label_of[r.numpy().tobytes()] == y for r, y in zip(test.pixels[:, 0], test.labels, strict=True))
    # Another permutation would make results of different versions incomparable.
    assert train.labels[:12].tolist() == [9, 5, 5, 6, 1, 9, 6, 6, 0, 3, 5, 1]
    assert test.labels[:12].tolist() == [1, 9, 5, 6, 0, 1, 0, 7, 4, 7, 9, 3]
    assert torch.equal(data["digits"]().load("test").pixels, test.pixels)


def test_images_are_drawn_from_all_over_a_set() -> None:
    """Of 1,000 images in ten classes, 200 drawn without repetition have 20 ± 3.8 of each class, hypergeometric."""
    pixels = torch.arange(1000).reshape(-1, 1, 1, 1)
    images = Images(torch.cat([pixels // 256, pixels % 256], 1).to(torch.uint8), labels=torch.arange(1000) // 100)

    def places(drawn: Images) -> list[int]:
        return (drawn.pixels[:, 0].int() * 256 + drawn.pixels[:, 1].int()).flatten().tolist()

    some = images.drawn(200, seed=3)
    assert some.labels is not None and some.levels == 256
    assert [place // 100 for place in places(some)] == some.labels.tolist() and len(set(places(some))) == 200
    assert ((some.labels.bincount() - 20).abs() < 5 * 3.8).all()
    assert places(some) == places(images.drawn(200, seed=3))
    assert places(some) == places(images.drawn(700, seed=3))[:200] and places(some) != places(images.drawn(200, seed=4))
    assert sorted(places(images.drawn(5000))) == list(range(1000))
    for draw in (images.drawn, images.stratified):
        with pytest.raises(UsageError, match="at least 1 item is drawn, got -1"):
            draw(-1)
    assert images.drawn(2).labels is not None and Images(images.pixels, levels=256).drawn(2).labels is None


def test_each_class_has_its_share_of_a_choice() -> None:
    """Of a sorted set 20 of 200 in each of ten equal classes; 3 of 4 where a class has three quarters of the set."""
    place = torch.arange(1000)
    pixels = torch.stack([place // 256, place % 256], 1).to(torch.uint8).reshape(-1, 1, 1, 2)
    images = Images(pixels, levels=256, labels=place // 100)
    some = images.stratified(200, seed=3)
    assert some.labels is not None and some.labels.bincount().tolist() == [20] * 10
    where = (some.pixels[:, 0, 0].int() @ torch.tensor([256, 1], dtype=torch.int32)).tolist()
    assert len(set(where)) == 200 and [i // 100 for i in where] == some.labels.tolist()
    for count in (10, 57, 1000):
        few = images.stratified(count, seed=3)
        assert few.labels is not None and set(few.labels.bincount(minlength=10).tolist()) <= {
            count // 10,
            -(-count // 10),
        }
        assert torch.equal(few.pixels[:200], some.pixels[: len(few)])
    assert not torch.equal(images.stratified(200, seed=4).pixels, some.pixels)
    for count in (4, 20, 60):
        few = Images(pixels, levels=256, labels=(place >= 250).long()).stratified(count)
        assert few.labels is not None and few.labels.bincount().tolist() == [count // 4, 3 * count // 4]
    bare = Images(pixels, levels=256)
    assert torch.equal(bare.stratified(50, seed=3).pixels, bare.drawn(50, seed=3).pixels)


def test_photos_are_the_crops_of_the_grid() -> None:
    from sklearn.datasets import load_sample_images

    china = torch.from_numpy(load_sample_images().images[0].copy()).permute(2, 0, 1)
    train, test = (data["photos"]().load(split) for split in ("train", "test"))
    assert (len(train), len(test), train.shape, train.levels, train.labels) == (1910, 422, (3, 32, 32), 256, None)
    assert torch.equal(train.pixels[32], china[:, 16:48, 16:48])  # 31 crops a row
    flower = torch.from_numpy(load_sample_images().images[1].copy()).permute(2, 0, 1)
    assert torch.equal(test.pixels[211], flower[:, :32, 512:544])
    assert torch.equal(test.pixels[0], china[:, :32, 512:544])
    half = china[:, :426].float().reshape(3, 213, 2, 320, 2).mean((2, 4)).round()
    assert torch.equal(train.pixels[25 * 31].float(), half[:, :32, :32])
    assert torch.equal(test.pixels[25 * 7].float(), half[:, :32, 256:288])
    assert len(data["photos"](size=64, stride=64).load("test")) == 2 * (6 * 2 + 3 * 1)


def test_no_test_crop_shares_a_pixel_with_a_training_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    # Photographs whose blue channel tells the side of the border that a pixel lies on.
    photo = np.zeros((64, 640, 3), dtype=np.uint8)
    photo[:, 512:, 2] = 255
    monkeypatch.setattr("scoresde.data.embedded.photograph", lambda name: Image.fromarray(photo))
    sides = {split: data["photos"](size=8, stride=4).load(split).pixels[:, 2] for split in ("train", "test")}
    assert sides["train"].max() == 0 and sides["test"].min() == 255


def test_a_missing_scikit_learn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert "pip install scikit-learn" in refused(data["digits"]())


# Through torchvision


def write_idx(path: Path, array: np.ndarray[Any, Any]) -> None:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())


@pytest.mark.parametrize(("name", "home"), [("mnist", "MNIST/raw"), ("fashion-mnist", "FashionMNIST/raw")])
def test_mnist_files_are_read(tmp_path: Path, name: str, home: str) -> None:
    raw = tmp_path / home
    raw.mkdir(parents=True)
    for prefix, count in (("train", 5), ("t10k", 3)):
        images = np.arange(count * 28 * 28, dtype=np.int64).reshape(count, 28, 28) % 251
        write_idx(raw / f"{prefix}-images-idx3-ubyte", images)
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", np.arange(count))
    train, test = (data[name](root=str(tmp_path), download=False).load(split) for split in ("train", "test"))
    assert (train.pixels.shape, test.pixels.shape) == ((5, 1, 28, 28), (3, 1, 28, 28))
    assert train.pixels[1, 0, 0, :3].tolist() == [784 % 251, 785 % 251, 786 % 251]
    assert train.labels is not None and train.labels.tolist() == [0, 1, 2, 3, 4]
    (raw / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03damage")
    message = refused(data[name](root=str(tmp_path), download=False))
    assert message.startswith(f"{name} cannot be loaded") and str(raw) in message


@pytest.mark.parametrize(
    ("name", "folder", "key"),
    [("cifar10", "cifar-10-batches-py", "labels"), ("cifar100", "cifar-100-python", "fine_labels")],
)
def test_cifar_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, folder: str, key: str
) -> None:
    import torchvision.datasets

    source = getattr(torchvision.datasets, name.upper())
    home = tmp_path / folder
    home.mkdir()
    pixels = (np.arange(2 * 3072) % 253).astype(np.uint8).reshape(2, 3072)
    contents = {"data_batch_1": {"data": pixels, key: [7, 2]}, "test_batch": {"data": pixels[1:], key: [2]}}
    contents["batches.meta"] = {"label_names": ["a", "b"]}
    sums = {}
    for file, content in contents.items():
        (home / file).write_bytes(pickle.dumps(content))
        sums[file] = hashlib.md5((home / file).read_bytes()).hexdigest()
    monkeypatch.setattr(source, "train_list", [["data_batch_1", sums["data_batch_1"]]])
    monkeypatch.setattr(source, "test_list", [["test_batch", sums["test_batch"]]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}
    monkeypatch.setattr(source, "meta", meta)
    options = data[name](root=str(tmp_path), download=False)
    train, test = options.load("train"), options.load("test")
    assert torch.equal(train.pixels, torch.from_numpy(pixels).reshape(2, 3, 32, 32))
    assert train.labels is not None and train.labels.tolist() == [7, 2]
    assert torch.equal(test.pixels, train.pixels[1:])
    (home / "data_batch_1").write_bytes(b"damage")
    assert str(home) in refused(options) and "damaged" in refused(options)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist", "fashion-mnist"])
def test_missing_downloads_are_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    message = refused(data[name](root=str(tmp_path), download=False))
    assert str(tmp_path) in message and "set download to true" in message
    assert "could not be downloaded" in refused(data[name](root=str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("photos", {"size": 65}),
        ("photos", {"stride": 0}),
        ("folder", {}),
        ("folder", {"path": "x", "channels": 2}),
        ("zip", {"path": "x", "held_out": 1}),
        ("npz", {"path": "", "held_out": 0.5}),
        ("mnist", {"root": ""}),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        data[name](**options)


@pytest.mark.parametrize(
    ("shape", "levels", "said"),
    [
        ((2, 1, 8, 8), 1, "images have 2 to 256 grey levels, got 1"),
        ((2, 1, 8, 8), 0, "images have 2 to 256 grey levels, got 0"),
        ((2, 1, 8, 8), 300, "images have 2 to 256 grey levels, got 300"),
        ((2, 1, 0, 8), 256, r"non-empty \(N, C, H, W\) uint8 tensor, got \(2, 1, 0, 8\)"),
    ],
)
def test_images_without_pixels_or_levels_are_refused(shape: tuple[int, ...], levels: int, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Images(torch.zeros(shape, dtype=torch.uint8), levels)


@pytest.mark.parametrize("labels", [[0.0, 0.7], [0, -1], [[0], [1]], [0], ["a", "b"]])
def test_labels_of_images_are_whole_as_those_of_other_data(labels: list[Any]) -> None:
    pixels = np.zeros((2, 1, 8, 8), dtype=np.uint8)
    with pytest.raises(DataError, match="labels must be"):
        Images(pixels, labels=labels)  # type: ignore[arg-type]
    taken = Images(pixels, labels=np.arange(2, dtype=np.uint8))  # type: ignore[arg-type]
    assert taken.labels is not None and taken.labels.dtype == torch.int64 and taken.drawn(1).labels is not None
