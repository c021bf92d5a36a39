"""Samples as they are shown, saved and joined; pictures are compared with Pillow's own reading of them."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from scoresde.core.errors import UsageError
from scoresde.sampling.samples import Samples


def ramp(count, shape=(1, 8, 8)):
    x = torch.linspace(-1.2, 1.2, count * torch.Size(shape).numel()).reshape(count, *shape)
    return Samples(x, 11, 11.0, 0.5, {"steps": 10.0}, solver="euler:steps=10", seeds=range(3, 3 + count))


def shown(samples):
    """The picture in a notebook's HTML, and the text below it."""
    found = re.fullmatch(r".*base64,([^\"]+)\"><figcaption>(.*)</figcaption></figure>", samples._repr_html_())
    return Image.open(io.BytesIO(base64.b64decode(found[1]))), found[2]


def test_the_repr_is_one_short_line():
    assert repr(ramp(4)) == "Samples(4 of 1 x 8 x 8 by euler:steps=10: 11 NFE, 0.50 s)"
    vector = Samples(torch.zeros(2, 5), 7.5, 7.5, 12.345, {}, vjps=7)
    assert repr(vector) == "Samples(2 of 5: 7.5 NFE, 7 products, 12.35 s)" and vector.cost == 21.5


def test_a_notebook_shows_the_sheet_with_the_cost_below():
    samples = ramp(4)
    picture, text = shown(samples)
    assert text == repr(samples) and picture.size == samples.sheet().size == (152, 152)  # 2 x (8 + gap) + gap, by 8
    tile = np.asarray(picture)[8 : 8 + 64 : 8, 8 : 8 + 64 : 8, 0]
    assert np.array_equal(tile, samples.images[0, 0].numpy())
    many, text = shown(ramp(100))
    assert many.size == (584, 584) and text.endswith(", the first 64 are shown")
    for shape in ((2, 5), (2, 1, 9), (2, 1, 4, 4, 4)):
        assert "base64" in Samples(torch.rand(shape), 1, 1.0, 0.1, {})._repr_html_()
    assert Samples(torch.zeros(2), 1, 1.0, 0.1, {})._repr_html_() is None  # which leaves it at the text
    fields = Samples(1e3 * torch.rand(2, 1, 4, 4), 1, 1.0, 0.1, {}, numbers=True)  # maps in units of their own
    assert not fields.pictures and "base64" in fields._repr_html_()
    assert ramp(2, (3, 4, 4)).pictures and not ramp(2, (2, 4, 4)).pictures


def test_images_are_bytes_with_channels_first():
    images = ramp(2, (3, 4, 4)).images
    assert images.dtype == torch.uint8 and images.shape == (2, 3, 4, 4) and (images.min(), images.max()) == (0, 255)
    vector = Samples(torch.zeros(2, 5), 1, 1.0, 0.1, {})
    for look in (lambda: vector.images, vector.sheet):
        with pytest.raises(UsageError, match=r"samples of shape \(2, 5\) are no pictures"):
            look()


def test_pictures_are_saved_by_their_seeds(tmp_path):
    samples = ramp(2, (3, 4, 4))
    folder = samples.save(tmp_path / "new" / "folder")
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["000003.png", "000004.png", "samples.json", "sheet.png"]
    for name, image in zip(names, samples.images, strict=False):
        assert np.array_equal(np.asarray(Image.open(folder / name)), image.permute(1, 2, 0).numpy())
    record = json.loads((folder / "samples.json").read_text())
    assert (record["nfe"], record["seeds"], record["solver"]) == (11, [3, 4], "euler:steps=10")
    assert record["info"] == {"steps": 10.0} and record["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize(
    ("shape", "numbers", "names"),
    [
        ((3, 2), False, ["samples.json", "samples.npz", "sheet.png"]),
        ((3, 1, 9), True, ["samples.json", "samples.npz", "sheet.png"]),
        ((3, 1, 4, 4), True, ["samples.json", "samples.npz", "sheet.png"]),
        ((3,), False, ["samples.json", "samples.npz"]),
    ],
)
def test_other_samples_are_saved_as_numbers(tmp_path, shape, numbers, names):
    x = 50 + torch.randn(shape, generator=torch.Generator().manual_seed(0))
    samples = Samples(x, 1, 1.0, 0.1, {}, numbers=numbers)
    samples.save(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert np.array_equal(np.load(tmp_path / "samples.npz")["samples"], x.numpy())
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write into"):
        samples.save(tmp_path / "file")


def test_batches_are_joined():
    a = Samples(torch.zeros(3, 2), 10, 10.0, 1.0, {"steps": 10.0, "lowest_ess": 9.0}, solver="dpm", seeds=[0, 1, 2])
    b = Samples(torch.ones(1, 2), 20, 22.0, 0.5, {"steps": 16.0, "lowest_ess": 4.0}, solver="dpm", seeds=[3])
    both = Samples.joined([a, b])
    assert both.x.tolist() == [[0, 0]] * 3 + [[1, 1]] and list(both.seeds) == [0, 1, 2, 3] and len(both) == 4
    assert (both.nfe, both.seconds) == (15, 1.5)
    assert both.info["steps"] == 11.5  # the mean over the samples, which one batch would give: (3 · 10 + 16)/4
    assert both.info["lowest_ess"] == 4
    assert both.work == 13.0  # evaluations of all samples, per sample: (3 · 10 + 22)/4
    assert Samples.joined([a, a]).nfe == 10 and isinstance(Samples.joined([a, a]).nfe, int)
