"""What the benchmark writes: tables, page and comparison, against the rows they are made of."""

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from click.testing import CliRunner
from tiny import tiny_model

from scoresde.bench.cells import cells, subjects
from scoresde.bench.compare import compare
from scoresde.bench.figures import COLOURS, Point, curves, inline, render
from scoresde.bench.grid import Grid, short
from scoresde.bench.latex import escape, latex
from scoresde.bench.page import drawings, page
from scoresde.bench.publish import _pictures, publish
from scoresde.bench.report import Report
from scoresde.bench.run import run
from scoresde.bench.spec import Spec
from scoresde.bench.store import Store
from scoresde.bench.tables import as_csv, as_json, markdown
from scoresde.bench.texts import CONVERGED, NLL, plus_minus
from scoresde.cli import scoresde


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A benchmark of a model without and one with pictures, and with failed cells."""
    store = Store(tmp_path_factory.mktemp("bench"))
    spec = Spec(
        model=["gaussian", tiny_model(tmp_path_factory.mktemp("tiny"), network="mlp")],
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
    assert heads[:4] == ["model", "solver", "options", "NFE"] and {"rejected", "s per batch"} < set(heads)
    assert len({len(line) for line in lines[:14]}) == 1, "columns are aligned"
    assert "; VJPs 0; control sample; batch 10." in text(finished, "table.md")
    names = short(report.measured)
    for row, found in zip(rows, report.samples, strict=True):
        assert (row["model"], row["solver"]) == (Path(found["model"]).name, found["solver"]["name"])
        if found["status"] == "failed":
            assert row["NFE"] == "failed"
            continue
        assert row["NFE"].split()[0] == f"{found['nfe']['mean']:.4g}"
        for estimate in found["metrics"]:
            value, low, high = map(float, re.findall(r"-?\d[\d.e+-]*", row[names[estimate["name"]]])[:3])
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
    heads = [head.strip() for head in table[0].strip("|").split("|")]
    assert heads == ["Tol", "NFE", "error", "rms error", "gap", "SW", "Speed (s per 10, 2 batches)"]
    assert [row.split("|")[1].strip() for row in table[2:]] == ["0.1", "0.01"]
    assert ", unipc" in said and re.search(r"\| Steps +\| NFE +\|", said)


def test_the_layout_of_printed_tables_keeps_intervals_floors_and_remarks(finished):
    """As in the one table: the same cells for each row, and the floor of its model below."""
    store, todo, _, _ = finished
    report = Report.of(todo, store.rows())
    rows = [{**row, "metrics": [{**e, "marks": ["a remark"]} for e in row.get("metrics", [])]} for row in report.rows]
    report = Report(rows)
    said, grid = markdown(report, "tolerance"), Grid.of(report)
    for row in grid.rows:
        for name in report.measured:
            assert f"| {row.get(name, '')} " in said
    assert said.count("| (floor) ") == said.count("### ") - 2, "but for those whose only row failed"
    assert re.search(r"\| 0\.\d+ \[\S+, \S+\] \(1\) ", said) and "- (1) a remark." in said


def numbered(row, **likelihood):
    return {**row, "bits_per_dim": [3.0, 3.2, 3.4, 3.2], **likelihood}


@pytest.fixture
def likely(finished):
    """The report with a likelihood for the Gaussian and for two of its rows, of bits per dimension known by hand."""
    report = finished[3]
    subject = report.samples[0]["subject"]
    own = {"kind": "likelihood", "status": "done", "model": "gaussian", "subject": subject, "sha256": None}
    own |= {"bits_per_dim": [3.0, 3.1, 3.3, 3.0], "likelihood": {"nfe": 100, "vjps": 200, "seconds": 1.0}}
    rows = [
        numbered(row) if row["subject"] == subject and "rk45" in row["solver"]["name"] else row for row in report.rows
    ]
    return Report([own, *rows])


def test_the_likelihood_is_a_column(likely):
    """NumPy's mean and standard error of the row, and of what it adds; the model's own stands once, in its own row."""
    row, own = np.array([3.0, 3.2, 3.4, 3.2]), np.array([3.0, 3.1, 3.3, 3.0])
    expected = f"{row.mean():.3f} ± {row.std(ddof=1) / 2:.3f}"
    grid = Grid.of(likely)
    assert [cells.get(NLL, "") for cells in grid.rows].count(expected) == 2
    assert [cells[NLL] for cells in grid.below if cells["solver"] == CONVERGED] == ["3.100 ± 0.071"]
    for said in (markdown(likely), markdown(likely, "tolerance")):
        assert said.count(expected) == 2 and "3.100 ± 0.071" in said
    cells = next(row for row in csv.DictReader(io.StringIO(as_csv(likely))) if row["nll"])
    assert float(cells["nll"]) == pytest.approx(row.mean()) and float(cells["model_nll"]) == pytest.approx(own.mean())
    assert float(cells["nll_standard_error"]) == pytest.approx(row.std(ddof=1) / 2)
    assert float(cells["nll_error"]) == pytest.approx((row - own).mean())
    (found, *_) = [r["nll"] for r in json.loads(as_json(likely, {}))["rows"] if r["kind"] == "samples" and "nll" in r]
    half = scipy.stats.t.ppf(0.975, 3) * (row - own).std(ddof=1) / 2
    assert found["from_tolerance"]["high"] - found["from_tolerance"]["value"] == pytest.approx(half)
    assert found["value"] == pytest.approx(row.mean())


def test_a_printed_table_fits_the_line(likely):
    """120 characters, the failed rows included, and it says what it goes without; what stays has the same values."""
    said = markdown(likely, width=120)
    *body, notes = said.split("\n\n")
    assert max(len(line) for part in body for line in part.splitlines()) <= 120 and "No room for ms per NFE, " in notes
    assert body[0] == "### gaussian" and NLL in body[1] and "3.200 ± 0.082" in body[1] and "FD" not in body[1]
    wide = Grid.of(likely)
    assert wide.within(1000) == wide
    assert plus_minus("SW", "0.2 [0.1, 0.25] (1)") == "0.2 ± 0.1 (1)"
    assert plus_minus("gap", "-0.2 [-0.25, 0.1]") == "-0.2 ± 0.3"


def test_heads_are_short_where_they_can_be():
    assert short(["FD[digits@1a]", "KD[digits@1a]", "NFE"]) == {
        "FD[digits@1a]": "FD",
        "KD[digits@1a]": "KD",
        "NFE": "NFE",
    }
    assert short(["FD[a]", "FD[b]"]) == {"FD[a]": "FD[a]", "FD[b]": "FD[b]"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("5 % of a_b & #1 costs $2", r"5 \% of a\_b \& \#1 costs \$2"),
        ("{x} ~ a^b \\", r"\{x\} \textasciitilde{} a\textasciicircum{}b \textbackslash{}"),
        ("-0.1 ± 1.2e-05", r"$-0.1$ $\pm$ $1.2\times10^{-5}$"),
        ("0.3 [-0.1, 2.0e+03] (1)", r"0.3 {[}$-0.1$, $2.0\times10^{3}${]} (1)"),
        ("MMD² < 1 | σ > 0", r"MMD$^2$ $<$ 1 $|$ $\sigma$ $>$ 0"),
        (
            "tol=1e-3 59b699aac40c 1e5f seeds 0-63 v0.2.0 dpm++",
            r"tol=$1\times10^{-3}$ 59b699aac40c 1e5f seeds 0-63 v0.2.0 dpm++",
        ),
    ],
)
def test_what_latex_takes_for_a_command_is_written_out(written, expected):
    assert escape(written) == expected


def test_the_latex_table_is_whole(likely):
    """Rules of booktabs, as many cells as columns in each row, balanced braces, a caption and a label."""
    said = latex(likely)
    tables = re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", said, re.DOTALL)
    captions = re.findall(r"\\caption\{(.*)\}", said)
    assert (
        ["NLL" in caption for caption in captions] == ["NLL, bits/dim" in body for _, body in tables] == [True, False]
    )
    for (columns, body), below in zip(tables, (2, 1), strict=True):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(rows) == 1 + 6 + below
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in rows} == {len(columns)}
    bare = re.sub(r"\\[{}]", "", said)
    assert bare.count("{") == bare.count("}") and said.count("$") % 2 == 0
    assert [said.count(rule) for rule in (r"\toprule", r"\bottomrule", r"\caption{", r"\begin{table}")] == [2] * 4
    names = ["gaussian", next(row["model"] for row in likely.rows if row["model"] != "gaussian")]
    assert re.findall(r"\\label\{(.*?)\}", said) == [f"tab:bench-{Path(name).name}" for name in names]
    assert r"\usepackage{booktabs}" in said.splitlines()[0] and r"3.200 $\pm$ 0.082" in said
    assert not re.search(r"[^\x00-\x7f]", said), "a plain TeX has no other letters"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX here")
def test_a_real_tex_takes_the_latex_table(likely, tmp_path):
    (tmp_path / "table.tex").write_text(latex(likely), encoding="utf-8")
    head = r"\documentclass{article}\usepackage{booktabs,graphicx}"
    (tmp_path / "doc.tex").write_text(head + r"\begin{document}\input{table}\end{document}")
    line = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "doc.tex"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / "doc.pdf").stat().st_size, done.stdout[-2000:]


def test_the_digest_is_that_of_the_weights(finished):
    """As sha256sum gives it for the file; an analytic model has none."""
    report = finished[3]
    named = {row["model"]: row["sha256"] for row in report.rows}
    folder = next(model for model in named if model != "gaussian")
    content = (Path(folder) / "model.safetensors").read_bytes()
    assert named == {"gaussian": None, folder: hashlib.sha256(content).hexdigest()}
    assert json.loads(text(finished, "results.json"))["rows"][-1]["sha256"] == named[folder]


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
    heads = [a for _, a, _ in read.tags if a.get("scope") == "col"]
    assert sum(tag == "button" for tag, _, _ in read.tags) == len(heads) and all(head["title"] for head in heads)
    said = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", content))
    assert {"gap", "error", "s per batch", "(floor)"} < set(said) and len(said) == len(heads) + 1


def test_cells_of_the_page_are_sorted_by_their_numbers(finished):
    """NFE of the rows as the page's script reads them."""
    _, _, _, report = finished
    content = text(finished, "index.html")
    heads = re.findall(r'<button type="button">(.*?)</button>', content)
    done = re.findall(r'<tr class="done">(.*?)</tr>', content, re.DOTALL)
    rows = [re.findall(r'<td[^>]* data-value="(.*?)">', row) for row in done]
    assert [float(row[heads.index("NFE")]) for row in rows] == [row["nfe"]["mean"] for row in report.done]
    assert [float(row[heads.index("s per batch")]) for row in rows] == [r["seconds"]["mean"] for r in report.done]


