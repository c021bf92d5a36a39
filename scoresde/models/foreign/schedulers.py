"""Schedulers of diffusers: what their configs say of a network's process, label and prediction."""

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ...core.errors import UsageError
from ...sde import DDPM, SDE, VESDE, FlowSDE, GivenChain
from ...sde.chain import Schedule

CHAINS = (
    "DDPMScheduler", "DDPMParallelScheduler", "DDIMScheduler", "DDIMParallelScheduler", "DDIMInverseScheduler",
    "PNDMScheduler", "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "DPMSolverSDEScheduler",
    "UniPCMultistepScheduler", "DEISMultistepScheduler", "SASolverScheduler", "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "LMSDiscreteScheduler", "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
)  # fmt: skip
"""Schedulers of networks that were trained at the levels of a chain."""
EDM = ("EDMEulerScheduler", "EDMDPMSolverMultistepScheduler")
FLOW = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")


def _laplace(u: float) -> float:
    log_snr = -0.5 * math.copysign(1, 0.5 - u) * math.log(1 - 2 * abs(0.5 - u) + 1e-6)
    return math.sqrt(1 / (1 + math.exp(-log_snr)))


NAMES: dict[str, Schedule] = {
    "linear": "linear", "scaled_linear": "quadratic", "sigmoid": "sigmoid", "squaredcos_cap_v2": "cosine"
}  # fmt: skip
"""Schedules of β there that have a name here, too."""
BETAS: dict[str, Callable[[float, float, Tensor], Tensor]] = {
    "linear": lambda first, last, u: first + (last - first) * u,
    "scaled_linear": lambda first, last, u: (first**0.5 + (last**0.5 - first**0.5) * u) ** 2,
    "sigmoid": lambda first, last, u: first + (last - first) * torch.sigmoid(12 * u - 6),
}
"""β from its ends and places in [0, 1] along the chain."""
BARS: dict[str, Callable[[float], float]] = {
    "squaredcos_cap_v2": lambda u: math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2,
    "exp": lambda u: math.exp(-12 * u),
    "laplace": _laplace,
}
"""ᾱ, up to its scale, at a place in [0, 1] along the chain."""
PREDICTIONS = {"epsilon": "eps", "sample": "x0", "original_sample": "x0", "v_prediction": "v"}
IGNORED = ("_class_name", "_diffusers_version", "_name_or_path", "tensor_format")
"""What says nothing of a network and nothing of how it is sampled."""
SAMPLING = {
    "clip_sample", "clip_sample_range", "thresholding", "dynamic_thresholding_ratio", "sample_max_value",
    "timestep_spacing", "steps_offset", "set_alpha_to_one", "skip_prk_steps", "solver_order", "algorithm_type",
    "solver_type", "lower_order_final", "euler_at_final", "use_karras_sigmas", "use_exponential_sigmas",
    "use_beta_sigmas", "use_lu_lambdas", "final_sigmas_type", "lambda_min_clipped", "predict_x0", "disable_corrector",
    "solver_p", "interpolation_type", "predictor_order", "corrector_order", "tau_func", "noise_sampler_seed",
    "flow_shift", "shift", "use_dynamic_shifting", "time_shift_type", "shift_terminal", "base_shift", "max_shift",
    "base_image_seq_len", "max_image_seq_len", "stochastic_sampling", "snr", "correct_steps", "sampling_eps",
    "sigma_schedule", "rho", "variance_type",
}  # fmt: skip
"""What says how a network is sampled: where the steps lie, the solver, what is clipped. It is noted, not used."""
SAME = 1e-6
"""Largest difference in log-SNR of two chains that are one."""


@dataclass(frozen=True)
class Scheduled:
    """What a scheduler's config says of the network."""

    sde: SDE
    """The process."""
    label: str
    """What the network takes for the time."""
    predicts: str
    """What the network's output means."""
    unit_interval: bool = False
    """Whether the data lie in [0, 1]; the process is that of the same data in [-1, 1]."""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """What it says of sampling."""


