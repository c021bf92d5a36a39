"""The network with batch normalisation: its published sizes, its shapes, and that it can be trained and sampled."""

import pytest
import torch

from scoresde.core.errors import UsageError
from scoresde.networks import networks
from scoresde.training import config as configuration
from scoresde.training.loop import start, train

EFFICIENT = {"widths": (24, 48, 96), "embedding": 192, "kernel": 2, "middle": True}


@pytest.mark.parametrize(("options", "count"), [({}, 3_712_257), (EFFICIENT, 678_961)])
def test_sizes_are_those_published(options, count):
    with torch.device("meta"):
        net = networks["basic"](**options).build((1, 28, 28))
    assert sum(p.numel() for p in net.parameters()) == count


def test_the_large_one_is_that_of_its_configuration():
    """62,438,883 is the size that a report on the U-Net gives of its own."""
    config = configuration.load("cifar10-basic")
    with torch.device("meta"):
        net = config.network.build((3, 32, 32))
    assert sum(p.numel() for p in net.parameters()) == 62_438_883


@torch.no_grad()
def test_scaled_skips_are_those_of_a_network_whose_weights_on_them_are_scaled():
    options = {"widths": (4, 8, 8), "embedding": 8}
    plain = networks["basic"](**options).build((1, 8, 8)).eval()
    scaled = networks["basic"](**options, skip_scale=0.5).build((1, 8, 8)).eval()
    scaled.load_state_dict(plain.state_dict())
    x, label = torch.randn(2, 1, 8, 8), torch.tensor([3.0, 500.0])
    assert not torch.allclose(plain(x, label), scaled(x, label), rtol=1e-3)
    for block in plain.up:
        block.conv1.weight[:, block.conv1.in_channels // 2 :] *= 0.5
    torch.testing.assert_close(plain(x, label), scaled(x, label), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_shapes(kernel):
    options = networks["basic"](widths=(4, 8, 8), embedding=8, kernel=kernel, extra_channels=2, learned_variance=True)
    torch.manual_seed(0)  # with some weights the time makes a difference below the bound
    net = options.build((3, 12, 8)).eval()
    x, label = torch.randn(2, 5, 12, 8), torch.tensor([0.0, 700.0])
    out = net(x, label)
    assert out.shape == (2, 6, 12, 8)
    assert torch.allclose(net(x[:1], label[:1]), out[:1], atol=1e-5)  # a row depends on itself alone
    assert not torch.allclose(net(x, label.flip(0)), out, atol=1e-3)


def test_refusals():
    with pytest.raises(UsageError, match="takes sides that 4 divides, got images of 10x12"):
        networks["basic"]().build((1, 10, 12))
    with pytest.raises(UsageError, match="the basic network takes no classes"):
        networks["basic"](classes=3).build((1, 8, 8))


def test_it_learns():
    changed = ["network.name=basic", "network.widths=[16,32]", "network.embedding=32"]
    changed += ["train.images=4_000", "train.batch=32", "train.warmup=500"]
    tables = configuration.override(configuration.read("digits"), changed)
    tables["network"] = {k: v for k, v in tables["network"].items() if k in ("name", "widths", "embedding")}
    chosen = configuration.parse(tables, "here")
    images = chosen.data.load("train")
    losses = [state.loss for state in train(chosen, images, start(chosen, images.shape, torch.device("cpu")))]
    assert losses[0] > 0.8 and sum(losses[-20:]) / 20 < 0.5
