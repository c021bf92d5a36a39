"""The lines under the table of a benchmark."""

import json
from statistics import fmean

import torch

from .estimates import standard_error
from .grid import Grid, short
from .report import Report
from .spec import CONVERGED
from .store import Row
from .texts import SHARED, in_words, model_names, title

CLASSES = 20
"""Classes up to which the likelihood of each is said."""
MEDIAN = 6
"""Values that an interval of 95 % of their median takes."""


def _likelihood(row: Row) -> str:
    """The negative log-likelihood of a model, with its standard error and what it cost."""
    values = row["bits_per_dim"]
    error = standard_error(torch.tensor(values, dtype=torch.float64))
    cost = row["likelihood"]
    work = f"{cost['nfe']:.4g} NFE and {cost['vjps']:.4g} VJPs"
    how = f"rk45 at {cost.get('tol', CONVERGED):g} in {work}"  # rows without one are of before it could be chosen
    said = f"{fmean(values):.4f} ± {error:.4f} bits/dim (standard error), by {how}"
    if "truth" in row:
        return f"{said}; the truth is {fmean(row['truth']):.4f}, for {len(values)} exact samples"
    return f"{said}, for {len(values)} held-out images{_by_class(row)}"


def _by_class(row: Row) -> str:
    """The mean likelihood of each class of a few, with its standard error."""
    groups: dict[int, list[float]] = {}
    for label, value in zip(row.get("classes", ()), row["bits_per_dim"], strict=False):
        groups.setdefault(label, []).append(value)
    if not 2 <= len(groups) <= CLASSES or min(map(len, groups.values())) < 2:
        return ""
    means = [(k, torch.tensor(groups[k], dtype=torch.float64)) for k in sorted(groups)]
    return "; by class " + ", ".join(f"{k}: {float(x.mean()):.2f} ± {standard_error(x):.2f}" for k, x in means)


def facts(report: Report) -> list[str]:
    """The lines under the table: likelihoods, what all rows share, marks, failures and the number of missing cells.

    Args:
        report: The report.
    """
    lines = []
    for row in report.likelihoods.values():
        lines.append(f"NLL of {row['model']}: {_likelihood(row)}.")
    grid = Grid.of(report)
    if report.done:
        told = {name: {json.dumps(row[name]) for row in report.done} for name in SHARED}
        shared = [name for name in SHARED if (name in grid.shared if name == "model" else len(told[name]) == 1)]
        words = [f"{name} {in_words(name, report.done[0][name])}" for name in shared]
        words += [f"{name} {text or 'none'}" for name, text in grid.shared.items() if name not in SHARED]
        lines.append("All rows: " + "; ".join(words) + ".")
    names = model_names(report.rows)
    weights = {names[row["model"]]: row["sha256"][:12] for row in report.done if row["sha256"]}
    if weights:
        lines.append("sha256 of weights: " + ", ".join(f"{model} {digest}" for model, digest in weights.items()) + ".")
    named = {name: head for head, name in short(grid.heads).items() if name != head}
    if named:
        lines.append("; ".join(f"{name} is {head}" for name, head in named.items()) + ".")
    few = {e["n"] for row in report.done for e in row["metrics"] if e["name"] == "error" and e["n"] < MEDIAN}
    for n in sorted(few):
        held = f"{100 * (1 - 0.5 ** (n - 1)):.0f} %"
        lines.append(
            f"The interval of error, from the smallest to the largest of {n} values, holds it in {held} of cases."
        )
    lines += [f"({i}) {mark}." for i, mark in enumerate(report.marks, 1)]
    for row in report.failed:
        name = title(row) if "solver" in row else "likelihood"
        lines.append(f"Failed: {row['model']}, {name}: {row['reason']}.")
    if report.missing:
        lines.append(f"{report.missing} of {len(report.rows)} cells are not measured yet.")
    return lines
