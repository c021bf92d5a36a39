"""Tables of numbers in .csv and .tsv files: what NumPy, spreadsheets and pandas write is read, the rest is refused."""

from pathlib import Path

import numpy as np
import pytest

import scoresde
from scoresde.core.errors import DataError
from scoresde.data import data
from scoresde.data.survey import survey

X = np.random.default_rng(0).normal([5, -3], [3, 0.1], (40, 2))
LINES = ["a;b;label", "1.5; 2;cat", "", "-3e1;4;dog", "5;6;cat"]


def everything(path: Path) -> scoresde.data.Dataset:
    return data["csv"](path=str(path), held_out=0).load("train")


@pytest.mark.parametrize(("header", "delimiter"), [("", ","), ("x,y", ","), ("x\ty", "\t"), ("x;y", ";")])
def test_what_numpy_writes_is_read(tmp_path: Path, header: str, delimiter: str) -> None:
    path = tmp_path / "points.csv"
    np.savetxt(path, X, header=header, delimiter=delimiter)
    found = everything(path)
    assert found.labels is None and np.array_equal(found.items.numpy(), X.astype(np.float32))
    options = data["csv"](path=str(path), held_out=0.25)
    train, test = options.load("train"), options.load("test")
    assert (len(train), len(test)) == (30, 10) and np.allclose(train.scaled().mean(0), 0, atol=1e-4)
    assert np.allclose(test.units.centre, train.items.double().mean(0))  # the units of what is trained on
    assert {*map(tuple, train.items.tolist())} | {*map(tuple, test.items.tolist())} == {
        *map(tuple, found.items.tolist())
    }


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_a_spreadsheet_writes_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "pets.csv"
    path.write_text("\r\n".join(LINES), encoding=encoding)
    found = everything(path)
    assert found.items.tolist() == [[1.5, 2], [-30, 4], [5, 6]] and found.labels is not None
    assert (found.labels.tolist(), found.class_names) == ([0, 1, 0], ("cat", "dog"))
    assert "3 items of 2 numbers" in survey(path).said[0] and survey(path).classes == ("cat", "dog")


def test_the_column_of_row_numbers_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "array.csv"  # as pandas.DataFrame.to_csv writes an array
    path.write_text(",0,1\n0,7,1.5\n1,8,0.5\n")
    assert everything(path).items.tolist() == [[7, 1.5], [8, 0.5]]
    path = tmp_path / "frame.csv"  # and columns with names
    path.write_text(",x,Class\n0,7,1.0\n1,8,0.0\n2,9,1.0\n")
    found = everything(path)
    assert found.items.tolist() == [[7], [8], [9]] and found.labels is not None and found.labels.tolist() == [1, 0, 1]
    assert "counts the rows" in caplog.text and not found.class_names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "0 lines"),
        ("x,y\n", "1 line:"),
        ("1,,3\n4,5,6\n", "names or numbers, got both"),
        (",2,3\n4,5,6\n", "names or numbers, got both"),
        ("5.1,3.5,cat\n4,5,dog\n", "names or numbers, got both"),
        ("x,y\n1,2\n3\n", "line 3, has 1 cell, and the first line has 2"),
        ("x,y\n1,2\n3,\n", "line 3, column y is empty"),
        ("x,y\n1,n/a\n", "line 2, column y holds 'n/a'"),
        ("x;y\n1,5;2\n", "column x holds '1,5'"),
        ("x,y\n1,nan\n3,4\n", "1 of 4 are not"),
        ("label\n1\n2\n", "needs columns of numbers"),
        ("x,label,class\n1,2,3\n1,2,3\n", "at most one of"),
        ("x,label\n1,-1\n2,0\n", "down to -1"),
    ],
)
def test_wrong_tables_are_refused_by_line_and_column(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        everything(path)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_table_is_trained_on_and_its_classes_have_names(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    rows = [f"{kind},{10 * k + z:.4f}" for z in X[:, 0] for k, kind in enumerate(("low", "high"))]
    path.write_text("\n".join(["class,x", *rows]))
    run = scoresde.fit(str(path), tmp_path / "run", overrides=["train.images=512", "train.batch=64"], progress=False)
    assert run.model.shape == (1,) and run.model.class_names == ("high", "low")
    assert scoresde.sample(run.model, n=2, steps=2, classes="high").x.shape == (2, 1)
