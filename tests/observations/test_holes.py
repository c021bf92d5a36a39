"""Mask files: what an editor writes becomes the hole that was painted, or is refused."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from scoresde.core.errors import UsageError
from scoresde.observations.holes import read_hole

HOLE = np.zeros((6, 8), bool)
HOLE[1:4, 2:5] = True
BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (200, 30, 60)


def layer(inside, outside, mode="RGBA"):
    """A picture with one RGBA value where the hole is and another, or an array, elsewhere."""
    values = np.where(HOLE[..., None], np.asarray(inside, np.uint8), np.asarray(outside, np.uint8))
    return Image.fromarray(values, "RGBA").convert(mode)


def photo(opacity_in_the_hole):
    """Colours at random, opaque but for the hole."""
    values = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)
    values[..., 3] = np.where(HOLE, opacity_in_the_hole, 255)
    return Image.fromarray(values, "RGBA")


def palette():
    """White strokes in a picture of a palette, one of whose colours is transparent."""
    picture = Image.fromarray(HOLE.astype(np.uint8), "P")
    picture.putpalette([9, 9, 9, 255, 255, 255])
    picture.info["transparency"] = 0
    return picture


PAINTED = {
    "white on transparent": (layer((*WHITE, 255), (*BLACK, 0)), "strokes on a transparent layer"),
    "white on transparent white": (layer((*WHITE, 255), (*WHITE, 0)), "strokes on a transparent layer"),
    "coloured on transparent": (layer((*RED, 255), (*BLACK, 0)), "strokes on a transparent layer"),
    "grey with alpha": (layer((*WHITE, 255), (*BLACK, 0), "LA"), "strokes on a transparent layer"),
    "a palette": (palette(), "strokes on a transparent layer"),
    "black around it": (layer((*BLACK, 0), (*BLACK, 255)), "black strokes"),
    "erased in a photograph": (photo(0), "erased in places"),
    "opaque": (layer((*WHITE, 255), (*BLACK, 255)), None),
    "opaque grey": (layer((*WHITE, 255), (*BLACK, 255), "L"), None),
    "bits": (layer((*WHITE, 255), (*BLACK, 255), "1"), None),
}


@pytest.mark.parametrize("name", PAINTED)
def test_the_hole_is_what_was_painted(name, tmp_path, caplog):
    picture, said = PAINTED[name]
    picture.save(tmp_path / "mask.png")
    assert np.array_equal(read_hole(tmp_path / "mask.png", (8, 6)).numpy(), ~HOLE)
    assert np.array_equal(read_hole(tmp_path / "mask.png", (8, 6), invert=True).numpy(), HOLE)
    told = [record.getMessage() for record in caplog.records]
    assert told == [] if said is None else (len(told) == 2 and all(said in text for text in told))


LARGE = np.zeros((60, 80), bool)
LARGE[15:40, 20:55] = True


def blurred(mode):
    """White strokes with soft edges, on black, or on a transparent layer."""
    alpha = Image.fromarray(LARGE.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(1.5))
    if mode == "L":
        return alpha
    return Image.merge("RGBA", [Image.new("L", (80, 60), 255)] * 3 + [alpha])


@pytest.mark.parametrize(("mode", "ending"), [("L", "png"), ("RGBA", "png"), ("L", "jpg"), ("hard", "jpg")])
def test_soft_edges_and_jpeg_are_cut_at_half_and_said(mode, ending, tmp_path, caplog):
    """A symmetric blur leaves a straight edge where it was; corners are rounded by a pixel."""
    picture = Image.fromarray(LARGE.astype(np.uint8) * 255) if mode == "hard" else blurred(mode)
    picture.save(tmp_path / f"mask.{ending}", **({"quality": 60} if ending == "jpg" else {}))
    found = ~read_hole(tmp_path / f"mask.{ending}", (80, 60)).numpy()
    assert (found != LARGE).sum() <= (0 if mode == "hard" else 12) and np.array_equal(
        found[27, 10:70], LARGE[27, 10:70]
    )
    assert "neither black nor white: it is cut at half, level 128" in caplog.text
    inverse = read_hole(tmp_path / f"mask.{ending}", (80, 60), invert=True).numpy()
    assert np.array_equal(inverse, found)


def gradient():
    return Image.fromarray(np.linspace(0, 255, 48).reshape(6, 8).astype(np.uint8))


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (Image.new("L", (8, 6), 0), "makes no hole: paint what is to be drawn white"),
        (Image.new("L", (8, 6), 255), "makes all of the picture the hole"),
        (Image.new("RGBA", (8, 6), (255, 255, 255, 0)), "makes no hole"),
        (gradient(), "95.83% of the mask .* is grey"),
        (Image.fromarray(np.where(HOLE, 200, 0).astype(np.uint8)), "18.75% of the mask .* is grey"),
        (Image.new("RGBA", (8, 6), (255, 255, 255, 128)), "100.00% of the mask .* is half transparent"),
        (Image.new("L", (8, 6), 7), "100.00% of the mask .* is grey"),
        (
            layer((*WHITE, 255), np.where(np.arange(8)[:, None] < 4, (0, 0, 0, 255), (0, 0, 0, 0))),
            "black, white and tr",
        ),
        (Image.new("L", (6, 8), 0), "is 6x8 and the picture 8x6"),
    ],
)
def test_what_is_no_mask_is_refused(picture, message, tmp_path):
    picture.save(tmp_path / "mask.png")
    with pytest.raises(UsageError, match=message):
        read_hole(tmp_path / "mask.png", (8, 6))
