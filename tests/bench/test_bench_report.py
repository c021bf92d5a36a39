"""What the benchmark writes: tables, page and comparison, against the rows they are made of."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
import torch
from click.testing import CliRunner
from tiny import tiny_model

from scoresde.bench.cells import cells, subjects
from scoresde.bench.compare import compare
from scoresde.bench.figures import Point, curves, inline, render
from scoresde.bench.page import drawings, page
from scoresde.bench.publish import publish
from scoresde.bench.report import Report
from scoresde.bench.run import run
from scoresde.bench.spec import Spec
from scoresde.bench.store import Store
from scoresde.bench.tables import as_csv, markdown
from scoresde.cli import scoresde


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A benchmark of a model without and one with pictures, and with failed cells."""
    store = Store(tmp_path_factory.mktemp("bench"))
    spec = Spec(
        model=["gaussian", tiny_model(tmp_path_factory.mktemp("tiny"))],
        solver=["unipc:steps=4/8", "rk45:tol=1e-1/1e-2,max_nfe=60", "em:steps=8", "dpm:max_nfe=4"],
        metric="pixel-frechet",
        count=22,
        batch=10,
        paths=4,
        likelihood=0,
    )
    todo = cells(spec, subjects(spec, torch.device("cpu")))
    list(run(todo, store, progress=lambda done: None))
    return store, todo, spec, publish(todo, store, spec)


def text(finished, name):
    return (finished[0].folder / name).read_text(encoding="utf-8")


def test_the_markdown_table_says_what_was_measured(finished):
    _, _, _, report = finished
    lines = text(finished, "table.md").splitlines()
    heads = [cell.strip() for cell in lines[0].strip("|").split("|")]
    rows = [dict(zip(heads, map(str.strip, line.strip("|").split("|")), strict=True)) for line in lines[2:14]]
    assert heads[:4] == ["model", "solver", "options", "NFE"] and {"control", "batch", "s per batch"} < set(heads)
    for row, found in zip(rows, report.samples, strict=True):
        assert (row["model"], row["solver"]) == (found["model"], found["solver"]["name"])
        if found["status"] == "failed":
            assert row["NFE"] == "failed"
            continue
        assert row["NFE"].split()[0] == f"{found['nfe']['mean']:.4g}"
        for estimate in found["metrics"]:
            value, low, high = map(float, re.findall(r"-?\d[\d.e+-]*", row[estimate["name"]])[:3])
            assert (value, low, high) == pytest.approx([estimate[k] for k in ("value", "low", "high")], rel=6e-3)
    said = "\n".join(lines)
    assert said.count("Failed: ") == 2 and "has not ended after max_nfe = 4" in said and "seeds 0 to 21" in said


def test_csv_and_json_hold_the_same_numbers(finished):
    _, _, _, report = finished
    rows = list(csv.DictReader(io.StringIO(text(finished, "table.csv"))))
    kept = [row for row in json.loads(text(finished, "results.json"))["rows"] if row["kind"] == "samples"]
    assert len(rows) == len(kept) == 12 and kept == report.samples
    for row, raw in zip(rows, kept, strict=True):
        assert row["key"] == raw["key"] and row["status"] == raw["status"]
        if raw["status"] == "done":
            assert float(row["nfe_mean"]) == raw["nfe"]["mean"] and row["version_torch"] == torch.__version__
            assert all(float(row[e["name"]]) == e["value"] for e in raw["metrics"])


def test_the_layout_of_printed_tables(finished):
    store, todo, _, _ = finished
    said = markdown(Report.of(todo, store.rows()), "tolerance")
    table = said[said.index("### gaussian, rk45") :].splitlines()[2:6]
    assert table[0].startswith("| Tol | NFE | error | rms error | gap | SW | Speed (s per 10, 2 batches) |")
    assert [row.split("|")[1].strip() for row in table[2:]] == ["0.1", "0.01"]
    assert ", unipc" in said and "| Steps | NFE |" in said


def test_rows_that_are_missing_are_counted(finished):
    _, todo, _, _ = finished
    report = Report.of(todo, {})
    assert report.missing == 12 and "12 of 12 cells are not measured yet" in markdown(report)
    assert as_csv(report).count("missing") == 12


