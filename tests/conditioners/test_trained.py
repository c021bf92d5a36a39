"""Networks trained to be given what is known: against exact ones, and through the command line."""

import json
import math
from pathlib import Path

import pytest
import torch
from tiny import tiny_model
from torch import nn

from scoresde import models
from scoresde.bench.cells import cells, subjects
from scoresde.bench.likelihood import likelihoods
from scoresde.bench.spec import Spec
from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.random import generators, rand, randn, stream
from scoresde.data import data
from scoresde.images.sheets import save, single
from scoresde.likelihood import Exact as Divided
from scoresde.likelihood import chain, dequantise, hole_likelihood, log_likelihood, nll, vlb
from scoresde.models.base import ObservedModel
from scoresde.models.clipped import ClippedModel
from scoresde.models.evaluations import Evaluations
from scoresde.models.gaussian import GaussianModel
from scoresde.models.known import Known
from scoresde.models.network import NetworkModel
from scoresde.observations import ChannelMean, Luma, Pixels
from scoresde.observations.masks import holes, masks
from scoresde.sampling.sample import sample
from scoresde.sde import DDPM, VESDE, VPSDE
from scoresde.solvers import solvers
from scoresde.training import config as configuration
from scoresde.training.loop import start, train
from scoresde.training.run import Run

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
    label = "step" if sde.chain else "scaled:scale=1"
    return NetworkModel(Exact(sde, second), sde, SHAPE, label=label, condition=condition)


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

    assert torch.allclose(found.divergence + log_prob(found.latent, sde.t_max), log_prob(x, 1e-4), atol=1e-3)
    assert torch.allclose(found.prior, log_prob(found.latent, sde.t_max), atol=0.05)
    assert torch.allclose(found.log_prob, found.prior + found.divergence)


class Follows(nn.Module):
    """For x_0 ~ N(½ y, ¼) with y the value that is given in the same row and channel of the first column."""

    def __init__(self, sde):
        super().__init__()
        self.sde = sde

    def forward(self, x, label):
        alpha, sigma = (v.reshape(-1, 1, 1, 1) for v in (self.sde.alpha(label), self.sde.sigma(label)))
        return sigma * (x[:, :3] - alpha * 0.5 * x[:, 3:6, :, :1]) / (alpha**2 * SPREAD**2 + sigma**2)


def follows(condition="inpaint", net=None):
    return NetworkModel(net or Follows(VPSDE()), VPSDE(), SHAPE, label=lambda t: t, condition=condition)


@pytest.mark.parametrize("condition", ["colour", "inpaint"])
def test_bits_per_dim_are_those_of_what_is_left_given_what_is_shown(condition):
    """Both are normal laws: of each value around its luma, or of those in a hole of 6 or 3 values around their rows'.

    What is given are the grey levels; the noise of dequantisation is in the values that are told, and only there.
    """
    pixels = (rand((4, *SHAPE), stream(7)) * 5).to(torch.uint8)
    x = dequantise(pixels, 5, [stream(3, "dequantise", i, 0) for i in range(4)])
    levels, known = pixels.double() / 2 - 1, None
    hidden = torch.ones(4, 1, 2, 2, dtype=torch.bool)
    if condition == "inpaint":
        hidden[..., 0], hidden[3, :, 1, 1] = False, False
        known = ~hidden
    mean = luma(levels) if condition == "colour" else 0.5 * levels[..., :1]
    law = torch.distributions.Normal(mean.expand_as(x), SPREAD)
    told = (law.log_prob(x) * hidden).flatten(1).sum(1)
    count = torch.tensor([12, 12, 12, 12] if known is None else [6, 6, 6, 3])
    bits = -told / (count * math.log(2)) + math.log2(5) - 1
    options = {"levels": 5, "known": known, "divergence": Divided(), "seed": 3, "solver": solvers["rk45"](tol=1e-4)}
    model = exact("colour") if condition == "colour" else follows()
    found = [nll(model, pixels, batch=batch, **options) for batch in (4, 3)]
    # The end is only nearly N(0, 1): 0.007 of the data are left in it, times an end of up to 3, and 1.44 bits a nat.
    assert found[0].value == pytest.approx(float(bits.mean()), abs=1e-2)
    assert found[0].value == pytest.approx(found[1].value, abs=1e-9)
    assert found[0].standard_error == pytest.approx(float(bits.std()) / 2, rel=1e-2)
    assert math.isnan(found[0].correction) == (condition == "inpaint")


