"""Discrete chains: their schedules and samplers against diffusers, their labels, and their refusals."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from scoresde.core.errors import UsageError
from scoresde.core.random import generators, randn, stream
from scoresde.likelihood import chain
from scoresde.models.base import ObservedModel
from scoresde.models.evaluations import Evaluations
from scoresde.models.gaussian import GaussianModel
from scoresde.models.network import NetworkModel
from scoresde.sampling.sample import sample
from scoresde.sde import DDPM, VPSDE
from scoresde.solvers import solvers
from scoresde.solvers.grids import ChainGrid

diffusers = pytest.importorskip("diffusers")
F = torch.float64
THEIRS = {"linear": "linear", "quadratic": "scaled_linear", "sigmoid": "sigmoid", "cosine": "squaredcos_cap_v2"}


@pytest.mark.parametrize("steps", [50, 300, 1000, 4000])
@pytest.mark.parametrize("schedule", THEIRS)
def test_betas_are_those_of_diffusers(schedule, steps):
    given = {} if schedule == "cosine" else {"beta_start": 0.1 / steps, "beta_end": 20 / steps}
    theirs = diffusers.DDPMScheduler(steps, beta_schedule=THEIRS[schedule], **given)
    ours = DDPM(steps=steps, schedule=schedule)
    assert ours.betas.numpy() == pytest.approx(theirs.betas.double().numpy(), abs=1e-6)
    log_snr = 0.5 * torch.log(ours.alphas_cumprod / (1 - ours.alphas_cumprod))
    assert torch.allclose(ours.log_snr(ours.times), log_snr, rtol=1e-10, atol=1e-9)  # the levels lie at these times
    assert ours.times[-1] == ours.t_max == 1 and ours.t_min == ours.times[0] > 0


def test_each_level_has_its_whole_number():
    sde = DDPM(steps=300, beta_first=1e-4, beta_last=0.02)
    assert torch.allclose(sde.step(sde.times), torch.arange(300, dtype=F), atol=1e-6)


class Net(nn.Module):
    """The noise of N(0, ½ I) at the level of each whole label, and a second output that depends on everything."""

    def __init__(self, sde, second):
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros((), dtype=F), requires_grad=False)
        self.abar, self.second = sde.alphas_cumprod, second

    def forward(self, x, label):
        assert torch.allclose(label, label.round(), atol=1e-5)
        a = self.abar[label.round().long()].reshape(-1, 1, 1, 1)
        eps = (1 - a).sqrt() / (0.5 * a + 1 - a) * x
        return torch.cat([eps, torch.tanh(x + label.reshape(-1, 1, 1, 1) / 50)], 1) if self.second else eps


@pytest.mark.parametrize("count", [100, 20, 7])
@pytest.mark.parametrize("variance", ["small", "large", "learned"])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_samples_are_those_of_diffusers(schedule, variance, count, monkeypatch):
    """With the same network and noise, on all levels and on some: their last step is our final denoising."""
    sde = DDPM(steps=100, schedule=schedule)
    model = NetworkModel(Net(sde, variance == "learned"), sde, (1, 4, 4))
    x = randn((3, 1, 4, 4), stream(0, "x"), dtype=F)
    draws = [randn(x.shape, stream(0, i), dtype=F) for i in range(count)]
    given = {} if schedule == "cosine" else {"beta_start": 1e-3, "beta_end": 0.2}
    kind = {"small": "fixed_small", "large": "fixed_large", "learned": "learned_range"}[variance]
    theirs = diffusers.DDPMScheduler(
        100, beta_schedule=THEIRS[schedule], variance_type=kind, clip_sample=False, timestep_spacing="linspace", **given
    )
    theirs.alphas_cumprod = sde.alphas_cumprod  # theirs are in float32
    theirs.set_timesteps(count)
    monkeypatch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda *a, **k: next(noise))
    y, noise = x, iter(draws)
    for t in theirs.timesteps:
        y = theirs.step(model.net(y, t.double().expand(3)), t, y).prev_sample
    noise = iter(draws)
    monkeypatch.setattr("scoresde.solvers.ddpm.randn_like", lambda *a: next(noise))
    monkeypatch.setattr("scoresde.solvers.base.randn_like", lambda *a: next(noise))
    ours = sample(model, solvers["ddpm"](steps=count - 1, variance=variance), x)
    assert ours.nfe == count
    assert float((ours.x - y).abs().max()) < 1e-9


def test_the_grid_of_a_chain_stays_on_its_levels():
    sde = DDPM(steps=1000, schedule="cosine")
    for steps in (1, 10, 999):
        found = sde.step(torch.tensor(ChainGrid().times(sde, 1.0, sde.t_min, steps), dtype=F)).numpy()
        assert found == pytest.approx(np.linspace(999, 0, steps + 1).round(), abs=1e-5)
    halves = torch.tensor(ChainGrid().times(sde, 1.0, sde.t_min, 1998), dtype=F)
    assert sde.step(halves)[1].item() == pytest.approx(998.5)
    part = ChainGrid().times(sde, 0.5, 0.1, 5)
    assert part[0] == 0.5 and part[-1] == 0.1 and all(a > b for a, b in zip(part, part[1:], strict=False))
    assert ChainGrid().times(VPSDE(), 1.0, 1e-3, 4)[2] == pytest.approx(((1 + 1e-3**0.5) / 2) ** 2)


@pytest.mark.parametrize(("name", "options"), [("unipc", {}), ("rk45", {}), ("ddim", {"steps": 400}), ("adams", {})])
def test_continuous_solvers_follow_a_discrete_network(name, options):
    """They call it between its levels too, where the label is a fraction: here an exact network of it."""
    sde = DDPM(steps=1000)

    class Exact(nn.Module):
        def forward(self, x, n):
            knots = sde.log_snr(sde.times)
            below = n.long().clamp(max=998)
            t = sde.time(torch.lerp(knots[below], knots[below + 1], n - below))
            a = sde.alpha(t).reshape(-1, 1, 1, 1) ** 2
            return (1 - a).sqrt() / (0.25 * a + 1 - a) * x

    model = NetworkModel(Exact(), sde, (1, 1, 1))
    x = randn((8, 1, 1, 1), stream(1), dtype=F)
    found = solvers[name](**options).solve(model, x, start=1.0, stop=sde.t_min)
    truth = GaussianModel(torch.zeros(1, 1, 1, dtype=F), torch.full((1, 1, 1), 0.25, dtype=F), sde)
    assert (found - truth.flow(x, 1.0, sde.t_min)).abs().max() < 1e-2


def test_a_learned_variance_costs_no_evaluation_and_brownian_noise_refuses_it():
    sde = DDPM(steps=100)
    model = NetworkModel(Net(sde, True), sde, (1, 4, 4))
    count, x = Evaluations(), model.prior(generators([0, 1]), dtype=F)
    watched = ObservedModel(model, count)
    solvers["ddpm"](steps=9, variance="learned").solve(watched, x, start=1.0, stop=sde.t_min)
    assert count.calls == 9
    solver = solvers["ddpm"](steps=9, variance="learned", brownian=True)
    with pytest.raises(UsageError, match="one variance for all values"):
        solver.solve(model, x, start=1.0, stop=sde.t_min, generator=generators([0, 1]))
    with pytest.raises(UsageError, match="the model has no learned variance: choose the variance small or large"):
        NetworkModel(Net(sde, False), sde, (1, 4, 4)).evaluate(x, torch.ones(2)).learned()


def test_the_bound_is_that_of_the_chain():
    sde = DDPM(steps=50, schedule="sigmoid")
    assert torch.equal(chain(sde, 50), sde.alphas_cumprod)
    assert torch.equal(chain(sde, 8), sde.alphas_cumprod[[0, 7, 14, 21, 28, 35, 42, 49]])
    with pytest.raises(UsageError, match="a chain of 50 steps and has no 51 levels"):
        chain(sde, 51)


def test_bad_chains():
    with pytest.raises(UsageError, match="the cosine schedule has no beta_first"):
        DDPM(schedule="cosine", beta_first=0.1)
    with pytest.raises(UsageError, match="β must rise from step to step and stay below 1, got 0.01 to 2"):
        DDPM(steps=10)
    with pytest.raises(UsageError, match="the chain must end in noise, ᾱ ≤ 0.25, got 0.9"):
        DDPM(steps=10, beta_first=1e-4, beta_last=0.02)
    with pytest.raises(UsageError, match="schedule must be one of 'linear', 'cosine', 'quadratic' or 'sigmoid'"):
        DDPM(schedule="square")
    assert math.isclose(float(DDPM().betas[-1]), 0.02)


def test_from_training_to_samples_and_the_bound(run, tmp_path):
    """Class labels, a learned variance and the hybrid loss, through the command line."""
    options = "network.channels=4 network.multipliers=[1,1] network.blocks=1 train.batch=8 train.images=16"
    run(f"train digits-lvddpm {options} network.classes=10 sde.steps=20 --out run --quiet --device cpu")
    run("sample --model run -n 2 --solver ddpm --steps 4 --variance learned --clip --out a --quiet --device cpu")
    assert json.loads((tmp_path / "a" / "samples.json").read_text())["nfe"] == 5
    asked = "sample --model run -n 2 --solver ddpm --steps 4 --class 3 --guidance 2 --out b --quiet --device cpu"
    run(asked)
    assert json.loads((tmp_path / "b" / "samples.json").read_text())["classes"] == [3, 3]
    run(f"{asked} --variance learned")  # which is that of the class
    assert json.loads((tmp_path / "b" / "samples.json").read_text())["nfe"] == 5
    found = json.loads(run("likelihood run --vlb 20 --variance learned -n 2 --json --quiet --device cpu"))
    assert found["nfe"] == 20 and len(found["diffusion_by_step"]) == 19
    assert found["bits_per_dim"] == pytest.approx(sum(found[term] for term in ("prior", "diffusion", "decoder")))
    assert "a chain of 20 steps and has no 21 levels" in run("likelihood run --vlb 21 -n 2 --quiet --device cpu", 2)