def test_a_name_cannot_write_into_the_page(finished, drawn):
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


def test_an_interval_that_reaches_zero_is_drawn_on_a_logarithmic_axis():
    """And less than a decade has more than one number at its ticks."""
    figure = curves({"a": [Point(6, 0.03, -0.1, 0.2), Point(11, 0.5, 0.4, 0.6)]}, "NFE", "MMD²", log_y=True)
    figure.draw_without_rendering()
    assert [line.get_segments()[0].tolist() for line in figure.axes[0].collections] == [
        [[6, -0.1], [6, 0.2]],
        [[11, 0.4], [11, 0.6]],
    ]
    low, high = figure.axes[0].get_xlim()
    assert sum(low <= tick <= high for tick in figure.axes[0].get_xticks()) > 1


@pytest.mark.parametrize("seen", ["all", "without M cones"])
def test_colours_of_lines_can_be_told_apart(seen):
    """Distances in CIELAB; of deuteranopes by the matrix of Machado, Oliveira and Fernandes 2009 in linear RGB."""
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in COLOURS])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if seen != "all":
        cones = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
        linear = (linear @ np.array(cones).T).clip(0, 1)
    xyz = linear @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    x, y, z = np.cbrt(xyz / [0.9505, 1, 1.089]).T
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
    nearest = min(np.linalg.norm(a - b) for a, b in combinations(lab, 2))
    assert nearest > (30 if seen == "all" else 12)


