"""Photographs at their own size: the luma and the known pixels are those of the file, whatever its size and kind."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_model

import scoresde
from scoresde.core.errors import UsageError
from scoresde.core.random import numpy_stream, randn, stream
from scoresde.images import pictures
from scoresde.observations import covariance
from scoresde.posterior import photograph, store

SHAPE = (3, 8, 8)


def noise(height, width, channels=3, seed=0):
    array = numpy_stream(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(array if channels > 1 else array[..., 0])


def pixels(path):
    with Image.open(path) as picture:
        return np.array(picture)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two models of random weights with covariances: for grey and for colour."""
    home = tmp_path_factory.mktemp("models")
    for channels in (1, 3):
        folder = Path(tiny_model(home / str(channels), channels))
        smooth = torch.nn.functional.avg_pool2d(randn((200, channels, 10, 10), stream(0, "images")), 3, 1)
        found = [covariance.estimate(smooth, kind) for kind in ("channel", "dct")]
        store.save(folder, found, {"data": "smooth noise", "images": 200})
    return home


@pytest.fixture
def go(run, home):
    """Runs a command with few steps on the colour model, or on another that is named."""

    def call(line, out="out"):
        line = line if "--model" in line else f"{line} --model {home / '3'}"
        return " ".join(run(f"{line} --steps 2 -n 2 --quiet --out {out}").split())

    return call


def samples(folder, name="a", out="out"):
    return [pixels(folder / out / f"{name}-00000{i}.png") for i in (0, 1)]


@pytest.mark.parametrize("size", [(37, 21), (19, 64), (5, 6), (8, 9), (1, 13)])
def test_colours_have_the_luma_of_the_file_at_its_own_size(go, tmp_path, size):
    """Portrait, landscape, smaller than the model and a single row: Pillow's grey of the result is that of the file."""
    noise(*size).save(tmp_path / "a.png")
    said = go("colourise a.png")
    assert f"a.png: {size[1]}x{size[0]}, reduced to its luma, its colours drawn at" in said
    with Image.open(tmp_path / "a.png") as picture:
        luma = np.array(picture.convert("L"))
    one, two = samples(tmp_path)
    for found in (one, two):
        assert found.shape == (*size, 3) and np.array_equal(np.array(Image.fromarray(found).convert("L")), luma)
    assert not np.array_equal(one, two)


def test_of_whatever_kind_the_file_is(go, tmp_path):
    """Grey, 16 bits, transparent, and turned by the camera."""
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise
    sixteen = Image.fromarray(np.asarray(noise(11, 23, 1)).astype(np.uint16) * 257)
    turned = np.asarray(noise(11, 23, 1).transpose(Image.Transpose.ROTATE_270))
    clear = noise(11, 23, 4)
    flat = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    truths = {"grey": np.asarray(noise(11, 23, 1)), "sixteen": np.asarray(noise(11, 23, 1)), "turned": turned,
              "clear": np.asarray(flat.convert("L"))}  # fmt: skip
    noise(11, 23, 1).save(tmp_path / "in" / "grey.png")
    sixteen.save(tmp_path / "in" / "sixteen.png")
    noise(11, 23, 1).save(tmp_path / "in" / "turned.png", exif=exif)
    clear.save(tmp_path / "in" / "clear.png")
    go("colourise in")
    for name, truth in truths.items():
        for found in samples(tmp_path, name):
            assert np.array_equal(np.array(Image.fromarray(found).convert("L")), truth)


HOLES = {
    "one pixel": (20, 15, 21, 16),
    "in a corner": (0, 0, 7, 5),
    "along the border": (0, 30, 29, 37),
    "small": (9, 9, 14, 12),
    "large": (2, 3, 27, 33),
    "high": (12, 0, 15, 37),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("box", HOLES.values(), ids=HOLES)
def test_what_is_not_in_the_hole_is_kept_bit_for_bit(go, tmp_path, home, channels, box):
    noise(37, 29, channels).save(tmp_path / "a.png")
    said = go(f"inpaint a.png --box {','.join(map(str, box))} --model {home / str(channels)}")
    assert "a.png: 29x37, the hole is" in said and ", filled in the part" in said
    before, hole = pixels(tmp_path / "a.png"), np.zeros((37, 29), bool)
    hole[box[1] : box[3], box[0] : box[2]] = True
    one, two = samples(tmp_path)
    for found in (one, two):
        assert found.shape == before.shape and np.array_equal(found[~hole], before[~hole])
        assert (found[hole] != before[hole]).mean() > 0.9
    assert hole.sum() == 1 or not np.array_equal(one, two)
    assert np.array_equal(pixels(tmp_path / "out" / "a-mask.png") == 255, hole)


def test_no_hole_is_the_picture_and_all_of_it_is_the_model(go, tmp_path):
    noise(20, 13).save(tmp_path / "a.png")
    assert "nothing is known" in go("inpaint a.png --box 0,0,13,20")
    one, two = samples(tmp_path)
    assert one.shape == two.shape == (20, 13, 3) and not np.array_equal(one, two)
    case = photograph.filled(noise(20, 13), torch.ones(20, 13, dtype=torch.bool), SHAPE)
    assert case.solved and torch.equal(case.y, pictures.scaled(noise(20, 13))[None]) and case.finish is None


def test_a_filling_continues_the_picture_at_its_edge():
    """Of a picture with a slope, a filling that is off by any constant has no step at the edge of the hole."""
    slope = np.broadcast_to(np.linspace(40, 200, 64, dtype=np.uint8)[None, :, None], (48, 64, 3))
    known = torch.ones(48, 64, dtype=torch.bool)
    known[10:30, 20:44] = False
    case = photograph.filled(Image.fromarray(slope.copy()), known, SHAPE)
    x = case.y.clone()
    x[:, :, ~case.observation.mask.reshape(x.shape[2:])] += 0.4
    found = 127.5 * (case.finish(x)[0] + 1)
    assert torch.equal(found[:, known].round(), torch.from_numpy(slope.copy()).permute(2, 0, 1)[:, known].float())
    steps = [(found[:, 10] - found[:, 9])[:, 20:44], (found[:, :, 20] - found[:, :, 19])[:, 10:30]]
    assert max(float(step.abs().max()) for step in steps) < 16  # of 51 levels that the filling is off


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((30, 30, 34, 34), (28, 28, 36, 36)),  # four pixels: the model's own size
        ((30, 30, 36, 34), (27, 26, 39, 38)),  # six: twice their side
        ((0, 90, 3, 100), (0, 80, 20, 100)),  # moved into the picture
        ((10, 10, 40, 40), (0, 0, 60, 60)),
        ((0, 40, 100, 44), (0, 0, 100, 100)),  # no more than there is
    ],
)
def test_the_square_around_a_hole(box, expected):
    assert photograph.square_around(pictures.box_known(box, (100, 100)), (8, 8)) == expected


