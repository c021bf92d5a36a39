"""The images of a run: training data, and samples during training."""

import torch
from PIL import Image
from torch import Tensor

from ..core.random import generators
from ..data import Dataset
from ..images.drawings import drawing
from ..models.base import Observer
from ..models.network import NetworkModel
from ..sampling.sample import sample
from ..sampling.trajectory import Trajectory, drawn_way
from ..solvers import solvers
from .config import Config
from .evaluation import condition

SHEET = 64
"""Images in a sheet."""
POINTS = 1000
"""Vectors in a plot."""
WAYS, FRAMES = 4, 8
"""Samples whose way is shown, and at how many times."""


class Gallery:
    """Sheets of samples, always from the same seeds. A conditional network is given what it would be given for some
    training images.

    Args:
        config: The training run.
        data: Its training data.
        device: Where the network is.
    """

    def __init__(self, config: Config, data: Dataset, device: torch.device) -> None:
        self.count = POINTS if len(data.shape) == 1 else SHEET
        self.units, self.some = data.units, data.drawn(self.count)
        self.known = condition(config, data, self.count, device)

    def data(self) -> Image.Image:
        """Some of the training data, as the network sees them but in their own units."""
        return self._picture(self.some.scaled(), None)

    def draw(self, model: NetworkModel, *observers: Observer) -> dict[str, Image.Image]:
        """The `samples`, in one sheet; and of pictures the `trajectories` of some, as rows of x_t and predicted x_0.

        Where samples are no pictures, training data are drawn in grey behind them.

        Args:
            model: The averaged network.
            observers: Called after each evaluation of the model, and may raise to end that.
        """
        subject = model if self.known is None else model.bind(self.known)
        way, pictures = Trajectory(model.sde, FRAMES), self.units is None and len(model.shape) == 3

        def follow(x: Tensor, t: Tensor, eps: Tensor) -> None:
            way(x[:WAYS], t[:WAYS], eps[:WAYS])

        watching = (*observers, follow) if pictures and model.shape[0] in (1, 3) else observers
        x = sample(subject, solvers["adams"](), model.prior(generators(range(self.count))), observers=watching).x
        behind = None if self.units is None else self.some.items
        drawn = {"samples": self._picture(x, behind)}
        return drawn | ({"trajectories": drawn_way(way, x)[0]} if way.states else {})

    def _picture(self, u: Tensor, behind: Tensor | None) -> Image.Image:
        own = self.units is not None
        return drawing(u if self.units is None else self.units.to_data(u), behind, own_range=own)
