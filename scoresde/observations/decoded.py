"""Measurements of pictures, as measurements of their latents."""

from collections.abc import Sequence

from torch import Tensor

from ..models.autoencoders import Autoencoder
from .base import Observation


class Decoded(Observation):
    """z ↦ A D(z): what a measurement A of pictures sees of latents z through their decoder D. It is not linear.

    Nothing is written into latents: `inner.write` does it to the pictures.

    Args:
        inner: A, for pictures.
        autoencoder: What makes pictures of latents.
    """

    def __init__(self, inner: Observation, autoencoder: Autoencoder) -> None:
        self.inner, self.autoencoder, self.noise = inner, autoencoder, inner.noise

    @property
    def bound(self) -> int | None:
        return self.inner.bound

    def of_rows(self, rows: Sequence[int]) -> "Decoded":
        return type(self)(self.inner.of_rows(rows), self.autoencoder)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner.forward(self.autoencoder.decode(x))

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        return self.inner.residual(self.autoencoder.decode(x), y)

    def check(self, y: Tensor, shape: tuple[int, ...]) -> None:
        self.inner.check(y, self.autoencoder.shape)