def test_pictures_of_the_size_of_the_model_are_what_they_were(go, tmp_path):
    """Whatever --fit: the same bits for each of the three commands."""
    noise(8, 8).save(tmp_path / "a.png")
    for line in ("colourise a.png", "inpaint a.png --box 1,1,5,5", "restore a.png --task blur:0.8"):
        found = []
        for fit in ("whole", "resize", "tile"):
            out = f"{line.split()[0]}-{fit}"
            go(f"{line} --fit {fit}", out)
            found.append(samples(tmp_path, out=out))
        assert all(np.array_equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize(("task", "size"), [("downsample:2", (46, 30)), ("blur:0.8", (23, 15)), ("luma", (23, 15))])
def test_a_restored_picture_has_the_size_of_the_photograph_or_a_multiple(go, tmp_path, task, size):
    noise(23, 15, 1 if task == "luma" else 3).save(tmp_path / "a.png")
    go(f"restore a.png --task {task}")
    for found in samples(tmp_path):
        assert found.shape == (*size, 3)


def test_a_small_picture_is_restored_at_its_own_size(go, tmp_path):
    noise(4, 6).save(tmp_path / "a.png")
    go("restore a.png --task blur:0.8")
    assert all(found.shape == (4, 6, 3) for found in samples(tmp_path))


def test_python_gives_the_pixels_of_the_command(go, tmp_path, home):
    noise(19, 30).save(tmp_path / "a.png")
    model, box = str(home / "3"), (4, 3, 9, 9)
    go("colourise a.png")
    go("inpaint a.png --box 4,3,9,9", "filled")
    coloured = scoresde.restore(tmp_path / "a.png", "luma", model, "dpm++:steps=2", n=2)
    known = pictures.box_known(box, (30, 19))
    filled = scoresde.restore(Image.open(tmp_path / "a.png"), known, model, "dpm++:steps=2", n=2)
    assert scoresde.restore(tmp_path / "a.png", "luma", model, n=1).nfe == 11, "ten steps and the denoising"
    trained = tiny_model(tmp_path / "trained", 3, condition="colour")
    assert scoresde.restore(tmp_path / "a.png", "luma", trained, n=1).nfe == 21, "no measurement mends what is left"
    for found, out in ((coloured, "out"), (filled, "filled")):
        assert found.nfe == 3 and list(found.seeds) == [0, 1]
        for ours, theirs in zip(found.images, samples(tmp_path, out=out), strict=True):
            assert np.array_equal(ours.permute(1, 2, 0).numpy(), theirs)


@pytest.mark.parametrize("mode", ["I;16", "RGBA", "LA", "1", "P"])
def test_an_opened_picture_of_any_mode_is_that_of_its_file(tmp_path, home, mode):
    values = np.random.default_rng(0).integers(0, 256, (7, 12, 4), dtype=np.uint8)
    deep = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    (deep if mode == "I;16" else Image.fromarray(values).convert(mode)).save(tmp_path / "a.png")
    known = np.ones((7, 12), bool)
    known[2:4, 3:6] = False
    opened = Image.open(tmp_path / "a.png")
    assert opened.mode == mode
    for channels in "13":
        given = known, str(home / channels), "dpm++:steps=2"
        found, theirs = (scoresde.restore(each, *given, n=1).images for each in (opened, tmp_path / "a.png"))
        assert torch.equal(found, theirs)
    if mode == "I;16":
        assert np.array_equal(found[0, 0].numpy()[known], values[..., 0][known])


@pytest.mark.parametrize("size", [(1, 20), (20, 1), (1, 1)])
def test_a_picture_of_one_row_or_column_is_filled(home, size):
    picture, known = noise(size[1], size[0]), np.ones(size[::-1], bool)
    known.flat[-1] = False
    found = scoresde.restore(picture, known, str(home / "3"), "dpm++:steps=2", n=1).images
    assert np.array_equal(found[0].permute(1, 2, 0).numpy()[known], np.asarray(picture)[known])


def test_python_refuses_what_it_does_not_do(home):
    picture, model = noise(9, 12), str(home / "3")
    with pytest.raises(UsageError, match=r"the mask of a picture of 12x9 is \(9, 12\), got \(12, 9\)"):
        scoresde.restore(picture, np.ones((12, 9), bool), model)
    with pytest.raises(UsageError, match="use condition for it"):
        scoresde.restore(picture, "downsample:factor=2", model)
    with pytest.raises(UsageError, match="needs a model of colour images"):
        scoresde.restore(picture, "luma", str(home / "1"))