def test_the_bound_is_of_what_is_left_given_what_is_shown():
    """As that of a model that has what is shown built in; and the bits of a hole are those of its parts."""
    pixels, noise = (rand((2, *SHAPE), stream(8)) * 5).to(torch.uint8), lambda: generators([1, 2])
    chain = torch.tensor([0.9, 0.5, 0.1, 0.01], dtype=F)
    options = {"levels": 5, "alphas_cumprod": chain, "variance": "large"}
    grey = luma(pixels.double() / 2 - 1)

    class Built(nn.Module):
        def forward(self, x, label):
            return Exact(VPSDE())(torch.cat([x, grey.expand(-1, 3, -1, -1)], 1), label)

    built = NetworkModel(Built(), VPSDE(), SHAPE, label="scaled:scale=1")
    ours, truth = (vlb(m, pixels, generator=noise(), **options) for m in (exact("colour"), built))
    assert torch.allclose(ours.total, truth.total) and torch.allclose(ours.decoder, truth.decoder)
    whole = torch.tensor([[1, 0], [1, 0]], dtype=torch.bool).expand(2, 1, 2, 2)
    upper, lower = whole.clone(), whole.clone()
    upper[:, :, 1], lower[:, :, 0] = True, True
    both, *parts = (vlb(follows(), pixels, known=k, generator=noise(), **options) for k in (whole, upper, lower))
    assert torch.allclose(both.total, (parts[0].total + parts[1].total) / 2)
    assert torch.allclose(both.prior, (parts[0].prior + parts[1].prior) / 2) and (both.total > 0).all()


