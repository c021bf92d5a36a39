"""What arrays mean, from Python and from files: images, other numbers, or a refusal that helps."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from scoresde.core.errors import DataError
from scoresde.data import Images, Tensors, data
from scoresde.data.given import GivenData, as_dataset

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (20, 8, 9, 3), dtype=np.uint8)
FIRST = torch.from_numpy(BYTES).permute(0, 3, 1, 2)
MOONS = RANDOM.normal(size=(100, 2))


@pytest.mark.parametrize(
    "x",
    [
        BYTES,
        BYTES.transpose(0, 3, 1, 2),
        torch.from_numpy(BYTES),
        BYTES.tolist(),
        BYTES.astype(np.int64),
        BYTES.astype(np.float32),
        BYTES / 255,
        (BYTES / 255).astype(np.float32),
        (BYTES / np.float32(127.5) - 1).transpose(0, 3, 1, 2),
        torch.from_numpy(BYTES).permute(0, 3, 1, 2) / 255,
        (BYTES / 255).astype(np.float16),  # rounded by up to an eighth of a level
        (BYTES / 127.5 - 1).astype(np.float16),
        [Image.fromarray(x) for x in BYTES],
        tuple(Image.fromarray(x).convert("RGBA") for x in BYTES),
    ],
    ids=range(14),
)
def test_pictures_are_found_however_they_are_written(x):
    found = as_dataset(x)
    assert isinstance(found, Images) and torch.equal(found.pixels, FIRST)


def test_grey_bytes_have_one_channel():
    assert torch.equal(as_dataset(BYTES[..., 0]).pixels, FIRST[:, :1])
    assert as_dataset(BYTES[..., :1]).shape == (1, 8, 9) == as_dataset(BYTES.transpose(0, 3, 1, 2)[:, :1]).shape
    assert as_dataset(RANDOM.integers(0, 256, (5, 8, 8, 4), dtype=np.uint8)).shape == (4, 8, 8)


@pytest.mark.parametrize(
    "x",
    [
        MOONS,
        RANDOM.normal(size=(20, 3, 8, 8)),  # fields with a range of their own
        RANDOM.random((20, 3, 8, 8)),  # in [0, 1], and no levels
        BYTES / 254,
        RANDOM.integers(0, 5, (20, 1, 8, 8)),  # classes or counts
        RANDOM.integers(0, 256, (20, 2, 8, 8)),  # neither grey nor colour
        RANDOM.normal(size=(20, 1, 64)),
        RANDOM.integers(0, 256, (20, 2, 8, 8, 8), dtype=np.uint8),
        RANDOM.integers(0, 256, (20, 13), dtype=np.uint8),
    ],
    ids=range(9),
)
def test_other_numbers_stay_what_they_are(x):
    found = as_dataset(x)
    assert isinstance(found, Tensors) and np.allclose(found.values, x, atol=1e-6)


class Stream(torch.utils.data.IterableDataset):
    """A data set without a length, as those of Hugging Face that are streamed."""

    column_names = ("img", "label")

    def __iter__(self):
        return iter(MOONS)


@pytest.mark.parametrize(
    "x, reason",
    [
        (np.zeros((5, 3, 8, 3), np.uint8), "could be"),
        (np.full((5, 3, 8, 3), 1.0), "could be"),
        (np.zeros((5, 28, 28, 28), np.uint8), "no 1 to 4 channels"),
        (np.zeros((64, 64, 3), np.uint8), r"x\[None\]"),
        (np.zeros((50, 784), np.uint8), r"x\.reshape\(-1, 28, 28\)"),
        (np.zeros((0, 8, 8, 3), np.uint8), "non-empty"),
        (MOONS + 1j, "complex"),
        ((MOONS, np.zeros(3, int)), "for each of 100 items"),
        ((MOONS, np.array(["a", "b"] * 50)), r"<U1: numpy\.unique"),
        (torch.utils.data.DataLoader(MOONS), "got a DataLoader"),
        (iter(MOONS), "got a "),
        (Stream(), "got a Stream: put its items into one"),
        ({"train": MOONS}, "those of train"),
    ],
)
def test_what_could_be_two_things_is_refused_with_the_way_out(x, reason):
    with pytest.raises(DataError, match=reason):
        as_dataset(x)


class Rows(torch.utils.data.Dataset):
    """Pairs as torchvision gives them."""

    def __init__(self, items, labels):
        self.items, self.labels = items, labels

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index], self.labels[index]


class Columns:
    """Rows as data sets of Hugging Face give them."""

    column_names = ("img", "label")

    def __len__(self):
        return len(BYTES)

    def __getitem__(self, index):
        return {"img": BYTES[index], "label": index % 3}


LABELS = np.arange(20) % 3


@pytest.mark.parametrize(
    "x",
    [
        (BYTES, LABELS),
        TensorDataset(torch.from_numpy(BYTES), torch.from_numpy(LABELS)),
        Rows(BYTES, LABELS),
        Rows(FIRST / 255, LABELS.tolist()),
        Columns(),
    ],
    ids=["tuple", "TensorDataset", "torchvision", "ToTensor", "hugging face"],
)
def test_data_sets_come_with_their_labels(x):
    found = as_dataset(x)
    assert torch.equal(found.pixels, FIRST) and found.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("mode", ["P", "1", "L", "LA", "RGBA", "CMYK"])
def test_pictures_of_data_sets_are_read_as_pillow_converts_them(mode):
    """Not as indices into a palette, nor inks as colours, nor a bit as a number."""
    grey = [picture.convert("L") for picture in map(Image.fromarray, BYTES)]
    given = [picture.quantize(8) if mode == "P" else picture.convert(mode) for picture in grey]
    found = as_dataset(Rows(given, LABELS))
    truth = np.stack([np.asarray(picture.convert("L" if mode in ("1", "L", "LA") else "RGB")) for picture in given])
    pixels = found.pixels.numpy() * (255 // (found.levels - 1))
    assert np.array_equal(pixels, np.moveaxis(truth.reshape(*BYTES.shape[:3], -1), -1, 1))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_pictures_of_more_than_8_bits_are_numbers_of_one_channel(dtype):
    values = (RANDOM.random((20, 8, 9)) * 3000).astype(dtype)
    found = as_dataset([Image.fromarray(each) for each in values])
    assert isinstance(found, Tensors) and np.array_equal(found.values.numpy(), values[:, None])


def test_labels_that_are_not_whole_are_refused():
    """0.7 was the class 0."""
    for labels in (LABELS / 3, [str(label) for label in LABELS], [None] * 20):
        with pytest.raises(DataError, match="whole number"):
            as_dataset(Rows(BYTES, labels))
    assert as_dataset(Rows(BYTES, LABELS[:, None])).labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    "shape, hint",
    [
        ((9, 16, 16), r"x\[:, None\]"),
        ((9, 40, 3), "moveaxis"),
        ((9, 16, 20, 3), "moveaxis"),
        ((9, 8, 8, 8, 1), "moveaxis"),
    ],
)
def test_numbers_in_the_shape_of_something_else_are_told_of(caplog, shape, hint):
    assert as_dataset(RANDOM.random(shape)).shape == shape[1:] and re.search(hint, caplog.text)
    caplog.clear()
    as_dataset(RANDOM.random((9, 1, *shape[1:-1], 7)))  # one channel, and no axis that is as short
    assert not caplog.text


def test_data_sets_without_labels_or_with_items_of_several_shapes():
    assert as_dataset(TensorDataset(torch.from_numpy(MOONS))).labels is None
    with pytest.raises(DataError, match="several shapes"):
        as_dataset(Rows([np.zeros((3, 4)), np.zeros((3, 5))], [0, 1]))


def test_held_out_data_mean_what_the_training_data_mean():
    train = as_dataset(MOONS)
    held = as_dataset(MOONS[:5] * 3, like=train)
    assert held.units is train.units
    given = GivenData.of(train, Tensors(MOONS[:5] * 3))
    assert given.load("test").units is train.units and given.shape == (2,)
    noise = RANDOM.random((20, 8, 9, 3))
    with pytest.raises(DataError, match="Tensors of shape"):
        as_dataset(noise, like=as_dataset(BYTES))
    flat = as_dataset(np.round(255 * noise) / 255, like=Tensors(FIRST.float()))  # whole levels, and yet numbers
    assert isinstance(flat, Tensors) and flat.shape == (3, 8, 9)
    with pytest.raises(DataError, match="give both"):
        GivenData.of(train, as_dataset(BYTES))
    with pytest.raises(
        DataError, match="with 256 grey levels, and the training data Images .* with 17"
    ):  # near black beside them
        GivenData.of(Images(FIRST // 16, 17), Images(FIRST // 16))


def load(path, split="train", **options):
    return data["npz"](path=str(path), **options).load(split)


@pytest.mark.parametrize("name", ["images", "data", "x", "X", "x_train", "arr_0", "anything"])
def test_the_array_of_a_file_is_found(tmp_path, name):
    np.savez(tmp_path / "a.npz", **{name: MOONS})
    found = load(tmp_path / "a.npz", held_out=0)
    assert isinstance(found, Tensors) and np.allclose(found.values, MOONS, atol=1e-6)
    np.save(tmp_path / "a.npy", MOONS)
    assert torch.equal(load(tmp_path / "a.npy", held_out=0).values, found.values)


def test_numbers_of_a_file_are_split_in_the_units_of_the_training_items(tmp_path):
    np.savez(tmp_path / "a.npz", x=MOONS, y=np.arange(100))
    train, test = (load(tmp_path / "a.npz", split, held_out=0.2) for split in ("train", "test"))
    assert (len(train), len(test)) == (80, 20) and test.units.centre.equal(train.units.centre)
    assert train.scaled().mean(0).abs().max() < 1e-6
    for part in (train, test):
        assert np.allclose(part.values, MOONS[part.labels], atol=1e-6)
    np.save(tmp_path / "b.npy", MOONS[:7] + 5)
    apart = load(tmp_path / "a.npz", "test", test_path=str(tmp_path / "b.npy"))
    whole = load(tmp_path / "a.npz", test_path=str(tmp_path / "b.npy"))
    assert len(apart) == 7 and len(whole) == 100 and apart.units.spread.equal(whole.units.spread)
    with pytest.raises(DataError, match="leave out reduce"):
        load(tmp_path / "a.npz", reduce=2)


def test_a_file_with_a_test_split_of_its_own(tmp_path):
    """As Keras writes MNIST."""
    labels = np.arange(20, dtype=np.uint8)
    np.savez(tmp_path / "m.npz", x_train=BYTES, y_train=labels, x_test=BYTES[:5], y_test=labels[:5])
    train, test = (load(tmp_path / "m.npz", split) for split in ("train", "test"))
    assert torch.equal(train.pixels, FIRST) and torch.equal(test.pixels, FIRST[:5])
    assert test.labels.tolist() == [0, 1, 2, 3, 4]
