"""Networks trained to be given what is known: against exact ones, and through the command line."""

import json
import math

import pytest
import torch
from torch import nn

from scoresde import checkpoint
from scoresde import config as configuration
from scoresde.clipping import ClippedModel
from scoresde.conditioners import conditioners
from scoresde.errors import UsageError
from scoresde.gaussian import GaussianModel
from scoresde.images import save, single
from scoresde.labels import label_of
from scoresde.likelihood import hole_likelihood, log_likelihood
from scoresde.model import Evaluations, NetworkModel, ObservedModel
from scoresde.observations import ChannelMean, Luma, Pixels
from scoresde.random import generators, randn, stream
from scoresde.run import Run
from scoresde.sample import sample
from scoresde.sde import DDPM, VESDE, VPSDE
from scoresde.solvers import solvers
from scoresde.train import start, train

F = torch.float64
SHAPE = (3, 2, 2)
SPREAD = 0.3
WEIGHTS = torch.tensor([0.299, 0.587, 0.114], dtype=F)


class Exact(nn.Module):
    """For x_0 ~ N(m(known), ¼) with m the known picture, or 0.3 times it in the hole: E[z | x_t, known]."""

    def __init__(self, sde, second=False):
        super().__init__()
        self.sde, self.second = sde, second
        self.anchor = nn.Parameter(torch.zeros((), dtype=F), requires_grad=False)

    def forward(self, x, label):
        x, given = x[:, :3], x[:, 3:]
        t = self.sde.times[label.round().long()] if isinstance(self.sde, DDPM) else label
        alpha, sigma = (v.reshape(-1, 1, 1, 1) for v in (self.sde.alpha(t), self.sde.sigma(t)))
        mean = given[:, :3] if given.shape[1] == 3 else 0.3 * x.mean((2, 3), keepdim=True)
        eps = sigma * (x - alpha * mean) / (alpha**2 * SPREAD**2 + sigma**2)
        return torch.cat([eps, torch.zeros_like(eps)], 1) if self.second else eps


def exact(condition, sde=None, second=False):
    sde = sde or VPSDE()
    return NetworkModel(Exact(sde, second), sde, SHAPE, label=label_of(sde, 1.0), condition=condition)


def luma(x):
    return torch.einsum("c,bchw->bhw", WEIGHTS, x)[:, None]


@pytest.mark.parametrize(("name", "options"), [("unipc", {}), ("rk45", {"tol": 1e-5}), ("adams", {"tol": 1e-4})])
def test_a_colour_network_is_followed_to_its_own_law(name, options):
    """Row i has the law N(its grey, ¼ I), whose flow is known."""
    y = luma(randn((4, *SHAPE), stream(0), dtype=F))
    around = conditioners["trained"]().condition(exact("colour"), Luma(), y)
    x = around.prior(generators(range(4)), dtype=F)
    found = solvers[name](**options).solve(around, x, start=1.0, stop=1e-3)
    for row in range(4):
        truth = GaussianModel(y[row].expand(3, -1, -1).clone(), torch.full(SHAPE, SPREAD**2, dtype=F), VPSDE())
        assert (found[row] - truth.flow(x[row : row + 1], 1.0, 1e-3)[0]).abs().max() < 2e-3


def test_its_likelihood_is_that_of_its_law():
    x = 0.4 * randn((3, *SHAPE), stream(1), dtype=F)
    y = luma(x)
    around = conditioners["trained"]().condition(exact("colour"), Luma(), y)
    found = log_likelihood(around, x).at_zero
    truth = torch.distributions.Normal(y.expand(-1, 3, -1, -1), SPREAD).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(found, truth, atol=2e-2)


