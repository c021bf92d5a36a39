"""Figures of benchmarks as SVG or PNG. Matplotlib is imported only when one is drawn; its global state is not used."""

import html
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

COLOURS = ("#1c86c7", "#d55e00", "#009e73", "#cc6fa5", "#85540f", "#5a4fcf", "#b3203a", "#66757d")
"""After Okabe and Ito, in tones that are visible on white and on black; the colour-blind, too, can tell them apart."""
DASHES = ("-", "--", ":", "-.")
MARKERS = "os^Dv<>pP*Xh"
MARGIN = 1.15
"""Widths of a legend that are left for it: the fonts of a browser are a little wider than those that are measured."""
INK = "#010203"
"""A placeholder, which `inline` replaces by the colour of the page's text."""


class Point(NamedTuple):
    """A measured point, with its interval if there is one."""

    x: float
    """Horizontal position."""
    y: float
    """The value."""
    low: float | None = None
    """Lower end of the interval."""
    high: float | None = None
    """Upper end of the interval."""


def curves(
    series: Mapping[str, Sequence[Point]],
    x_label: str,
    y_label: str,
    *,
    log_y: bool = False,
    level: tuple[str, float] | None = None,
) -> "Figure":
    """One line per series over a logarithmic x, with intervals; the points are joined in the order of x.

    Args:
        series: Points by name. The order of the names decides the colours, also of series without points.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        log_y: Logarithmic y; values that are not positive are left out.
        level: A horizontal line with its name.
    """
    from matplotlib.figure import Figure  # not pyplot: no window, no global list of figures

    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for i, (name, points) in enumerate(series.items()):
        shown = sorted(p for p in points if p.x > 0 and (p.y > 0 or not log_y))
        if not shown:
            continue
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        dashes = DASHES[i // len(COLOURS) % len(DASHES)]
        x, y = [p.x for p in shown], [p.y for p in shown]
        axes.plot(x, y, dashes, label=name, color=colour, marker=marker, markersize=4, linewidth=1.2)
        for p in shown:
            if p.low is not None and p.high is not None:
                axes.vlines(p.x, p.low, p.high, colour, linewidth=0.8)
    if level is not None:
        axes.axhline(level[1], color=INK, linewidth=0.8, linestyle=":", label=level[0])
    axes.set_xscale("log")
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(y_label, color=INK)
    _quiet(axes)
    _plain_ticks(axes.xaxis)
    if log_y:
        axes.set_yscale("log")
        _plain_ticks(axes.yaxis)
    _legend_below(figure)
    return figure


def _legend_below(figure: "Figure") -> None:
    """A legend under the axes in as many columns as fit, up to three. The figure grows by what the legend takes."""
    names = len(figure.axes[0].get_legend_handles_labels()[1])
    for columns in (3, 2, 1):
        legend = figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=8, labelcolor=INK)
        width = MARGIN * legend.get_window_extent().width / figure.dpi
        if width <= figure.get_figwidth() or columns == 1:
            break
        legend.remove()
    figure.set_size_inches(max(figure.get_figwidth(), width), figure.get_figheight() + 0.18 * -(-names // columns))


def _quiet(axes: "Axes") -> None:
    """Thin lines in the colour of the text, and none at the top and the right."""
    axes.grid(True, which="major", color=INK, alpha=0.15, linewidth=0.6)
    axes.tick_params(which="both", colors=INK, labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_color(INK)
        spine.set_visible(side in ("left", "bottom"))


def _plain_ticks(axis: "Axis") -> None:
    """Numbers such as 0.2 and 100 at the ticks of a logarithmic axis; powers of ten at one over many of them."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = axis.get_view_interval()
    within = (1, 1.5, 2, 3, 5, 7) if high < 10 * low else (1, 2, 5) if high < 1000 * low else (1,)
    axis.set_major_locator(LogLocator(10, within))
    if high < 1e5 * low:
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def panels(groups: Mapping[str, Mapping[str, Sequence[Point]]]) -> "Figure":
    """One panel per group, each with a line per series over images, one above the other; y is logarithmic if it can be.

    Args:
        groups: Series by their names, by the name of y.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    figure = Figure(figsize=(7.0, 2.2 * len(groups)), layout="constrained")
    rows = figure.subplots(len(groups), sharex=True, squeeze=False)[:, 0]
    for axes, (y_label, series) in zip(rows, groups.items(), strict=True):
        for i, (name, points) in enumerate(series.items()):
            marker = "o" if len(points) < 50 else ""
            x, y, colour = [p.x for p in points], [p.y for p in points], COLOURS[i % len(COLOURS)]
            axes.plot(x, y, color=colour, label=name, linewidth=1.2, marker=marker, markersize=3)
        if all(p.y > 0 for points in series.values() for p in points):
            axes.set_yscale("log")
            _plain_ticks(axes.yaxis)
        axes.set_ylabel(y_label, color=INK)
        _quiet(axes)
        if len(series) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8, labelcolor=INK)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 20k, 1.5M
    axes.set_xlabel("images", color=INK)
    figure.align_ylabels(rows)
    return figure


def render(figure: "Figure", kind: Literal["svg", "png"] = "svg") -> bytes:
    """A figure as a file, without date or random names, so that equal figures have equal bytes.

    Args:
        figure: The figure.
        kind: "svg" or "png".
    """
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "scoresde", "svg.fonttype": "none"}):
        metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        figure.savefig(buffer, format=kind, dpi=160, metadata=metadata)
    return buffer.getvalue()


def inline(figure: "Figure", title: str) -> str:
    """A figure as an <svg> element for a page, in the colour and font of the text around it.

    Args:
        figure: The figure.
        title: Its description for screen readers.
    """
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
    text = render(figure).decode()
    text = re.sub(r"<metadata>.*?</metadata>|<\?xml.*?\?>|<!DOCTYPE.*?>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]+">', "<g>", text)  # names that the next figure on the page would have, too
    box = re.search(r'viewBox="[\d. ]+"', text)
    text = re.sub(
        r"<svg.*?>",
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {box.group() if box else ""} role="img" '
        f'aria-label="{html.escape(title)}">',
        text,
        count=1,
        flags=re.DOTALL,
    )
    return text.replace(INK, "currentColor").strip()
