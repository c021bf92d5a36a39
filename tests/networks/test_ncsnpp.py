"""NCSN++ and its kin: equal to score_sde, to diffusers' blocks and to SciPy's filters; every option runs and trains."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import torch
from diffusers import UNet2DModel
from diffusers.models.downsampling import FirDownsample2D
from diffusers.models.upsampling import FirUpsample2D
from safetensors.torch import load_file
from torch import nn

from scoresde.core.errors import UsageError
from scoresde.core.options import table
from scoresde.core.random import seed_global
from scoresde.networks import networks
from scoresde.networks.describe import describe
from scoresde.networks.fir import FIR
from scoresde.networks.ncsnpp import NCSNppOptions

GOLDEN = Path(__file__).parent.parent / "golden" / "foreign"
SMALL = {"channels": 8, "multipliers": (1, 2), "blocks": 1, "attention": (4,)}


def filled(net, seed=0):
    """With weights that are neither zero nor one."""
    seed_global(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(0.1 * torch.randn(p.shape) + (0.0 if p.ndim > 1 else 0.7))
    return net.eval()


def small(shape=(3, 8, 8), **options):
    return filled(NCSNppOptions(**{**SMALL, **options}).build(shape))


@pytest.mark.parametrize("name", ["ddpmpp-vp-cont", "ddpmpp-subvp-cont", "ddpmpp-vp-disc", "ncsnpp-ve-cont"])
@torch.no_grad()
def test_the_output_is_that_of_score_sde(name):
    folder = GOLDEN / f"score_sde-{name}"
    config, golden = json.loads((folder / "config.json").read_text()), load_file(folder / "golden.safetensors")
    of_ve = name == "ncsnpp-ve-cont"
    more = {"fir": True, "embedding": "fourier", "progressive_input": "residual", "scale_by_sigma": True}
    net = NCSNppOptions(
        channels=8, multipliers=(1, 2), blocks=1, attention=(8,), unit_interval=of_ve, **(more if of_ve else {})
    ).build((3, 16, 16))
    names = [key for key, _ in net.named_parameters()]
    assert [f"module.{key}" for key in names] == config["_ema_order"]
    content = torch.load(folder / "checkpoint_3.pth", weights_only=True)
    tensors = {key.removeprefix("module."): value for key, value in content["model"].items()}
    net.load_state_dict({**tensors, **dict(zip(names, content["ema"]["shadow_params"], strict=True))})
    x = 2 * golden["x"] - 1 if of_ve else golden["x"]
    found = net.eval()(x, golden["label"]) * (2 if of_ve else 1)
    for ours, theirs in zip(found, golden["output"], strict=True):
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()


@pytest.mark.parametrize("taps", [(1, 3, 3, 1), (1, 2, 4, 3), (1, 1), (2, 1, 3)])
def test_filters_are_those_of_scipy(taps):
    """upfirdn of SciPy on rows, then on columns, with the zeros on both sides that keep the picture in its middle."""
    fir, k = FIR(taps), np.array(taps) / sum(taps)
    x = torch.randn(1, 1, 6, 8)
    more = len(taps) - 2
    before, first = (more + 1) // 2, more - (more + 1) // 2

    def each(signal, axis, up):
        if up:
            full = scipy.signal.upfirdn(2 * k, signal, up=2, axis=axis)
            return np.take(full, range(first, first + 2 * signal.shape[axis]), axis)
        pad = [(before, more // 2) if i == axis else (0, 0) for i in range(2)]
        full = scipy.signal.upfirdn(k, np.pad(signal, pad), axis=axis)
        return np.take(full, range(len(taps) - 1, signal.shape[axis] + before + more // 2, 2), axis)

    for up, ours in [(True, fir.up(x)), (False, fir.down(x))]:
        theirs = each(each(x[0, 0].double().numpy(), 0, up), 1, up)
        assert np.allclose(ours[0, 0], theirs, atol=1e-6) and ours.shape[2:] == theirs.shape


@torch.no_grad()
def test_filters_with_convolutions_are_those_of_diffusers():
    x, fir = torch.randn(2, 4, 6, 8), FIR((1, 3, 3, 1))
    for theirs, ours, conv in [
        (FirUpsample2D(4, 5, True), fir.conv_up, nn.Conv2d(4, 5, 3, padding=1)),
        (FirDownsample2D(4, 5, True), fir.conv_down, nn.Conv2d(4, 5, 3, stride=2)),
    ]:
        theirs.Conv2d_0.load_state_dict(conv.state_dict())
        torch.testing.assert_close(ours(x, conv), theirs(x), atol=1e-5, rtol=0)
    torch.testing.assert_close(fir.up(x), FirUpsample2D(4)(x), atol=1e-6, rtol=0)
    torch.testing.assert_close(fir.down(x), FirDownsample2D(4)(x), atol=1e-6, rtol=0)


def moved(ours, theirs, order):
    """Copies the weights of a diffusers network into ours, whose layers run in the order given."""
    tensors = theirs.state_dict()
    names = {"norm1": "GroupNorm_0", "conv1": "Conv_0", "time_emb_proj": "Dense_0", "norm2": "GroupNorm_1"}
    names |= {"conv2": "Conv_1", "conv": "Conv_0", "group_norm": "GroupNorm_0"}
    state = {"sigmas": ours.sigmas}
    for i, (place, layer) in enumerate(zip(order, ours.all_modules, strict=True)):
        for key, tensor in tensors.items():
            if place and key.startswith(place + "."):
                part, _, kind = key.removeprefix(place + ".").rpartition(".")
                if part == "conv_shortcut":
                    part = "Conv_2" if getattr(layer, "Conv_2", None) is not None else "NIN_0"
                elif part.startswith("to_"):
                    part = {"to_q": "NIN_0", "to_k": "NIN_1", "to_v": "NIN_2", "to_out.0": "NIN_3"}[part]
                elif type(layer).__name__ == "Combine":
                    part = "Conv"
                else:
                    part = names.get(part, part)
                if part.startswith("NIN"):
                    tensor, kind = (
                        tensor.flatten(1).t() if kind == "weight" else tensor,
                        {"weight": "W", "bias": "b"}[kind],
                    )
                kind = "W" if place == "time_proj" else kind
                state[".".join(filter(None, ("all_modules", str(i), part, kind)))] = tensor
    ours.load_state_dict(state)
    return ours.eval()


@torch.no_grad()
def test_pyramids_of_skips_compute_what_diffusers_computes():
    theirs = UNet2DModel(
        sample_size=8,
        block_out_channels=(128, 128, 256),
        layers_per_block=1,
        down_block_types=("SkipDownBlock2D", "AttnSkipDownBlock2D", "SkipDownBlock2D"),
        up_block_types=("SkipUpBlock2D", "AttnSkipUpBlock2D", "SkipUpBlock2D"),
        time_embedding_type="fourier",
        mid_block_scale_factor=2**0.5,
        norm_num_groups=None,
        norm_eps=1e-6,
        attention_head_dim=None,
    )
    filled(theirs)
    ours = NCSNppOptions(
        multipliers=(1, 1, 2),
        blocks=1,
        attention=(4,),
        fir=True,
        embedding="fourier",
        progressive="skip",
        progressive_input="skip",
        scale_by_sigma=True,
    ).build((3, 8, 8))
    order = ["time_proj", "time_embedding.linear_1", "time_embedding.linear_2", "conv_in"]
    for i, attends in enumerate((False, True, False)):
        block = f"down_blocks.{i}."
        order += [block + "resnets.0", *[block + "attentions.0"] * attends]
        order += [block + "resnet_down", block + "skip_conv"] * (i < 2)
    order += ["mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1"]
    for i, attends in enumerate((False, True, False)):
        block = f"up_blocks.{i}."
        order += [block + "resnets.0", block + "resnets.1", *[block + "attentions.0"] * attends]
        last = [block + "skip_norm", block + "skip_conv", block + "resnet_up"]
        order += last if i < 2 else ["conv_norm_out", "conv_out"]
    moved(ours, theirs, order)
    x, sigma = torch.randn(2, 3, 8, 8), torch.tensor([0.07, 30.0])
    expected = theirs(x, sigma).sample
    assert expected.std() > 0.01
    for a, b in zip(ours(x, sigma), expected, strict=True):
        assert (a - b).norm() < 2e-5 * b.norm()


@torch.no_grad()
def test_the_network_ddpm_computes_what_diffusers_computes():
    """With attention in the middle alone: on the way up, score_sde attends once in a level, diffusers more often."""
    theirs = UNet2DModel(
        sample_size=8,
        block_out_channels=(32, 64),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        flip_sin_to_cos=False,
        freq_shift=1,
        downsample_padding=0,
        attention_head_dim=None,
        norm_eps=1e-6,
    )
    filled(theirs)
    ours = NCSNppOptions(
        channels=32, multipliers=(1, 2), blocks=2, attention=(), resblock="ddpm", rescale=False, groups=32
    ).build((3, 8, 8))
    order = ["time_embedding.linear_1", "time_embedding.linear_2", "conv_in"]
    order += ["down_blocks.0.resnets.0", "down_blocks.0.resnets.1", "down_blocks.0.downsamplers.0"]
    order += ["down_blocks.1.resnets.0", "down_blocks.1.resnets.1"]
    order += ["mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1"]
    order += [f"up_blocks.0.resnets.{i}" for i in range(3)] + ["up_blocks.0.upsamplers.0"]
    order += [f"up_blocks.1.resnets.{i}" for i in range(3)] + ["conv_norm_out", "conv_out"]
    moved(ours, theirs, order)
    x, label = torch.randn(2, 3, 8, 8), torch.tensor([3.0, 700.5])
    torch.testing.assert_close(ours(x, label), theirs(x, label).sample, atol=2e-5, rtol=0)


CHOICES = {
    "resblock": ["biggan", "ddpm"],
    "fir": [False, True],
    "progressive": ["none", "skip", "residual"],
    "progressive_input": ["none", "skip", "residual"],
    "combine": ["sum", "cat"],
}
COMBINED = [v for v in itertools.product(*CHOICES.values()) if v[-1] == "sum" or v[-2] == "skip"]


@pytest.mark.parametrize("values", COMBINED, ids=lambda v: "-".join(map(str, v)))
def test_every_combination_runs_and_trains(values):
    options = NCSNppOptions(**SMALL, **dict(zip(CHOICES, values, strict=True)), dropout=0.0)
    assert networks.build(table(options)) == options
    net = filled(options.build((2, 8, 12)))
    x, label = torch.randn(2, 2, 8, 12, requires_grad=True), torch.tensor([3.0, 700.5])
    out = net(x, label)
    assert out.shape == x.shape
    assert torch.allclose(net(x[1:], label[1:]), out[1:], atol=1e-5)
    out.square().sum().backward()
    assert x.grad.abs().min() > 0
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())
    shapes = describe(net, (2, 8, 12), timed=False)
    assert shapes.rows[-1].shape == (2, 8, 12) and shapes.parameters == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    "options",
    [
        {"resblock": "ddpm", "resample_conv": False},
        {"conditional": False},
        {"activation": "elu", "extra_channels": 2},
        {"activation": "lrelu", "init_scale": 1.0},
        {"embedding": "fourier", "fourier_scale": 2.0, "rescale": False},
        {"groups": 8, "fir": True, "fir_kernel": (1, 2, 1)},
    ],
    ids=str,
)
@torch.no_grad()
def test_other_options_run(options):
    net = small(**options)
    x, label = torch.randn(2, 3 + net.options.extra_channels, 8, 8), torch.tensor([3.0, 700.5])
    out = net(x, label)
    assert out.shape == (2, 3, 8, 8) and out.isfinite().all()
    told = not torch.allclose(net(x, label + 50), out)
    assert told == net.options.conditional


@torch.no_grad()
def test_a_level_is_divided_by_its_sigma():
    plain, scaled = small(), small(scale_by_sigma=True, sigma_min=0.1, sigma_max=10.0, levels=5)
    scaled.load_state_dict({**plain.state_dict(), "sigmas": scaled.sigmas})
    x, label = torch.randn(4, 3, 8, 8), torch.tensor([0.0, 1.0, 2.5, 4.0])
    sigma = torch.tensor([10.0, 10**0.5, 10**-0.25, 0.1])  # from level to level, σ falls by √10
    torch.testing.assert_close(scaled(x, label), plain(x, label) / sigma[:, None, None, None])
    halved = small(unit_interval=True)
    assert torch.equal(halved(x, label), plain(x, label) / 2)


def test_fresh_weights_follow_the_global_generator_and_give_almost_nothing():
    nets = []
    for _ in range(2):
        seed_global(3)
        nets.append(NCSNppOptions(**SMALL, embedding="fourier").build((3, 8, 8)))
    assert all(torch.equal(a, b) for a, b in zip(*(net.state_dict().values() for net in nets), strict=True))
    assert "all_modules.0.W" not in dict(nets[0].named_parameters())  # frequencies are not trained
    assert nets[0](torch.randn(2, 3, 8, 8), torch.ones(2)).abs().max() < 1e-3


@torch.no_grad()
def test_sixteen_bits_keep_the_frequencies():
    net = small(embedding="fourier", scale_by_sigma=True, fir=True)
    x, sigma = torch.randn(2, 3, 8, 8), torch.tensor([0.0123, 31.0])
    expected = net(x, sigma)
    found = net.bfloat16()(x.bfloat16(), sigma)
    assert found.dtype == torch.bfloat16 and net.all_modules[0].W.dtype == torch.float32
    assert (found.float() - expected).norm() < 0.02 * expected.norm()


def test_what_it_cannot_take_is_refused():
    with pytest.raises(UsageError, match="sides that 2 divides, got images of 7x8"):
        NCSNppOptions(**SMALL).build((3, 7, 8))
    with pytest.raises(UsageError, match="sides that 2 divides, got images of 8x9"):
        small()(torch.zeros(1, 3, 8, 9), torch.ones(1))
    with pytest.raises(UsageError, match="neither classes nor a learned variance"):
        NCSNppOptions(**SMALL, classes=3).build((3, 8, 8))
    with pytest.raises(UsageError, match="neither classes nor a learned variance"):
        NCSNppOptions(**SMALL, learned_variance=True).build((3, 8, 8))
    with pytest.raises(UsageError, match="3 groups must divide the 8 channels"):
        NCSNppOptions(**SMALL, groups=3).build((3, 8, 8))
    with pytest.raises(UsageError, match="takes images"):
        NCSNppOptions(**SMALL).build((3, 8))
    with pytest.raises(UsageError, match="one number for each of 2 rows"):
        small()(torch.zeros(2, 3, 8, 8), torch.ones(1))
    with pytest.raises(UsageError, match="inputs of shape \\(B, 3, H, W\\)"):
        small()(torch.zeros(2, 1, 8, 8), torch.ones(2))
