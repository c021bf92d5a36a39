"""Uploads: every format by one rule, and whatever is sent ends in a picture or in one error, at bounded cost."""

import io
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from scoresde.web import uploads
from scoresde.web.decoder import FORMATS
from scoresde.web.uploads import Decoder, Limits, UploadError, decode, png

DRAW = np.random.default_rng(0)
COLOUR = DRAW.integers(0, 256, (24, 17, 3), dtype=np.uint8)
SMOOTH = np.stack(np.broadcast_arrays(np.arange(96)[:, None] * 2, np.arange(64)[None] * 3, 77), -1).astype(np.uint8)


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def crafted_png(width, height, *chunks, colour=0, depth=8):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def refused(data, limits=uploads.STANDARD):
    with pytest.raises(UploadError) as caught:
        decode(data, limits)
    assert str(caught.value) and "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_decoded(kind):
    """Lossless ones to the very pixels, and JPEG to within its rounding on a smooth picture."""
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    picture = Image.fromarray(SMOOTH).quantize(256) if kind == "GIF" else Image.fromarray(SMOOTH)
    found = decode(encoded(picture, kind, **options))
    wanted = np.asarray(picture.convert("RGB"))
    assert found.dtype == np.uint8 and found.shape == wanted.shape and found.flags.writeable
    assert np.abs(found.astype(int) - wanted).max() <= (3 if kind == "JPEG" else 0)


def test_grey_stays_grey_and_sixteen_bits_are_scaled():
    grey = COLOUR[..., 0]
    assert np.array_equal(decode(encoded(Image.fromarray(grey)))[..., 0], grey)
    deep = np.array([[0, 128, 129, 257, 65406, 65407, 65535]], np.uint16)  # 65535 = 255 · 257
    assert decode(encoded(Image.fromarray(deep))).ravel().tolist() == [0, 0, 1, 1, 254, 255, 255]
    one = decode(encoded(Image.fromarray(grey > 127)))
    assert one.shape == (24, 17, 1) and set(np.unique(one)) == {0, 255}


def test_colours_by_rule():
    """Red through a palette and through ink, and transparency over white: a + (1 - a) 255 by hand."""
    red = Image.new("RGB", (5, 4), (255, 0, 0))
    assert (decode(encoded(red.convert("P"))) == [255, 0, 0]).all()
    assert np.abs(decode(encoded(red.convert("CMYK"), "JPEG", quality=100)).astype(int) - [255, 0, 0]).max() <= 3
    half = decode(encoded(Image.new("RGBA", (5, 4), (0, 100, 200, 51))))
    assert np.abs(half.astype(int) - [204, 224, 244]).max() <= 1
    clear = decode(encoded(Image.new("LA", (5, 4), (0, 0))))
    assert clear.shape == (4, 5, 1) and (clear == 255).all()


def test_orientation_is_applied():
    tags = Image.Exif()
    tags[0x0112] = 6  # the camera was turned: the picture is shown after a quarter turn clockwise
    found = decode(encoded(Image.fromarray(COLOUR), "PNG", exif=tags))
    assert np.array_equal(found, np.rot90(COLOUR, -1))


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_of_an_animation_the_first_frame_counts(kind):
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    data = encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )
    assert (decode(data) == [255, 0, 0]).all()


