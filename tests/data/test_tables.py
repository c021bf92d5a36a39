"""Tables beside pictures, as the image folders of Hugging Face have them: documented examples, and what contradicts."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scoresde.core.errors import DataError
from scoresde.data import Images, data
from scoresde.data.survey import Survey, survey

Row = dict[str, Any]


def pictures(root: Path, names: list[str]) -> Path:
    """Uniform pictures of the levels 0, 5, 10, ... by which they are known again."""
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 9), 5 * i).save(root / name)
    return root


def lines(path: Path, rows: list[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def comma(path: Path, rows: list[Row]) -> None:
    text = [",".join(rows[0])] + [",".join(map(str, row.values())) for row in rows]
    path.write_text("\n".join(text) + "\n")


def by_level(path: Path, **options: Any) -> dict[int, int | None]:
    """Level of each picture that is loaded, with its label."""
    found = data["folder"](path=str(path), size=8, channels=1, held_out=0, levels=256, **options).load("train")
    assert isinstance(found, Images)
    labels = [None] * len(found) if found.labels is None else found.labels.tolist()
    return dict(zip(found.pixels[:, 0, 0, 0].tolist(), labels, strict=True))


def said(found: Survey) -> str:
    return ". ".join(found.said)


NAMES = [f"{i:04d}.png" for i in range(1, 7)]
ANIMALS = ["dog", "cat", "dog", "bird", "cat", "bird"]


@pytest.mark.parametrize("write", [lines, comma])
@pytest.mark.parametrize("column", ["file_name", "image_file_name"])
def test_the_column_label_names_classes(tmp_path: Path, write: Any, column: str) -> None:
    pictures(tmp_path, NAMES)
    ending = "jsonl" if write is lines else "csv"
    rows = [{column: n, "label": k, "text": f"a {k}", "width": 9} for n, k in zip(NAMES, ANIMALS, strict=True)]
    write(tmp_path / f"metadata.{ending}", rows[::-1])
    found = survey(tmp_path)
    assert found.classes == ("bird", "cat", "dog") and found.count == 6
    text = said(found)
    assert f"3 classes, by the column label of metadata.{ending}: bird (2); cat (2); dog (2)" in text
    assert f"columns of metadata.{ending} that are not used: text, width" in text and "no pictures" not in text
    assert by_level(tmp_path) == {0: 2, 5: 1, 10: 2, 15: 0, 20: 1, 25: 0}
    assert set(by_level(tmp_path, labels=False).values()) == {None} and not survey(tmp_path, labels=False).classes
    assert by_level(tmp_path, labels="table") == by_level(tmp_path, labels=True) == by_level(tmp_path)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([10, 9, 10, 9, 2, 2], ("2", "9", "10")),
        (["1", 0, "0", 1, 0, "1"], ("0", "1")),
        (["1.0", "0.0", "0.0", "1.0", "0.0", "1.0"], ("0", "1")),  # as pandas writes a column with a gap elsewhere
        (["x", "10", "9", "9", "x", "10"], ("10", "9", "x")),
        ([True, False, True, False, True, True], ("False", "True")),
    ],
)
def test_whole_numbers_are_sorted_as_such(tmp_path: Path, labels: list[Any], classes: tuple[str, ...]) -> None:
    pictures(tmp_path, NAMES)
    lines(tmp_path / "metadata.jsonl", [{"file_name": n, "label": k} for n, k in zip(NAMES, labels, strict=True)])
    assert survey(tmp_path).classes == classes
    place = {name: i for i, name in enumerate(classes)}
    assert list(by_level(tmp_path).values()) == [place[str(k).removesuffix(".0")] for k in labels]


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (
            ["a", "b", "c", "d", "e", "f"],
            "most values in the column label of metadata.jsonl belong to a single picture",
        ),
        (["a"] * 6, "is the same for all"),
        ([0.5, 1.5] * 3, "holds numbers that are not whole"),
        (["a", "b", "a", None, "a", " "], r"says nothing of 2 of 6 pictures \(0004.png; 0006.png\)"),
        ([["a"], ["b"]] * 3, "holds lists or objects"),
        ([{"id": 1}, {"id": 2}] * 3, "holds lists or objects"),
    ],
)
def test_other_labels_are_no_classes(tmp_path: Path, labels: list[Any], why: str) -> None:
    pictures(tmp_path, NAMES)
    lines(tmp_path / "metadata.jsonl", [{"file_name": n, "label": k} for n, k in zip(NAMES, labels, strict=True)])
    found = survey(tmp_path)
    assert not found.classes and found.count == 6 and set(by_level(tmp_path).values()) == {None}
    with pytest.raises(DataError, match=f"names no classes of its pictures: .*{why}"):
        by_level(tmp_path, labels="table")
    for name in NAMES:  # folders may be classes all the same
        (tmp_path / name[3]).mkdir(exist_ok=True)
    folders = [f"{'12'[i % 2]}/{name}" for i, name in enumerate(NAMES)]
    for old, new in zip(NAMES, folders, strict=True):
        (tmp_path / old).rename(tmp_path / new)
    lines(tmp_path / "metadata.jsonl", [{"file_name": n, "label": k} for n, k in zip(folders, labels, strict=True)])
    found = survey(tmp_path)
    assert (
        found.classes == ("1", "2") and "classes, by folder" in said(found) and "not taken for classes: " in said(found)
    )


def test_captions_and_boxes_leave_pictures_as_they_are(tmp_path: Path) -> None:
    """The examples of captions and of objects in Hugging Face's guide."""
    plain = by_level(pictures(tmp_path, NAMES))
    boxes = {"bbox": [[302.0, 109.0, 73.0, 52.0]], "categories": [0]}
    lines(tmp_path / "metadata.jsonl", [{"file_name": n, "text": 'One, "two"', "objects": boxes} for n in NAMES])
    found = survey(tmp_path)
    assert by_level(tmp_path) == plain and not found.classes
    assert "metadata.jsonl that are not used: text, objects" in said(found)
    assert "no classes: they lie in one folder" in said(found)


