"""The model's border: what may go in, and what a network may give back. All else ends in one sentence."""

import numpy as np
import pytest
import torch
from torch import nn

from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.random import generators
from scoresde.likelihood import log_likelihood
from scoresde.models.classifier import ClassifierGuidedModel
from scoresde.models.clipped import ClippedModel
from scoresde.models.gaussian import GaussianModel
from scoresde.models.guided import GuidedModel
from scoresde.models.network import NetworkModel
from scoresde.models.predictions import predictions
from scoresde.models.tiled import TiledModel
from scoresde.observations import NonLinear, Pixels
from scoresde.sampling.sample import sample
from scoresde.sde import DDPM, VESDE, VPSDE
from scoresde.sde.labels import labels
from scoresde.solvers import solvers

SHAPE = (3, 4, 4)


class Net(nn.Module):
    """Gives what `cut` makes of its input."""

    def __init__(self, cut=lambda x: x):
        super().__init__()
        self.weight, self.cut = nn.Parameter(torch.ones(())), cut

    def forward(self, x, label):
        return self.cut(self.weight * x)


def model(cut=lambda x: x):
    return NetworkModel(Net(cut), VPSDE(), SHAPE)


GOOD = torch.zeros(2, *SHAPE)
BAD = {
    "one shape": (torch.zeros(2, 3, 4, 5), r"shape \(B, 3, 4, 4\), got \(2, 3, 4, 5\)"),
    "one channel": (torch.zeros(2, 1, 4, 4), r"got \(2, 1, 4, 4\)"),
    "no batch": (torch.zeros(3, 4, 4), r"got \(3, 4, 4\)"),
    "empty": (torch.zeros(0, *SHAPE), "at least one sample of shape .* got an empty batch"),
    "whole numbers": (torch.zeros(2, *SHAPE, dtype=torch.int64), r"got torch.int64: x.float\(\) converts"),
    "bytes": (torch.zeros(2, *SHAPE, dtype=torch.uint8), "got torch.uint8"),
    "complex": (torch.zeros(2, *SHAPE, dtype=torch.complex64), "got torch.complex64"),
    "numpy": (np.zeros((2, *SHAPE), dtype=np.float32), "got an ndarray: torch.as_tensor makes one"),
    "a number": (0.0, "got a float"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("way", ["sample", "solve", "likelihood", "eps", "score", "denoise", "velocity"])
def test_a_bad_state_is_refused(name, way):
    x, message = BAD[name]
    ways = {
        "sample": lambda: sample(model(), solvers["euler"](steps=2), x),
        "solve": lambda: solvers["rk45"]().solve(model(), x, start=1.0, stop=0.1),
        "likelihood": lambda: log_likelihood(model(), x),
    }
    with pytest.raises(UsageError, match=message):
        ways[way]() if way in ways else getattr(model(), way)(x, 0.5)


VIEWS = ["eps", "score", "denoise", "velocity"]
TIMES = {
    "a number": 0.5,
    "whole": 1,
    "a list": [0.5],
    "numpy": np.float32(0.5),
    "one of one": torch.tensor([0.5]),
    "none": torch.tensor(0.5, dtype=torch.float64),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", TIMES)
def test_one_time_stands_for_all_states(view, name):
    x, law = torch.randn(2, *SHAPE), GaussianModel(torch.zeros(SHAPE), torch.full(SHAPE, 0.2), VPSDE())
    value = float(np.asarray(TIMES[name]).item())
    for judge in (model(), law):
        expected = getattr(judge, view)(x, torch.full((2,), value, dtype=torch.float64))
        assert torch.equal(getattr(judge, view)(x, TIMES[name]), expected)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("t", [2.0, -1e-3, float("inf"), [0.5, 1.5], 999])
def test_a_time_outside_of_the_process_is_refused(view, t):
    """A noise level or the step of a chain given as a time would give numbers that are wrong and look right."""
    with pytest.raises(UsageError, match="the times of this process lie from 0 to 1, got"):
        getattr(model(), view)(GOOD, t)
    with pytest.raises(UsageError, match=r"one number for each state, here 2, got shape \(3,\)"):
        getattr(model(), view)(GOOD, torch.tensor([0.1, 0.2, 0.3]))


def test_there_is_no_score_without_noise():
    wide = NetworkModel(Net(), VESDE(sigma_min=0.1, sigma_max=5), SHAPE)  # its data have noise from the beginning
    assert wide.score(GOOD + 1, 0).isfinite().all() and wide.velocity(GOOD + 1, 0).isfinite().all()
    assert model().eps(GOOD, 0).isfinite().all() and model().denoise(GOOD, 0).isfinite().all()
    for view in ("score", "velocity"):
        with pytest.raises(UsageError, match="take a time above 0"):
            getattr(model(), view)(GOOD, 0)


CUTS = {
    "1 channel for 3": lambda x: x[:, :1],
    "1 row for 2": lambda x: x[:1],
    "2 channels for 3": lambda x: x[:, :2],
    "means over pixels": lambda x: x.mean((2, 3), keepdim=True),
    "3 times the channels": lambda x: x.repeat(1, 3, 1, 1),
}


@pytest.mark.parametrize("name", CUTS)
def test_an_output_that_would_broadcast_is_refused(name):
    with pytest.raises(UsageError, match=r"for x of shape \(2, 3, 4, 4\) the network must return that shape"):
        model(CUTS[name]).eps(GOOD, torch.full((2,), 0.5, dtype=torch.float64))


class Answer:
    """What some libraries return."""

    def __init__(self, sample):
        self.sample = sample


@pytest.mark.parametrize("wrap", [lambda x: (x,), lambda x: [x], Answer], ids=["tuple", "list", "object"])
def test_tuples_and_objects_are_taken(wrap):
    t, x = torch.full((2,), 0.5, dtype=torch.float64), torch.randn(2, *SHAPE, generator=generators([0])[0])
    assert torch.equal(model(wrap).eps(x, t), model().eps(x, t))


@pytest.mark.parametrize("wrap", [lambda x: None, lambda x: {"out": x}, lambda x: ()], ids=["none", "dict", "empty"])
def test_what_is_no_tensor_is_refused(wrap):
    with pytest.raises(UsageError, match="the network must return a tensor, got a"):
        model(wrap).eps(GOOD, torch.full((2,), 0.5, dtype=torch.float64))


@pytest.mark.parametrize("part", [nn.Dropout(0.5), nn.Dropout2d(0.1), nn.BatchNorm2d(3)], ids=str)
def test_a_network_left_in_training_mode_is_a_warning(part):
    left = NetworkModel(nn.Sequential(part), VPSDE(), SHAPE)
    left.net.forward = lambda x, label: part(x)
    with pytest.warns(UserWarning, match=r"the network is in training mode.*model.eval\(\)"):
        sample(left, solvers["euler"](steps=2), GOOD)
    if isinstance(part, nn.BatchNorm2d):  # a flow that jumps with each evaluation is never solved
        with pytest.warns(UserWarning, match="training mode"):
            log_likelihood(left, GOOD)
    left.eval()
    sample(left, solvers["euler"](steps=2), GOOD)  # a warning would be an error here


def test_a_network_without_such_parts_may_stay_in_training_mode():
    assert model().training
    sample(model(), solvers["euler"](steps=2), GOOD)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("name", "steps"), [("euler", 500), ("ipndm", 200), ("ddpm", 400)])
def test_a_state_of_16_bits_has_the_law(dtype, name, steps):
    """N(0.5, 0.1²) in 64 dimensions, 32 samples: 2,048 values give the deviation to 1.6 %; rounding made it 0.3."""
    exact = GaussianModel(torch.full((64,), 0.5), torch.full((64,), 0.01), VPSDE())
    seeds = generators(range(32))
    found = sample(exact, solvers[name](steps=steps), exact.prior(seeds, dtype=dtype), generator=seeds).x
    assert found.dtype == dtype and float(found.double().std()) == pytest.approx(0.1, rel=0.06)


def test_a_solver_alone_steps_16_bits_in_32_too():
    exact = GaussianModel(torch.full((64,), 0.5), torch.full((64,), 0.01), VPSDE())
    x = exact.prior(range(32), dtype=torch.bfloat16)
    found = solvers["euler"](steps=500).solve(exact, x, start=1.0, stop=1e-3)
    right = solvers["euler"](steps=500).solve(exact, x.float(), start=1.0, stop=1e-3)
    assert found.dtype == torch.bfloat16 and torch.equal(found, right.bfloat16())


class Table(nn.Module):
    """x times a row of a table that is asked for by whole numbers, as by networks that embed the step."""

    def __init__(self):
        super().__init__()
        self.rows = nn.Embedding(1000, 3)

    def forward(self, x, label):
        return x * self.rows(label)[:, :, None, None]


def test_a_label_of_whole_numbers_stays_whole():
    sde, net, x = DDPM(), Table(), torch.randn(2, *SHAPE)
    own = NetworkModel(net, sde, SHAPE, label=lambda t: sde.step(t).round().long())
    assert torch.equal(own.eps(x, sde.times[[0, 700]]), x * net.rows.weight[[0, 700]][:, :, None, None])
    guided = ClassifierGuidedModel(model(), nn.Identity(), 1.0, [0, 0], label=lambda t: (10 * t).long())
    guided.classifier.forward = lambda x, label: torch.nn.functional.one_hot(label, 3).float() + 0 * x.sum()
    assert guided.logits(x, torch.tensor([0.1, 0.25], dtype=torch.float64)).argmax(1).tolist() == [1, 2]


def test_the_dtype_of_a_network_is_that_of_its_real_weights():
    """A network with packed weights of whole numbers begins with one of these."""
    net = Net()
    packed = nn.Parameter(torch.zeros(4, dtype=torch.uint8), requires_grad=False)
    net.weight, net.packed = packed, packed
    net.real = nn.Parameter(torch.ones((), dtype=torch.float64))
    net.forward = lambda x, label: x * net.real
    seen = []
    net.register_forward_pre_hook(lambda net, given: seen.extend(part.dtype for part in given))
    judge = NetworkModel(net, VPSDE(), SHAPE)
    assert judge.eps(GOOD, 0.5).dtype == torch.float32 and seen == [torch.float64, torch.float64]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NetworkModel(lambda x, label: x, VPSDE(), SHAPE), "a network is a torch.nn.Module, got a function"),
        (lambda: NetworkModel(Net(), VPSDE(), SHAPE, predicts=3), "a prediction is a name such as .* got 3"),
        (lambda: NetworkModel(Net(), VPSDE(), SHAPE, label=999), "a label is a name such as .* got 999"),
        (lambda: ClassifierGuidedModel(model(), Net(), 1.0, [0], label=999), "a label is a name such as .* got 999"),
        (lambda: ClippedModel(Net()), "ClippedModel goes around a ScoreModel, got a Net: NetworkModel makes one"),
        (lambda: GuidedModel(Net(), [1]), "GuidedModel goes around a ScoreModel, got a Net"),
        (lambda: TiledModel(Net(), SHAPE), "TiledModel goes around a ScoreModel, got a Net"),
        (lambda: ClassifierGuidedModel(Net(), Net(), 1.0, [0]), "ClassifierGuidedModel goes around a ScoreModel"),
        (lambda: GaussianModel(0.0, 1.0, "vp"), "a mean has the shape of one sample, .* a number has none"),
        (
            lambda: NetworkModel(Net(), VPSDE(), SHAPE, label=lambda t: t[:, None]).eps(GOOD, 0.5),
            r"one number for each time, here 2, got shape \(2, 1\)",
        ),
        (
            lambda: NetworkModel(Net(), VPSDE(), SHAPE, label=lambda t: 0.5).eps(GOOD, 0.5),
            "one number for each time, here 2, got a float",
        ),
    ],
)
def test_what_makes_no_network_model_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_predictions_and_labels_are_also_given_as_classes():
    by_class = NetworkModel(Net(), VPSDE(), SHAPE, predicts=predictions["v"], label=labels["sigma"])
    by_name = NetworkModel(Net(), VPSDE(), SHAPE, predicts="v", label="sigma")
    assert (by_class.predicts, by_class.label) == (by_name.predicts, by_name.label)


