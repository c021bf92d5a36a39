"""The networks NCSN++, DDPM++ and DDPM of score_sde, with the parameter names of its PyTorch code."""

import math
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from ..core.errors import UsageError
from .base import NetworkOptions, networks, picture
from .embedding import sinusoids
from .inputs import fitting, halvable, labelled
from .ncsnpp_blocks import Attention, Resample, Resnet
from .ncsnpp_layers import Activation, Combine, Fourier, Style, conv3, fresh

Pyramid = Literal["none", "skip", "residual"]
Run = Callable[..., Tensor]
"""Runs the next layer."""


@networks("ncsnpp")
class NCSNppOptions(NetworkOptions):
    """Residual blocks at falling, then rising resolution, beside which pyramids of the image may run in and out.

    The defaults are DDPM++ for CIFAR-10, score_sde's `cifar10_ddpmpp`. NCSN++ has fir, embedding = fourier,
    scale_by_sigma and progressive_input = residual; DDPM has resblock = ddpm, rescale = false and groups = 32.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, appendix H.
    """

    channels: int = Field(128, ge=4, multiple_of=4, description="Channels at full resolution.")
    multipliers: tuple[PositiveInt, ...] = Field(
        (1, 2, 2, 2), min_length=1, description="Channels of each level, as multiples of channels."
    )
    blocks: int = Field(4, ge=1, description="Residual blocks per level of the encoder; one more in the decoder.")
    attention: tuple[PositiveInt, ...] = Field(
        (16,), description="Heights of the feature maps that self-attention is applied to, besides the smallest."
    )
    resblock: Literal["biggan", "ddpm"] = Field(
        "biggan", description="Whether levels are joined by residual blocks, as in BigGAN, or by plain resampling."
    )
    resample_conv: bool = Field(True, description="Whether plain resampling is joined with a convolution.")
    fir: bool = Field(False, description="Resample through a filter, and not by repeated pixels and plain means.")
    fir_kernel: tuple[float, ...] = Field((1.0, 3.0, 3.0, 1.0), min_length=2, description="The filter, up to a factor.")
    progressive: Pyramid = Field("none", description="How images of every level join into the output.")
    progressive_input: Pyramid = Field("none", description="How the image, made smaller, joins into every level.")
    combine: Literal["sum", "cat"] = Field("sum", description="How progressive_input = skip joins it: added or beside.")
    embedding: Literal["positional", "fourier"] = Field(
        "positional", description="Waves of the label, or of its logarithm at random frequencies: then it is σ."
    )
    fourier_scale: float = Field(16.0, gt=0, description="Standard deviation of the random frequencies.")
    conditional: bool = Field(True, description="Whether the network is told the time.")
    rescale: bool = Field(True, description="Divide sums of two branches by √2.")
    groups: int | None = Field(
        None, ge=1, description="Groups of the normalisations; none takes a quarter of the channels, at most 32."
    )
    activation: Activation = Field("swish", description="The nonlinearity.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout rate in each block.")
    init_scale: float = Field(0.0, ge=0, description="Factor of fresh weights that end a branch; 0 stands for 1e-10.")
    scale_by_sigma: bool = Field(False, description="Divide the output by σ, so that it is a score.")
    sigma_min: float = Field(0.01, gt=0, description="σ of the last of the levels that a label counts.")
    sigma_max: float = Field(50.0, gt=0, description="σ of the first, level 0.")
    levels: int = Field(1000, ge=2, description="Number of these levels; fourier embeddings are given σ itself.")
    unit_interval: bool = Field(False, description="Whether its data were in [0, 1]: then the score is halved.")

    @property
    def sigmas(self) -> Tensor:
        """σ of the levels that a label counts, (levels,), falling in equal ratios."""
        ends = math.log(self.sigma_max), math.log(self.sigma_min)
        return torch.linspace(*ends, self.levels, dtype=torch.float64).exp().float()

    def build(self, shape: tuple[int, ...]) -> "NCSNpp":
        """The module for images of shape (C, H, W), with fresh weights from torch's global generator.

        Attention is where a level of an image of height H has one of the heights in `attention`.

        Raises:
            UsageError: The samples are no images that can be halved often enough, or groups do not divide channels, or
                classes or a learned variance are asked for.
        """
        picture(shape)
        if self.classes or self.learned_variance:
            raise UsageError("ncsnpp has neither classes nor a learned variance: set classes = 0, or take the unet")
        return NCSNpp(self, shape)


