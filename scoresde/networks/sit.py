"""The transformer of DiT and SiT, with their parameter names."""

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from ..core.errors import UsageError
from .base import NetworkOptions, networks, picture
from .blocks import zeroed
from .embedding import cosines
from .inputs import classed

FREQUENCIES = 128
"""Wavelengths by which the time enters, from 2π to nearly 2π 10⁴."""


@networks("sit")
class SiTOptions(NetworkOptions):
    """Squares of pixels are the words of a transformer, whose layers are scaled, shifted and gated by time and class.

    The names of the options are those of the original; the defaults are SiT-XL/2, without its classes.

    References: Peebles and Xie 2022, https://arxiv.org/abs/2212.09748, section 3.2, "adaLN-Zero"; Ma et al. 2024,
    https://arxiv.org/abs/2401.08740.
    """

    patch_size: int = Field(2, ge=1, description="Side of the squares.")
    hidden_size: int = Field(1152, ge=4, multiple_of=4, description="Channels of a word.")
    depth: int = Field(28, ge=1, description="Number of layers.")
    num_heads: int = Field(16, ge=1, description="Heads of each self-attention.")
    mlp_ratio: float = Field(4.0, gt=0, description="Width of the two-layer perceptrons over hidden_size.")
    learn_sigma: bool = Field(False, description="Give twice the channels and drop the second half, as SiT does.")
    null_row: bool = Field(True, description="Whether the table of classes has a further row, for no class.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError(f"num_heads must divide the {self.hidden_size} channels, got {self.num_heads}")
        if self.learn_sigma and self.learned_variance:
            raise ValueError("learn_sigma drops what learned_variance keeps: set one of the two")
        return self

    @property
    def null_class(self) -> bool:
        return self.null_row

    def build(self, shape: tuple[int, ...]) -> "SiT":
        """The module for images or latents of shape (C, H, W), with fresh weights from torch's global generator.

        Raises:
            UsageError: The samples are no images, or are not made of whole squares.
        """
        picture(shape)
        if any(side % self.patch_size for side in shape[1:]):
            raise UsageError(f"patch_size {self.patch_size} does not divide images of {shape[1]}x{shape[2]}")
        return SiT(self, shape)


class Attention(nn.Module):
    """out(softmax(q kᵀ/√d) v) between the words, (B, N, D) -> (B, N, D).

    Args:
        width: Channels D of a word.
        heads: Number of heads, of d = D/heads channels.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """The words after attention, (B, N, D).

        Args:
            x: The words, (B, N, D).
        """
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        out: Tensor = self.proj(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class Perceptron(nn.Module):
    """fc2(gelu(fc1(x))), with the tanh form of the GELU.

    Args:
        width: Channels of a word.
        inner: Channels between the layers.
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """The words, each by itself, (B, N, D).

        Args:
            x: The words, (B, N, D).
        """
        out: Tensor = self.fc2(functional.gelu(self.fc1(x), approximate="tanh"))
        return out


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """norm(x) (1 + scale) + shift, (B, N, D).

    Args:
        x: The words, (B, N, D).
        shift: What is added, (B, D).
        scale: What is multiplied, less 1, (B, D).
    """
    out: Tensor = functional.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]
    return out


def modulation(width: int, count: int) -> nn.Sequential:
    """count · width numbers from the embedding, (B, width), which a fresh network gives as zeros.

    Args:
        width: Channels of a word.
        count: How many for each channel.
    """
    return nn.Sequential(nn.SiLU(), zeroed(nn.Linear(width, count * width)))


class Layer(nn.Module):
    """x + gate attention(norm(x)), then x + gate perceptron(norm(x)), both modulated by the embedding.

    Args:
        options: The architecture.
    """

    def __init__(self, options: SiTOptions) -> None:
        super().__init__()
        width = options.hidden_size
        self.attn = Attention(width, options.num_heads)
        self.mlp = Perceptron(width, int(options.mlp_ratio * width))
        self.adaLN_modulation = modulation(width, 6)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """The words after the layer, (B, N, D).

        Args:
            x: The words, (B, N, D).
            emb: The embedding of time and class, (B, D).
        """
        shift, scale, gate, shift_2, scale_2, gate_2 = self.adaLN_modulation(emb).chunk(6, dim=1)
        x = x + gate[:, None] * self.attn(modulated(x, shift, scale))
        out: Tensor = x + gate_2[:, None] * self.mlp(modulated(x, shift_2, scale_2))
        return out