GAUSS = GaussianModel(torch.zeros(SHAPE), torch.full(SHAPE, 0.2), VPSDE())
BENT, TOP = NonLinear(torch.tanh, noise=0.1), Pixels(torch.ones(4, 4))
DERIVED = {
    "a likelihood": lambda: log_likelihood(GAUSS, GOOD),
    "dps": lambda: conditioners["dps"](weight="likelihood").condition(GAUSS, BENT, GOOD).eps(GOOD, 0.5),
    "moment": lambda: conditioners["moment"]().condition(GAUSS, TOP, GOOD).eps(GOOD, 0.5),
    "guidance by a classifier": lambda: ClassifierGuidedModel(
        GAUSS, nn.Flatten(), 1.0, [0, 1], label=lambda t: t
    ).gradient(GOOD, torch.full((2,), 0.5, dtype=torch.float64)),
}


@pytest.mark.parametrize("what", DERIVED)
def test_derivatives_are_refused_where_torch_rules_them_out(what):
    with torch.inference_mode(), pytest.raises(UsageError, match=f"^{what} takes derivatives, which torch.inference"):
        DERIVED[what]()


def test_what_takes_no_derivatives_is_the_same_in_inference_mode():
    posed = conditioners["projection"]().condition(GAUSS, TOP, GOOD)
    x = GAUSS.prior(2)
    with torch.inference_mode():
        inside = sample(posed, "rk45", x).x
    assert torch.equal(inside, sample(posed, "rk45", x).x)