@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=lambda sde: sde.name)
def test_the_likelihood_of_a_hole_is_that_of_its_law_whatever_is_around(sde):
    """Each hidden value has the law N(½ y, 0.09) of the known value y in its row and channel."""

    class Follows(nn.Module):
        def forward(self, x, label):
            alpha, sigma = (v.reshape(-1, 1, 1, 1) for v in (sde.alpha(label), sde.sigma(label)))
            mean = 0.5 * x[:, 3:6, :, :1]
            return sigma * (x[:, :3] - alpha * mean) / (alpha**2 * SPREAD**2 + sigma**2)

    model = NetworkModel(Follows(), sde, SHAPE, label=lambda t: t, condition="inpaint")
    known = torch.tensor([[1, 0], [1, 0]])[None, None]
    x = 0.4 * randn((3, *SHAPE), stream(6), dtype=F)
    around = conditioners["trained"]().condition(model, Pixels(known), x)
    found = hole_likelihood(around, known, x, eps=1e-4)

    def log_prob(at, time):  # exactly at each end, where the prior is only nearly N(0, prior_std²)
        time = torch.tensor([time], dtype=F)
        alpha, sigma = float(sde.alpha(time)), float(sde.sigma(time))
        law = torch.distributions.Normal(0.5 * alpha * x[..., :1], math.hypot(alpha * SPREAD, sigma))
        return law.log_prob(at[..., 1:]).flatten(1).sum(1)

    assert torch.allclose(found.divergence + log_prob(found.latent, sde.end), log_prob(x, 1e-4), atol=1e-3)
    assert torch.allclose(found.prior, log_prob(found.latent, sde.end), atol=0.05)
    assert torch.allclose(found.log_prob, found.prior + found.divergence)


@pytest.mark.parametrize("name", ["dpm++", "rk23", "em", "ddpm", "pc", "adams"])
def test_known_pixels_are_in_the_samples_whatever_the_solver(name):
    known = torch.tensor([[1, 0], [1, 0]])[None, None]
    y = randn((3, *SHAPE), stream(2), dtype=F)
    count = Evaluations()
    model = exact("inpaint")
    around = conditioners["trained"]().condition(ObservedModel(model, count), Pixels(known), y)
    out = sample(around, solvers[name](), around.prior(generators(range(3)), dtype=F), generator=generators(range(3)))
    assert torch.equal(out.x[..., 0], y[..., 0]) and count.calls == out.nfe and out.x.abs().max() < 4


def test_the_state_of_known_pixels_moves_straight_to_them():
    """x_t = α y + σ z all the way, and the network sees y there in place of x_t."""
    known, seen = torch.tensor([[1, 0], [0, 0]])[None, None], []
    y = randn((2, *SHAPE), stream(3), dtype=F)
    model = exact("inpaint")
    around = conditioners["trained"]().condition(model, Pixels(known), y)
    model.net.register_forward_hook(lambda net, inputs, out: seen.append(inputs[0]))
    x = around.prior(generators(range(2)), dtype=F)
    end = solvers["unipc"](steps=9).solve(around, x, start=1.0, stop=1e-3)
    at = torch.tensor([1.0, 1e-3], dtype=F)
    alpha, sigma = VPSDE().alpha(at), VPSDE().sigma(at)
    z = (x - alpha[0] * y)[..., 0, 0] / sigma[0]
    assert torch.allclose(end[..., 0, 0], alpha[1] * y[..., 0, 0] + sigma[1] * z, atol=1e-9)
    for inputs in seen:
        assert torch.equal(inputs[:, :3, 0, 0], y[..., 0, 0]) and torch.equal(inputs[:, 3:6, 0, 0], y[..., 0, 0])
        assert not inputs[:, 3:6, :, 1].any() and torch.equal(inputs[:, 6], known[:, 0].expand(2, -1, -1).to(F))


def test_a_learned_variance_survives_the_condition_and_a_clip():
    sde = DDPM(steps=100)
    y = randn((2, *SHAPE), stream(4), dtype=F)
    clipped = ClippedModel(exact("inpaint", sde, second=True))
    around = conditioners["trained"]().condition(clipped, Pixels(torch.tensor([[1, 0], [1, 1]])[None, None]), y)
    x = around.prior(generators([0, 1]), dtype=F)
    found = sample(around, solvers["ddpm"](steps=9, variance="learned"), x, generator=generators([0, 1]))
    assert found.nfe == 10 and torch.equal(found.x[..., 0], y[..., 0]) and found.x[:, :, 0, 1].abs().max() <= 1


