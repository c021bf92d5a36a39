"""Pictures larger than the model's, by overlapping tiles on one shared trajectory."""

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.sentences import many
from .base import ScoreModel, WrapperModel
from .known import Known
from .output import Output


class TiledModel(WrapperModel):
    """ε(x) = Σ_k w_k ε_k / Σ_k w_k, ε_k the inner model's on tile k of x and w_k a window that vanishes at its edges.

    All tiles are parts of one x_t, so solvers, conditioners and observers around it see one picture. It is exact for
    data with independent pixels. The model knows no dependence between pixels that are further apart than a tile.

    Evaluations are counted at the inner model: one for each `batch` of tiles. A learned variance is averaged like ε.
    All tiles of a picture have its class, and the condition of a picture is cut into tiles, too.

    Args:
        model: A model of images, (C, h, w), which must not be bound to samples.
        shape: (C, H, W), with H and W at least h and w.
        batch: Maximal number of tiles per evaluation.
        overlap: Least fraction of a tile's side that its neighbour overlaps. With one half, samples of photographs are
            not better, for nearly twice the tiles; with one eighth, seams are visible.

    Raises:
        UsageError: The shape has other channels or is smaller than a tile, an option is out of its range, the model
            is bound to samples by a condition or by guidance, or its units differ from place to place.

    Reference: Bar-Tal et al. 2023, https://arxiv.org/abs/2302.08113, equation 5 (MultiDiffusion).

    Example:
        >>> import scoresde
        >>> model = scoresde.TiledModel(scoresde.load("digits"), (1, 12, 16))
        >>> scoresde.sample(model, "euler", n=2, steps=5).x.shape
        torch.Size([2, 1, 12, 16])
    """

    rows: Tensor
    columns: Tensor
    row_weights: Tensor
    column_weights: Tensor

    forwarded = ["sde", "draws", "classes", "null_class", "condition", "units"]  # a picture has a shape of its own
    known: Known | None = None
    """What the inner model is given of each picture, if it is bound."""

    def __init__(self, model: ScoreModel, shape: tuple[int, ...], *, batch: int = 64, overlap: float = 0.25) -> None:
        super().__init__(model)
        tile = model.shape
        if model.bound is not None:
            raise UsageError(
                f"tiles share one model, and this one is bound to {many(model.bound, 'sample')}: "
                "make tiles of the model inside it, then guide or condition them"
            )
        if model.autoencoder is not None:
            raise UsageError("tiles are parts of pictures, and this is a model of latents: draw pictures of its size")
        if model.units is not None and max(model.units.centre.shape[-2:], default=1) > 1:
            units = tuple(model.units.centre.shape)
            raise UsageError(f"tiles lie anywhere, and these units, of shape {units}, differ by place: give (C, 1, 1)")
        if len(shape) != 3 or len(tile) != 3 or shape[0] != tile[0] or shape[1] < tile[1] or shape[2] < tile[2]:
            raise UsageError(f"images of shape {tuple(shape)} cannot be laid out with tiles of shape {tuple(tile)}")
        if batch < 1 or not 0 <= overlap < 1:
            raise UsageError(f"tiles take a batch of at least 1 and an overlap in [0, 1), got {batch} and {overlap}")
        self.shape, self.batch, self.overlap = tuple(shape), batch, overlap
        for name, size, side in (("row", shape[1], tile[1]), ("column", shape[2], tile[2])):
            places, weights = layout(size, side, overlap)
            self.register_buffer(f"{name}s", places.to(model.device), persistent=False)
            setattr(self, f"{name}_weights", weights)

    @property
    def tiles(self) -> int:
        """Number of tiles of a picture."""
        return len(self.rows) * len(self.columns)

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        parts = torch.split(self._cut(x), self.batch)
        times = torch.split(t.repeat_interleave(self.tiles), self.batch)
        every = None if classes is None else classes.repeat_interleave(self.tiles)
        labels = [None] * len(parts) if every is None else torch.split(every, self.batch)
        if self.known is not None and len(self.known) != len(x):
            raise UsageError(f"the network is given what is known of {many(len(self.known), 'picture')}, got {len(x)}")
        known = None if self.known is None else self.known.each(self._cut)
        found, first = [], 0
        for part, time, label in zip(parts, times, labels, strict=True):
            model = self.model if known is None else self.model.bind(known[first : first + len(part)])
            found.append(model.evaluate(part, time, label))
            first += len(part)
        eps, shares = zip(*found, strict=True)
        return Output(self._joined(eps, x), None if shares[0] is None else self._joined(shares, x))

    def begin(self, x: Tensor) -> Tensor:
        return x

    def finish(self, x: Tensor) -> Tensor:
        return x

    def bind(self, known: Known) -> Self:
        if self.condition == "none":
            self.model.bind(known)
        other = self.around(self.model)
        other.known, other.bound = known, len(known)
        return other

    def _cut(self, x: Tensor) -> Tensor:
        """The tiles of pictures, (B, C, H, W), those of a picture one after the other, (B tiles, C, h, w)."""
        parts = x[:, :, self.rows][..., self.columns].permute(0, 2, 4, 1, 3, 5)
        return parts.reshape(-1, *parts.shape[3:])

    def _joined(self, tiles: Sequence[Tensor], x: Tensor) -> Tensor:
        """Pictures like x, (B, C, H, W), from their tiles, by the windows."""
        (down, h), (across, w) = self.rows.shape, self.columns.shape
        whole = torch.cat(list(tiles)).reshape(len(x), down, across, x.shape[1], h, w).permute(0, 3, 1, 4, 2, 5)
        down_weights, across_weights = (w.to(x.dtype).to(x.device) for w in (self.row_weights, self.column_weights))
        whole = whole * down_weights[:, :, None, None] * across_weights
        whole = x.new_zeros(*whole.shape[:4], x.shape[3]).index_add(4, self.columns.flatten(), whole.flatten(4))
        return torch.zeros_like(x).index_add(2, self.rows.flatten(), whole.flatten(2, 3))


def layout(size: int, side: int, overlap: float) -> tuple[Tensor, Tensor]:
    """Where tiles lie along an axis, (K, side), evenly spread, and their weights there, which sum to 1 at each pixel.

    The window is sin², the same on each axis, so that the weights of a tile are the products of both.

    Args:
        size: Pixels of the picture along the axis.
        side: Pixels of a tile along it, at most `size`.
        overlap: Least share of a tile's side that its neighbour covers too, in [0, 1).
    """
    step = max(1, math.floor(side * (1 - overlap)))
    count = 1 + math.ceil((size - side) / step)
    first = torch.linspace(0, size - side, count, dtype=torch.float64).round().long()
    places = first[:, None] + torch.arange(side)
    window = torch.sin(math.pi * (torch.arange(side, dtype=torch.float64) + 0.5) / side).square().repeat(count, 1)
    total = torch.zeros(size, dtype=torch.float64).index_add(0, places.flatten(), window.flatten())
    return places, window / total[places]
