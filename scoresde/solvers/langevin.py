"""Langevin steps: the correctors of pc, and the one that may end the run of any solver."""

import functools
import logging
from typing import Any

import torch
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer
from torch import Tensor

from ..core.options import WrittenOptions
from ..core.random import Generators, randn_like
from ..core.sentences import many
from ..models.base import ScoreModel
from ..sde import Level, expand
from .stepping import Control, length


def langevin_step(
    model: ScoreModel,
    x: Tensor,
    s: Level,
    generator: Generators,
    *,
    snr: float,
    shrink: float = 1.0,
    control: Control = "sample",
    annealed: bool = False,
) -> Tensor:
    """x + δ ∇log p_s(x) + √(2δ) z, (B, *), with δ = 2 a (r |z|/|∇log p_s(x)|)²; annealed, with δ = 2 a (r σ)².

    Args:
        model: The score model.
        x: The state at level s, (B, *).
        s: The level.
        generator: Source of z; one per row makes each sample depend on its own seed alone.
        snr: The signal-to-noise ratio r.
        shrink: The factor a.
        control: Whose lengths are compared.
        annealed: Whether the noise level sets the length of the step.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, algorithms 4 and 5.
    """
    score, z = model.score(x, s.rows(x)), randn_like(x, generator)
    if annealed:
        ratio = torch.full((len(x),), s.sigma, dtype=torch.float64)
    else:  # a score of length zero has no direction; the floor keeps its step finite
        ratio = length(z, control) / length(score, control).clamp_min(1e-12)
    delta = 2 * (snr * ratio.cpu().double()).square() * shrink
    return x + expand(delta, x) * score + expand(torch.sqrt(2 * delta), x) * z


@functools.cache
def warn_of_few(size: int, instead: str) -> None:
    """Logs once that Langevin steps of a sample's own norms widen the law: a normal one in the end by 1 + 2/D.

    Args:
        size: Values of a sample, D.
        instead: What to do instead.
    """
    said = "Langevin steps by each sample's own norms need samples of many values, and make those of %s too wide: %s"
    logging.getLogger("scoresde").warning(said, many(size, "value"), instead)


class Ending(WrittenOptions):
    """How the run of any solver may end: with one Langevin step at its last time, before the final denoising.

    The step costs one evaluation. It keeps the law of x_stop but for a share of 4 r⁴ of its variance, and moves a
    sample that is off, in direction and length, towards that law.
    """

    final_corrector: float = Field(
        0.0, ge=0, le=10, description="Signal-to-noise ratio of one Langevin step at the end, such as 0.16; 0 for none."
    )

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A run without the step is written as it was before there was one, so that its key is the same."""
        written: dict[str, Any] = write(self)
        if not self.final_corrector:
            del written["final_corrector"]
        return written

    def _ended(self, model: ScoreModel, x: Tensor, stop: float, generator: Generators) -> Tensor:
        """x, (B, *), after the last step, if there is one."""
        if not self.final_corrector:
            return x
        if (size := x[0].numel()) < 8:  # from there on one step widens a normal law by less than a twentieth
            warn_of_few(size, "leave final_corrector out")
        (level,) = model.sde.levels([stop])
        return langevin_step(model, x, level, generator, snr=self.final_corrector)