def test_what_it_was_not_trained_for_is_refused():
    y, pixels = randn((2, *SHAPE), stream(5), dtype=F), Pixels(torch.ones(1, 1, 2, 2))
    trained = conditioners["trained"]()
    for model, seen, given in [
        (exact("colour"), pixels, y),
        (exact("inpaint"), Luma(), luma(y)),
        (exact("colour"), ChannelMean(), luma(y)),
        (exact("inpaint"), Pixels(pixels.mask, noise=0.1), y),
        (exact("none"), pixels, y),
    ]:
        with pytest.raises(UsageError, match="the network was trained to be given .*: choose another model"):
            trained.condition(model, seen, given)
    with pytest.raises(UsageError, match="the network is trained for colour: use the conditioner trained"):
        exact("colour").eps(y, torch.full((2,), 0.5, dtype=F))
    with pytest.raises(UsageError, match="was not trained with a condition"):
        exact("none").given(y)
    with pytest.raises(UsageError, match="is conditioned on the measurements of 2 samples, got 1"):
        trained.condition(exact("colour"), Luma(), luma(y)).eps(y[:1], torch.full((1,), 0.5, dtype=F))


@pytest.mark.parametrize(("condition", "process"), [("colour", "vp"), ("inpaint", "ddpm"), ("inpaint", "hybrid")])
def test_from_training_to_pictures(condition, process, run, tmp_path):
    """A few steps, a run folder, and the command that belongs to the task, which finds the conditioner by itself."""
    name, channels = ("photos", 3) if condition == "colour" else ("digits", 1)
    size = 8 if channels == 1 else 32
    changed = [f"train.condition={condition}", f"network.extra_channels={channels + (condition == 'inpaint')}"]
    changed += ["network.channels=4", "network.multipliers=[1,1]", "network.blocks=1", "network.attention=[]"]
    changed += ["train.batch=8", "train.images=16"]
    if process != "vp":
        changed += ["sde.name=ddpm", "sde.steps=50"]
    if process == "hybrid":
        changed += ["network.learned_variance=true", "train.loss=hybrid", "sde.schedule=cosine"]
    chosen = configuration.load(name, changed)
    images = chosen.data.load("train")
    state = start(chosen, images.shape, torch.device("cpu"))
    assert len(list(train(chosen, images, state))) == 2
    Run(tmp_path / "run", chosen, {}).save(state)
    assert checkpoint.load(tmp_path / "run").condition == condition
    save(single(images.scaled(slice(0, 1))[0]), tmp_path / "in" / "picture.png")
    command = "colourise" if condition == "colour" else "inpaint"
    hole = "" if condition == "colour" else "--box 2,2,6,6 "
    sampler = "--solver ddpm --steps 9 --variance learned " if process == "hybrid" else "--solver unipc --steps 5 "
    said = run(f"{command} in/picture.png --model run -n 2 {hole}{sampler}--quiet --out out --device cpu")
    assert "trained" in said
    record = json.loads((tmp_path / "out" / f"{command}.json").read_text())
    assert record["conditioner"]["name"] == "trained" and record["pictures"][0]["nfe"] in (6, 10)
    if command == "inpaint":
        from scoresde.pictures import read, scaled

        filled = scaled(read(tmp_path / "out" / "picture-000000.png", "L"))
        truth = scaled(read(tmp_path / "in" / "picture.png", "L"))
        outside = torch.ones(size, size, dtype=torch.bool)
        outside[2:6, 2:6] = False
        assert torch.equal(filled[0][outside], truth[0][outside])
        other = run("colourise in/picture.png --model run --device cpu", 2)
        assert "needs a model of colour images" in other
    else:
        assert "the network was trained to be given the luma" in run(
            "inpaint in/picture.png --model run --box 1,1,9,9 --device cpu --quiet", 2
        )
    assert "use the conditioner trained" in run("sample --model run -n 1 --device cpu --quiet", 2)
