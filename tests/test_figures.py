"""What README.md and docs/*.md quote stands in the results file that they name.

CONTRIBUTING.md has the rule (section "Figures"). A message names the page, the line, the number and the files.
"""

import ast
import operator
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
PATH = re.compile(r"(?:benchmarks/results|tests|scoresde/metrics/bundled)/[\w./-]*\w")
COMMENT = re.compile(r"<!--.*?-->", re.S)
FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2\s*$", re.M | re.S)
PART = re.compile(r"(?:^<!--(?:.|\n)*?-->\n?)|(?:^\|.*\n?)+|(?:^(?!\||<!--| *\n).+\n?(?! *(?:[-*]|\d\.) ))+", re.M)
"""A comment, a table, or a paragraph or item of a list."""
NUMBER = re.compile(r"(?<![\w.,/^-])[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?(?![\w/^]|[.,]\d)")
SILENT = re.compile(r"`[^`]*`|\$[^$]*\$|(?<=\])\([^)]*\)|https?://\S+")
"""Code, formulas and the targets of links hold no figures."""
DEFINED = re.compile(
    r"0\.299 R \+ 0\.587 G \+ 0\.114 B"
    r"|95 %(?= intervals?)|(?:Python|BY(?:-\w+)*|sections?|tables?|equations?|version) \d+(?:\.\d+)*|\d+\.\d+ million"
)
"""Numbers that are definitions, sections, versions or sizes of networks."""
TOGETHER = re.compile(r"[+-]?\d[\d.e-]*(?: ± [\d.e-]*\d| \[-?[\d.e-]+, -?[\d.e-]*\d\])")
"""A number with its error or interval: all of it stands in one line."""
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


@dataclass(frozen=True)
class Block:
    """A paragraph, an item of a list or a table, with what is named in it, right above it or where it is introduced."""

    page: str
    line: int
    text: str
    comments: str = ""
    inherited: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        own = PATH.findall(self.comments) or PATH.findall(self.text)
        return tuple(dict.fromkeys(own or PATH.findall(self.inherited)))

    @property
    def known(self) -> list[tuple[float, ...]]:
        """The numbers of the lines of its files; where a comment names texts in brackets, of the lines with one."""
        found = []
        for path in self.files:
            texts = re.search(re.escape(path) + r" \(([^)]*)\)", self.comments)
            named = [text.strip() for text in texts[1].split(";")] if texts else [""]
            found += [n for line, n in lines(path) if any(text in line for text in named)]
        return found

    @property
    def by_cells(self) -> bool:
        return "cells of benchmarks/results" in self.comments

    @property
    def rows(self) -> list[tuple[int, str]]:
        """Lines of a table below its rule, else the text, each with the number of its line."""
        lines = self.text.split("\n")
        if not self.text.startswith("|"):
            return [(self.line, self.text)]
        return [(self.line + i, line) for i, line in enumerate(lines) if i > 1]


def blocks(page: Path | str, text: str) -> Iterator[Block]:
    """The blocks of a page in their order."""
    text = FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
    name = page if isinstance(page, str) else str(page.relative_to(ROOT))
    above, introduces = "", ""
    for part in PART.finditer(text):
        body, line = part[0].rstrip("\n"), text[: part.start()].count("\n") + 1
        if body.startswith("<!--"):
            above += body
            continue
        inside = " ".join(COMMENT.findall(body))
        introduced = re.match(r" *(?:[-*]|\d\.) |\|", body) is not None
        block = Block(name, line, COMMENT.sub("", body), above + inside, introduces if introduced else "")
        yield block
        above, introduces = "", introduces if introduced else " ".join(block.files)


