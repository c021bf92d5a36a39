"""Every model around every other: what the inner one is survives, or the pair is refused with a sentence that is true.

The inner model is a network with class labels, a learned variance, a task (colour or inpainting), or none of these.
Truth: what each wrapper promises, written out here by hand for the network's own output.
"""

import itertools

import pytest
import torch

from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.random import generators
from scoresde.models.base import ObservedModel
from scoresde.models.classifier import ClassifierGuidedModel
from scoresde.models.clipped import ClippedModel
from scoresde.models.evaluations import Evaluations
from scoresde.models.guided import GuidedModel, LabelledModel
from scoresde.models.known import Known
from scoresde.models.network import NetworkModel
from scoresde.models.output import denoised
from scoresde.models.tiled import TiledModel
from scoresde.networks import networks
from scoresde.observations import Downsample, Luma, Pixels
from scoresde.observations.tasks import tasks
from scoresde.sampling.sample import sample
from scoresde.sde import DDPM, VPSDE
from scoresde.solvers import solvers

ROWS, LABELS = 4, [1, 2, 3, 4]
SHAPE, LARGE = (3, 8, 8), (3, 12, 12)


def network(task="none", classes=10, learned=False, sde=None):
    """A network of random weights, in evaluation mode."""
    torch.manual_seed(0)
    extra = tasks.parse(task).extra_channels(3)
    sizes = {"channels": 4, "group_channels": 2, "multipliers": [1], "attention": [], "blocks": 1}
    options = networks["unet"](**sizes, classes=classes, learned_variance=learned, extra_channels=extra)
    net, process = options.build(SHAPE), sde or VPSDE()
    for parameter in net.parameters():
        if not parameter.any():  # the last layer begins at zero
            torch.nn.init.normal_(parameter, std=0.05)
    model = NetworkModel(net, process, SHAPE, classes=classes, condition=task, options=options)
    return model.eval().requires_grad_(False)


def noise(model, rows=ROWS):
    return model.prior(generators(range(rows)))


