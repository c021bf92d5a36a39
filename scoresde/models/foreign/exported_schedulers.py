"""Schedulers of diffusers for our processes: the other way of `schedulers`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...core.errors import UsageError
from ...networks.diffusers import DiffusersOptions
from ...sde import DDPM, SDE, VESDE, FlowSDE, VariancePreserving
from ...sde.labels.log_sigma import LogSigmaLabel
from ...sde.labels.scaled import ScaledLabel
from ...sde.labels.sigma import SigmaLabel
from ...sde.labels.step import StepLabel
from ..network import NetworkModel
from ..predictions.edm import Preconditioned
from .schedulers import NAMES

PREDICTIONS = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}


@dataclass(frozen=True)
class SchedulerOf:
    """A scheduler of diffusers that a model's network was trained for."""

    kind: str
    """Its class."""
    options: Mapping[str, Any]
    """What it is made with."""
    times: Tensor
    """Times of its levels 0 .. N - 1 in our process, (N,), or three times of one without levels."""
    chain: bool
    """Whether it has levels, with n as the label."""


def scheduler_of(model: NetworkModel, unit_interval: bool) -> SchedulerOf:
    """The scheduler for a model.

    Args:
        model: The model.
        unit_interval: Whether its network gives the score of data in [0, 1].

    Raises:
        UsageError: There is none in diffusers.
    """
    sde, label = model.sde, model.label
    some = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64) * sde.t_max
    if isinstance(sde, VESDE) and unit_interval and label == SigmaLabel(scale=0.5) and str(model.predicts) == "score":
        ends = {"sigma_min": sde.sigma_min / 2, "sigma_max": sde.sigma_max / 2}
        return SchedulerOf("ScoreSdeVeScheduler", ends, some, chain=False)
    if isinstance(sde, VESDE) and label == LogSigmaLabel() and isinstance(model.predicts, Preconditioned):
        ends = {"sigma_min": sde.sigma_min, "sigma_max": sde.sigma_max, "sigma_data": model.predicts.data_std}
        return SchedulerOf("EDMEulerScheduler", ends, some, chain=False)
    if isinstance(sde, FlowSDE) and _whole(label) and str(model.predicts) == "flow":
        return SchedulerOf("FlowMatchEulerDiscreteScheduler", {"num_train_timesteps": _whole(label)}, some, chain=False)
    if isinstance(sde, VariancePreserving) and str(model.predicts) in PREDICTIONS and not unit_interval:
        if sde.chain is not None and label == StepLabel():
            return _with_levels(model, sde.chain.times, _named(sde) or {"trained_betas": _betas(sde, sde.chain.times)})
        if sde.chain is None and (last := _whole(label)):
            # There is no level without noise, so level 0 is that of half a label.
            levels = torch.arange(last + 1, dtype=torch.float64).clamp_min(0.5)
            times = (levels / last)[: int(last * sde.t_max) + 1]
            return _with_levels(model, times, {"trained_betas": _betas(sde, times)})
    raise UsageError(
        f"diffusers has no scheduler for a network that predicts {model.predicts} on {sde.name} and is given {label}: "
        f"it has chains and vp processes with {', '.join(PREDICTIONS)}, given step or a scaled time; flow with flow, "
        "given a scaled time; ve with edm, given log-sigma; and the imported ve networks of data in [0, 1]"
    )


def _with_levels(model: NetworkModel, times: Tensor, options: Mapping[str, Any]) -> SchedulerOf:
    network = model.options
    transformer = isinstance(network, DiffusersOptions) and network.kind == "DiTTransformer2DModel"
    # A transformer's pipeline shows its scheduler the noise alone.
    learned = network is not None and network.learned_variance and not transformer
    said = {
        "num_train_timesteps": len(times),
        **options,
        "prediction_type": PREDICTIONS[str(model.predicts)],
        "clip_sample": False,
        "timestep_spacing": "trailing",
        **({"variance_type": "learned_range"} if learned else {}),
    }
    return SchedulerOf("DDPMScheduler" if learned else "DDIMScheduler", said, times, chain=True)


def _whole(label: object) -> int:
    """The scale of a scaled time that is a whole number, or 0."""
    return int(label.scale) if isinstance(label, ScaledLabel) and label.scale == int(label.scale) else 0


def _named(sde: SDE) -> dict[str, Any] | None:
    """The schedule of a chain that is told there by its name and ends."""
    if not isinstance(sde, DDPM) or sde.schedule == "sigmoid":
        return None
    name = next(there for there, here in NAMES.items() if here == sde.schedule)
    ends = {"beta_start": float(sde.betas[0]), "beta_end": float(sde.betas[-1])}
    return {"beta_schedule": name, **({} if sde.schedule == "cosine" else ends)}


def _betas(sde: SDE, times: Tensor) -> list[float]:
    """β of a chain with the noise levels of some times."""
    log_bars = 2 * sde.log_alpha(times)
    return [float(beta) for beta in -torch.expm1(torch.diff(log_bars, prepend=torch.zeros(1, dtype=torch.float64)))]
