"""Which files of a folder or a zip file are pictures: endings, links, results, and what is said of the others."""

import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from scoresde.images.listing import counted, endings, list_folder, printable, sort_out
from scoresde.images.pictures import found
from scoresde.images.samples import find_samples


def picture(path: Path, level: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9), (level, 0, 0)).save(path)
    return path


@pytest.mark.parametrize(
    "end",
    ["apng", "avif", "bmp", "dds", "dib", "gif", "ico", "j2k", "jfif", "jp2", "jpe", "jpeg", "mpo", "pcx"]
    + ["pgm", "png", "ppm", "qoi", "sgi", "tga", "tif", "tiff", "webp", "xbm"],
)
def test_what_pillow_writes_is_taken_for_a_picture_and_read(tmp_path: Path, end: str) -> None:
    from scoresde.images.pictures import load_picture

    size = 32 if end == "ico" else 16
    Image.new("1" if end == "xbm" else "RGB", (size, size)).save(
        tmp_path / f"a.{end.upper()}", Image.registered_extensions().get(f".{end}", "MPO")
    )
    (name,) = list_folder(tmp_path).pictures
    assert load_picture(tmp_path / name).size == (size, size)


def test_formats_that_need_another_program_are_no_pictures() -> None:
    assert not endings() & {".eps", ".ps", ".wmf", ".emf", ".h5", ".mpg", ".pdf", ".txt", ".npz", ""}


def test_a_plugin_of_pillow_adds_its_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sort_out(["a.heic", "b.png"]).unread == {".heic": 1}
    monkeypatch.setitem(Image.EXTENSION, ".heic", "PNG")
    assert sort_out(["a.heic", "b.png"]).pictures == ["a.heic", "b.png"]


def test_names_are_sorted_out_by_their_ending() -> None:
    names = [
        "b.PNG",
        "a/c.JpEg",
        "x.heic",
        "d.svg",
        "e.SVG",
        "notes.txt",
        "Thumbs.db",
        "README",
        ".h.png",
        "__MACOSX/b.png",
    ]
    names += ["a/.git/c.png", "._b.png"]
    listing = sort_out(names)
    assert listing.pictures == ["a/c.JpEg", "b.PNG"]
    assert listing.unread == {".heic": 1, ".svg": 2}
    assert listing.other == {".txt": 1, ".db": 1, "": 1}
    assert listing.left_out() == [
        "left out, because they cannot be read here: 3 files (2 .svg, 1 .heic); save them as .png or .jpg"
    ]
    text = str(sort_out(["x.heic", "notes.txt"]).nothing("here"))
    assert "1 file (1 .heic) that cannot be read and 1 file (1 .txt) that are no pictures" in text


def test_numbers_of_files_are_cut_short() -> None:
    assert counted(Counter({".a": 1, ".b": 5, ".c": 1, ".d": 1, "": 2, ".e": 1})) == (
        "11 files (5 .b, 2 without an ending, 1 .a, 1 .c, 2 others)"
    )


def test_names_that_are_no_text_can_be_printed() -> None:
    name = os.fsdecode(b"caf\xe9.png")
    assert printable(name) == "caf?.png" and printable("café 🐈.png") == "café 🐈.png"


def test_linked_folders_are_read_once_and_loops_end(tmp_path: Path) -> None:
    for i in range(3):
        picture(tmp_path / "real" / "deep" / f"{i}.png", i)
    root = tmp_path / "set"
    picture(root / "own" / "a.png")
    os.symlink(tmp_path / "real", root / "more")  # another folder
    os.symlink(tmp_path / "real" / "deep", root / "again")  # which lies in that
    os.symlink(root, root / "own" / "up")  # a loop
    os.symlink(root / "own", root / "before")  # a second name of a folder that is listed
    os.symlink(root / "itself", root / "itself")
    os.symlink(tmp_path / "nowhere.png", root / "broken.png")
    os.symlink(tmp_path / "real" / "deep" / "0.png", root / "file.png")  # a linked file counts as a file
    listing = list_folder(root)
    assert listing.pictures == [*(f"again/{i}.png" for i in range(3)), "file.png", "own/a.png"]
    assert listing.closed == ["broken.png", "itself"]
    assert listing.left_out() == ["left out, because they cannot be opened: broken.png; itself"]
    assert list_folder(root / "more").pictures == [f"deep/{i}.png" for i in range(3)]


def test_what_was_drawn_before_is_no_input(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture(tmp_path / "a.png"), picture(tmp_path / "more" / "b.png")
    for record in ("samples.json", "colourise.json", "inpaint.json"):
        (picture(tmp_path / record / "sheet.png").parent / record).write_text("{}")
    for file in ("config.toml", "meta.json"):
        (picture(tmp_path / "runs" / "x" / "sheets" / "1.png").parent.parent / file).write_text("")
    (picture(tmp_path / "own" / "c.png").parent / "meta.json").write_text("of somebody else")
    assert found([tmp_path]) == [tmp_path / name for name in ("a.png", "more/b.png", "own/c.png")]
    assert "what was drawn here: colourise.json/; inpaint.json/; runs/x/ and 1 more; to use one" in caplog.text
    assert found([tmp_path / "samples.json"]) == [tmp_path / "samples.json" / "sheet.png"]


def test_samples_in_folders_of_folders_are_found(tmp_path: Path) -> None:
    for i in range(3):
        picture(tmp_path / "runs" / f"{i % 2}" / f"{i:06}.png", i)
    for folder in ("0", "1"):
        Image.new("RGB", (90, 90)).save(tmp_path / "runs" / folder / "sheet.png")
        (tmp_path / "runs" / folder / "samples.json").write_text("{}")
    picture(tmp_path / "loose.jfif")
    paths, shape = find_samples(tmp_path)
    expected = ["loose.jfif", "runs/0/000000.png", "runs/0/000002.png", "runs/1/000001.png"]
    assert paths == [tmp_path / name for name in expected] and shape == (3, 9, 9)
