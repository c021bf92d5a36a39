"""Class labels and guidance: against mixtures whose classes are their modes, and a network that learns labels."""

import json
import math
from itertools import islice

import pytest
import torch

from scoresde import models
from scoresde.conditioners import conditioners
from scoresde.core.errors import DataError, UsageError
from scoresde.core.random import generators, stream
from scoresde.data import Images
from scoresde.models.base import ObservedModel, ScoreModel
from scoresde.models.evaluations import Evaluations
from scoresde.models.gaussian import GaussianMixtureModel, GaussianModel
from scoresde.models.guided import GuidedModel
from scoresde.models.output import Output
from scoresde.observations import Pixels
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import solvers
from scoresde.training import config as configuration
from scoresde.training.batches import Feed
from scoresde.training.loop import start, train
from scoresde.training.objective import losses
from scoresde.training.run import Run

STD = 0.3
MEANS = torch.tensor([[-0.9, 0.4], [0.7, 0.6], [0.1, -0.8]], dtype=torch.float64)
SPREAD = torch.full((3, 2), STD**2, dtype=torch.float64)


class ByMode(ScoreModel):
    """The exact model of a mixture in which the class of a point is the mode that it came from."""

    def __init__(self, shape=(2,)):
        super().__init__()
        means, spread = MEANS.reshape(3, *shape), SPREAD.reshape(3, *shape)
        self.whole = GaussianMixtureModel(means, spread, VPSDE())
        self.parts = [GaussianModel(mean, variance, VPSDE()) for mean, variance in zip(means, spread, strict=True)]
        self.sde, self.shape, self.classes = self.whole.sde, shape, 3

    def evaluate(self, x, t, classes=None):
        if classes is None:
            return self.whole.evaluate(x, t)
        every = torch.stack([*(part.eps(x, t) for part in self.parts), self.whole.eps(x, t)])
        return Output(every[classes, torch.arange(len(x))])


def noise(count):
    return ByMode().prior(generators(range(count)), dtype=torch.float64)


def test_scale_1_samples_the_class_and_scale_0_the_whole():
    labels = torch.arange(300) % 3
    x = sample(GuidedModel(ByMode(), labels), solvers["dpm++"](steps=30), noise(300)).x
    z = (x - MEANS[labels]) / STD
    # 600 values, mean and variance of N(0, 1) to 4.9 standard errors: a wrong class is off by several.
    assert abs(z.mean()) < 4.9 / math.sqrt(600) and abs(z.var() - 1) < 4.9 * math.sqrt(2 / 600)
    free = sample(GuidedModel(ByMode(), labels, 0.0), solvers["dpm++"](steps=30), noise(300)).x
    torch.testing.assert_close(free, sample(ByMode(), solvers["dpm++"](steps=30), noise(300)).x)


def test_the_guided_score_is_that_of_the_sharpened_class():
    """The gradient of log p(x) + w log p(c | x), differentiated numerically from the densities."""
    model, scale, t = ByMode(), 2.5, torch.full((4,), 0.4, dtype=torch.float64)
    x = 0.5 * noise(4)
    labels = torch.tensor([0, 1, 2, 1])

    def log_density(x):
        whole = model.whole.log_prob(x, t)
        own = torch.stack([part.log_prob(x, t) for part in model.parts])[labels, torch.arange(4)]
        return whole + scale * (own - whole)

    h = 1e-5
    steps = h * torch.eye(2, dtype=torch.float64)
    slope = torch.stack([(log_density(x + e) - log_density(x - e)) / (2 * h) for e in steps], 1)
    torch.testing.assert_close(GuidedModel(model, labels, scale).score(x, t), slope, rtol=1e-7, atol=1e-7)
    own, whole = model.evaluate(x, t, labels).eps, model.whole.eps(x, t)  # and in all digits, whatever the scale
    found = GuidedModel(model, labels, 2.3).eps(x, t)
    torch.testing.assert_close(found, 2.3 * own - 1.3 * whole, rtol=1e-13, atol=1e-13)


def test_rows_outside_the_interval_are_not_guided():
    model, labels, x = ByMode(), torch.tensor([0, 1, 2]), noise(3)
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    free, full, part = (GuidedModel(model, labels, *o).eps(x, t) for o in ((), (3.0,), (3.0, (0.3, 0.6))))
    assert torch.equal(part[1], full[1]) and torch.equal(part[::2], free[::2]) and not torch.allclose(full, free)
    without, whole = GuidedModel(model, labels, 0.0, (0.3, 0.6)).eps(x, t), model.whole.eps(x, t)
    assert torch.equal(without[1], whole[1]) and torch.equal(without[::2], free[::2])  # bit for bit


def test_a_guided_evaluation_counts_once_and_works_twice():
    model, labels = ByMode(), [0, 1, 2, 0]
    guided = sample(GuidedModel(model, labels, 2.0), solvers["ddim"](steps=5), noise(4))
    assert (guided.nfe, guided.work) == (6, 12)
    limited = sample(GuidedModel(model, labels, 2.0, (0.3, 0.5)), solvers["ddim"](steps=5, grid="time"), noise(4))
    assert limited.nfe == 6 and limited.work == 6 + 1  # of about 1, 0.8, 0.6, 0.4, 0.2 and 0, one lies inside
    seen = Evaluations()
    plain = sample(GuidedModel(model, labels), solvers["ddim"](steps=5), noise(4), observers=(seen,))
    assert plain.work == 6 and seen.calls == 6
    assert sample(GuidedModel(model, labels, 0.0), solvers["ddim"](steps=5), noise(4)).work == 6  # p(x), asked once