def numbers(text: str) -> list[tuple[str, bool]]:
    """The measured numbers of a text as they are written, and whether each is a percentage."""
    text = DEFINED.sub(" ", SILENT.sub(" ", text)).replace("−", "-")
    found = []
    for match in NUMBER.finditer(text):
        written, after = match[0], text[match.end() :]
        percent = re.match(r"(?:(?:,| and| to) [\d.]+)*(?:,? and [\d.]+)? ?%", after) is not None
        uncertain = text[: match.start()].rstrip().endswith("±")
        alone = written != "1" and re.search(r"\| *\**$", text[: match.start()]) and re.match(r"\** *\|", after)
        if re.fullmatch(r"[+-]?1e[+-]?\d+", written) and not uncertain:
            continue  # a tolerance or another round number
        if "." in written or "e" in written or percent or uncertain or alone or re.match(r": \d", after):
            found.append((written.replace(",", ""), percent))
    return found


@cache
def limits(written: str) -> tuple[float, float]:
    """Between which values a number is rounded to what is written."""
    mantissa, _, exponent = written.partition("e")
    half = 0.5 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])) * (1 + 1e-9)
    return float(written) - half, float(written) + half


def agrees(written: str, percent: bool, value: float) -> bool:
    """Whether the written number is that value, rounded; one without a sign may stand for either."""
    low, high = limits(written)
    value = value if written[0] in "+-" else abs(value)
    return low <= value <= high or (percent and low <= 100 * value <= high)


@cache
def lines(path: str) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """The lines of a results file, each with its numbers."""
    text = (ROOT / path).read_text(encoding="utf-8").replace("−", "-")
    found = r"[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?"
    return tuple(
        (line, tuple(float(n.replace(",", "")) for n in re.findall(found, line))) for line in text.splitlines()
    )


def value(node: ast.expr, block: Block) -> float:
    """The value of a calculation from numbers of the files; whole numbers up to 100 are free."""
    if isinstance(node, ast.BinOp):
        return float(OPERATORS[type(node.op)](value(node.left, block), value(node.right, block)))
    assert isinstance(node, ast.Constant) and isinstance(node.value, int | float), ast.dump(node)
    if not (isinstance(node.value, int) and node.value <= 100):
        written = repr(node.value)
        assert any(agrees(written, False, v) for line in block.known for v in line), f"{written} (derived) is not found"
    return float(node.value)


def derived(block: Block) -> list[float]:
    """The values of `derived: 39 % = 1 - 0.61; 2.5 = 5 / 2` in the comments of a block."""
    found = []
    for part in re.findall(r"derived:(.*?)(?:figures:|-->)", block.comments, re.S):
        for equation in part.split(";"):
            left, _, right = equation.partition("=")
            number, percent = left.strip().rstrip(" %"), "%" in left
            result = value(ast.parse(" ".join(right.split()), mode="eval").body, block)
            assert agrees(number, percent, result), f"{equation.strip()} is {result:g}"
            found.append(result)
    return found


def in_one_line(wanted: list[tuple[str, bool]], known: list[tuple[float, ...]]) -> bool:
    """Whether a line has all of these numbers, in this order."""
    return any(all(any(agrees(*pair, v) for v in rest) for pair in wanted) for rest in map(iter, known))


def problems(block: Block) -> Iterator[str]:
    """What is wrong with the figures of a block."""
    at = f"{block.page}:{block.line}"
    if not numbers(block.text):
        return
    if not block.files:
        found = [written for written, _ in numbers(block.text) if "." in written or "e" in written]
        if found:
            yield (
                f"{at}: {', '.join(found[:4])}{', ...' if found[4:] else ''} without a file: name that of "
                "benchmarks/results which has it, or write a setting as `code` (CONTRIBUTING.md, Figures)"
            )
        return
    for path in block.files:
        if not (ROOT / path).is_file():
            yield f"{at}: {path} is not a file"
            return
    try:
        free = derived(block)
    except (AssertionError, SyntaxError, KeyError) as error:
        yield f"{at}: {error} (files: {', '.join(block.files)})"
        return
    known = block.known
    for number_of_line, row in block.rows:
        parts = row.split("|") if block.by_cells else [row]
        for part in (f"|{cell}|" for cell in parts) if block.by_cells else parts:
            wanted = [pair for pair in numbers(part) if not any(agrees(*pair, v) for v in free)]
            if not wanted:
                continue
            lost = [w for w, percent in wanted if not any(agrees(w, percent, v) for line in known for v in line)]
            together = [wanted] if row.startswith("|") else [numbers(group) for group in TOGETHER.findall(row)]
            apart = [group for group in together if not in_one_line(group, known)]
            if lost or apart:
                what = ", ".join(lost) or " and ".join(w for w, _ in apart[0]) + " in one line, in this order,"
                yield f"{block.page}:{number_of_line}: {what} not found in {', '.join(block.files)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_quoted_stands_in_the_file_that_is_named(page):
    found = [problem for block in blocks(page, page.read_text(encoding="utf-8")) for problem in problems(block)]
    assert not found, "\n" + "\n".join(found)


