"""Networks in other precisions, layouts and compiled: against torch's own casts of the same module."""

import copy
from pathlib import Path

import pytest
import torch
from tiny import tiny_model

from scoresde import models
from scoresde.core.random import seed_global
from scoresde.models.foreign.lucidrains import Lucidrains
from scoresde.models.inference import Inference
from scoresde.models.network import NetworkModel
from scoresde.networks import networks
from scoresde.sde import VPSDE

IMAGE = (3, 8, 8)
SMALL = {
    "basic": (IMAGE, {"widths": (8, 8, 8), "embedding": 8}),
    "conv": ((2, 12), {"width": 8, "blocks": 2}),
    "edm-adm": (IMAGE, {"model_channels": 32, "channel_mult": (1, 2), "num_blocks": 1, "attn_resolutions": (4,)}),
    "edm-song": (IMAGE, {"model_channels": 32, "channel_mult": (1, 2), "num_blocks": 1, "attn_resolutions": (4,)}),
    "guided-diffusion": (
        IMAGE,
        {"channels": 32, "multipliers": (1.0, 2.0), "blocks": 1, "attention": (4,), "heads": 2},
    ),
    "lucidrains": (IMAGE, {"dim": 8, "dim_mults": (1, 2), "full_attn": (False, True)}),
    "mlp": ((5,), {"width": 16, "blocks": 2}),
    "ncsnpp": (IMAGE, {"channels": 32, "multipliers": (1, 2), "blocks": 1, "attention": (4,)}),
    "sit": (IMAGE, {"hidden_size": 32, "depth": 2, "num_heads": 2}),
    "unet": (IMAGE, {"channels": 8, "multipliers": (1, 2), "blocks": 1, "attention": (4,), "classes": 3}),
}
ELSEWHERE = {"diffusers", "given"}
"""What others build: in tests of their own."""
ROUNDING = {"bfloat16": 2.0**-8, "float16": 2.0**-11}
"""The largest relative error of one rounding."""


def model_of(name):
    shape, options = SMALL[name]
    seed_global(0)
    chosen = networks[name](**options)
    net = chosen.build(shape).eval().requires_grad_(False)
    for weight in net.parameters():
        if not weight.any():  # last layers begin at zero
            torch.nn.init.normal_(weight, std=0.1)
    return NetworkModel(net, VPSDE(), shape, classes=chosen.classes, options=chosen)


def states(model, rows=4):
    x = torch.randn((rows, *model.shape), generator=torch.Generator().manual_seed(1))
    t = torch.linspace(0.1, 0.9, rows, dtype=torch.float64)
    return x, t, torch.arange(rows) % model.classes if model.classes else None


def relative(found, truth):
    return float((found - truth).norm() / truth.norm())


def test_every_network_is_here():
    assert set(SMALL) | ELSEWHERE == {name for name in networks.all() if name != "tiny"}


@pytest.mark.parametrize("precision", ROUNDING)
@pytest.mark.parametrize("name", SMALL)
def test_a_low_precision_is_that_of_torch(name, precision):
    """The truth is the module cast by torch and called with a cast input; a label in 16 bits would merge times."""
    model = model_of(name)
    before = copy.deepcopy(model.net.state_dict())
    low, (x, t, classes) = model.inferring(Inference(precision)), states(model)
    dtype = getattr(torch, precision)
    given = () if classes is None else (classes,)
    truth = copy.deepcopy(model.net).to(dtype)(x.to(dtype), model.time_input(t).float(), *given)
    found = low.output(x, t, classes)
    assert found.dtype == x.dtype and torch.equal(found, truth.to(x.dtype))
    assert low.output(x.double(), t, classes).dtype == torch.float64
    # Errors of some ten layers, that are not correlated: a few roundings; but not none, or nothing was cast.
    assert ROUNDING[precision] / 20 < relative(found, model.output(x, t, classes)) < 20 * ROUNDING[precision]
    assert all(torch.equal(before[key], weight) for key, weight in low.net.state_dict().items())


