"""Pictures in memory: the middle of long and thin ones, and memory that follows the pixels."""

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scoresde.core.errors import DataError
from scoresde.images import read
from scoresde.images.decode import look, open_picture
from scoresde.images.pictures import fit


def waves(height: int, width: int) -> np.ndarray:
    return (127 + 100 * np.sin(np.arange(height)[:, None] / 3) * np.cos(np.arange(width) / 5)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(3, 400), (400, 3), (1, 77), (50, 31), (8, 8)])
@pytest.mark.parametrize("size", [8, 21, 128])
def test_the_middle_of_a_picture_is_that_of_the_whole(
    shape: tuple[int, int], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = Image.fromarray(waves(*shape))
    scale = size / min(shape)
    width, height = (max(size, round(side * scale)) for side in picture.size)
    left, top = (width - size) // 2, (height - size) // 2
    whole = picture.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + size, top + size))
    assert np.array_equal(read.resized_middle(picture, (width, height), (size, size)), whole)
    monkeypatch.setattr(read, "WHOLE", 0)
    part = read.resized_middle(picture, (width, height), (size, size))
    assert part.size == (size, size)
    assert np.abs(np.asarray(part).astype(int) - np.asarray(whole)).max() <= 1  # Pillow keeps the place in 32 bits


def test_a_thin_picture_and_its_hole_are_cut_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "WHOLE", 0)
    done, left = fit((2000, 16), 64, 64), torch.arange(2000).expand(16, -1) < 1000
    picture = np.asarray(done.picture(Image.fromarray(np.where(left, 0, 255).astype(np.uint8))))
    known = done.known(left)
    assert picture.shape == (64, 64) and known.shape == (64, 64)  # one of 4 of the columns of a pixel of the file
    assert picture[:, :22].max() == 0 and picture[:, 42:].min() == 255
    assert known[:, :22].all() and not known[:, 42:].any()
    assert fit((20000, 2), 64, 64).picture(Image.new("L", (20000, 2))).size == (64, 64)


CHILD = """
import json, sys
def peak():  # of this process alone: what getrusage says begins with the peak of the process that started it
    return 1024 * int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
{imports}
for name in json.loads(sys.argv[1]):
    open("/proc/self/clear_refs", "w").write("5")  # forgets the peak
    before = peak()
    with open(name, "rb") as file:
        {read}
    print(peak() - before)
"""


def needed(pictures: list[Path], imports: str, read: str) -> list[int]:
    """Bytes that a process needs for reading each of some pictures, beside what it needs to start."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("memory is measured where the system says how much a process had")
    code, names = CHILD.format(imports=imports, read=read), json.dumps([str(path) for path in pictures])
    done = subprocess.run([sys.executable, "-c", code, names], capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def test_memory_follows_the_pixels_of_the_file_and_the_result(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("wide.png", "tall.jpg", "line.png", "frames.gif")]
    for file, shape in zip(files, [(2, 20000), (20000, 2), (1, 1_000_000)], strict=False):
        Image.fromarray(waves(*shape)).save(file)
    frames = [Image.new("L", (64, 64), i % 256) for i in range(2000)]
    frames[0].save(files[3], save_all=True, append_images=frames[1:])
    found = needed(files, "from scoresde.images.read import read_picture", "read_picture(file, name, 256, 3)")
    assert len(found) == 4 and max(found) < 50e6  # resized as a whole, the first would need 2.6e9


def test_large_pictures_need_few_bytes_a_pixel(tmp_path: Path) -> None:
    side = 3000
    grey = waves(side, side)
    pictures = {
        "colour": (Image.fromarray(np.stack([grey, grey.T, grey], -1)), {}),
        "clear": (Image.fromarray(np.stack([grey, grey.T, grey, grey.T], -1)), {}),
        "deep": (Image.fromarray(grey.astype(np.uint16) * 257), {}),
        "palette": (Image.fromarray(grey).convert("P"), {"transparency": 3}),
    }
    for name, (picture, options) in pictures.items():
        picture.save(tmp_path / f"{name}.png", compress_level=1, **options)
    files = [tmp_path / f"{name}.png" for name in pictures]
    imports = "from scoresde.images.decode import open_picture; import PIL.PngImagePlugin, PIL.ImageOps"
    found = needed(files, imports, 'open_picture(file, name, "RGB")')
    # Pillow keeps 1, 2 or 4 bytes of each pixel of the file, and 4 of what is made of it; each copy would add 4.
    assert len(found) == 4 and max(found) < 10.5 * side**2


def test_a_small_picture_with_a_text_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "text.png")
    content, packed = (tmp_path / "text.png").read_bytes(), b"zTXtComment\0\0" + zlib.compress(bytes(200_000_000), 1)
    chunk = struct.pack(">I", len(packed) - 4) + packed + struct.pack(">I", zlib.crc32(packed))
    at = content.index(b"IDAT") - 4
    (tmp_path / "text.png").write_bytes(content[:at] + chunk + content[at:])
    imports = "from contextlib import suppress; from scoresde.images.decode import DataError, open_picture"
    (found,) = needed([tmp_path / "text.png"], imports, "with suppress(DataError): open_picture(file, name)")
    assert found < 50e6
    with (tmp_path / "text.png").open("rb") as file, pytest.raises(DataError, match="a.png cannot be read"):
        open_picture(file, "a.png")


def test_strips_change_no_pixel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (1500, 1100), dtype=np.uint16)
    values[0] = np.arange(1100) * 59
    Image.fromarray(values).save(tmp_path / "deep.png")
    with (tmp_path / "deep.png").open("rb") as file:
        assert np.array_equal(open_picture(file, "x"), np.rint(values / 257).astype(np.uint8))
    clear = Image.fromarray(values.view(np.uint8).reshape(1500, 550, 4))
    clear.save(tmp_path / "clear.png")
    white = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    with (tmp_path / "clear.png").open("rb") as file:
        assert np.array_equal(open_picture(file, "x", "L"), white.convert("L"))


@pytest.mark.parametrize(
    ("picture", "mode"),
    [
        (Image.new("1", (5, 7)), "1"),
        (Image.new("RGBA", (5, 7)), "RGBA"),
        (Image.new("L", (5, 7)).convert("P"), "L"),
        (Image.new("RGB", (5, 7), "red").convert("P", palette=Image.Palette.ADAPTIVE), "P"),
    ],
)
def test_a_look_at_the_head_gives_size_and_mode(picture: Image.Image, mode: str, tmp_path: Path) -> None:
    picture.save(tmp_path / "a.png")
    head = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(head[: head.index(b"IDAT") + 6])  # no pixel is needed
    for name in ("a.png", "cut.png"):
        with (tmp_path / name).open("rb") as file:
            assert look(file, name) == ((5, 7), mode)
