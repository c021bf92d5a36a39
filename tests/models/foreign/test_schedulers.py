"""Schedulers of diffusers: their levels, their options, each used, noted or refused, and what the networks predict."""

import inspect
import json
import warnings

import pytest
import torch

from scoresde.core.errors import UsageError
from scoresde.models.foreign.schedulers import CHAINS, EDM, FLOW, SAMPLING, scheduled
from scoresde.sde import DDPM, FlowSDE

diffusers = pytest.importorskip("diffusers")
THERE = [name for name in CHAINS if name != "DPMSolverSDEScheduler"]  # which needs torchsde
SCHEDULES = ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace", "exp"]


def made(kind, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SASolver's tau_func cannot be written down
        return getattr(diffusers, kind)(**options)


def config(scheduler):
    """What its scheduler_config.json holds."""
    return json.loads(scheduler.to_json_string())


def same_levels(sde, scheduler):
    """ᾱ in float64 here, and in float32 there: what is left of the data is off by as many roundings as there are β."""
    theirs = scheduler.alphas_cumprod.double()[: len(sde.chain.alphas_cumprod)]
    torch.testing.assert_close(sde.chain.alphas_cumprod, theirs, atol=5e-7, rtol=2e-5)


@pytest.mark.parametrize("kind", THERE)
def test_every_scheduler_with_its_defaults(kind):
    scheduler = made(kind)
    found = scheduled(config(scheduler))
    same_levels(found.sde, scheduler)
    assert (found.label, found.predicts, found.unit_interval) == ("step", "eps", False)
    assert found.sampling["scheduler"] == kind


# exp is a schedule of diffusers' Heun alone, which does not rescale.
@pytest.mark.parametrize(
    ("schedule", "zero"), [(s, z) for s in SCHEDULES for z in (False, True) if (s, z) != ("exp", True)]
)
@pytest.mark.parametrize("steps", [200, 1000])
def test_every_schedule_has_the_levels_of_diffusers(schedule, zero, steps):
    kind = "HeunDiscreteScheduler" if schedule == "exp" else "DDPMScheduler"
    more = {"rescale_betas_zero_snr": True} if zero else {}
    ends = (1e-4 * 1000 / steps, 0.02 * 1000 / steps)
    scheduler = made(
        kind, num_train_timesteps=steps, beta_schedule=schedule, beta_start=ends[0], beta_end=ends[1], **more
    )
    sde = scheduled(config(scheduler)).sde
    same_levels(sde, scheduler)
    assert len(sde.chain.times) == steps - zero, "a level without signal is left out"
    named = schedule in SCHEDULES[:4] and not zero
    assert sde.name == ("ddpm" if named else "chain")


def test_named_chains_are_ours_of_that_name():
    assert scheduled(config(made("DDPMScheduler"))).sde == DDPM(beta_first=1e-4, beta_last=0.02)
    assert scheduled(config(made("DDPMScheduler", beta_schedule="squaredcos_cap_v2"))).sde == DDPM(schedule="cosine")
    latent = made("DDIMScheduler", beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    assert scheduled(config(latent)).sde == DDPM(schedule="quadratic", beta_first=0.00085, beta_last=0.012)


def test_trained_betas_are_taken_as_they_are():
    betas = torch.linspace(0.001, 0.2, 50).square().add(0.05).tolist()
    scheduler = made("DDIMScheduler", num_train_timesteps=50, trained_betas=betas)
    sde = scheduled(config(scheduler)).sde
    assert sde.name == "chain"
    same_levels(sde, scheduler)


def test_a_constant_beta_is_a_chain_of_its_own():
    scheduler = made("DDPMScheduler", beta_start=0.01, beta_end=0.01)
    sde = scheduled(config(scheduler)).sde
    assert sde.name == "chain"
    same_levels(sde, scheduler)


@pytest.mark.parametrize(
    ("kind", "there", "here"),
    [
        ("DDPMScheduler", "epsilon", "eps"),
        ("DDIMScheduler", "sample", "x0"),
        ("UniPCMultistepScheduler", "v_prediction", "v"),
        ("EulerDiscreteScheduler", "original_sample", "x0"),
    ],
)
def test_predictions(kind, there, here):
    assert scheduled({**config(made(kind)), "prediction_type": there}).predicts == here


def test_the_words_of_before_version_010():
    old = {"_class_name": "DDPMScheduler", "num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02,
           "beta_schedule": "linear", "trained_betas": None, "variance_type": "fixed_small", "clip_sample": True,
           "timestep_values": None, "tensor_format": "pt"}  # fmt: skip
    assert scheduled(old).predicts == "eps"
    assert scheduled({**old, "predict_epsilon": False}).predicts == "x0"
    with pytest.raises(UsageError, match="timestep_values"):
        scheduled({**old, "timestep_values": [1, 2]})


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of diffusers with numpy 2
@pytest.mark.parametrize("kind", ["DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler"])
def test_solvers_of_chains_that_were_told_of_a_straight_flow(kind):
    scheduler = made(kind, use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0)
    found = scheduled(config(scheduler))
    assert (found.sde, found.label, found.predicts) == (FlowSDE(), "scaled:scale=1000", "flow")
    scheduler.set_timesteps(7)
    torch.testing.assert_close(scheduler.timesteps.double(), 1000 * scheduler.sigmas[:-1].double(), atol=1, rtol=0)
    with pytest.raises(UsageError, match="use_flow_sigmas = True"):
        scheduled({**config(scheduler), "prediction_type": "epsilon"})


def test_the_others():
    flow = scheduled(config(made("FlowMatchEulerDiscreteScheduler", shift=3.0)))
    assert (flow.label, flow.predicts, flow.sampling["shift"]) == ("scaled:scale=1000", "flow", 3.0)
    edm = scheduled(config(made("EDMEulerScheduler", sigma_data=0.25)))
    assert (edm.sde.sigma_min, edm.sde.sigma_max, edm.label) == (0.002, 80.0, "log-sigma")
    assert edm.predicts == "edm:data_std=0.25"
    ve = scheduled(config(made("ScoreSdeVeScheduler", sigma_max=50.0)))
    assert (ve.sde.sigma_min, ve.sde.sigma_max, ve.label) == (0.02, 100.0, "sigma:scale=0.5") and ve.unit_interval


@pytest.mark.parametrize("kind", [*THERE, *EDM, *FLOW, "ScoreSdeVeScheduler"])
def test_every_option_is_used_or_noted_and_a_new_one_refused(kind):
    given = inspect.signature(getattr(diffusers, kind).__init__).parameters
    said = config(made(kind))
    noted = scheduled(said).sampling
    used = "num_train_timesteps beta_start beta_end beta_schedule trained_betas rescale_betas_zero_snr prediction_type "
    used += "sigma_data sigma_min sigma_max invert_sigmas timestep_type use_flow_sigmas"
    assert {name for name in given if name not in ("self", "kwargs")} <= {*used.split(), *SAMPLING}
    assert set(said) & SAMPLING <= set(noted)
    with pytest.raises(UsageError, match=f"the option warp = 3 of {kind} is not covered"):
        scheduled({**said, "warp": 3})


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("EDMEulerScheduler", {"prediction_type": "v_prediction"}, "prediction_type = 'v_prediction' is not covered"),
        ("FlowMatchEulerDiscreteScheduler", {"invert_sigmas": True}, "invert_sigmas = True"),
        ("DDPMScheduler", {"num_train_timesteps": "1000"}, "must say num_train_timesteps, a number, got '1000'"),
        ("DDPMScheduler", {"beta_end": 1e-3}, "must end in noise"),
        ("DDPMScheduler", {"num_train_timesteps": 10**12}, "from 2 to 1,000,000"),
    ],
)
def test_what_is_not_covered_is_refused_by_name(kind, changes, words):
    with pytest.raises(UsageError, match=words):
        scheduled({**config(made(kind)), **changes})
