"""The U-Net of denoising-diffusion-pytorch: outputs of the original, what it refuses, and its description."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from seeded import pictures, seeded

from scoresde.core.errors import UsageError
from scoresde.networks import networks
from scoresde.networks.describe import describe

GOLDEN = Path(__file__).parents[1] / "golden/foreign/seeded.safetensors"
TIMES = {"learned_sinusoidal_cond": "learned", "random_fourier_features": "random"}


def stored(case):
    """The original's options, label and output."""
    with safe_open(GOLDEN, "pt") as file:
        options = json.loads(file.metadata()["lucidrains"])[case]
        return options, *(file.get_tensor(f"lucidrains.{case}.{what}") for what in ("label", "output"))


def ours(options):
    """The network that the original's options mean, and its images' channels."""
    options = dict(options)
    channels = options.pop("channels")
    for flag in TIMES.keys() & options.keys():
        options.pop(flag)
        options["times"] = TIMES[flag]
    if "sinusoidal_pos_emb_theta" in options:
        options["theta"] = options.pop("sinusoidal_pos_emb_theta")
    for name in ("attn_heads", "attn_dim_head"):
        if isinstance(options.get(name), int):
            options[name] = [options[name]]
    return networks["lucidrains"](**options), channels


@pytest.mark.parametrize("case", ["self-condition", "learned-times", "random-times", "theta"])
def test_the_output_is_that_of_the_original(case):
    options, label, truth = stored(case)
    options, channels = ours(options)
    net, x = seeded(options.build((channels, 16, 16))), pictures(2, channels, 16, 16)
    assert torch.allclose(net(x, label), truth, atol=2e-5 * float(truth.abs().max()), rtol=0)
    assert not torch.allclose(net(x, label * 1.3), truth, atol=1e-3)


def small(**options):
    return networks["lucidrains"](**{"dim": 4, "dim_mults": [1, 2], "attn_dim_head": [4], **options})


def test_further_channels_and_other_sizes():
    net = seeded(small(extra_channels=2, self_condition=True).build((1, 8, 8)))
    assert net(torch.randn(2, 3, 6, 10), torch.ones(2)).shape == (2, 1, 6, 10)
    with pytest.raises(UsageError, match="sides that 2 divides, got images of 7x8"):
        net(torch.randn(2, 3, 7, 8), torch.ones(2))


def test_no_row_depends_on_another():
    net, x = seeded(small(full_attn=[True]).build((1, 8, 8))), pictures(3, 1, 8, 8)
    label = torch.tensor([0.0, 10.5, 999.0])
    assert torch.allclose(net(x, label)[1:2], net(x[1:2], label[1:2]), atol=1e-5)


@pytest.mark.parametrize(
    "options, shape, reason",
    [
        ({"classes": 3}, (1, 8, 8), "takes no classes"),
        ({"dim_mults": [1, 2, 2]}, (1, 6, 8), "sides that 4 divides, got images of 6x8"),
        ({}, (16,), "take the mlp"),
        ({"attn_heads": [1, 2, 3]}, (1, 8, 8), "attn_heads takes one value, or one for each of 2 levels, got 3"),
        ({"full_attn": [True] * 3}, (1, 8, 8), "full_attn takes one value"),
    ],
)
def test_what_it_refuses(options, shape, reason):
    with pytest.raises(UsageError, match=reason):
        small(**options).build(shape)


def test_it_can_be_described_and_trained():
    net = small(times="random", learned_variance=True).build((3, 8, 8))
    found = describe(net, (3, 8, 8), timed=False)
    assert found.rows[-1].shape == (6, 8, 8) and found.flops > 0
    net(torch.randn(2, 3, 8, 8), torch.ones(2)).square().mean().backward()
    still = {name for name, p in net.named_parameters() if p.grad is None}
    assert still == {"time_mlp.0.weights"}  # which are drawn once