@pytest.mark.parametrize("name", ["dpm", "moment kind=full products=3 method=cg error=0 dpm++", "a name " * 20])
def test_a_figure_holds_its_legend_and_its_axes(name):
    figure = curves({f"{name} {i}": [Point(10, 1 + i)] for i in range(7)}, "x", "y", level=("floor", 1.0))
    render(figure)
    (axes,), (legend,) = figure.axes, figure.legends
    width, height = figure.bbox.size
    for box in (legend.get_window_extent(), axes.get_tightbbox()):
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height
    assert axes.bbox.height > 2 * figure.dpi  # and the legend leaves room for what it explains


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


def test_a_failed_row_keeps_its_model_and_conditioner(finished):
    """What all measured rows share is not said of all rows if a failed one differs."""
    _, _, _, report = finished
    done = next(row for row in report.samples if row["status"] == "done" and row["model"] != "gaussian")
    failed = {**done, "status": "failed", "reason": "no", "model": "other", "conditioner": "replace"}
    said = markdown(Report([done, failed]))
    head, _, first, second, *_ = said.splitlines()
    assert head.split()[1:4:2] == ["model", "conditioner"] and " replace " not in first
    assert second.split()[1:4:2] == ["other", "replace"]
    assert "All rows: denoise" in said and "conditioner none" not in said


