"""The transformer of SiT and DiT: classes, sizes, a fresh network, a description. The original: test_sit_import.py."""

import pytest
import torch
from seeded import pictures, seeded

from scoresde.core.errors import UsageError
from scoresde.networks import networks
from scoresde.networks.describe import describe
from scoresde.networks.sit import positions


def small(**options):
    return networks["sit"](**{"hidden_size": 16, "depth": 2, "num_heads": 2, **options})


def test_a_fresh_network_gives_zeros_and_a_filled_one_knows_rows_apart():
    assert not small().build((3, 8, 8))(torch.randn(2, 3, 8, 8), torch.ones(2)).any()
    net, x, label = seeded(small(patch_size=4).build((3, 8, 12))), pictures(3, 3, 8, 12), torch.tensor([0.0, 0.4, 1.0])
    out = net(x, label)
    assert out.shape == x.shape and torch.allclose(net(x[1:2], label[1:2]), out[1:2], atol=1e-5)
    assert not torch.allclose(net(x, label + 0.1), out, atol=1e-4)


def test_classes_and_no_class():
    net, x, label = seeded(small(classes=3).build((1, 4, 4))), pictures(2, 1, 4, 4), torch.tensor([0.2, 0.9])
    assert torch.equal(net(x, label), net(x, label, torch.tensor([3, 3])))
    assert not torch.allclose(net(x, label, torch.tensor([0, 1])), net(x, label), atol=1e-4)
    with pytest.raises(UsageError, match="without classes"):
        small().build((1, 4, 4))(x, label, torch.tensor([0, 0]))
    without = small(classes=3, null_row=False)
    assert not without.null_class and without.build((1, 4, 4)).y_embedder["embedding_table"].num_embeddings == 3
    with pytest.raises(UsageError, match="needs a class for each sample"):
        without.build((1, 4, 4))(x, label)


def test_outputs_beside_the_sample():
    x, label = pictures(2, 2, 4, 4), torch.tensor([0.2, 0.9])
    both = seeded(small(learned_variance=True).build((2, 4, 4)))(x, label)
    half = seeded(small(learn_sigma=True).build((2, 4, 4)))(x, label)
    assert both.shape == (2, 4, 4, 4) and torch.equal(both[:, :2], half)
    assert seeded(small(extra_channels=1).build((1, 4, 4)))(x, label).shape == (2, 1, 4, 4)


def test_positions_tell_squares_apart():
    """Sines of the column first, then of the row, the first of wavelength 2π."""
    found = positions(2, 3, 8)[0]
    assert found.shape == (6, 8) and len(found.unique(dim=0)) == 6
    assert torch.allclose(found[:, 0], torch.tensor([0.0, 1.0, 2.0] * 2).sin())
    assert torch.allclose(found[:, 4], torch.tensor([0.0] * 3 + [1.0] * 3).sin())


@pytest.mark.parametrize(
    "options, shape, reason",
    [
        ({}, (16,), "take the mlp"),
        ({"patch_size": 3}, (1, 6, 8), "patch_size 3 does not divide images of 6x8"),
        ({"num_heads": 3}, (1, 4, 4), "num_heads must divide the 16 channels"),
        ({"learn_sigma": True, "learned_variance": True}, (1, 4, 4), "set one of the two"),
    ],
)
def test_what_it_refuses(options, shape, reason):
    with pytest.raises(UsageError, match=reason):
        small(**options).build(shape)


def test_another_size_is_refused():
    with pytest.raises(UsageError, match="samples of 4x4 alone, got 8x4"):
        small().build((1, 4, 4))(torch.zeros(1, 1, 8, 4), torch.zeros(1))


def test_it_can_be_described_and_trained():
    net = small(classes=2, learn_sigma=True).build((3, 8, 8))
    found = describe(net, (3, 8, 8), timed=False)
    assert found.rows[-1].shape == (3, 8, 8) and found.flops > 0
    net(torch.randn(2, 3, 8, 8), torch.ones(2)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_the_published_size():
    """675 million parameters without the table of classes, as table 1 of Ma et al. 2024 says of XL."""
    with torch.device("meta"):
        net = networks["sit"](classes=1000, learn_sigma=True).build((4, 32, 32))
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(675e6, rel=2e-3)
