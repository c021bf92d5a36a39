"""The networks of EDM: outputs by NVIDIA's own code, classes, what they refuse, and a description."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from seeded import pictures, seeded

from scoresde.core.errors import UsageError
from scoresde.models.network import NetworkModel
from scoresde.networks import networks
from scoresde.networks.describe import describe
from scoresde.sde import VESDE

GOLDEN = Path(__file__).parents[1] / "golden/foreign/seeded.safetensors"
NAMES = {"SongUNet": "edm-song", "DhariwalUNet": "edm-adm"}
CASES = ["ddpmpp", "ncsnpp", "skips", "adm"]


def stored(case):
    """What physicsnemo was given, and x_0 of its EDMPrecond."""
    with safe_open(GOLDEN, "pt") as file:
        options = json.loads(file.metadata()["edm"])[case]
        tensors = {name.split(".")[2]: file.get_tensor(name) for name in file.keys() if name.startswith(f"edm.{case}.")}
    return options, tensors


def ours(case):
    """The score model that its options mean, with seeded weights."""
    options, tensors = stored(case)
    name, side = NAMES[options.pop("model_type")], options.pop("img_resolution")
    shape, data_std = (options.pop("img_channels"), side, side), options.pop("sigma_data", 0.5)
    network = networks[name](classes=options.pop("label_dim", 0), **options)
    net = network.build(shape)
    seeded(net, *(["map_noise.freqs"] if options.get("embedding_type") == "fourier" else []))
    model = NetworkModel(
        net,
        VESDE(sigma_min=0.002, sigma_max=80),
        shape,
        label="log-sigma:scale=0.25",
        predicts=f"edm:data_std={data_std}",
        classes=network.classes,
        options=network,
    )
    return model, tensors


def relative(found, truth):
    """The largest error of each row over the row's largest value."""
    return ((found - truth).flatten(1).abs().amax(1) / truth.flatten(1).abs().amax(1)).max()


@pytest.mark.parametrize("case", CASES)
def test_the_output_is_that_of_the_original(case):
    """In float64: at σ = 70 a difference of images of that size would lose two of seven digits of x_0."""
    model, truth = ours(case)
    model, x, sigma = model.double(), truth["x"].double(), truth["sigma"].double()
    t = model.sde.time(-sigma.log())
    assert relative(model.denoise(x, t), truth["x0"]) < 5e-6
    if "x0_of_classes" in truth:
        eps = model.evaluate(x, t, torch.tensor([2, 0, 3])).eps
        assert relative(x - sigma[:, None, None, None] * eps, truth["x0_of_classes"]) < 5e-6
        assert relative(truth["x0"], truth["x0_of_classes"]) > 1e-4
        none = model.evaluate(x, t, torch.full((3,), 4)).eps
        assert torch.equal(none, model.eps(x, t))


@pytest.mark.parametrize("case", CASES)
def test_it_can_be_described_and_trained(case):
    model, _ = ours(case)
    net = model.options.build(model.shape)
    assert not net(torch.randn(2, *model.shape), torch.zeros(2)).any()  # a fresh network gives zeros
    found = describe(net, model.shape, timed=False)
    assert found.rows[-1].shape == model.shape and found.flops > 0
    net(torch.randn(2, *model.shape), torch.zeros(2)).sum().backward()
    still = {name for name, p in net.named_parameters() if p.grad is None}
    assert still <= {"map_augment.weight"}  # which is for distorted pictures


def test_no_row_depends_on_another_and_other_sizes():
    net = seeded(
        networks["edm-song"](model_channels=8, num_blocks=1, channel_mult=[1, 2], extra_channels=2).build((1, 8, 8))
    )
    x, label = pictures(3, 3, 4, 12), torch.tensor([-1.0, 0.0, 1.0])
    assert torch.allclose(net(x, label)[1:2], net(x[1:2], label[1:2]), atol=1e-5) and net(x, label).shape == (
        3,
        1,
        4,
        12,
    )


SONG, ADM = "edm-song", "edm-adm"


@pytest.mark.parametrize(
    "name, options, shape, reason",
    [
        (SONG, {}, (1, 4, 12), "sides that 8 divides, got images of 4x12"),
        (SONG, {}, (16,), "take the mlp"),
        (SONG, {"learned_variance": True}, (1, 8, 8), "learn no variance"),
        (ADM, {"model_channels": 32, "channel_mult": [1]}, (1, 8, 8), "do not make up the 32 of a level"),
        (ADM, {"model_channels": 32, "channel_mult": [1, 2], "attn_resolutions": [8]}, (1, 8, 8), "the 32 of a level"),
    ],
)
def test_what_they_refuse(name, options, shape, reason):
    with pytest.raises(UsageError, match=reason):
        networks[name](**options).build(shape)


def test_what_a_built_network_refuses():
    options = {"model_channels": 8, "num_blocks": 1, "channel_mult": [1]}
    x, label, classes = torch.zeros(2, 1, 4, 4), torch.zeros(2), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(UsageError, match="without classes"):
        networks[SONG](**options).build((1, 4, 4))(x, label, classes)
    strict = networks[SONG](**options, classes=3, classless=False)
    assert not strict.null_class
    with pytest.raises(UsageError, match="needs a class for each sample"):
        strict.build((1, 4, 4))(x, label)
    with pytest.raises(UsageError, match=r"\(B, 1, H, W\), got \(2, 3, 4, 4\)"):
        strict.build((1, 4, 4))(torch.zeros(2, 3, 4, 4), label, classes)


@pytest.mark.parametrize("name, millions", [(SONG, 55.7), (ADM, 295.9)])
def test_the_published_sizes(name, millions):
    """Karras et al. 2022, table 7: 56 million parameters of DDPM++, and 296 million of the ImageNet network."""
    with torch.device("meta"):
        shape, options = (
            ((3, 32, 32), {"channel_mult": [2, 2, 2], "augment_dim": 9})
            if name == SONG
            else ((3, 64, 64), {"classes": 1000})
        )
        net = networks[name](**options).build(shape)
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)
