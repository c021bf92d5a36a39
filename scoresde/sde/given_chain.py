"""A discrete chain whose levels are given."""

import logging
from itertools import pairwise

import torch
from pydantic import Field, field_validator
from torch import Tensor

from .base import sdes
from .chain import DiscreteChain
from .vp import ends_in_noise


@sdes("chain")
class GivenChain(DiscreteChain):
    """α_n = √ᾱ_n and σ_n² = 1 - ᾱ_n at the levels n = 0 .. N - 1, whose ᾱ are listed.

    It is `ddpm` for schedules without a formula here, such as those of imported networks. A last level without signal,
    ᾱ = 0, has no log-SNR and is left out.

    Reference: Lin et al. 2024, https://arxiv.org/abs/2305.08891, algorithm 1, for chains that end without signal.

    Example:
        >>> from scoresde.sde import GivenChain
        >>> sde = GivenChain(alphas_cumprod=(0.99, 0.5, 0.01))
        >>> [round(a, 2) for a in sde.alpha(sde.times).square().tolist()]
        [0.99, 0.5, 0.01]
    """

    alphas_cumprod: tuple[float, ...] = Field(description="ᾱ of the levels, falling from below 1 to above 0.")

    @field_validator("alphas_cumprod")
    @classmethod
    def _are_levels(cls, given: tuple[float, ...]) -> tuple[float, ...]:
        levels = given[:-1] if given and given[-1] == 0 else given
        if len(levels) < 2:
            raise ValueError(f"a chain has at least two levels with a signal, got {len(levels)} in alphas_cumprod")
        for n, (before, after) in enumerate(pairwise((1.0, *levels))):
            if not 0 < after < before:
                raise ValueError(
                    f"alphas_cumprod must fall from below 1 to above 0, got {after:g} after {before:g} at level {n}"
                )
        ends_in_noise("chain", levels[-1], "give all of its levels")
        if len(levels) < len(given):
            logging.getLogger("scoresde").warning("left out the last of %d levels, which has no signal", len(given))
        return levels

    def __repr__(self) -> str:
        first, last = self.alphas_cumprod[0], self.alphas_cumprod[-1]
        return f"{type(self).__name__}({len(self.alphas_cumprod)} levels, ᾱ from {first:.6g} to {last:.3g})"

    @property
    def log_ratios(self) -> Tensor:
        log_alphas_cumprod = torch.tensor(self.alphas_cumprod, dtype=torch.float64).log()
        return torch.diff(log_alphas_cumprod, prepend=torch.zeros(1, dtype=torch.float64))