def test_rows_that_differ_in_their_last_step_are_no_line_and_no_table_together(finished, drawn):
    _, _, _, report = finished
    done = next(row for row in report.samples if row["status"] == "done" and row["solver"]["name"] == "unipc")
    rows = [{**done, "conditioner": "replace", "denoise": denoise} for denoise in (True, False)]
    said = markdown(Report(rows), "tolerance")
    assert "replace unipc\n" in said and "replace, not denoised, unipc\n" in said
    assert all(name in drawings(Report(rows))[0] for name in (">replace unipc<", ">replace, not denoised, unipc<"))


def test_models_whose_folders_are_called_alike_have_a_plot_and_a_digest_each(finished, tmp_path):
    store, todo, spec, report = finished
    done = next(row for row in report.samples if row["status"] == "done" and row["model"] != "gaussian")
    rows = [{**done, "model": f"{place}/m", "sha256": place * 64, "key": place} for place in ("a", "b")]
    said = markdown(Report(rows))
    assert f"sha256 of weights: a/m {'a' * 12}, b/m {'b' * 12}." in said
    assert sorted(_pictures(Report(rows))) == ["a-m.svg", "b-m.svg"]


def test_a_model_is_called_as_it_is_now(tmp_path):
    """A run folder that was moved keeps its results, under its new name."""
    old = Path(tiny_model(tmp_path / "tiny"))
    new = tmp_path / "elsewhere"
    shutil.copytree(old, new)
    store, size = Store(tmp_path / "bench"), {"count": 2, "paths": 0, "likelihood": 0}
    for model, solver in ((old, "ddim:steps=2"), (new, "ddim:steps=2/3")):
        spec = Spec(model=str(model), solver=solver, **size)
        todo = cells(spec, subjects(spec, torch.device("cpu")))
        measured = list(run(todo, store, progress=lambda done: None))
    assert len(measured) == 1
    assert [row["model"] for row in publish(todo, store, spec).done] == [str(new)] * 2


def test_the_interval_of_a_median_of_few_values_says_what_it_holds(finished):
    """Four values are all on one side of the median in 2 of 16 cases."""
    assert "The interval of error, from the smallest to the largest of 4 values, holds it in 88 % of cases." in text(
        finished, "table.md"
    )
