r"""The table of a report as LaTeX, with the rules of booktabs."""

import re

from .facts import facts
from .grid import WORDS, Grid, short
from .report import Report
from .texts import NLL

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "±": r"$\pm$",
    "²": "$^2$",
    "σ": r"$\sigma$",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "[": "{[}",
    "]": "{]}",
}
"""What stands for a character that LaTeX takes for a command, or that a plain font lacks."""
PREAMBLE = r"% In the preamble: \usepackage{booktabs}, and \usepackage{graphicx} for tables as wide as the line."
WIDTH = 140
"""Characters of a row that can still be read in a column of text."""


def escape(text: str) -> str:
    """A text as LaTeX: 2 % of a_b is 2 \\% of a\\_b, 1.0e-03 is $1.0\\times10^{-3}$, and -1 has a minus sign.

    Args:
        text: The text.
    """
    parts = re.split(r"(?<![\w.@])(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?![\w.])", text)
    return "".join(_number(part) if i % 2 else _words(part) for i, part in enumerate(parts))


def _words(text: str) -> str:
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def _number(text: str) -> str:
    value, _, power = text.partition("e")
    if power:
        return f"${value}\\times10^{{{int(power)}}}$"
    return f"${value}$" if value.startswith("-") else value


def latex(report: Report) -> str:
    """The report as LaTeX, which is compiled as it is: a table for each model, and a paragraph on all of them.

    Args:
        report: The report.
    """
    tables = [_table(model, grid.within(WIDTH)) for model, grid in Grid.of(report).by_model().items()]
    notes = "\n".join(rf"\noindent {escape(fact)}\par" for fact in facts(report))
    return "\n".join([PREAMBLE, *tables, r"{\footnotesize", notes, "}", ""])


def _table(model: str, grid: Grid) -> str:
    """One table with its caption and label."""
    names = short(grid.heads)
    likelihood = r"; NLL $\pm$ one $\sigma$" if NLL in grid.heads else ""
    rows, below = (
        [" & ".join(escape(row.get(head, "")) for head in grid.heads) + r" \\" for row in part]
        for part in (grid.rows, grid.below)
    )
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{Solvers on {escape(model)}; 95 \% intervals, $\pm$ the larger half{likelihood}.}}",
            rf"\label{{tab:bench-{re.sub('[^a-z0-9]+', '-', model.lower()).strip('-')}}}",
            r"\resizebox{\linewidth}{!}{%",
            rf"\begin{{tabular}}{{{''.join('l' if head in WORDS else 'r' for head in grid.heads)}}}",
            r"\toprule",
            " & ".join(escape(names[head]) for head in grid.heads) + r" \\",
            r"\midrule",
            *rows,
            *([r"\midrule", *below] if below else []),
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
        ]
    )