class Page(HTMLParser):
    """The tags of a page, checked to close in order, with its text and addresses."""

    VOID = {"meta", "img", "path", "use", "rect", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.addresses = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes), list(self.open)))
        self.addresses += [v for k, v in attributes if k in ("src", "href", "xlink:href", "action", "srcset", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_for_nothing(finished):
    _, _, _, report = finished
    content = text(finished, "index.html")
    read = Page()
    read.feed(content)
    assert not read.open
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in read.addresses)
    assert not re.findall(r"(?<!xmlns:xlink=\")https?://", content) and "@import" not in content
    policy = next(a["content"] for tag, a, _ in read.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    tables = [above for tag, _, above in read.tags if tag == "table"]
    assert len(tables) == 1 and tables[0][-1] == "div" and ".table { overflow-x: auto" in content
    rows = [a["class"] for tag, a, _ in read.tags if tag == "tr" and "class" in a]
    assert rows.count("done") == 10 and rows.count("failed") == 2
    pictures = [a for tag, a, _ in read.tags if tag == "img"]
    assert len(pictures) == sum(row["model"] != "gaussian" for row in report.done)
    assert all(picture["alt"].startswith("Samples by /") for picture in pictures)
    figures = [a for tag, a, _ in read.tags if tag == "svg"]
    assert len(figures) == len(drawings(report)) >= 5 and all(a["role"] == "img" and a["aria-label"] for a in figures)
    assert sum(tag == "button" for tag, _, _ in read.tags) == sum(a.get("scope") == "col" for _, a, _ in read.tags)


def test_cells_of_the_page_are_sorted_by_their_numbers(finished):
    """NFE of the rows as the page's script reads them."""
    _, _, _, report = finished
    content = text(finished, "index.html")
    heads = re.findall(r'<button type="button">(.*?)</button>', content)
    done = re.findall(r'<tr class="done">(.*?)</tr>', content, re.DOTALL)
    rows = [re.findall(r'<td[^>]* data-value="(.*?)">', row) for row in done]
    assert [float(row[heads.index("NFE")]) for row in rows] == [row["nfe"]["mean"] for row in report.done]
    assert [float(row[heads.index("s per batch")]) for row in rows] == [r["seconds"]["mean"] for r in report.done]


def test_a_name_cannot_write_into_the_page(finished):
    store, todo, spec, report = finished
    rows = [{**row, "model": "<script>alert(1)</script>"} for row in report.rows]
    assert "<script>alert" not in page(Report(rows), store, {"model": "</pre><script>alert(2)</script>"})


def test_figures_are_the_same_bytes_twice_and_take_the_colour_of_the_page():
    series = {"a": [Point(10, 1.0, 0.9, 1.1), Point(20, 0.1)], "empty": [], "b <&>": [Point(5, -1.0), Point(5, 2.0)]}

    def figure():
        return curves(series, "NFE", "error", log_y=True, level=("floor", 0.2))

    assert render(figure()) == render(figure()) and render(figure(), "png")[:4] == b"\x89PNG"
    element = inline(figure(), 'of "x" & <y>')
    assert element.startswith("<svg") and element.endswith("</svg>") and "currentColor" in element
    assert 'aria-label="of &quot;x&quot; &amp; &lt;y&gt;"' in element and "b &lt;&amp;&gt;" in element
    assert "metadata" not in element and not re.search(r'<g id="', element)


def test_matplotlibs_global_state_is_left_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    render(curves({"a": [Point(1, 1), Point(2, 2)]}, "x", "y"))
    assert dict(matplotlib.rcParams) == before


def test_comparison(finished, tmp_path):
    """Equal benchmarks differ nowhere; a changed count and a moved metric are found, a small move is not."""
    store, _, _, report = finished
    assert not any(row["differs"] for row in compare(report.done, report.done))
    moved = json.loads(json.dumps(report.done))
    first, estimate = moved[0], moved[0]["metrics"][0]
    half = (estimate["high"] - estimate["low"]) / 2
    first["nfe"]["mean"] += 1
    for name in ("value", "low", "high"):
        estimate[name] += 1.5 * half  # beyond √2 half-widths
    other = first["metrics"][1]
    width = (other["high"] - other["low"]) / 2
    assert width > 0
    for name in ("value", "low", "high"):
        other[name] += 1.2 * width  # beyond one half-width, within both
    found = [(row["solver"], row["quantity"]) for row in compare(report.done, moved) if row["differs"]]
    assert found == [("unipc steps=4", "NFE"), ("unipc steps=4", "error")]
    (tmp_path / "results.json").write_text(json.dumps({"rows": [{**row, "kind": "samples"} for row in moved]}))

    def call(line, code=0):
        result = CliRunner().invoke(scoresde, line.split(), prog_name="scoresde")
        assert result.exit_code == code, result.output
        return result.output

    said = call(f"bench compare {store.folder} {tmp_path}")
    assert "2 of " in said and "in 10 rows that both have, of 10 and 10" in said
    assert {row["quantity"] for row in json.loads(call(f"bench compare {store.folder} {tmp_path} --json"))} == {
        "NFE",
        "error",
    }
    assert len(json.loads(call(f"bench compare {store.folder} {tmp_path} --json --all"))) > 50
    (tmp_path / "results.json").write_text(json.dumps({"rows": []}))
    assert "no row in common" in call(f"bench compare {store.folder} {tmp_path}", 2)