def positions(height: int, width: int, channels: int) -> Tensor:
    """Sines and cosines of the column, then of the row, of each square, (1, height · width, channels).

    Args:
        height: Squares in a column.
        width: Squares in a row.
        channels: Length of the result, a multiple of 4.
    """
    quarter = channels // 4
    omega = 10_000.0 ** -(torch.arange(quarter, dtype=torch.float64) / quarter)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    angles = [place.reshape(-1, 1) * omega for place in (columns, rows)]
    return torch.cat([f(a) for a in angles for f in (torch.sin, torch.cos)], dim=1).float()[None]


class SiT(nn.Module):
    """net(x, label, classes): x (B, C + extra, H, W), label and classes (B,) -> (B, C, H, W), or (B, 2C, H, W).

    Args:
        options: The architecture.
        shape: Channels, height and width of one sample.
    """

    pos_embed: Tensor

    def __init__(self, options: SiTOptions, shape: tuple[int, ...]) -> None:
        super().__init__()
        side, width = options.patch_size, options.hidden_size
        self.options, self.grid = options, (shape[1] // side, shape[2] // side)
        self.x_embedder = nn.ModuleDict({"proj": nn.Conv2d(shape[0] + options.extra_channels, width, side, side)})
        self.t_embedder = nn.ModuleDict(
            {"mlp": nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))}
        )
        rows = options.classes + options.null_row
        self.y_embedder = nn.ModuleDict({"embedding_table": nn.Embedding(rows, width)} if options.classes else {})
        self.register_buffer("pos_embed", positions(*self.grid, width))
        self.blocks = nn.ModuleList([Layer(options) for _ in range(options.depth)])
        self.outputs = shape[0] * (2 if options.learned_variance or options.learn_sigma else 1)
        last = zeroed(nn.Linear(width, side * side * self.outputs))
        self.final_layer = nn.ModuleDict({"adaLN_modulation": modulation(width, 2), "linear": last})

    def embedding(self, label: Tensor, classes: Tensor | None, dtype: torch.dtype) -> Tensor:
        """The embedding of time and class, (B, D).

        Args:
            label: The time as the network takes it, (B,).
            classes: Class of each row, (B,), or None for no class.
            dtype: Of the network.

        Raises:
            UsageError: The network knows no classes, or needs them.
        """
        emb: Tensor = self.t_embedder["mlp"](cosines(label, 2 * FREQUENCIES, endpoint=False).to(dtype))
        classes = classed(classes, label, self.options.classes, null=self.options.null_row)
        return emb if classes is None else emb + self.y_embedder["embedding_table"](classes)

    def forward(self, x: Tensor, label: Tensor, classes: Tensor | None = None) -> Tensor:
        """The network's output at the times label, (B,).

        Args:
            x: The sample and the channels of a condition, (B, C + extra, H, W).
            label: The time as the network takes it, (B,); it may be fractional.
            classes: Class of each row, (B,), from 0; the number of classes itself means "no class", as None does.

        Raises:
            UsageError: x is of another size, or the classes are not those of the network.
        """
        side, (rows, columns) = self.options.patch_size, self.grid
        if x.shape[2:] != (side * rows, side * columns):
            size = f"{side * rows}x{side * columns}"
            raise UsageError(f"this network takes samples of {size} alone, got {x.shape[2]}x{x.shape[3]}")
        emb = self.embedding(label, classes, x.dtype)
        words: Tensor = self.x_embedder["proj"](x).flatten(2).transpose(1, 2) + self.pos_embed
        for layer in self.blocks:
            words = layer(words, emb)
        shift, scale = self.final_layer["adaLN_modulation"](emb).chunk(2, dim=1)
        squares = self.final_layer["linear"](modulated(words, shift, scale))
        out: Tensor = squares.unflatten(2, (side, side, self.outputs)).unflatten(1, (rows, columns))
        out = out.permute(0, 5, 1, 3, 2, 4).reshape(len(x), self.outputs, *x.shape[2:])
        return out.chunk(2, dim=1)[0] if self.options.learn_sigma else out
