"""Pictures larger than the model's, by overlapping tiles on one shared trajectory."""

import math

import torch
from torch import Tensor

from ..core.errors import UsageError
from .base import Observer, ScoreModel


class TiledModel(ScoreModel):
    """ε(x) = Σ_k w_k ε_k / Σ_k w_k, ε_k the inner model's on tile k of x and w_k a window that vanishes at its edges.

    All tiles are parts of one x_t, so that a solver, a conditioner or an observer around it sees one picture. Where
    the pixels of the data are independent it is exact; what lies further apart than a tile is never seen together.

    Evaluations are counted at the inner model: a call of `eps` is one for each `batch` of tiles.

    Args:
        model: A model of images, (C, h, w), which all tiles share: it must not hold anything per row.
        shape: (C, H, W), with H and W at least h and w.
        batch: Tiles that are evaluated at a time, at most.
        overlap: Least share of a tile's side that its neighbour covers too.

    Raises:
        UsageError: The shape has other channels or is smaller than a tile, or an option is out of its range.

    Reference: Bar-Tal et al. 2023, https://arxiv.org/abs/2302.08113, equation 5 (MultiDiffusion).
    """

    rows: Tensor
    columns: Tensor
    row_weights: Tensor
    column_weights: Tensor

    def __init__(self, model: ScoreModel, shape: tuple[int, ...], *, batch: int = 64, overlap: float = 0.5) -> None:
        super().__init__()
        tile = model.shape
        if len(shape) != 3 or len(tile) != 3 or shape[0] != tile[0] or shape[1] < tile[1] or shape[2] < tile[2]:
            raise UsageError(f"images of shape {tuple(shape)} cannot be laid out with tiles of shape {tuple(tile)}")
        if batch < 1 or not 0 <= overlap < 1:
            raise UsageError(f"tiles take a batch of at least 1 and an overlap in [0, 1), got {batch} and {overlap}")
        self.model, self.shape, self.batch, self.overlap = model, tuple(shape), batch, overlap
        self.sde, self.draws = model.sde, model.draws
        for name, size, side in (("row", shape[1], tile[1]), ("column", shape[2], tile[2])):
            places, weights = layout(size, side, overlap)
            self.register_buffer(f"{name}s", places.to(model.device), persistent=False)
            self.register_buffer(f"{name}_weights", weights.to(model.device), persistent=False)

    @property
    def tiles(self) -> int:
        """Number of tiles of a picture."""
        return len(self.rows) * len(self.columns)

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        (down, h), (across, w) = self.rows.shape, self.columns.shape
        parts = x[:, :, self.rows][..., self.columns]  # (B, C, down, h, across, w)
        tiles = parts.permute(0, 2, 4, 1, 3, 5).reshape(-1, x.shape[1], h, w)
        times = t.repeat_interleave(self.tiles)
        pieces = zip(torch.split(tiles, self.batch), torch.split(times, self.batch), strict=True)
        evaluated = [self.model.eps(*piece) for piece in pieces]
        eps = torch.cat(evaluated).reshape(len(x), down, across, x.shape[1], h, w).permute(0, 3, 1, 4, 2, 5)
        eps = eps * self.row_weights.to(eps)[:, :, None, None] * self.column_weights.to(eps)
        eps = x.new_zeros(*eps.shape[:4], x.shape[3]).index_add(4, self.columns.flatten(), eps.flatten(4))
        return torch.zeros_like(x).index_add(2, self.rows.flatten(), eps.flatten(2, 3))

    def observed(self, *observers: Observer) -> ScoreModel:
        return TiledModel(self.model.observed(*observers), self.shape, batch=self.batch, overlap=self.overlap)


def layout(size: int, side: int, overlap: float) -> tuple[Tensor, Tensor]:
    """Where tiles lie along an axis, (K, side), evenly spread, and their weights there, which sum to 1 at each pixel.

    The window is sin², the same on each axis, so that the weights of a tile are the products of both.
    """
    step = max(1, math.floor(side * (1 - overlap)))
    count = 1 + math.ceil((size - side) / step)
    first = torch.linspace(0, size - side, count, dtype=torch.float64).round().long()
    places = first[:, None] + torch.arange(side)
    window = torch.sin(math.pi * (torch.arange(side, dtype=torch.float64) + 0.5) / side).square().repeat(count, 1)
    total = torch.zeros(size, dtype=torch.float64).index_add(0, places.flatten(), window.flatten())
    return places, window / total[places]