@pytest.mark.parametrize("container", ["folder", "zip"])
def test_each_split_has_its_table(tmp_path: Path, container: str) -> None:
    root = tmp_path / "set"
    pictures(root, [f"train/images/{name}" for name in NAMES] + ["test/images/a.png", "test/images/b.png"])
    rows = [{"file_name": f"images/{n}", "label": k} for n, k in zip(NAMES, ANIMALS, strict=True)]
    lines(root / "train" / "metadata.jsonl", rows)
    lines(root / "test" / "metadata.jsonl", [{"file_name": f"images/{n}.png", "label": "cat"} for n in "ab"])
    path = root
    if container == "zip":
        path = tmp_path / "set.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in root.rglob("*.*"):
                archive.write(file, f"around/{file.relative_to(root)}")
    found = survey(path)
    assert (found.count, found.test, found.classes) == (6, 2, ("bird", "cat", "dog"))
    options = found.options(size=8, levels=256)
    for split, labels in (("train", [2, 1, 2, 0, 1, 0]), ("test", [1, 1])):
        loaded = options.load(split)  # type: ignore[arg-type]
        assert loaded.labels is not None and loaded.labels.tolist() == labels
    lines(root / "test" / "metadata.jsonl", [{"file_name": f"images/{n}.png", "label": "newt"} for n in "ab"])
    assert survey(root).classes == ("bird", "cat", "dog", "newt")
    lines(root / "test" / "metadata.jsonl", [{"file_name": f"images/{n}.png"} for n in "ab"])
    assert survey(root).classes == ("bird", "cat", "dog")
    assert survey(root).options(size=8, levels=256).load("test").labels is None
    (root / "test" / "metadata.jsonl").unlink()  # pictures without a table above them stay
    assert survey(root).test == 2


def test_one_table_above_all_splits(tmp_path: Path) -> None:
    names = [f"train/{name}" for name in NAMES] + ["test/a.png"]
    pictures(tmp_path, names)
    comma(
        tmp_path / "metadata.csv", [{"file_name": n, "label": k} for n, k in zip(names, [*ANIMALS, "dog"], strict=True)]
    )
    found = survey(tmp_path)
    assert (found.count, found.test, found.classes) == (6, 1, ("bird", "cat", "dog"))


def test_pictures_without_a_row_are_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pictures(tmp_path, [*NAMES, "masks/a.png", "masks/b.png"])
    masks = ["masks/a.png", "masks/b.png"] * 3
    rows = [{"file_name": n, "mask_file_name": m} for n, m in zip(NAMES, masks, strict=True)]
    lines(tmp_path / "metadata.jsonl", rows)
    sentence = "left out, because metadata.jsonl has no row for them: 2 pictures (masks/a.png; masks/b.png)"
    assert sentence in said(survey(tmp_path)) and survey(tmp_path).count == 6
    assert set(by_level(tmp_path)) == {0, 5, 10, 15, 20, 25} and sentence in caplog.text


@pytest.mark.parametrize(
    ("table", "text", "error"),
    [
        (
            "metadata.csv",
            "file_name,label\n0001.png,a\nx.png,b\n",
            r"metadata.csv, line 3 names the picture 'x.png', which",
        ),
        ("metadata.csv", "file_name\n0001\n", "names the picture '0001', which is not there"),
        ("metadata.csv", "file_name\n../0001.png\n", "which is not there"),
        ("metadata.csv", "file_name\n/etc/passwd\n", "which is not there"),
        (
            "metadata.csv",
            "file_name\n0001.png\n0002.png\n./0001.png\n",
            r"line 4 names .* as metadata.csv, line 2 does",
        ),
        ("metadata.csv", "file_name,label\n0001.png,a,b\n", "3 values for 2 columns"),
        ("metadata.csv", "file_name,a,a\n0001.png,1,2\n", "two columns called 'a'"),
        ("metadata.csv", 'file_name,text\n0001.png,"open\n', "cannot be read as comma-separated values"),
        ("metadata.csv", "file_name,label\n,a\n", "line 2 names no picture in its column file_name"),
        ("metadata.csv", "a_file_name,b_file_name\n0001.png,0002.png\n", "in the columns a_file_name, b_file_name"),
        ("metadata.jsonl", '{"file_name": "0001.png"}\n{"file_name": "0001.png"\n', "line 2, is no JSON"),
        ("metadata.jsonl", "[" * 100_000, "line 1, is no JSON"),
        ("metadata.jsonl", '["0001.png"]\n', "is no JSON object"),
        ("metadata.jsonl", '{"file_name": "0001.png"}\n{"text": "x"}\n', "line 2 names no picture"),
        ("metadata.jsonl", '{"file_name": 1}\n', "line 1 names no picture"),
        ("metadata.csv", "file_name\na.svg\n", "has no row for a picture that can be read here"),
    ],
)
def test_what_contradicts_is_refused_in_one_sentence(tmp_path: Path, table: str, text: str, error: str) -> None:
    pictures(tmp_path, NAMES)
    (tmp_path / table).write_text(text)
    for refused in (lambda: survey(tmp_path), lambda: by_level(tmp_path)):
        with pytest.raises(DataError, match=error) as caught:
            refused()
        assert str(caught.value).startswith(str(tmp_path)) and "\n" not in str(caught.value)


