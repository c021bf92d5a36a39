"""Whether samples agree with their measurement."""

import logging
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ..models.base import ScoreModel, WrapperModel
from ..models.network import network_of
from .samples import Samples

ALARMS, HIGH, LOW, SHARE = 1e-6, 1.2, 0.7, 0.1
"""How often an exact draw is named; and beyond which factors, or share of an exact y, anything is."""


@dataclass(frozen=True, eq=False)
class Misfit:
    """rms(y - A x)/σ_y of each sample. Its square times `numbers` has a χ² law for exact draws of p(x | y)."""

    values: Tensor
    """(B,), float64; for a measurement without noise rms(y - A x)/rms(y), which counts as 0.01 at least."""
    numbers: Tensor
    """How many numbers each sample was measured with, (B,)."""
    noisy: bool
    """Whether the measurement has noise."""
    least: float
    """Of exact draws that are denoised at the end, the values are this at least, instead of 1."""

    def beyond(self) -> tuple[Tensor, Tensor]:
        """Which values are too small, and which are too large, (B,), bool."""
        if not self.noisy:
            return torch.zeros_like(self.values, dtype=torch.bool), self.values > SHARE
        from scipy.special import gammainccinv, gammaincinv  # of no use without a measurement, and slow to import

        half = self.numbers.double() / 2
        low, high = (torch.from_numpy(f(half.numpy(), ALARMS / 2)) / half for f in (gammaincinv, gammainccinv))
        few = self.values < LOW * self.least * low.sqrt()
        return few & (self.numbers > 0), self.values > high.sqrt().clamp_min(HIGH)


@runtime_checkable
class Measured(Protocol):
    """A model that was conditioned on a measurement."""

    def misfit(self, x: Tensor, spread: float) -> Misfit:
        """How far samples are from their measurement.

        Args:
            x: Samples, (B, *).
            spread: σ/α where sampling ended.
        """


def measured(model: ScoreModel) -> Measured | None:
    """The conditioned model that a model is, or that is inside it.

    Args:
        model: Any model.
    """
    if isinstance(model, Measured):
        return model
    return measured(model.model) if isinstance(model, WrapperModel) else None


def noted(found: Samples, misfit: Misfit, model: ScoreModel) -> Samples:
    """The samples with their misfit, and its mean in `info`; a warning is logged where they are far from it.

    Args:
        found: The samples.
        misfit: How far they are from their measurement.
        model: What they were drawn from, on which the advice depends.
    """
    below, above = misfit.beyond()
    mean, most = float(misfit.values.mean()), float(misfit.values.max())
    log, count = logging.getLogger("scoresde"), len(misfit.values)
    if not misfit.noisy and bool(above.any()):
        log.warning(
            "%d of %d samples do not have the measurement that was given as exact: y - A x is up to %.0f %% of y; give "
            "the observation the noise that y has, or take dps:weight=likelihood for dps",
            *(int(above.sum()), count, 100 * most),
        )
    elif bool(above.any()):
        log.warning(
            "%d of %d samples do not have the measurement: rms(y - A x) is %.2g times its noise, and once for exact "
            "draws; %s",
            *(int(above.sum()), count, float(misfit.values[above].mean()), _advice(found, model)),
        )
    elif bool(below.any()):
        log.warning(
            "%d of %d samples follow the noise of the measurement: rms(y - A x) is %.2g times the noise, and once for "
            "exact draws; replace takes y for exact, and covariance does not",
            *(int(below.sum()), count, float(misfit.values[below].mean())),
        )
    return replace(found, misfit=misfit.values.tolist(), info={**found.info, "misfit": mean})


def _advice(found: Samples, model: ScoreModel) -> str:
    network, name = network_of(model), found.solver.partition(":")[0]
    if network is not None and network.condition != "none":
        other = "" if name == "ddpm" else ", with the solver ddpm if the network predicts noise"
        return f"clip the predictions (--clip){other}, or train the network longer"
    other = "" if name == "dpm++" else ", another solver such as dpm++"
    return f"take more steps{other}, or dps:weight=likelihood for dps"
