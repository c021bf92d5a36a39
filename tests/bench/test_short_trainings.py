"""The parts that the benchmarks of short trainings share."""

import sys
from pathlib import Path

import pytest
from scipy.stats import ttest_1samp

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def short(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import short

    yield short
    del sys.modules["short"]


def test_an_interval_is_students(short):
    values = [1.0, 2.5, 2.0, 4.0]
    low, high = ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert short.interval(values, 6) == f"{(low + high) / 2:.6f} ± {(high - low) / 2:.6f}"
    assert short.interval([2.0], 1, "+", alone=0.25) == "+2.0 ± 0.2"
    assert short.interval([2.0]) == "2.000" and short.interval([]) == ""


def test_a_row_is_measured_once(short, tmp_path):
    store, asked = tmp_path / "new" / "rows.jsonl", []

    def figures():
        asked.append(1)
        return {"fd": 0.5}

    for _ in range(2):  # a sitting each
        rows = short.Rows(store)
        rows.measure({"arm": "a", "seed": 0}, figures)
        rows.measure({"arm": "a", "seed": 1}, figures)
    assert len(asked) == 2 and len(short.Rows(store).found(arm="a")) == 2 and not rows.found(arm="b")


def test_words_written_by_hand_are_kept(short, tmp_path):
    out = tmp_path / "table.md"
    short.write(out, "Title", "python x.py", "About.", ["| old |"])
    out.write_text(out.read_text() + "\n## What it shows\n\nMuch.\n")
    short.write(out, "Title", "python x.py", "About.", ["| new |"])
    text = out.read_text()
    assert "| new |" in text and "old" not in text and text.endswith("\n\n## What it shows\n\nMuch.\n")
    short.write(out, "Title", "python x.py", "About.", ["| new |"])
    assert out.read_text() == text
