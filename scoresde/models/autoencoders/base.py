"""Base class of autoencoders, which map images to the latents of a score model and back."""

from abc import ABC, abstractmethod

import torch
from pydantic import Field
from torch import Tensor, nn

from ...core.devices import like
from ...core.errors import UsageError
from ...core.options import Options, Registry
from ...core.random import Generators, randn_like

ROWS = 8
"""Pictures that are coded at a time: a decoder needs far more memory than the network of the latents."""


class Coder(nn.Module, ABC):
    """The two networks of an autoencoder, with codes as it was trained to make them."""

    @abstractmethod
    def encode(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean and standard deviation of the code of x, both (B, c, h, w); no deviation where x has one code.

        Args:
            x: Pictures in [-1, 1], (B, C, H, W).
        """

    @abstractmethod
    def decode(self, code: Tensor) -> Tensor:
        """The picture of a code, (B, C, H, W), differentiable.

        Args:
            code: (B, c, h, w).
        """


class AutoencoderOptions(Options, ABC):
    """Options that build the two networks, and what is done to their codes."""

    scale: float = Field(1.0, gt=0, description="Factor that brings latents to a deviation near 1.")
    shift: float = Field(0.0, description="What is taken off a code before that.")

    @abstractmethod
    def build(self) -> Coder:
        """The networks, with fresh weights from torch's global generator.

        Raises:
            UsageError: An option is not allowed.
        """


class Autoencoder:
    """z = scale (E(x) - shift) and x = D(z/scale + shift): pictures x, (B, C, H, W), and their latents z, (B, c, h, w).

    A score model that has one is a model of latents: solvers, guidance and the density are those of z. The networks
    are frozen, and go to the device of the score model, of which they are a part.

    Reference: Rombach et al. 2022, https://arxiv.org/abs/2112.10752, section 3.

    Args:
        options: What builds the networks, and their scale and shift.
        shape: Shape of one picture, (C, H, W).
        coder: The networks; by default those that the options build.
    """

    def __init__(self, options: AutoencoderOptions, shape: tuple[int, ...], coder: Coder | None = None) -> None:
        self.options, self.shape = options, tuple(shape)
        self.coder = (options.build() if coder is None else coder).eval().requires_grad_(False)

    def encode(self, x: Tensor, generator: Generators = None) -> Tensor:
        """The latents of pictures, (B, c, h, w), in the dtype of x and on its device.

        Args:
            x: Pictures in [-1, 1], (B, C, H, W).
            generator: Where a code has a law, what it is drawn with, one for each picture; without, it is the mean.

        Raises:
            UsageError: The pictures have another shape.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise UsageError(f"the encoder takes pictures of shape {self.shape}, got {tuple(x.shape[1:])}")
        parts = [self.coder.encode(self._inside(part)) for part in torch.split(x, ROWS)]
        mean = torch.cat([part for part, _ in parts])
        if generator is not None and all(std is not None for _, std in parts):
            std = torch.cat([std for _, std in parts if std is not None])
            mean = mean + std * randn_like(mean, generator)
        return like(self.options.scale * (mean - self.options.shift), x)

    def decode(self, z: Tensor) -> Tensor:
        """The pictures of latents, (B, C, H, W), in the dtype of z and on its device; differentiable.

        Args:
            z: Latents, (B, c, h, w).

        Raises:
            UsageError: They are the latents of pictures of another shape.
        """
        codes = torch.split(z / self.options.scale + self.options.shift, ROWS)
        found = torch.cat([self.coder.decode(self._inside(code)) for code in codes])
        if tuple(found.shape[1:]) != self.shape:
            raise UsageError(
                f"the decoder makes pictures of {tuple(found.shape[1:])} of these latents, not {self.shape}"
            )
        return like(found, z)

    def _inside(self, x: Tensor) -> Tensor:
        """x in the dtype of the networks and on their device."""
        return like(x, next(self.coder.parameters(), x))

    def __repr__(self) -> str:
        return f"Autoencoder({self.options!r}, shape {self.shape})"


autoencoders: Registry[AutoencoderOptions] = Registry(
    "autoencoder", "scoresde.models.autoencoders", "scoresde.autoencoders"
)