def test_the_content_decides():
    """Formats outside the list are refused though Pillow reads them, PostScript and its interpreter among them."""
    picture = Image.fromarray(COLOUR)
    for kind in ("TIFF", "PPM", "ICO", "TGA", "EPS", "PDF", "ICNS", "DDS"):
        assert refused(encoded(picture, kind)).status == 415
    for data in (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF", b"\x00" * 4096, b"http://localhost/a.png"):
        assert refused(data).status == 415
    assert refused(b"").status == 400


def test_what_is_too_large_is_refused_before_it_is_decoded():
    few = Limits(bytes=5000, pixels=1000)
    assert refused(bytes(5001), few).status == 413
    assert decode(encoded(Image.new("L", (1000, 1))), few).shape == (1, 1000, 1)
    assert "1001x1 pixels" in str(refused(encoded(Image.new("L", (1001, 1))), few))
    began = time.monotonic()
    for side in (2001, 12_000, 20_000, 2**31 - 1):  # Pillow warns above 89 and refuses above 179 million pixels
        data = chunk(b"IDAT", zlib.compress(bytes(1000)))
        assert refused(crafted_png(side, side, data)).status == 413
        gif = b"GIF89a" + struct.pack("<HH", min(side, 65535), min(side, 65535)) + bytes(20)
        assert refused(gif).status in (400, 413, 415)
    assert time.monotonic() - began < 5


def test_what_is_damaged_is_refused():
    whole = encoded(Image.fromarray(COLOUR))
    assert refused(whole[: len(whole) // 2]).status == 400
    assert refused(crafted_png(4, 4)).status == 400  # without pixels
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9))
    assert refused(crafted_png(4, 4, bomb, chunk(b"IDAT", zlib.compress(bytes(20))))).status in (400, 415)
    infinite = encoded(Image.fromarray(np.full((2, 2), np.inf, np.float32)), "TIFF")
    assert refused(infinite).status == 415


def test_memory_is_bounded():
    """Four million pixels with transparency, laid over white, need more than the 130 MB that this process may have."""
    tight = Limits(memory=130 * 2**20)
    large = encoded(Image.new("RGBA", (2000, 2000), (1, 2, 3, 4)))
    assert refused(large, tight).status == 413
    assert decode(encoded(Image.fromarray(COLOUR)), tight).shape == COLOUR.shape
    assert decode(large).shape == (2000, 2000, 3)


def test_time_is_bounded():
    """A JPEG of 20,000 repeated scans would take half a minute."""
    data = encoded(Image.new("L", (1600, 1600), 90), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    endless = data[:last] + 20_000 * data[last:-2] + b"\xff\xd9"
    began = time.monotonic()
    assert "takes too long" in str(refused(endless, Limits(processor=1, seconds=30)))
    assert time.monotonic() - began < 15


def test_a_process_that_hangs_or_dies_is_replaced():
    own, good = Decoder(uploads.STANDARD), encoded(Image.fromarray(COLOUR))
    try:
        assert np.array_equal(own.decode(good), COLOUR)
        os.kill(own._process.pid, signal.SIGSTOP)
        own.limits, began = Limits(seconds=1), time.monotonic()
        rescue = threading.Timer(40, own._process.kill)  # if nothing else ends it, this test fails and does not hang
        rescue.start()
        with pytest.raises(UploadError, match="takes too long") as caught:
            own.decode(good)
        rescue.cancel()
        assert time.monotonic() - began < 30
        own.limits = uploads.STANDARD
        assert caught.value.status == 400 and np.array_equal(own.decode(good), COLOUR)
        os.kill(own._process.pid, signal.SIGKILL)
        try:
            own.decode(good)
        except UploadError as error:  # unless its end is noticed before anything is sent
            assert error.status == 400
        assert np.array_equal(own.decode(good), COLOUR)
    finally:
        own.close()


def test_who_waits_too_long_is_told_so():
    own = Decoder(Limits(seconds=0.2))
    try:
        with own._lock, pytest.raises(UploadError, match="try again") as caught:
            own.decode(b"anything")
        assert caught.value.status == 503
    finally:
        own.close()


def test_threads_share_the_process():
    pictures = [np.full((9, 9, 3), level, np.uint8) for level in range(50)]
    found = [None] * 50

    def task(i):
        found[i] = decode(png(pictures[i]))

    threads = [threading.Thread(target=task, args=(i,)) for i in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(found, pictures, strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of other systems differ")
def test_the_process_can_open_nothing():
    code = (
        "import os, socket, sys\n"
        "from scoresde.web.decoder import restrict, warm\n"
        "warm()\n"
        "restrict(2**29)\n"
        "def refuses(act):\n"
        "    try:\n"
        "        act()\n"
        "    except OSError as error:\n"
        "        return type(error).__name__\n"
        "    except MemoryError:\n"
        "        return 'MemoryError'\n"
        "    return 'done'\n"
        "print([refuses(act) for act in (lambda: open('/etc/passwd'), lambda: open('new', 'w'), socket.socket,\n"
        "      os.pipe, lambda: os.listdir('.'), lambda: bytearray(2**29))])\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'scipy', 'fastapi', 'sqlite3'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answers, modules = done.stdout.splitlines()
    assert answers == str(["OSError"] * 5 + ["MemoryError"]) and modules == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of other systems differ")
def test_limits_that_are_stricter_stay():
    code = (
        "import resource as r\n"
        "r.setrlimit(r.RLIMIT_AS, (2**29, 2**30))\n"
        "from scoresde.web.decoder import restrict\n"
        "restrict(2**31)\n"
        "print(r.getrlimit(r.RLIMIT_AS)[1] == 2**30)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_a_process_that_does_not_start_is_said(monkeypatch):
    monkeypatch.setattr(uploads, "CHILD", "scoresde.web.no_such_module")
    own = Decoder(Limits())
    try:
        for _ in range(2):
            with pytest.raises(UploadError, match="does not start") as caught:
                own.decode(png(COLOUR))
            assert caught.value.status == 503
        monkeypatch.undo()
        assert np.array_equal(own.decode(png(COLOUR)), COLOUR)
    finally:
        own.close()


def test_secrets_of_the_environment_stay_outside(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "secret")
    own = Decoder(Limits())
    try:
        own.decode(png(COLOUR))  # it runs
        if sys.platform == "linux":
            with open(f"/proc/{own._process.pid}/environ", "rb") as file:
                assert b"SECRET" not in file.read()
    finally:
        own.close()


@pytest.mark.parametrize(
    "claim",
    ["200, 1, 4, 1", "200, 2**31, 2**31, 3", "200, 1, 2, 2", "302, 1, 4, 1", "400, 99, 99, 1", "200, 2, 4, 1"],
)
def test_what_the_process_says_is_not_trusted(claim):
    """An answer that is larger than it may be, of another shape or status, or cut short is none."""
    code = (
        "import struct, sys\n"
        "sys.stdin.buffer.read(30)\n"
        f"sys.stdout.buffer.write(struct.pack('>HIIB', {claim}) + b'0123')"
    )
    own = Decoder(uploads.STANDARD)
    own.close()
    own._process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    own._ready = True
    try:
        if claim == "200, 1, 4, 1":
            assert own.decode(b"123456").tobytes() == b"0123"
        else:
            with pytest.raises(UploadError, match="ended the process"):
                own.decode(b"123456")
    finally:
        own.close()


def test_a_picture_is_written_with_nothing_but_its_pixels():
    for pixels in (COLOUR, COLOUR[..., :1]):
        data, kinds, at = png(pixels), [], 8
        while at < len(data):
            (length,) = struct.unpack(">I", data[at : at + 4])
            kinds.append(data[at + 4 : at + 8])
            at += 12 + length
        assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}
        assert np.array_equal(decode(data), pixels)


def seeds():
    """Whole pictures of all formats and modes, from which the others are made."""
    picture = Image.fromarray(SMOOTH)
    whole = [encoded(picture, kind) for kind in FORMATS]
    whole += [encoded(picture.convert(mode)) for mode in ("1", "L", "LA", "P", "RGBA", "I;16")]
    whole += [encoded(picture, "JPEG", progressive=True), encoded(picture.convert("CMYK"), "JPEG")]
    whole.append(encoded(picture, "GIF", save_all=True, append_images=[picture.rotate(90)]))
    whole.append(encoded(picture, "WEBP", save_all=True, append_images=[picture.rotate(90)], lossless=True))
    return whole


def fuzzed(draw, whole):
    """One upload: cut off, with bytes changed anywhere or in the header, two in one, a bomb, or noise."""
    data = bytearray(draw.choice(whole))
    match draw.randrange(6):
        case 0:
            return bytes(data[: draw.randrange(len(data))])
        case 1 | 2 as where:
            end = len(data) if where == 1 else min(64, len(data))
            for _ in range(draw.choice([1, 3, 10, 50])):
                data[draw.randrange(end)] = draw.choice([0, 1, 127, 128, 255, draw.randrange(256)])
            return bytes(data)
        case 3:
            other = draw.choice(whole)
            return bytes(data[: draw.randrange(len(data))]) + other[draw.randrange(len(other)) :]
        case 4:
            side = draw.choice([0, 1, 1999, 2000, 30_000, 2**31, 2**32 - 1])
            pixels = chunk(b"IDAT", zlib.compress(bytes(draw.choice([0, 10, 10**6, 10**7]))))
            return crafted_png(side, draw.choice([1, side]), pixels, colour=draw.choice([0, 2, 3, 4, 6]))
    return draw.choice([b"", *(w[:8] for w in whole)]) + draw.randbytes(draw.randrange(5000))


def bombard(count, seed):
    draw, whole = random.Random(seed), seeds()
    statuses = {200: 0, 400: 0, 413: 0, 415: 0}
    for _ in range(count):
        try:
            found = decode(fuzzed(draw, whole))
            assert found.dtype == np.uint8 and found.size <= 3 * uploads.STANDARD.pixels and found.size
            statuses[200] += 1
        except UploadError as error:
            statuses[error.status] += 1  # no other status
    return statuses


@pytest.mark.parametrize(("count", "seed"), [(100, 0), pytest.param(1000, 1, marks=pytest.mark.slow)])
def test_random_uploads_end_in_a_picture_or_an_error(count, seed):
    statuses = bombard(count, seed)
    assert all(statuses.values()), f"some answer never came, so the uploads are not diverse: {statuses}"
    if sys.platform == "linux":
        with open(f"/proc/{uploads.decoder(uploads.STANDARD)._process.pid}/status") as file:
            peak = next(int(line.split()[1]) for line in file if line.startswith("VmPeak"))
        assert peak * 1024 <= uploads.STANDARD.memory
    assert np.array_equal(decode(png(COLOUR)), COLOUR)
