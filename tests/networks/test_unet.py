"""The U-Net: equality with diffusers' UNet2DModel, shapes for every size, and what each option does."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from scoresde.core.errors import UsageError
from scoresde.core.options import table
from scoresde.networks import networks
from scoresde.networks.blocks import Downsample, Resnet, Style, divisor
from scoresde.networks.embedding import sinusoids
from scoresde.networks.unet import UNetOptions

torch.set_num_threads(1)
SMALL = {"channels": 8, "multipliers": (1, 2), "blocks": 1, "attention": (4,), "group_channels": 2}


def noise(count: int, key: int) -> Tensor:
    """Numbers in [-½, ½) from whole-number arithmetic alone: the same everywhere and for ever."""
    j = torch.arange(count)
    return ((7919 * j * j + 104729 * j + 31 * key) % 10007).double() / 10007 - 0.5


def fill(net: nn.Module) -> nn.Module:
    """Gives every parameter such numbers, of a size that keeps the features near one."""
    with torch.no_grad():
        for i, (name, p) in enumerate(sorted(net.state_dict().items())):
            values = noise(p.numel(), i).reshape(p.shape)
            if p.ndim > 1:
                values *= 3 / math.sqrt(p[0].numel())
            elif name.endswith("weight"):
                values += 1
            p.copy_(values)
    return net


def image(*shape: int) -> Tensor:
    return 3 * noise(math.prod(shape), 5).float().reshape(shape)


def small(shape: tuple[int, ...] = (1, 8, 8), **options: object) -> nn.Module:
    return fill(UNetOptions(**{**SMALL, **options}).build(shape)).eval()


def test_parameters_have_the_names_and_shapes_of_diffusers() -> None:
    # The file lists the state dict of google/ddpm-cifar10-32 in diffusers 0.42.1.
    lines = (Path(__file__).parent / "ddpm_cifar10_keys.txt").read_text().splitlines()
    with torch.device("meta"):
        net = UNetOptions().build((3, 32, 32))
    ours = {f"{name} {'x'.join(map(str, p.shape))}" for name, p in net.state_dict().items()}
    assert len(lines) == 328
    assert ours == set(lines)
    assert sum(p.numel() for p in net.parameters()) == 35_746_307


@torch.no_grad()
def test_cifar10_network_computes_what_diffusers_computes() -> None:
    # UNet2DModel of diffusers 0.42.1 with the same numbers in its parameters.
    expected = [-0.5495923, -1.3849103, -0.3333149, 1.0040542, -0.3726282, -0.3941025, -0.4904566]
    out = fill(UNetOptions().build((3, 32, 32))).eval()(image(1, 3, 32, 32), torch.tensor([500.0]))
    torch.testing.assert_close(out.flatten()[::500], torch.tensor(expected), atol=2e-5, rtol=0)


@torch.no_grad()
def test_heads_scale_shift_and_classes_compute_what_diffusers_computes() -> None:
    # UNet2DModel of diffusers 0.42.1: two levels of 32 channels, attention in the second, head dimension 8,
    # scale_shift, 32 groups, 11 class embeddings; class 10 is our "no class".
    expected = [-0.6374483, -0.9199505, -0.7938628, -0.4599407, -1.1069331, -0.4468963, -0.7208045, -0.3629661]
    expected += [-0.5867094, -1.2441630, -0.4709623]
    options = UNetOptions(
        channels=32,
        multipliers=(1, 1),
        blocks=1,
        attention=(8,),
        heads=4,
        scale_shift=True,
        classes=10,
        group_channels=1,
    )
    net, x, label = fill(options.build((3, 16, 16))).eval(), image(2, 3, 16, 16), torch.tensor([20.0, 700.5])
    out = net(x, label, torch.tensor([3, 10]))
    torch.testing.assert_close(out.flatten()[::150], torch.tensor(expected), atol=2e-5, rtol=0)
    torch.testing.assert_close(out[1], net(x, label)[1])


@torch.no_grad()
@pytest.mark.parametrize("bottleneck", ["same", "halved"])
@pytest.mark.parametrize("resampling", ["conv", "pool"])
def test_sizes_from_8_to_256(resampling: str, bottleneck: str) -> None:
    """All remainders that the halvings can leave, and the largest."""
    with torch.device("meta"):
        net = UNetOptions(channels=8, blocks=1, resampling=resampling, bottleneck=bottleneck).build((3, 32, 32))
        for size in [*range(8, 16), 31, 97, 255, 256]:
            assert net(torch.empty(2, 3, size, size), torch.empty(2)).shape == (2, 3, size, size)


@torch.no_grad()
@pytest.mark.parametrize("size", [(8, 8), (28, 28), (9, 14), (1, 5)])
@pytest.mark.parametrize("bottleneck", ["same", "halved"])
def test_odd_sizes_give_finite_outputs(size: tuple[int, int], bottleneck: str) -> None:
    net = small((1, *size), multipliers=(1, 2, 2, 2), bottleneck=bottleneck)
    out = net(image(2, 1, *size), torch.tensor([1.0, 900.0]))
    assert out.shape == (2, 1, *size)
    assert out.isfinite().all() and out.std() > 0


@pytest.mark.parametrize("resampling", ["conv", "pool"])
@pytest.mark.parametrize(("sides", "flat"), [((13,), (13, 1)), ((8,), (8, 1)), ((1, 6, 5), (6, 5))])
def test_series_and_volumes_are_images_of_one_column_or_slice(
    sides: tuple[int, ...], flat: tuple[int, int], resampling: str
) -> None:
    """torch's 1-D and 3-D convolutions against its 2-D ones, whose kernels are zero beside the only column."""
    options = {"resampling": resampling, "attention": (), "multipliers": (1, 2, 2)}
    net, plane = (UNetOptions(**{**SMALL, **options}).build((2, *shape)).eval() for shape in (sides, flat))
    narrow, wide = (net, plane) if len(sides) == 1 else (plane, net)
    weights = {}
    for (key, to), value in zip(wide.state_dict().items(), fill(narrow).state_dict().values(), strict=True):
        weights[key] = value
        if to.ndim > max(value.ndim, 2):
            weights[key] = torch.zeros_like(to)
            middle = weights[key][:, :, to.shape[2] // 2] if len(sides) == 3 else weights[key][..., to.shape[3] // 2]
            middle.copy_(value)
    wide.load_state_dict(weights)
    x, label = image(2, 2, *sides), torch.tensor([3.0, 700.0])
    torch.testing.assert_close(
        net(x, label), plane(x.reshape(2, 2, *flat), label).reshape(x.shape), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(UsageError, match=r"\(B, 2, L\)" if len(sides) == 1 else r"\(B, 2, D, H, W\)"):
        net(x.reshape(2, 2, *flat), label)


def test_odd_sides_are_halved_rounding_up() -> None:
    style = Style(8, lambda channels: 1, 1, False, 0.0, "pool")
    pooled = Downsample(1, style)(torch.arange(9.0).reshape(1, 1, 3, 3))
    torch.testing.assert_close(pooled[0, 0], torch.tensor([[2.0, 3.5], [6.5, 8.0]]))
    conv = Downsample(1, style._replace(resampling="conv"))
    with torch.no_grad():
        conv.conv.weight.copy_(torch.arange(1.0, 10).reshape(1, 1, 3, 3))
        conv.conv.bias.zero_()
        even, odd = (conv(torch.ones(1, 1, n, n))[0, 0] for n in (4, 7))
    # At an even side the window begins at the first pixel, at an odd one a pixel before it.
    assert even.tolist() == [[45, 27], [21, 12]]
    assert odd.shape == (4, 4)
    assert odd[0, 0] == 5 + 6 + 8 + 9 and odd[-1, -1] == 1 + 2 + 4 + 5 and odd[1, 1] == 45


def test_sinusoids_follow_the_formula() -> None:
    expected = [math.sin(3), math.sin(3e-4), math.cos(3), math.cos(3e-4)]
    torch.testing.assert_close(sinusoids(torch.tensor([3.0]), 4)[0], torch.tensor(expected))
    # Neighbouring steps stay apart even where the label comes in 16 bits.
    assert sinusoids(torch.tensor([3.0], dtype=torch.bfloat16), 4).dtype == torch.float32


def norms(**options: object) -> dict[int, int]:
    """Groups of a network's normalisations, by their channels."""
    with torch.device("meta"):
        net = UNetOptions(attention=(), **options).build((1, 8, 8))
    return {m.num_channels: m.num_groups for m in net.modules() if isinstance(m, nn.GroupNorm)}


def test_groups_divide_the_channels() -> None:
    assert [divisor(n, n // 4) for n in (4, 8, 40, 128, 384, 512)] == [1, 2, 10, 32, 32, 32]
    assert divisor(36, 36) == 18 and divisor(7, 0) == 1
    # What models of version 0.1.0 say: 4 channels or more in a group, at each width by itself.
    old = norms(channels=16, multipliers=(1, 3), group_channels=4)
    assert old == {16: 4, 32: 8, 48: 12, 64: 16, 96: 24}


@pytest.mark.parametrize(
    ("channels", "multipliers", "groups"),
    [(128, (1, 2, 2, 2), 32), (64, (1, 2, 2), 16), (16, (1, 3), 4), (4, (1, 2), 1), (24, (2, 3), 12), (36, (1,), 9)],
)
def test_all_normalisations_have_one_number_of_groups(channels, multipliers, groups) -> None:
    found = norms(channels=channels, multipliers=multipliers, blocks=1)
    assert set(found.values()) == {groups}
    assert all(n % groups == 0 and n // groups >= 4 for n in found)
    larger = [g for g in range(groups + 1, 33) if all(n % g == 0 and n // g >= 4 for n in found)]
    assert not larger, "the most groups that go into every width"
    assert set(norms(channels=channels, multipliers=multipliers, groups=1).values()) == {1}


@torch.no_grad()
def test_the_number_of_groups_changes_the_function_and_not_the_parameters() -> None:
    x, label = image(2, 1, 8, 8), torch.tensor([3.0, 500.0])
    outs = [small(group_channels=None, groups=g)(x, label) for g in (1, 2, 4)]
    assert small(group_channels=None, groups=1).state_dict().keys() == small().state_dict().keys()
    assert all((a - b).abs().max() > 1e-3 for i, a in enumerate(outs) for b in outs[:i])


@torch.no_grad()
def test_a_fresh_network_gives_zero_and_its_branches_add_nothing() -> None:
    net = UNetOptions(**SMALL).build((1, 8, 8))
    assert net(image(2, 1, 8, 8), torch.ones(2)).count_nonzero() == 0
    x = image(2, 8, 4, 4)
    assert torch.equal(Resnet(8, 8, Style(16, lambda channels: 2, 1, True, 0.0, "conv"))(x, torch.ones(2, 16)), x)
    assert torch.equal(net.mid_block.attentions[0](image(1, 16, 4, 4)), image(1, 16, 4, 4))


@pytest.mark.parametrize(
    "options",
    [{}, {"scale_shift": True, "classes": 3, "heads": 4}, {"resampling": "pool"}, {"bottleneck": "halved"}],
)
def test_a_gradient_reaches_every_parameter(options: dict[str, object]) -> None:
    net = small(**options)
    classes = torch.tensor([0, 2]) if "classes" in options else None
    net(image(2, 1, 8, 8), torch.tensor([3.0, 800.0]), classes).square().sum().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all(), name
        # The keys' bias shifts all scores of a query alike, which the softmax does not see.
        assert name.endswith("to_k.bias") or p.grad.abs().max() > 0, name


@torch.no_grad()
def test_the_label_and_each_class_change_the_output() -> None:
    net, x = small(classes=2), image(1, 1, 8, 8)
    outs = [net(x, torch.tensor([t]), c) for t in (1.0, 1.5) for c in (torch.tensor([0]), torch.tensor([1]), None)]
    for i, a in enumerate(outs):
        for b in outs[:i]:
            assert (a - b).abs().max() > 1e-4


@torch.no_grad()
def test_a_row_does_not_depend_on_its_batch() -> None:
    net, x = small(classes=3, heads=2), image(3, 1, 8, 8)
    label, classes = torch.tensor([0.0, 400.0, 999.0]), torch.tensor([2, 3, 0])
    whole = net(x, label, classes)
    rows = [net(x[i : i + 1], label[i : i + 1], classes[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(torch.cat(rows), whole, atol=1e-5, rtol=0)


@torch.no_grad()
def test_learned_variance_doubles_the_output_and_extra_channels_widen_the_input() -> None:
    net = small((3, 8, 8), learned_variance=True, extra_channels=2)
    x = image(1, 5, 8, 8)
    out = net(x, torch.ones(1))
    assert out.shape == (1, 6, 8, 8)
    x[:, 3:] += 1
    assert (net(x, torch.ones(1)) - out).abs().max() > 1e-3


@torch.no_grad()
def test_dropout_is_active_in_training_only() -> None:
    net, x, label = small(dropout=0.5), image(1, 1, 8, 8), torch.ones(1)
    assert torch.equal(net(x, label), small()(x, label))
    assert not torch.equal(net.train()(x, label), net(x, label))


def test_attention_is_at_the_heights_asked_for() -> None:
    with torch.device("meta"):
        net = UNetOptions(channels=8, attention=(14, 4)).build((1, 28, 20))
    assert [len(block.attentions) for block in net.down_blocks] == [0, 2, 0, 2]
    assert [len(block.attentions) for block in net.up_blocks] == [3, 0, 3, 0]
    assert len(net.mid_block.attentions) == 1


def test_wrong_inputs_are_refused_by_name() -> None:
    net = small()
    with pytest.raises(UsageError, match=r"\(B, 1, H, W\), got \(2, 3, 8, 8\)"):
        net(torch.zeros(2, 3, 8, 8), torch.zeros(2))
    with pytest.raises(UsageError, match="each of 2 rows"):
        net(torch.zeros(2, 1, 8, 8), torch.zeros(1))
    with pytest.raises(UsageError, match="without classes"):
        net(torch.zeros(2, 1, 8, 8), torch.zeros(2), torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"heads": 3}, "heads must divide the 128"),
        ({"channels": 6}, "^channels must be a multiple of 4, got 6$"),
        ({"multipliers": ()}, "mult"),
        ({"groups": 24}, r"must divide the widths \(128, 256, 256, 256\) of all levels, got 24"),
        ({"groups": 8, "group_channels": 4}, "set one of the two"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        UNetOptions(**options)


def test_options_survive_a_round_trip_and_are_described() -> None:
    options = UNetOptions(channels=64, multipliers=(1, 3), attention=(8, 16), bottleneck="halved")
    assert networks.build(table(options)) == options
    assert all((field.description or "").endswith(".") for field in UNetOptions.model_fields.values())


@torch.no_grad()
def test_skips_are_scaled_as_if_the_weights_that_meet_them_were() -> None:
    """The first convolution of a block is linear in the skip, but for its norm: without that, the two are one."""
    plain, scaled = small(), small(skip_scale=0.5**0.5)
    for net in (plain, scaled):
        for module in [*net.modules()]:
            for name, child in module.named_children():
                if isinstance(child, nn.GroupNorm):
                    setattr(module, name, nn.Identity())
    x, label = image(2, 1, 8, 8), torch.tensor([3.0, 500.0])
    assert not torch.allclose(plain(x, label), scaled(x, label), rtol=1e-3)
    for block in plain.up_blocks:
        for resnet in block.resnets:
            resnet.register_forward_pre_hook(scale_second_part)
    torch.testing.assert_close(plain(x, label), scaled(x, label), rtol=1e-5, atol=1e-5)


def scale_second_part(resnet, inputs):
    x, emb = inputs
    kept = torch.ones(x.shape[1])
    kept[x.shape[1] - SKIPS[x.shape[1]] :] = 0.5**0.5
    return x * kept[:, None, None], emb


SKIPS = {32: 16, 24: 8, 16: 8}  # channels of a block's input on the way up, and those of its skip


@torch.no_grad()
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_the_kernel_of_the_stem(kernel: int) -> None:
    net = small(stem_kernel=kernel)
    x, weight = image(2, 1, 8, 8), net.conv_in.weight
    assert weight.shape == (8, 1, kernel, kernel) and net(x, torch.ones(2)).shape == x.shape
    expected = torch.nn.functional.conv2d(x, weight, net.conv_in.bias, padding="same")
    torch.testing.assert_close(net.conv_in(x), expected)


def test_a_kernel_that_nothing_has_is_refused() -> None:
    with pytest.raises(UsageError, match="stem = inception has kernels of its own: leave out stem_kernel, got 5"):
        UNetOptions(stem="inception", stem_kernel=5)
    with pytest.raises(UsageError, match="stem_kernel must be one of 3, 5 or 7, got 4"):
        UNetOptions(stem_kernel=4)


@torch.no_grad()
def test_the_inception_stem_is_four_layers_side_by_side() -> None:
    net = small(stem="inception")
    x = image(2, 1, 8, 8)
    found = net.conv_in(x)
    assert found.shape == (2, 8, 8, 8) and net(x, torch.ones(2)).shape == x.shape
    assert [part.weight.shape[2:] for part in net.conv_in.parts] == [(1, 1), (3, 3), (5, 5)]
    for i, part in enumerate(net.conv_in.parts):
        expected = torch.nn.functional.conv2d(x, part.weight, part.bias, padding="same")
        torch.testing.assert_close(found[:, 2 * i : 2 * i + 2], expected)
    inner = x[:, :, 2:5, 3:6].mean((2, 3), keepdim=True)  # around the pixel (3, 4)
    weight, bias = net.conv_in.pooled.weight[:, :, 0, 0], net.conv_in.pooled.bias
    torch.testing.assert_close(found[:, 6:, 3, 4], inner[:, :, 0, 0] @ weight.T + bias)