@pytest.mark.parametrize("name", SMALL)
def test_a_layout_changes_nothing_but_roundings(name):
    model = model_of(name)
    other, (x, t, classes) = model.inferring(Inference(channels_last=True)), states(model)
    found = other.output(x, t, classes)
    assert found.is_contiguous()
    torch.testing.assert_close(found, model.output(x, t, classes), rtol=1e-4, atol=1e-5)
    if any(weight.ndim == 4 for weight in model.net.parameters()):
        kept = next(w for w in other.evaluator.__self__.parameters() if w.ndim == 4 and min(w.shape[1:]) > 1)
        assert kept.is_contiguous(memory_format=torch.channels_last)


def test_a_network_of_others_has_it_too():
    golden = Path(__file__).parents[1] / "golden/foreign/lucidrains-v-sigmoid/model-1.pt"
    model = Lucidrains(image_size=16).read(golden).model
    low, (x, t, _) = model.inferring(Inference("bfloat16")), states(model)
    truth = copy.deepcopy(model.net).to(torch.bfloat16)(x.to(torch.bfloat16), model.time_input(t).float())
    assert torch.equal(low.output(x, t), truth.float())
    assert 1e-4 < relative(low.eps(x, t), model.eps(x, t)) < 0.1


def test_as_it_is_is_the_network_itself():
    model = model_of("unet")
    same, (x, t, classes) = model.inferring(Inference()), states(model)
    assert same.evaluator is None and torch.equal(same.output(x, t, classes), model.output(x, t, classes))


@pytest.mark.parametrize("way", [Inference("bfloat16"), Inference(channels_last=True)], ids=str)
def test_what_is_saved_has_the_weights_that_were_loaded(way, tmp_path):
    name = tiny_model(tmp_path / "a")
    models.save(models.load(name).inferring(way), tmp_path / "b")
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_the_copy_goes_where_the_model_goes_and_stays_with_what_is_bound():
    model = model_of("mlp").inferring(Inference("bfloat16"))
    assert next(model.evaluator.__self__.parameters()).dtype == torch.bfloat16
    moved = model.to("meta")
    assert {each.device.type for each in moved.evaluator.__self__.parameters()} == {"meta"}
    assert {each.device.type for each in moved.net.parameters()} == {"meta"}


def test_gradients_of_a_low_precision_are_those_of_float32_but_for_roundings():
    model = model_of("unet")
    x, t, classes = states(model)

    def product(model):
        leaf = x.clone().requires_grad_(True)
        (found,) = torch.autograd.grad(model.output(leaf, t, classes).square().sum(), leaf)
        return found

    found = product(model.inferring(Inference("bfloat16")))
    assert found.dtype == torch.float32 and 1e-4 < relative(found, product(model)) < 0.1


@pytest.fixture
def graphs(monkeypatch):
    """Compiling without a compiler of C++: what dynamo captures is run by torch itself, and counted."""
    from torch._dynamo.backends.debugging import aot_eager

    torch._dynamo.reset()
    found, real = [], torch.compile

    def backend(graph, inputs):
        found.append(graph)
        return aot_eager(graph, inputs)

    monkeypatch.setattr(torch, "compile", lambda net: real(net, backend=backend))
    yield found
    torch._dynamo.reset()


def test_a_compiled_network_takes_batches_of_all_sizes_and_several_products(graphs):
    """One graph for a batch of 1 and one for all others; a divergence takes several products with one graph."""
    model = model_of("mlp")
    fast = model.inferring(Inference(compile=True))
    assert not graphs
    for rows in (6, 4, 9, 1, 5):
        x, t, _ = states(model, rows)
        torch.testing.assert_close(fast.output(x, t), model.output(x, t), rtol=1e-5, atol=1e-6)
    assert len(graphs) == 2
    x, t, _ = states(model)
    leaf = x.requires_grad_(True)
    out, truth = fast.output(leaf, t), model.output(leaf, t)
    for column in range(2):
        found, exact = (torch.autograd.grad(y[:, column].sum(), leaf, retain_graph=True)[0] for y in (out, truth))
        torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-6)


def test_a_compiled_network_may_have_a_low_precision(graphs):
    model = model_of("mlp")
    x, t, _ = states(model)
    found = model.inferring(Inference("bfloat16", compile=True)).output(x, t)
    assert graphs and relative(found, model.output(x, t)) > 1e-4
    assert relative(found, model.inferring(Inference("bfloat16")).output(x, t)) < 0.02
