"""guided-diffusion's U-Net: equal to the original's on golden data, by hand where it has options that those lack."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from seeded import pictures, seeded
from torch import nn

from scoresde.core.errors import UsageError
from scoresde.core.options import table
from scoresde.core.random import seed_global
from scoresde.models.network import NetworkModel
from scoresde.networks import networks
from scoresde.networks.describe import describe
from scoresde.networks.guided_classifier import ClassifierOptions
from scoresde.networks.guided_diffusion import GuidedDiffusionOptions
from scoresde.networks.guided_diffusion_blocks import attended
from scoresde.sde import VPSDE
from scoresde.training.config import parse

GOLDEN = Path(__file__).parent.parent / "golden" / "foreign"
SMALL = {"channels": 32, "multipliers": (1, 2), "blocks": 1, "attention": (4,), "heads": 2}
SEEDED = safe_open(GOLDEN / "guided-diffusion-seeded.safetensors", "pt")
LABEL = torch.tensor([3.0, 721.5])


def small(shape=(3, 8, 8), **options):
    """With weights that are neither zero nor one."""
    net = GuidedDiffusionOptions(**{**SMALL, **options}).build(shape)
    seed_global(0)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(0.1 * torch.randn(p.shape) + (0.0 if p.ndim > 1 else 0.7))
    return net.eval()


@pytest.mark.parametrize("name", ["class-sigma", "iddpm"])
@torch.no_grad()
def test_the_output_is_the_originals(name):
    folder = GOLDEN / f"guided-diffusion-{name}"
    flags, golden = json.loads((folder / "flags.json").read_text()), load_file(folder / "golden.safetensors")
    own = {"head_channels": 16, "resample_blocks": True, "classes": 10} if name == "class-sigma" else {}
    net = GuidedDiffusionOptions(**{**SMALL, "multipliers": (1, 1), "attention": (8,)}, learned_variance=True, **own)
    assert (flags["num_channels"], flags["num_heads"], flags["attention_resolutions"]) == (32, 2, "8")
    module = net.build((3, 16, 16)).eval()
    tensors = torch.load(folder / "ema_0.9999_000003.pt", weights_only=True)
    assert list(tensors) == list(module.state_dict())
    module.load_state_dict(tensors)
    classes = (golden["y"],) if "y" in golden else ()
    for ours, theirs in zip(module(golden["x"], golden["label"], *classes), golden["output"], strict=True):
        assert (ours - theirs).norm() < 5e-6 * theirs.norm()


def common(original):
    """What the U-Net and the classifier have of the original's options in common."""
    assert (original["image_size"], original["in_channels"]) == (8, 3)
    return {
        "channels": original["model_channels"],
        "multipliers": original["channel_mult"],
        "blocks": original["num_res_blocks"],
        "attention": [8 // factor for factor in original["attention_resolutions"]],
        "scale_shift": original.get("use_scale_shift_norm", False),
        "resample_blocks": original.get("resblock_updown", False),
    }


@pytest.mark.parametrize("name, original", json.loads(SEEDED.metadata()["networks"]).items())
def test_further_options_compute_what_the_original_computes(name, original):
    net = GuidedDiffusionOptions(
        **common(original),
        heads=original["num_heads"],
        heads_up=original.get("num_heads_upsample"),
        head_channels=original.get("num_head_channels"),
        order="new" if original.get("use_new_attention_order") else "legacy",
        classes=original.get("num_classes", 0),
        learned_variance=original["out_channels"] == 6,
    ).build((3, 8, 8))
    classes = (torch.tensor([2, 0]),) if original.get("num_classes") else ()
    found, expected = seeded(net)(pictures(2, 3, 8, 8), LABEL, *classes), SEEDED.get_tensor(name)
    torch.testing.assert_close(found, expected, atol=2e-5 * float(expected.abs().max()), rtol=0)


@pytest.mark.parametrize("name, original", json.loads(SEEDED.metadata()["classifiers"]).items())
def test_classifiers_compute_what_the_original_computes(name, original):
    options = {"classes": original["out_channels"], "head_channels": original["num_head_channels"]}
    net = seeded(ClassifierOptions(**common(original), **options, pool=original["pool"]).build((3, 8, 8)))
    expected = SEEDED.get_tensor(name)
    torch.testing.assert_close(net(pictures(2, 3, 8, 8), LABEL), expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(UsageError, match="takes images of shape \\(3, 8, 8\\)"):
        net(pictures(2, 3, 16, 16), LABEL)
    with pytest.raises(UsageError, match="sides that 2 divides, got images of 7x8"):
        ClassifierOptions(multipliers=(1, 1)).build((3, 7, 8))


@pytest.mark.parametrize("order", ["legacy", "new"])
def test_heads_are_split_as_the_order_says(order):
    """Head by head, by indices: query i of head h is at (h, 0, i) in the legacy order, and at (0, h, i) in the new."""
    heads, size, length = 2, 3, 5
    qkv = torch.randn(2, 3 * heads * size, length, dtype=torch.float64)
    expected = torch.zeros(2, heads * size, length, dtype=torch.float64)
    for h in range(heads):
        q, k, v = (
            torch.stack(
                [qkv[:, (h * 3 + kind if order == "legacy" else kind * heads + h) * size + i] for i in range(size)]
            )
            for kind in range(3)
        )
        weight = torch.einsum("cbt,cbs->bts", q, k) / size**0.5
        expected[:, h * size : (h + 1) * size] = torch.einsum("bts,cbs->bct", weight.softmax(-1), v)
    torch.testing.assert_close(attended(qkv, heads, order), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"order": "new", "head_channels": 16},
        {"heads_up": 4, "scale_shift": False},
        {"resample_blocks": True, "dropout": 0.0, "classes": 3, "learned_variance": True},
        {"multipliers": (1, 1, 2), "attention": (), "extra_channels": 1},
        {"multipliers": (0.5, 1), "channels": 64, "blocks": 2},
    ],
    ids=str,
)
def test_every_option_runs_and_trains(options):
    net = small((2, 8, 12), **options)
    assert networks.build(table(net.options)) == net.options
    x = torch.randn(2, 2 + net.options.extra_channels, 8, 12, requires_grad=True)
    label, classes = torch.tensor([3.0, 700.5]), (torch.tensor([0, 2]),) if net.options.classes else ()
    out = net(x, label, *classes)
    assert out.shape == (2, 4 if net.options.learned_variance else 2, 8, 12)
    assert torch.allclose(net(x[1:], label[1:], *(each[1:] for each in classes)), out[1:], atol=1e-5)
    assert not torch.allclose(net(x, label + 30, *classes), out)
    if classes:
        assert not torch.allclose(net(x, label, torch.tensor([1, 2]))[0], out[0])
    out.square().sum().backward()
    assert x.grad.abs().min() > 0
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())
    found = describe(net, tuple(x.shape[1:]), repeats=1, classes=bool(classes))
    assert found.rows[-1].shape == tuple(out.shape[1:]) and found.parameters == sum(p.numel() for p in net.parameters())


