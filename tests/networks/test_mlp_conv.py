"""Networks for vectors, series, maps and volumes: shapes, fresh weights, classes, reach, and what is refused."""

import pytest
import torch

from scoresde.core.errors import UsageError
from scoresde.core.random import seed_global
from scoresde.networks import networks
from scoresde.networks.describe import describe

SHAPES = {"mlp": [(1,), (2,), (16,), (1, 5), (2, 3, 3)], "conv": [(1, 5), (3, 64), (2, 6, 7), (1, 4, 5, 6), (4, 1)]}
BOTH = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]


def filled(net):
    """With weights that are not zero."""
    seed_global(0)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return net.eval()


@pytest.mark.parametrize("name, shape", BOTH)
def test_the_output_has_the_shape_of_the_input(name, shape):
    net = networks[name](width=8, blocks=2).build(shape)
    x, label = torch.randn(3, *shape), torch.tensor([0.0, 10.5, 999.0])
    assert net(x, label).shape == x.shape and not net(x, label).any()  # a fresh network gives zeros
    variance = filled(networks[name](width=8, blocks=2, learned_variance=True).build(shape))
    assert variance(x, label).shape == (3, 2 * shape[0], *shape[1:])
    out = filled(net)(x, label)
    assert torch.allclose(net(x[1:2], label[1:2]), out[1:2], atol=1e-5)  # no row depends on another
    assert not torch.allclose(net(x, label + 100), out)


@pytest.mark.parametrize("name, shape", [("mlp", (2,)), ("conv", (1, 8))])
def test_classes_and_no_class(name, shape):
    net = filled(networks[name](width=8, classes=3).build(shape))
    x, label = torch.randn(4, *shape), torch.full((4,), 5.0)
    none = torch.full((4,), 3)
    assert torch.equal(net(x, label), net(x, label, none))
    assert not torch.allclose(net(x, label, torch.zeros(4, dtype=torch.int64)), net(x, label))
    with pytest.raises(UsageError, match="without classes"):
        networks[name]().build(shape)(x, label, none)
    with pytest.raises(UsageError, match="one number for each of 4 rows"):
        net(x, label[:2])


def test_a_conv_sees_the_whole_of_a_series_and_takes_another_length():
    net = filled(networks["conv"](width=8).build((1, 64)))
    x = torch.randn(1, 1, 64, requires_grad=True)
    (reach,) = torch.autograd.grad(net(x, torch.ones(1))[0, 0, 31], x)
    assert (reach[0, 0] != 0).all()
    assert net(torch.randn(2, 1, 91), torch.ones(2)).shape == (2, 1, 91)


def test_a_conv_is_given_further_channels():
    net = networks["conv"](width=8, extra_channels=2).build((1, 8))
    assert net(torch.zeros(2, 3, 8), torch.ones(2)).shape == (2, 1, 8)


@pytest.mark.parametrize(
    "name, shape, options, reason",
    [
        ("unet", (2,), {}, "take the mlp"),
        ("unet", (1, 2, 2, 2, 2), {}, "take the mlp"),
        ("unet", (1, 8), {"stem": "inception"}, "inception takes images"),
        ("basic", (16,), {}, "images .* take the mlp"),
        ("basic", (1, 64), {}, "images .* take the unet"),
        ("ncsnpp", (1, 8, 8, 8), {}, "take the unet"),
        ("conv", (2,), {}, "take the mlp"),
        ("conv", (1, 2, 2, 2, 2), {}, "take the mlp"),
        ("mlp", (2,), {"extra_channels": 1}, "no further channels"),
    ],
)
def test_shapes_that_a_network_does_not_take(name, shape, options, reason):
    with pytest.raises(UsageError, match=reason):
        networks[name](**options).build(shape)


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(UsageError, match=r"\(B, 2\), got \(4, 3\)"):
        networks["mlp"]().build((2,))(torch.zeros(4, 3), torch.zeros(4))


@pytest.mark.parametrize("name, shape", BOTH)
def test_they_can_be_described(name, shape):
    net = networks[name](width=8, blocks=2).build(shape)
    found = describe(net, shape, timed=False)
    assert found.rows[-1].shape == shape and found.parameters == sum(p.numel() for p in net.parameters())
    assert found.flops > 0


def test_the_size_that_the_mlp_states():
    net = networks["mlp"]().build((2,))
    count = f"{sum(p.numel() for p in net.parameters()):,}"
    assert count in type(net.options).__doc__, count