class NCSNpp(nn.Module):
    """net(x, label): x (B, C + extra, H, W) in [-1, 1] and label (B,) -> (B, C, H, W).

    Height and width are multiples of 2^(levels - 1). `all_modules` holds the layers in the order in which they run.

    Args:
        options: The architecture.
        shape: Channels, height and width of one image.
    """

    sigmas: Tensor

    def __init__(self, options: NCSNppOptions, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.options, self.inputs = options, shape[0] + options.extra_channels
        halvable(shape[1:], len(options.multipliers) - 1)
        o, taps = options, options.fir_kernel if options.fir else ()
        self.register_buffer("sigmas", o.sigmas)
        self.style = Style(4 * o.channels, o.activation, o.dropout, o.init_scale, o.rescale, o.groups, taps)
        self.attends = [shape[1] // 2**level in options.attention for level in range(len(options.multipliers))]
        self.shrink, self.grow = Resample(self.style, up=False), Resample(self.style, up=True)
        self.all_modules = nn.ModuleList(self._layers(shape[0]))

    def _resnet(self, inputs: int, outputs: int) -> Resnet:
        return Resnet(inputs, outputs, self.style, biggan=self.options.resblock == "biggan")

    def _resampling(self, width: int, *, up: bool) -> nn.Module:
        if self.options.resblock == "biggan":
            return Resnet(width, width, self.style, biggan=True, resample=Resample(self.style, up=up))
        return Resample(self.style, up=up, channels=(width, width) if self.options.resample_conv else None)

    def _layers(self, channels: int) -> Iterator[nn.Module]:
        """The layers in the order in which they run, which is that of score_sde's construction."""
        o, style = self.options, self.style
        if o.embedding == "fourier":
            yield Fourier(o.channels, o.fourier_scale)
        if o.conditional:
            yield fresh(nn.Linear((2 if o.embedding == "fourier" else 1) * o.channels, style.embedding))
            yield fresh(nn.Linear(style.embedding, style.embedding))
        yield conv3(self.inputs, o.channels)
        widths, last = [o.channels * m for m in o.multipliers], len(o.multipliers) - 1
        skips, width, pyramid = [o.channels], o.channels, self.inputs
        for level, outputs in enumerate(widths):
            for _ in range(o.blocks):
                yield self._resnet(width, outputs)
                width = outputs
                if self.attends[level]:
                    yield Attention(width, style)
                skips.append(width)
            if level < last:
                yield self._resampling(width, up=False)
                if o.progressive_input == "skip":
                    yield Combine(pyramid, width, cat=o.combine == "cat")
                    width *= 2 if o.combine == "cat" else 1
                elif o.progressive_input == "residual":
                    yield Resample(style, up=False, channels=(pyramid, width))
                    pyramid = width
                skips.append(width)
        yield from (self._resnet(width, width), Attention(width, style), self._resnet(width, width))
        for level in reversed(range(last + 1)):
            for _ in range(o.blocks + 1):
                yield self._resnet(width + skips.pop(), widths[level])
                width = widths[level]
            if self.attends[level]:
                yield Attention(width, style)
            if o.progressive == "skip":
                yield from (style.norm(width), conv3(width, channels, o.init_scale))
            elif o.progressive == "residual" and level == last:
                yield from (style.norm(width), conv3(width, width))
            elif o.progressive == "residual":
                yield Resample(style, up=True, channels=(pyramid, width))
            pyramid = width
            if level > 0:
                yield self._resampling(width, up=True)
        if o.progressive != "skip":
            yield from (style.norm(width), conv3(width, channels, o.init_scale))

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """The network's output, (B, C, H, W).

        Args:
            x: The image in [-1, 1] and the channels of a condition, (B, C + extra, H, W).
            label: The time as the network takes it, (B,): with fourier embeddings the noise level σ.

        Raises:
            UsageError: x has not the expected channels or size, or the label not one entry per row.
        """
        fitting(x, self.inputs)
        labelled(label, x)
        halvable(x.shape[2:], len(self.options.multipliers) - 1)
        layers = iter(self.all_modules)

        def run(*inputs: Tensor | None) -> Tensor:
            out: Tensor = next(layers)(*inputs)
            return out

        emb = self._embedded(label, x, run)
        h, skips = self._down(x, emb, run)
        h = self._up(run(run(run(h, emb)), emb), emb, skips, run)
        if self.options.scale_by_sigma:
            h = h / self._sigma(label).to(h.dtype)[:, None, None, None]
        # Data in [0, 1] are (x + 1)/2, which the network turns back into x; its score is that of half the noise.
        return h / 2 if self.options.unit_interval else h

    def _sigma(self, label: Tensor) -> Tensor:
        """σ, (B,): the label itself, or its level, in equal ratios between two."""
        if self.options.embedding == "fourier":
            return label
        low = label.floor().clamp(0, self.options.levels - 2).long()
        share = label - low
        return self.sigmas[low] ** (1 - share) * self.sigmas[low + 1] ** share

    def _embedded(self, label: Tensor, x: Tensor, run: Run) -> Tensor | None:
        """The embedding of time, (B, E)."""
        label = label.to(torch.promote_types(label.dtype, torch.float32))  # 16 bits would merge neighbouring labels
        fourier = self.options.embedding == "fourier"
        waves = run(label) if fourier else sinusoids(label, self.options.channels)
        return run(self.style.act(run(waves.to(x.dtype)))) if self.options.conditional else None

    def _down(self, x: Tensor, emb: Tensor | None, run: Run) -> tuple[Tensor, list[Tensor]]:
        """The features of the smallest level, and those that are skipped to the way up."""
        pyramid, h = x, run(x)
        skips = [h]
        for level, attends in enumerate(self.attends):
            for _ in range(self.options.blocks):
                h = run(h, emb)
                h = run(h) if attends else h
                skips.append(h)
            if level < len(self.attends) - 1:
                h = self._resampled(h, emb, run)
                if self.options.progressive_input == "skip":
                    pyramid = self.shrink(pyramid)
                    h = run(pyramid, h)
                elif self.options.progressive_input == "residual":
                    h = pyramid = self.style.sum(run(pyramid), h)
                skips.append(h)
        return h, skips

    def _up(self, h: Tensor, emb: Tensor | None, skips: list[Tensor], run: Run) -> Tensor:
        """The output before it is scaled, (B, C, H, W)."""
        pyramid = None
        for level in reversed(range(len(self.attends))):
            for _ in range(self.options.blocks + 1):
                h = run(torch.cat([h, skips.pop()], dim=1), emb)
            h = run(h) if self.attends[level] else h
            if self.options.progressive == "skip":
                image = run(self.style.act(run(h)))
                pyramid = image if pyramid is None else self.grow(pyramid) + image
            elif self.options.progressive == "residual":
                if pyramid is None:
                    pyramid = run(self.style.act(run(h)))
                else:
                    h = pyramid = self.style.sum(run(pyramid), h)
            if level > 0:
                h = self._resampled(h, emb, run)
        return pyramid if pyramid is not None and self.options.progressive == "skip" else run(self.style.act(run(h)))

    def _resampled(self, h: Tensor, emb: Tensor | None, run: Run) -> Tensor:
        return run(h, emb) if self.options.resblock == "biggan" else run(h)
