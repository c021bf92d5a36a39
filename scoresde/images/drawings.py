"""Samples of any shape as an image: image grids, scatter plots, histograms, curves, slices."""

import io
import math
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image
from torch import Tensor

from ..core.errors import UsageError
from . import sheets

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELLS = 64
"""Most curves or slices that are drawn."""
POINTS = 5000
"""Most points of a scatter plot."""
COORDINATES = 4
"""Most coordinates of vectors that are drawn, pair by pair."""
INK, BEHIND = "#1c86c7", "#b0b0b0"


def drawing(
    x: Tensor, reference: Tensor | None = None, *, own_range: bool = False, room: Tensor | None = None
) -> Image.Image:
    """Samples as one picture.

    Images of 1 or 3 channels become a sheet; vectors of two values a scatter plot, of one a histogram, of more a plot
    for each pair of their first four values; series (C, L) a grid of curves; (C, H, W) and volumes (C, D, H, W) with
    numbers of their own a grid of maps, of volumes the middle ones, of the first channel.

    Args:
        x: Samples, (B, *), images in [-1, 1], all else in the data's own units.
        reference: Data to compare them with, (N, *), drawn in grey behind vectors and series.
        own_range: Whether images have numbers of their own in place of [-1, 1].
        room: What the axes have room for besides, (N, *), so that those of several drawings are the same.

    Raises:
        UsageError: There are no samples, or one is a single number without a shape.
    """
    if x.ndim < 2 or not x.numel():
        raise UsageError(f"samples of shape (B, *) can be drawn, got {tuple(x.shape)}")
    x = x.detach().float().cpu()
    behind, beyond = (None if y is None else y.detach().float().cpu() for y in (reference, room))
    if x.ndim == 4 and x.shape[1] in (1, 3) and not own_range:
        return sheets.sheet(x, zoom=sheets.zoom_for(*x.shape[-2:]))
    if x.ndim == 3:
        return _rendered(_curves(x, behind, beyond))
    if x.ndim in (4, 5):
        return _maps(x[:, 0] if x.ndim == 4 else x[:, 0, x.shape[2] // 2])
    real, wide = (None if y is None else y.flatten(1) for y in (behind, beyond))
    return _rendered((_histogram if x.shape[1:].numel() == 1 else _pairs)(x.flatten(1), real, wide))


def _maps(x: Tensor) -> Image.Image:
    """A sheet of maps, (B, H, W), whose lowest and highest number are black and white."""
    x = x[:CELLS]
    low, high = float(x.min()), float(x.max())
    grey = (x - low) * (2 / ((high - low) or 1.0)) - 1
    return sheets.sheet(grey[:, None], zoom=sheets.zoom_for(*x.shape[-2:]))


def _figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> "Figure":
    from matplotlib.figure import Figure  # not pyplot: no window, no global list of figures

    return Figure(figsize=(width, height), layout=layout)


def _rendered(figure: "Figure") -> Image.Image:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return Image.open(file).convert("RGB")


def _histogram(x: Tensor, reference: Tensor | None, room: Tensor | None) -> "Figure":
    figure = _figure(5, 3.5)
    axes, every = figure.add_subplot(), [y for y in (x, reference, room) if y is not None]
    low, high = float(min(y.min() for y in every)), float(max(y.max() for y in every))
    bins = max(10, min(60, math.isqrt(len(x))))
    span: dict[str, Any] = {"bins": bins, "range": (low, high) if high > low else (low - 0.5, low + 0.5)}
    if reference is not None:
        axes.hist(reference[:, 0].numpy(), density=True, color=BEHIND, label="data", **span)
    axes.hist(x[:, 0].numpy(), density=True, histtype="step", color=INK, label="samples", **span)
    axes.set_ylabel("density")
    axes.legend(frameon=False)
    return figure


def _pairs(x: Tensor, reference: Tensor | None, room: Tensor | None) -> "Figure":
    pairs = list(combinations(range(min(x.shape[1], COORDINATES)), 2))
    columns = min(3, len(pairs))
    figure = _figure(4 * columns, 4 * math.ceil(len(pairs) / columns))
    for place, (i, j) in enumerate(pairs, 1):
        axes = figure.add_subplot(math.ceil(len(pairs) / columns), columns, place)
        for points, colour, label in ((room, "none", None), (reference, BEHIND, "data"), (x, INK, "samples")):
            if points is not None:
                axes.scatter(points[:POINTS, i].numpy(), points[:POINTS, j].numpy(), 4, colour, label=label)
        axes.set_aspect("equal", "datalim") if len(pairs) == 1 else axes.set(xlabel=f"x[{i}]", ylabel=f"x[{j}]")
    if reference is not None:
        figure.axes[0].legend(loc="upper right", markerscale=3)
    return figure


def _curves(x: Tensor, reference: Tensor | None, room: Tensor | None) -> "Figure":
    from matplotlib import rcParams

    x = x[:16]
    columns = min(4, len(x))
    rows = math.ceil(len(x) / columns)
    figure = _figure(2.4 * columns, 1.5 * rows, None)  # the layout of so many would take seconds
    figure.subplots_adjust(0.25 / columns, 0.2 / rows, 0.99, 1 - 0.05 / rows, 0.08, 0.12)
    several, colours = x.shape[1] > 1, rcParams["axes.prop_cycle"].by_key()["color"]
    cells: Any = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    if room is not None:
        cells[0, 0].plot([0, 0], [float(room.min()), float(room.max())], color="none")
    for i, axes in enumerate(cells.flat):
        axes.tick_params(labelsize=6)
        if i >= len(x):
            axes.set_axis_off()
            continue
        if reference is not None and i < len(reference):
            axes.plot(reference[i].T.numpy(), color=BEHIND, linewidth=0.8)
        for channel, values in enumerate(x[i]):
            axes.plot(values.numpy(), color=colours[channel % len(colours)] if several else INK, linewidth=1.0)
    return figure