def scheduled(config: Mapping[str, Any]) -> Scheduled:
    """The process, label and prediction of the network that a scheduler was made for.

    Args:
        config: The content of scheduler_config.json.

    Raises:
        UsageError: The scheduler, or one of its options, is not covered, or an option that is needed is not there.
    """
    kind = str(config.get("_class_name"))
    rest = {key: value for key, value in config.items() if key not in IGNORED}
    sampling = {"scheduler": kind, **{key: rest.pop(key) for key in sorted(SAMPLING & rest.keys())}}
    if kind in CHAINS:
        sampling |= {key: rest.pop(key) for key in ("sigma_min", "sigma_max") if key in rest}  # ends of a grid
        made = _chain(kind, rest)
    elif kind == "ScoreSdeVeScheduler":
        low, high = (2 * _number(kind, rest, key) for key in ("sigma_min", "sigma_max"))
        rest.pop("num_train_timesteps", None)  # of a grid
        made = Scheduled(VESDE(sigma_min=low, sigma_max=high), "sigma:scale=0.5", "score", unit_interval=True)
    elif kind in EDM:
        low, high, std = (_number(kind, rest, key) for key in ("sigma_min", "sigma_max", "sigma_data"))
        rest.pop("num_train_timesteps", None)  # of a grid
        _only(kind, rest, "prediction_type", "epsilon")
        made = Scheduled(VESDE(sigma_min=low, sigma_max=high), "log-sigma", f"edm:data_std={std!r}")
    elif kind in FLOW:
        _only(kind, rest, "invert_sigmas", False)
        made = Scheduled(FlowSDE(), f"scaled:scale={_number(kind, rest, 'num_train_timesteps')!r}", "flow")
    else:
        names = ", ".join((*CHAINS, "ScoreSdeVeScheduler", *EDM, *FLOW))
        raise UsageError(f"the scheduler {kind} is not covered; there are {names}")
    for name, value in rest.items():
        raise UsageError(f"the option {name} = {value!r} of {kind} is not covered")
    return replace(made, sampling=sampling)


def _chain(kind: str, rest: dict[str, Any]) -> Scheduled:
    """What the config of a scheduler for chains says. What is used is taken out of it."""
    _only(kind, rest, "timestep_type", "discrete")
    _only(kind, rest, "timestep_values", None)
    predicts = rest.pop("prediction_type", "epsilon")
    if not rest.pop("predict_epsilon", True):  # as it was called before version 0.10
        predicts = "sample"
    straight = rest.pop("use_flow_sigmas", False)
    if straight != (predicts == "flow_prediction"):
        raise UsageError(f"{kind} with use_flow_sigmas = {straight} and prediction_type = {predicts!r} is not covered")
    if straight:
        for name in ("beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr"):
            rest.pop(name, None)
        return Scheduled(FlowSDE(), f"scaled:scale={_number(kind, rest, 'num_train_timesteps')!r}", "flow")
    if predicts not in PREDICTIONS:
        raise UsageError(f"the prediction_type of {kind} must be {', '.join(PREDICTIONS)}, got {predicts!r}")
    return Scheduled(_levels(kind, rest), "step", PREDICTIONS[predicts])


def _levels(kind: str, rest: dict[str, Any]) -> SDE:
    """The chain: ours of the same name where its levels are the same, else one whose levels are given."""
    steps, given = int(_number(kind, rest, "num_train_timesteps")), rest.pop("trained_betas", None)
    if not 2 <= steps <= 1_000_000:
        raise UsageError(f"num_train_timesteps of {kind} must be from 2 to 1,000,000, got {steps:g}")
    schedule, zero = rest.pop("beta_schedule", "linear"), rest.pop("rescale_betas_zero_snr", False)
    ends: dict[str, Any] = {key: rest.pop(key) for key in ("beta_start", "beta_end") if key in rest}
    named: SDE | None = None
    if given is not None:
        if len(given) != steps:
            raise UsageError(f"{kind} has {len(given)} trained_betas for {steps} steps: num_train_timesteps must agree")
        betas = torch.tensor(given, dtype=torch.float64)
    elif schedule in BARS:
        bars = torch.tensor([BARS[schedule](n / steps) for n in range(steps + 1)], dtype=torch.float64)
        betas = (1 - bars[1:] / bars[:-1]).clamp_max(0.999)
        named = DDPM(steps=steps, schedule="cosine") if schedule == "squaredcos_cap_v2" else None
    elif schedule in BETAS:
        first, last = _number(kind, ends, "beta_start"), _number(kind, ends, "beta_end")
        betas = BETAS[schedule](first, last, torch.linspace(0, 1, steps, dtype=torch.float64))
        with contextlib.suppress(UsageError):  # our chains rise, and end in noise
            named = DDPM(steps=steps, schedule=NAMES[schedule], beta_first=first, beta_last=last)
    else:
        raise UsageError(f"the beta_schedule of {kind} must be {', '.join((*BETAS, *BARS))}, got {schedule!r}")
    levels = torch.log1p(-betas).cumsum(0).exp()
    if zero:
        root = levels.sqrt()
        levels = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    if (
        named is not None
        and named.chain is not None
        and torch.allclose(_log_snr(levels), _log_snr(named.chain.alphas_cumprod), atol=SAME, rtol=0)
    ):
        return named
    return GivenChain(alphas_cumprod=tuple(levels.tolist()))


def _log_snr(levels: Tensor) -> Tensor:
    return 0.5 * (levels.log() - torch.log1p(-levels))


def _number(kind: str, options: dict[str, Any], name: str) -> float:
    """An option that is needed, taken out of the others."""
    value = options.pop(name, None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"the config of {kind} must say {name}, a number, got {value!r}")
    return value


def _only(kind: str, options: dict[str, Any], name: str, allowed: object) -> None:
    """Takes an option out of the others that must have one value, if it is there."""
    if (value := options.pop(name, allowed)) != allowed:
        raise UsageError(f"{kind} with {name} = {value!r} is not covered, only {allowed!r}")