def test_a_likelihood_without_its_masks_is_refused():
    pixels, known = torch.zeros(2, *SHAPE, dtype=torch.uint8), torch.ones(2, 1, 2, 2, dtype=torch.bool)
    for model, where, message in [
        (exact("inpaint"), None, "train.condition = inpaint needs where pixels are known"),
        (exact("colour"), ~known, "train.condition = colour takes no masks"),
        (exact("none"), ~known, "train.condition = none takes no masks"),
        (exact("inpaint"), known, "image 0 has no hole"),
        (exact("inpaint"), ~known[:1], "give .B, 1, H, W."),
    ]:
        with pytest.raises(UsageError, match=message):
            nll(model, pixels, levels=5, known=where)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Model folders of untrained networks for each task."""
    home = tmp_path_factory.mktemp("tasks")
    return {c: tiny_model(home / c, 3 if c == "colour" else 1, condition=c) for c in ("colour", "inpaint")}


def test_the_likelihood_command_is_of_the_task(run, folders):
    loose, quick = solvers["rk23"](tol=0.1, controller="pi"), "--solver rk23 --tol 0.1 -n 2 --seed 4 --json --quiet"
    found = json.loads(run(f"likelihood {folders['colour']} --data photos:size=8 {quick}"))
    some = data["photos"](size=8).load("test").drawn(2, seed=4)
    mine = nll(models.load(folders["colour"]), some.pixels, levels=256, seed=4, solver=loose)
    assert found["bits_per_dim"] == pytest.approx(mine.value, rel=1e-9)
    assert (found["given"], found["unit"]) == ("the luma of each image", "bits per value of the image")
    some, model = data["digits"]().load("test").drawn(2, seed=4), models.load(folders["inpaint"])
    known = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    known[:, :, 3:6, 1:3] = False
    for asked, where in [
        ("--box 1,3,3,6", known),
        ("--random-mask rectangle", holes(masks["rectangle"](), (1, 8, 8), 2, 4)),
    ]:
        found = json.loads(run(f"likelihood {folders['inpaint']} {asked} {quick}"))
        mine = nll(model, some.pixels, levels=17, known=where, seed=4, solver=loose)
        assert found["bits_per_dim"] == pytest.approx(mine.value, rel=1e-9)
        assert found["unit"] == "bits per value of the hole" and found["correction"] is None
    bound = json.loads(run(f"likelihood {folders['inpaint']} --box 1,3,3,6 --vlb 3 -n 2 --seed 4 --json --quiet"))
    each = vlb(model, some.pixels, levels=17, known=known, alphas_cumprod=chain(model.sde, 3),
               generator=[stream(4, "vlb", i) for i in range(2)])  # fmt: skip
    assert "a hole of 9.4% of an image, the box 1,3,3,6" in bound["given"]
    assert bound["bits_per_dim"] == pytest.approx(float(each.total.mean()), rel=1e-9)


def test_the_likelihood_command_refuses_holes_that_are_not_there(run, folders):
    for line, message in [
        (f"{folders['colour']} --data photos:size=8 --box 1,1,2,2", "was not trained to inpaint: leave out --mask"),
        (f"{folders['inpaint']}", "does not say which holes it was trained to fill"),
        (f"{folders['inpaint']} --box 1,1,2,2 --random-mask freeform", "give the hole by one of --mask FILE"),
        (f"{folders['inpaint']} --box 1,1", "--box must be four whole numbers"),
        (f"{folders['inpaint']} --invert", "--invert changes the meaning of a --mask"),
    ]:
        assert message in " ".join(run(f"likelihood {line} -n 1 --quiet", 2).split())


def test_the_benchmark_shows_a_network_what_its_task_needs(folders, monkeypatch):
    """Samples keep the pixels of the held-out images, in turn, and its likelihood is that of `nll`."""
    config = json.loads(Path(folders["inpaint"], models.CONFIG).read_text())
    config["recipe"]["masks"] = "rectangle:most=0.3"
    Path(folders["inpaint"], models.CONFIG).write_text(json.dumps(config))
    spec = Spec(model=folders["inpaint"], solver=["unipc:steps=3"], count=4, batch=3, paths=4, likelihood=3, seed=5)
    (subject,) = subjects(spec, torch.device("cpu"))
    some = data["digits"]().load("test").stratified(4, seed=5)
    known = holes(masks["rectangle"](most=0.3), (1, 8, 8), 4, 5)
    out = subject.sample(spec.solver[0], range(6, 8)).x
    gap = (out - some.scaled()[1:3]).abs()
    assert gap[known[1:3]].max() < 1e-5 and gap[~known[1:3]].max() > 0.1
    rough = solvers["rk23"](tol=0.1)
    row = likelihoods(subject, rough, lambda name, make: make(), lambda done: None)
    mine = nll(
        models.load(folders["inpaint"]), some.pixels[:3], levels=17, known=known[:3], seed=5, batch=3, solver=rough
    )
    assert sum(row["bits_per_dim"]) / 3 == pytest.approx(mine.value, rel=1e-9)
    (cell,) = [cell for cell in cells(spec, [subject]) if cell.solver]
    assert cell.title.endswith("trained, inpaint unipc steps=3")
    monkeypatch.setattr("scoresde.bench.network.CONVERGED", spec.solver[0])
    assert torch.allclose(subject.flowed[1:3], out.double(), rtol=1e-3)


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
        exact("none").bind(Known(y))
    with pytest.raises(UsageError, match="is conditioned on measurements of 2 samples, got 1"):
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
    assert models.load(tmp_path / "run").condition == condition
    recipe = json.loads((tmp_path / "run" / models.CONFIG).read_text())["recipe"]
    assert recipe.get("masks") == ("freeform" if condition == "inpaint" else None)
    save(single(images.scaled(slice(0, 1))[0]), tmp_path / "in" / "picture.png")
    command = "colourise" if condition == "colour" else "inpaint"
    hole = "" if condition == "colour" else "--box 2,2,6,6 "
    sampler = "--solver ddpm --steps 9 --variance learned " if process == "hybrid" else "--solver unipc --steps 5 "
    said = run(f"{command} in/picture.png --model run -n 2 {hole}{sampler}--quiet --out out --device cpu")
    assert "trained" in said
    record = json.loads((tmp_path / "out" / f"{command}.json").read_text())
    assert record["conditioner"]["name"] == "trained" and record["pictures"][0]["nfe"] in (6, 10)
    run(f"{command} in/picture.png --model run -n 1 {hole}--quiet --out usual --device cpu")
    assert json.loads((tmp_path / "usual" / f"{command}.json").read_text())["pictures"][0]["nfe"] == 21
    if command == "inpaint":
        from scoresde.images.pictures import load_picture, scaled

        filled = scaled(load_picture(tmp_path / "out" / "picture-000000.png", "L"))
        truth = scaled(load_picture(tmp_path / "in" / "picture.png", "L"))
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