def test_a_guided_model_can_be_conditioned():
    """Class and one coordinate are given, which in a round mode leaves the other its own normal law."""
    mask = torch.ones(1, 1, 1, 2)
    mask[..., 1] = 0
    model = ByMode((1, 1, 2))
    labels, seeds = torch.ones(300, dtype=torch.int64), generators(range(300))
    y = torch.full((300, 1, 1, 2), 0.4, dtype=torch.float64)
    around = conditioners["projection"]().condition(GuidedModel(model, labels), Pixels(mask), y)
    x = sample(around, solvers["dpm++"](steps=30), model.prior(seeds, dtype=torch.float64)).x.flatten(1)
    z = (x[:, 1] - MEANS[1, 1]) / STD
    assert torch.equal(x[:, 0], y[:, 0, 0, 0])
    assert abs(z.mean()) < 4.9 / math.sqrt(300) and abs(z.var() - 1) < 4.9 * math.sqrt(2 / 300)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GuidedModel(ByMode(), [0, 3]), "whole numbers from 0 to 2"),
        (lambda: GuidedModel(ByMode(), []), "whole numbers from 0 to 2"),
        (lambda: GuidedModel(ByMode(), [0], -1.0), "at least 0, got -1.0"),
        (lambda: GuidedModel(ByMode(), [0], 1.0, (0.5, 0.5)), "rises from a time to a later one"),
        (lambda: GuidedModel(ByMode(), [0], 1.0, (0.5,)), "rises from a time to a later one"),
        (lambda: GuidedModel(GaussianModel(MEANS[0], SPREAD[0], VPSDE()), [0]), "knows no classes: train one"),
        (lambda: GuidedModel(ByMode(), [0, 1]).eps(noise(3), torch.ones(3)), "classes of 2 samples, got 3"),
        (lambda: GuidedModel(GuidedModel(ByMode(), [0]), [0]), "guided to classes already"),
    ],
)
def test_what_is_not_allowed_is_said(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_guidance_needs_a_network_that_knows_the_lack_of_a_class():
    model = ByMode()
    model.null_class = False
    around = GuidedModel(ObservedModel(model), [0, 1])  # which is no guidance
    assert torch.isfinite(around.eps(noise(2), torch.full((2,), 0.5, dtype=torch.float64))).all()
    for scale in (0.0, 2.0):
        with pytest.raises(UsageError, match="never shown one: leave the scale at 1"):
            GuidedModel(ObservedModel(model), [0, 1], scale)


SMALL = ["network.channels=8", "network.multipliers=[1,1]", "network.blocks=1", "train.batch=16", "network.classes=2"]


def two_shades(count=256, labels=True):
    """Images that are black where the label is 0 and white where it is 1."""
    which = torch.arange(count) % 2
    pixels = (16 * which)[:, None, None, None].expand(-1, 1, 8, 8).to(torch.uint8).contiguous()
    return Images(pixels, levels=17, labels=which if labels else None)


def test_a_network_learns_its_labels_and_the_command_line_asks_for_them(tmp_path, run):
    chosen = configuration.load("digits", [*SMALL, "train.images=4800", "train.warmup=0", "train.decay=0.5"])
    state = start(chosen, (1, 8, 8), torch.device("cpu"))
    for _ in train(chosen, two_shades(), state):
        pass
    Run(tmp_path / "run", chosen, {}).save(state)
    model = models.load(tmp_path / "run")
    assert model.classes == 2
    x = model.prior(generators(range(8)))
    black, white = (sample(GuidedModel(model, [c] * 8), solvers["dpm++"](steps=10), x).x.mean() for c in (0, 1))
    assert black < -0.5 and white > 0.5  # -1 and 1, for a network of five seconds
    said = run("sample --model run --class 0,1 --guidance 2 -n 4 --solver dpm++ --steps 5 --out out --quiet")
    record = json.loads((tmp_path / "out" / "samples.json").read_text())
    assert "4 samples" in said and record["classes"] == [0, 1, 0, 1] and record["guidance"] == 2
    assert record["work"] == 2 * record["nfe"] == 12
    assert "from 0 to 1" in run("sample --model run --class 2 -n 1 --out out2", 2)
    assert "--guidance needs --class" in run("sample --model run --guidance 2 -n 1 --out out2", 2)
    assert "knows no classes" in run("sample --class 2 -n 1 --out out2", 2)


def test_labels_have_to_fit_the_network():
    chosen = configuration.load("digits", [*SMALL, "train.images=16"])
    state = start(chosen, (1, 8, 8), torch.device("cpu"))
    with pytest.raises(DataError, match="2 classes and the images have no labels"):
        next(train(chosen, two_shades(labels=False), state))
    digits = configuration.load("digits").data.load("train")
    with pytest.raises(DataError, match="from 0 to 9: a network of 2 classes takes 0 to 1"):
        next(train(chosen, digits, state))


def test_labels_are_hidden_at_the_share_that_is_asked():
    """The network is told "no class" for each image with the probability label_dropout, whatever the step."""
    chosen = configuration.load("digits", [*SMALL, "train.label_dropout=0.3", "train.batch=64"])
    model = start(chosen, (1, 8, 8), torch.device("cpu")).model
    told = []
    model.net.register_forward_pre_hook(lambda net, given: told.append(given[2]))
    for batch in islice(Feed(two_shades(), chosen.train, torch.device("cpu")).steps(0), 64):
        losses(model, batch, chosen.train)
    hidden = (torch.cat(told) == 2).double().mean().item()
    assert abs(hidden - 0.3) < 4.9 * math.sqrt(0.3 * 0.7 / 4096)
    assert stream(0, "label", 0).initial_seed() != stream(0, "flip", 0).initial_seed()