def test_a_picture_in_two_tables_is_refused(tmp_path: Path) -> None:
    pictures(tmp_path, [f"train/{name}" for name in NAMES])
    comma(tmp_path / "metadata.csv", [{"file_name": f"train/{name}"} for name in NAMES])
    lines(tmp_path / "train" / "metadata.jsonl", [{"file_name": name} for name in NAMES])
    with pytest.raises(DataError, match=r"train/metadata.jsonl, line 1 names .* as metadata.csv, line 2 does"):
        survey(tmp_path)


def test_folders_and_tables_may_both_name_classes_if_they_agree(tmp_path: Path) -> None:
    names = [f"{'n01' if i % 2 else 'n02'}/{name}" for i, name in enumerate(NAMES)]
    pictures(tmp_path, names)
    rows = [{"file_name": n, "label": "cat" if n.startswith("n01") else "dog"} for n in names]
    lines(tmp_path / "metadata.jsonl", rows)
    assert survey(tmp_path).classes == ("cat", "dog")
    rows[0]["label"] = "cat"
    lines(tmp_path / "metadata.jsonl", rows)
    with pytest.raises(
        DataError, match="folders and tables name other classes, for n0.* has the label 'cat', and n0"
    ) as e:
        survey(tmp_path)
    assert "data.labels" in str(e.value)
    with pytest.raises(DataError, match="folders and tables name other classes"):
        by_level(tmp_path)
    assert survey(tmp_path, labels="folders").classes == ("n01", "n02")
    assert survey(tmp_path, labels="table").classes == ("cat", "dog")
    assert list(by_level(tmp_path, labels="folders").values()) == [0, 0, 0, 1, 1, 1]  # sorted by name, n01 first
    assert list(by_level(tmp_path, labels="table").values()) == [0, 0, 0, 0, 1, 1]
    assert not survey(tmp_path, labels=False).classes


def test_tables_of_another_kind_change_nothing(tmp_path: Path) -> None:
    plain = by_level(pictures(tmp_path, NAMES))
    for text, why in (
        ("name,label\n0001.png,a\n", "it has the columns name, label, and none called file_name"),
        ("", "it has no rows"),
    ):
        (tmp_path / "metadata.csv").write_text(text)
        found = survey(tmp_path)
        assert by_level(tmp_path) == plain and f"metadata.csv is not used: {why}" in said(found) and not found.classes
    (tmp_path / "metadata.csv").write_bytes("file_name\n0001.png\né.png\n".encode("latin-1"))
    with pytest.raises(DataError, match="is not in UTF-8"):
        survey(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_names_of_any_alphabet_and_form(tmp_path: Path, encoding: str) -> None:
    """macOS writes é as e with an accent after it, which a table need not do; Windows writes \\ between folders."""
    pictures(tmp_path, ["cafe\u0301/ü.png", "cafe\u0301/🙂.png"])
    (tmp_path / "metadata.csv").write_text("file_name\r\ncaf\u00e9\\ü.png\r\ncaf\u00e9/🙂.png\r\n", encoding=encoding)
    assert set(by_level(tmp_path)) == {0, 5}


def test_a_picture_that_cannot_be_read_keeps_its_row(tmp_path: Path) -> None:
    """It is told of with all that cannot be read; one that is damaged is left out with its label."""
    pictures(tmp_path, NAMES)
    (tmp_path / "x.svg").write_text("<svg/>")
    rows = [{"file_name": n, "label": k} for n, k in zip(NAMES, ["a", "b"] * 3, strict=True)]
    lines(tmp_path / "metadata.jsonl", [*rows, {"file_name": "x.svg", "label": "a"}])
    assert "cannot be read here: 1 file (1 .svg)" in said(survey(tmp_path))
    (tmp_path / NAMES[1]).write_bytes(b"damage")
    found = survey(tmp_path)
    assert found.count == 5 and by_level(tmp_path, skip_bad=True) == {0: 0, 10: 0, 15: 1, 20: 0, 25: 1}