def places(block: Block) -> list[re.Match[str]]:
    """Where the measured decimals of a block stand."""
    shown = SILENT.sub(lambda found: " " * len(found[0]), block.text)
    shown = DEFINED.sub(lambda found: " " * len(found[0]), shown)
    return [found for found in NUMBER.finditer(shown) if re.fullmatch(r"[+-]?\d+\.\d+(e-\d+)?", found[0])]


def test_a_figure_with_one_wrong_digit_is_found():
    """In 250 seeded trials. A number of two digits may by chance stand elsewhere in a long file."""
    source, lived = random.Random(0), list[str]()
    cited = [block for page in PAGES for block in blocks(page, page.read_text(encoding="utf-8")) if block.files]
    figures = [(block, place) for block in cited for place in places(block)]
    assert len(figures) > 250
    for block, place in source.sample(figures, 250):
        at = source.choice([i for i in range(*place.span()) if block.text[i].isdigit()])
        digit = source.choice([d for d in "0123456789" if d != block.text[at]])
        if not list(problems(replace(block, text=block.text[:at] + digit + block.text[at + 1 :]))):
            lived.append(f"{block.page}:{block.line} {place[0]}")
    assert len(lived) < 0.08 * 250, "\n".join(lived)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The error is 2.7e-4 in 37.", "2.7e-4 without a file"),
        ("A width of `0.1` and of $0.2$, Python 3.11, CC BY 2.0.", None),
        ("| a | b |\n|---|---|\n| one | 2.390 ± 0.012 |", "2.390, 0.012 without a file"),
        ("It has 2.390 ± 0.012 bits/dim (`benchmarks/results/likelihood.md`).", None),
        ("It has 2.390 ± 0.022 bits/dim (`benchmarks/results/likelihood.md`).", "in one line, in this order,"),
        ("It has 2.39 bits/dim (`benchmarks/results/likelihood.md`).", None),
        ("It has 2.38 bits/dim (`benchmarks/results/likelihood.md`).", "2.38 not found"),
        ("See `benchmarks/results/gone.md`: 0.5.", "is not a file"),
        ("Of `benchmarks/results/sde.md`:\n\n| a | b |\n|---|---|\n| em | 20 | +0.219 |", None),
        (
            "Of `benchmarks/results/sde.md`:\n\n| a | b |\n|---|---|\n| em | 100 | +0.219 |",
            "in one line, in this order,",
        ),
        ("<!-- figures: benchmarks/results/sde.md (| seeds |) -->\nA gap of 0.219.", "0.219 not found"),
        ("<!-- figures: benchmarks/results/sde.md derived: 22 % = 0.2193 -->\nBy 22 % more.", None),
        ("<!-- figures: benchmarks/results/sde.md derived: 23 % = 0.2193 -->\nBy 23 % more.", "is 0.2193"),
    ],
)
def test_what_is_refused(text, said):
    found = [problem for block in blocks("a.md", text) for problem in problems(block)]
    assert found == [] if said is None else len(found) == 1 and said in found[0]


def test_every_picture_of_the_documentation_says_how_it_was_made():
    table = (ROOT / "docs" / "images" / "README.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `([^`]+)` \|", table, re.M))
    assert told == {path.name for path in (ROOT / "docs" / "images").iterdir()} - {"README.md"}