def test_heads_of_the_way_up_are_their_own():
    """Two heads with the weights of four are not four: the number is no shape of a weight."""
    x, label = torch.randn(1, 3, 8, 8), torch.tensor([5.0])
    nets = [small(heads=2), small(heads=2, heads_up=4), small(heads=4), small(heads=2, head_channels=8)]
    for net in nets[1:]:
        net.load_state_dict(nets[0].state_dict())
    outs = [net(x, label) for net in nets]
    assert not any(torch.allclose(outs[i], outs[j]) for i in range(4) for j in range(i))


def test_a_network_without_a_null_class_is_asked_for_a_class():
    net = small(classes=3)
    model = NetworkModel(net, VPSDE(), (3, 8, 8), classes=3, options=net.options)
    x, t = torch.randn(2, 3, 8, 8), torch.full((2,), 0.5, dtype=torch.float64)
    assert net.label_emb.num_embeddings == 3 and not model.null_class
    assert model.evaluate(x, t, torch.tensor([0, 2])).eps.shape == x.shape
    for classes in (None, torch.tensor([0, 3])):
        with pytest.raises(UsageError, match="never shown a sample of no class: give each a class from 0 to 2"):
            model.evaluate(x, t, classes)


def test_training_it_with_classes_is_refused_before_it_begins():
    others = {"data": {"name": "digits"}, "sde": {"name": "vp"}}
    network = {"name": "guided-diffusion", **SMALL, "classes": 10}
    with pytest.raises(UsageError, match="network.classes must be 0 for guided-diffusion"):
        parse({**others, "network": network}, "mine")
    without = {**network, "classes": 0}
    assert parse({**others, "network": without}, "mine").network.name == "guided-diffusion"


def test_what_it_cannot_take_is_refused():
    with pytest.raises(UsageError, match="sides that 2 divides, got images of 8x7"):
        small((3, 8, 7))
    with pytest.raises(UsageError, match="32 groups must divide the 48 channels"):
        small(multipliers=(1, 1.5))
    with pytest.raises(UsageError, match="3 heads must divide the 64 channels"):
        small(heads=3)
    with pytest.raises(UsageError, match="heads of 24 channels must divide the 64 channels"):
        small(head_channels=24)
    with pytest.raises(UsageError, match="takes images"):
        small((3,))
    x, label = torch.zeros(2, 3, 8, 8), torch.ones(2)
    with pytest.raises(UsageError, match="built without classes"):
        small()(x, label, torch.zeros(2, dtype=torch.int64))
    with pytest.raises(UsageError, match="needs a class for each sample"):
        small(classes=2)(x, label)
    with pytest.raises(UsageError, match="one number for each of 2 rows"):
        small()(x, label[:1])
    with pytest.raises(UsageError, match="inputs of shape \\(B, 3, H, W\\)"):
        small()(x[:, :1], label)


def test_the_published_networks_have_the_sizes_of_their_papers():
    """Parameters in millions, rounded: Dhariwal and Nichol 2021, tables 11 to 13; Nichol and Dhariwal 2021."""
    adm = {"channels": 256, "blocks": 2, "attention": (32, 16, 8), "resample_blocks": True, "head_channels": 64}
    iddpm = {"blocks": 3, "heads": 4, "attention": (16, 8)}
    sizes = [
        (64, 296, {**adm, "channels": 192, "blocks": 3, "order": "new", "classes": 1000}),
        (128, 422, {**adm, "multipliers": (1, 1, 2, 3, 4), "heads": 4, "head_channels": None, "classes": 1000}),
        (256, 554, {**adm, "multipliers": (1, 1, 2, 2, 4, 4), "classes": 1000}),
        (512, 559, {**adm, "multipliers": (0.5, 1, 1, 2, 2, 4, 4), "classes": 1000}),
        (64, 120, iddpm),
        (64, 270, {**iddpm, "channels": 192, "classes": 1000}),
    ]
    for side, millions, options in sizes:
        with torch.device("meta"):
            net: nn.Module = GuidedDiffusionOptions(**options, learned_variance=True).build((3, side, side))
        count = sum(p.numel() for p in net.parameters())
        assert abs(count / 1e6 - millions) < 0.015 * millions, (side, millions)
