"""The pictures of a run: what it is trained on, and what it draws on the way."""

import torch
from PIL import Image
from torch import Tensor

from ..core.random import generators
from ..data import Dataset
from ..images.drawings import drawing
from ..models.base import Observer
from ..models.network import NetworkModel
from ..sampling.sample import sample
from ..solvers import solvers
from .config import Config
from .evaluation import condition

SHEET = 64
"""Images in a sheet."""
POINTS = 1000
"""Vectors in a plot."""


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

    def draw(self, model: NetworkModel, *observers: Observer) -> Image.Image:
        """A sheet of samples; where they are no pictures, with training data in grey behind them.

        Args:
            model: The averaged network.
            observers: Called after each evaluation of the model, and may raise to end that.
        """
        subject = model if self.known is None else model.bind(self.known)
        x = sample(subject, solvers["adams"](), model.prior(generators(range(self.count))), observers=observers).x
        behind = None if self.units is None else self.some.items
        return self._picture(x, behind)

    def _picture(self, u: Tensor, behind: Tensor | None) -> Image.Image:
        own = self.units is not None
        return drawing(u if self.units is None else self.units.to_data(u), behind, own_range=own)