def conditioned(model):
    y = torch.linspace(-0.5, 0.5, ROWS)[:, None, None, None].expand(ROWS, 3, *(n // 2 for n in model.shape[1:]))
    return conditioners["projection"]().condition(model, Downsample(), y.clone())


def replaced(model):
    mask = torch.zeros(1, 1, *model.shape[1:], dtype=torch.bool)
    mask[..., : model.shape[2] // 2] = True
    y = torch.full((ROWS, *model.shape), 0.3)
    return conditioners["replace"]().condition(model, Pixels(mask), y, generators(range(ROWS)))


def classified(model):
    torch.manual_seed(1)
    size = model.shape[0] * model.shape[1] * model.shape[2]
    return ClassifierGuidedModel(model, Classifier(size), 3.0, LABELS)


class Classifier(torch.nn.Linear):
    """The logits of a picture of a size, whatever the noise."""

    def __init__(self, size):
        super().__init__(size, 10)

    def forward(self, x, label):
        return super().forward(x.flatten(1))


WRAPPERS = {
    "clipped": ClippedModel,
    "guided": lambda model: GuidedModel(model, LABELS, 2.0),
    "classified": classified,
    "tiled": lambda model: TiledModel(model, LARGE if model.shape == SHAPE else (3, 16, 16), batch=5),
    "conditioned": conditioned,
    "replaced": replaced,
    "observed": lambda model: ObservedModel(model, lambda x, t, eps: None),
}
REFUSED = {
    ("guided", "guided"): "guided to classes already",
    **{("tiled", inner): "bound to 4 samples" for inner in ("guided", "classified", "conditioned", "replaced")},
}
"""(outer, inner) and what is said; all else works."""


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(WRAPPERS, WRAPPERS)))
def test_every_wrapper_around_every_wrapper(outer, inner):
    net = network(learned=True, sde=DDPM(steps=50))
    if (outer, inner) in REFUSED:
        with pytest.raises(UsageError, match=REFUSED[outer, inner]):
            WRAPPERS[outer](WRAPPERS[inner](net))
        return
    model = WRAPPERS[outer](WRAPPERS[inner](net))
    large = "tiled" in (outer, inner)
    assert model.sde == net.sde and model.classes == 10 and model.condition == "none"
    assert model.shape == ((3, 16, 16) if outer == inner == "tiled" else LARGE if large else SHAPE)
    bound = {"guided", "classified", "conditioned", "replaced"} & {outer, inner}
    assert model.bound == (ROWS if bound else None) and not model.draws

    x, t = noise(model), torch.full((ROWS,), 0.4, dtype=torch.float64)
    out = model.evaluate(x, t)
    assert out.eps.shape == x.shape and out.learned().shape == x.shape and torch.isfinite(out.eps).all()
    if "guided" not in (outer, inner):  # classes reach the network through everything
        labels = torch.tensor(LABELS)
        by_class = model.evaluate(x, t, labels).eps
        assert not torch.equal(by_class, out.eps)
        assert torch.equal(by_class, LabelledModel(model, labels).eps(x, t))

    # Observers see the network's own evaluations, and leave the prediction as it is.
    count, seen = Evaluations(), []
    watched = model.observed(count, lambda x, t, eps: seen.append(x.shape[1:]))
    assert type(watched) is type(model)
    again = watched.evaluate(x, t)
    assert torch.equal(again.eps, out.eps) and torch.equal(again.learned(), out.learned())
    assert set(seen) == {SHAPE} and count.calls == len(seen) and count.rows >= ROWS
    # A solver counts the same way, and what is known for certain is in the samples.
    found = sample(model, solvers["ddpm"](steps=2, variance="learned"), x, generator=generators(range(ROWS)))
    assert found.nfe == 3 * count.calls and torch.isfinite(found.x).all()
    if "replaced" in (outer, inner) and outer != "conditioned":  # two measurements may differ: the outer one is written
        half = found.x[..., : model.shape[2] // 2]
        assert torch.equal(half, torch.full_like(half, 0.3))
    if "conditioned" in (outer, inner) and "replaced" not in (outer, inner):
        y = Downsample().forward(found.x).mean((1, 2, 3))
        assert torch.allclose(y, torch.linspace(-0.5, 0.5, ROWS), atol=1e-5)


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_around_another_model_is_what_that_model_is(name):
    first, other = network(classes=10), network(classes=3, sde=DDPM(steps=50))
    model = WRAPPERS[name](first).around(other)
    assert model.model is other and model.sde == other.sde and model.classes == 3
    assert WRAPPERS[name](first).sde == first.sde  # which is left as it was


def test_guidance_with_a_learned_variance_is_that_of_adm():
    """ε_∅ + w (ε_c - ε_∅) with the variance of the class, from two calls of the network itself."""
    net, w = network(learned=True, sde=DDPM(steps=50)), 3.0
    x, t, labels = noise(net), torch.full((ROWS,), 0.3, dtype=torch.float64), torch.tensor(LABELS)
    label = net.time_input(t).float()
    of_class, of_none = (net.net(x, label, c) for c in (labels, torch.full_like(labels, 10)))
    out = GuidedModel(net, LABELS, w).evaluate(x, t)
    torch.testing.assert_close(out.eps, of_none[:, :3] + w * (of_class[:, :3] - of_none[:, :3]))
    torch.testing.assert_close(out.learned(), (of_class[:, 3:] + 1) / 2)


def test_clipping_under_guidance_clips_each_prediction():
    net, w = network(), 2.0
    x, t, labels = 3 * noise(net), torch.full((ROWS,), 0.9, dtype=torch.float64), torch.tensor(LABELS)
    parts = []
    for classes in (labels, torch.full_like(labels, 10)):
        eps = net.net(x, net.time_input(t).float(), classes)
        x0 = denoised(net.sde, x, t, eps).clamp(-1, 1)
        alpha, sigma = (v(t).float()[:, None, None, None] for v in (net.sde.alpha, net.sde.sigma))
        parts.append((x - alpha * x0) / sigma)
    found = GuidedModel(ClippedModel(net), LABELS, w).eps(x, t)
    torch.testing.assert_close(found, parts[1] + w * (parts[0] - parts[1]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("around", ["condition(guide)", "guide(condition)", "tile, then condition and guide"])
@pytest.mark.parametrize("task", ["colour", "inpaint"])
def test_a_network_with_classes_and_a_task(task, around):
    """Guided and given what it was trained for, in either order, against the network's own two outputs."""
    net, w = network(task), 2.0
    shape = LARGE if around.startswith("tile") else SHAPE
    inner = TiledModel(net, shape) if around.startswith("tile") else net
    picture = torch.linspace(-1, 1, ROWS * 3 * shape[1] * shape[2]).reshape(ROWS, *shape)
    mask = torch.zeros(1, 1, *shape[1:], dtype=torch.bool)
    mask[..., : shape[2] // 2] = True
    observation = Luma() if task == "colour" else Pixels(mask)
    y, trained = observation.forward(picture), conditioners["trained"]()
    if around == "guide(condition)" or around.startswith("tile"):
        model = GuidedModel(trained.condition(inner, observation, y), LABELS, w)
    else:
        model = trained.condition(GuidedModel(inner, LABELS, w), observation, y)
    x, t, labels = noise(inner), torch.full((ROWS,), 0.5, dtype=torch.float64), torch.tensor(LABELS)
    out = model.eps(x, t)
    if shape == SHAPE:
        given = y.expand(-1, 3, -1, -1) if task == "colour" else torch.cat([y, mask.expand(ROWS, -1, -1, -1)], 1)
        seen = x if task == "colour" else torch.where(mask, picture, x)
        of_class, of_none = (
            net.net(torch.cat([seen, given.float()], 1), net.time_input(t).float(), c)
            for c in (labels, torch.full_like(labels, 10))
        )
        expected = of_none + w * (of_class - of_none)
        if task == "inpaint":
            alpha, sigma = (v(t).float()[:, None, None, None] for v in (net.sde.alpha, net.sde.sigma))
            expected = torch.where(mask, (x - alpha * picture) / sigma, expected)
        torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)
    found = sample(model, solvers["unipc"](steps=3), x).x
    assert torch.isfinite(found).all() and found.shape == x.shape
    if task == "inpaint":
        assert torch.equal(found[..., : shape[2] // 2], picture[..., : shape[2] // 2])


def test_tiles_of_a_network_that_was_trained_to_inpaint_are_given_the_pieces():
    """Where one tile covers all, the tiled model is the network; and each tile is given the piece that it stands on."""
    net = network("inpaint", classes=0)
    picture, mask = noise(net).clamp(-1, 1), torch.zeros(ROWS, 1, 8, 8, dtype=torch.bool)
    mask[..., :3] = True
    known = Known(torch.cat([torch.where(mask, picture, 0), mask.float()], 1), mask, torch.where(mask, picture, 0))
    x, t = noise(net), torch.full((ROWS,), 0.5, dtype=torch.float64)
    alone = TiledModel(net, SHAPE).bind(known).eps(x, t)
    torch.testing.assert_close(alone, net.bind(known).eps(x, t))
    # Two tiles side by side without overlap, of which both pieces are the same picture.
    twice = Known(*(torch.cat([part, part], 3) for part in (known.channels, known.mask, known.values)))
    wide = TiledModel(net, (3, 8, 16), batch=3, overlap=0.0).bind(twice).eps(torch.cat([x, x], 3), t)
    torch.testing.assert_close(wide, torch.cat([alone, alone], 3))
    with pytest.raises(UsageError, match="not trained with a condition"):
        TiledModel(network(classes=0), LARGE).bind(known)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GuidedModel(conditioned(network()), [1, 2]), "bound to 4 samples, got classes for 2"),
        (lambda: conditioned(GuidedModel(network(), [1, 2])), "bound to 2 samples, got measurements of 4"),
        (lambda: network(classes=0).evaluate(torch.zeros(1, 3, 8, 8), torch.ones(1), torch.tensor([1])), "no classes"),
        (lambda: GuidedModel(network(), LABELS).evaluate(noise(network()), torch.ones(4), torch.tensor(LABELS)), "kn"),
        (lambda: network("colour").eps(noise(network()), torch.ones(4)), "trained for colour"),
        (
            lambda: GuidedModel(
                conditioners["replace"](as_published=True).condition(
                    network(), Luma(), torch.zeros(4, 1, 8, 8), generators(range(4))
                ),
                LABELS,
            ),
            "draws new noise at each: guide the model first",
        ),
    ],
)
def test_what_cannot_be_is_said(call, message):
    with pytest.raises(UsageError, match=message):
        call()
