"""Networks of diffusers as networks here: the same outputs, their options refused by name, and our U-Net for theirs."""

import inspect
import itertools
import json
import sys
import tomllib

import pytest
import torch
from torch import nn

import scoresde
from scoresde.core.errors import ResourceError, UsageError
from scoresde.core.options import table
from scoresde.core.random import seed_global, undisturbed
from scoresde.networks import networks
from scoresde.networks.diffusers import DEFAULTS, DiffusersOptions, adapted
from scoresde.networks.exchange import configured, native
from scoresde.networks.unet import UNetOptions
from scoresde.training import config as configuration

diffusers = pytest.importorskip("diffusers")
SHAPE, LABELS = (3, 16, 16), torch.tensor([20.0, 700.5])
DDPM = {
    "sample_size": 16, "block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4, "norm_eps": 1e-6,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
    "flip_sin_to_cos": False, "freq_shift": 1, "downsample_padding": 0, "attention_head_dim": None,
}  # fmt: skip
"""A small UNet2DModel by the conventions of google/ddpm-cifar10-32, which are ours."""
DIT = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 2, "sample_size": 8, "num_embeds_ada_norm": 10}


def shaken(net: nn.Module) -> nn.Module:
    """The network with every parameter off zero and one, so that none is without effect."""
    with undisturbed():
        seed_global(3)
        for parameter in net.parameters():
            parameter.data += 0.15 * torch.randn(parameter.shape)
    return net.eval()


def theirs(config: dict, kind: str = "UNet2DModel") -> nn.Module:
    with undisturbed():
        seed_global(1)
        return shaken(getattr(diffusers, kind)(**config))


def image(shape=SHAPE):
    return torch.linspace(-2, 2, 2 * torch.Size(shape).numel()).sin().reshape(2, *shape)


@pytest.mark.parametrize("kind", DEFAULTS)
def test_the_defaults_are_those_of_the_class(kind):
    found = inspect.signature(getattr(diffusers, kind).__init__).parameters.items()
    as_json = {name: list(p.default) if isinstance(p.default, tuple) else p.default for name, p in found}
    assert {"self": inspect.Parameter.empty, **DEFAULTS[kind]} == as_json


@torch.no_grad()
@pytest.mark.parametrize(
    ("changes", "classes"),
    [
        ({}, 0),
        ({"num_class_embeds": 5}, 5),
        ({"num_class_embeds": 5}, 4),
        ({"class_embed_type": "timestep"}, 7),
        ({"time_embedding_type": "fourier"}, 0),
        ({"time_embedding_type": "learned", "num_train_timesteps": 1000}, 0),
        ({"resnet_time_scale_shift": "scale_shift", "flip_sin_to_cos": True, "freq_shift": 0}, 0),
        ({"mid_block_type": None, "add_attention": False, "center_input_sample": True, "act_fn": "mish"}, 0),
        ({"downsample_type": "resnet", "upsample_type": "resnet", "time_embedding_dim": 24}, 0),
    ],
)
def test_a_unet_gives_what_it_gives_in_diffusers(changes, classes):
    config = {**DDPM, **changes}
    net, original = DiffusersOptions(config=config, classes=classes).build(SHAPE).eval(), theirs(config)
    net.load_state_dict(original.state_dict())
    given = (torch.tensor([0, classes - 1]),) if classes else ()
    label = LABELS.round() if changes.get("time_embedding_type") == "learned" else LABELS
    expected = original(image(), label.long() if label is not LABELS else label, *given).sample
    assert torch.equal(net(image(), label, *given), expected)


@torch.no_grad()
def test_a_transformer_gives_what_it_gives_in_diffusers():
    """Its label embedding has a row for no class, and it has learned a variance."""
    config = {**DIT, "out_channels": 8}
    options = DiffusersOptions(kind="DiTTransformer2DModel", config=config, classes=10, learned_variance=True)
    net, original = options.build((4, 8, 8)).eval(), theirs(config, "DiTTransformer2DModel")
    net.load_state_dict(original.state_dict())
    x, classes = image((4, 8, 8)), torch.tensor([2, 10])
    expected = original(x, LABELS, class_labels=classes).sample
    assert torch.equal(net(x, LABELS, classes), expected)
    assert torch.equal(net(x, LABELS)[1], expected[1])
    several = torch.arange(10).repeat(3)
    many = x[:1].expand(30, -1, -1, -1), LABELS[:1].expand(30), several
    assert torch.equal(net.train()(*many), net.eval()(*many)), "no class is left out behind the training's back"


@torch.no_grad()
def test_a_network_of_the_unit_interval_is_moved_there():
    net, original = DiffusersOptions(config=DDPM, unit_interval=True).build(SHAPE).eval(), theirs(DDPM)
    net.load_state_dict(original.state_dict())
    assert torch.equal(net(image(), LABELS), original((image() + 1) / 2, LABELS).sample / 2)


@torch.no_grad()
def test_no_class_is_the_last_row_or_refused():
    config = {**DDPM, "num_class_embeds": 5}
    known, null = (DiffusersOptions(config=config, classes=n).build(SHAPE).eval() for n in (5, 4))
    for net in (known, null):
        net.load_state_dict(theirs(config).state_dict())
    last = torch.tensor([4, 4])
    assert torch.equal(null(image(), LABELS), known(image(), LABELS, last))
    with pytest.raises(UsageError, match="needs a class for each sample"):
        known(image(), LABELS)
    assert null.options.null_class and not known.options.null_class


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"config": {"norm_groups": 8}}, "no option norm_groups, got 8"),
        ({"config": {"class_embed_type": "identity"}}, "'identity'"),
        ({"config": {"class_embed_type": "timestep"}}, "set classes"),
        ({"config": {"num_class_embeds": 11}}, "classes must be 10 or 11, .* has 11 rows, got 0"),
        ({"config": {}, "classes": 3}, "classes must be 0"),
        ({"config": DIT, "kind": "DiTTransformer2DModel", "classes": 11}, "classes must be 10"),
    ],
)
def test_wrong_options_are_refused_by_name(options, words):
    with pytest.raises(UsageError, match=words):
        DiffusersOptions(**options)


@pytest.mark.parametrize(
    ("config", "shape", "words"),
    [
        ({}, (1, 16, 16), "3 channels in and 3 out, not 1 and 1"),
        ({}, (3, 15, 16), "sides that 2 divides, got images of 15x16"),
        ({"block_out_channels": [8, 16, 16]}, (3, 16, 16), "cannot build a UNet2DModel"),
        ({"norm_num_groups": 5}, (3, 16, 16), "cannot build a UNet2DModel"),
    ],
)
def test_what_cannot_be_built_is_refused(config, shape, words):
    with pytest.raises(UsageError, match=words):
        DiffusersOptions(config={**DDPM, **config}).build(shape)


def test_the_table_of_the_options_builds_them_again():
    options = DiffusersOptions(config=DDPM, unit_interval=True)
    assert networks.build(table(options)) == options
    assert options.config["act_fn"] == "silu", "what the config does not say is written down"


def test_a_configuration_keeps_what_is_none(tmp_path):
    """TOML has no null, and attention_head_dim is 8 where nothing is said."""
    tables = {"data": {"name": "digits"}, "sde": {"name": "vp"}, "train": {}, "network": {"name": "diffusers"}}
    config = configuration.parse({**tables, "network": {"name": "diffusers", "config": DDPM}}, "here")
    again = configuration.parse(tomllib.loads(configuration.to_toml(config.tables())), "there")
    assert again.network == config.network and again.network.config["attention_head_dim"] is None
    said = configuration.override(tables, [f"network.config={json.dumps(DDPM)}"])
    assert configuration.parse(said, "here").network == config.network
    with pytest.raises(UsageError, match="config must be a table or the text of a JSON object, got '{'"):
        DiffusersOptions(config="{")


def test_it_is_trained_and_a_run_goes_on(tmp_path):
    config = {**DDPM, "sample_size": 8, "in_channels": 1, "out_channels": 1, "dropout": 0.1}
    tables = {"data": {"name": "digits"}, "sde": {"name": "vp"}, "network": {"name": "diffusers", "config": config}}
    chosen = configuration.parse({**tables, "train": {"images": 128, "batch": 32}}, "here")
    first = scoresde.fit(chosen, tmp_path / "run", device="cpu", progress=False)
    again = scoresde.fit(chosen, tmp_path / "run", overrides=["train.images=192"], device="cpu", progress=False)
    assert again.model.options == chosen.network == scoresde.load(tmp_path / "run").options
    moved = [
        not torch.equal(a, b) for a, b in zip(first.model.net.parameters(), again.model.net.parameters(), strict=True)
    ]
    assert any(moved)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    adapted.cache_clear()
    with pytest.raises(ResourceError, match=r"pip install 'scoresde\[diffusers\]'"):
        DiffusersOptions(config=DDPM).build(SHAPE)


GRID = {
    "block_out_channels": ([8, 8], [16, 24]),
    "down_block_types": (["DownBlock2D", "AttnDownBlock2D"], ["AttnDownBlock2D", "DownBlock2D"]),
    "norm_num_groups": (4,),
    "attention_head_dim": (None, 4, 8),
    "resnet_time_scale_shift": ("default", "scale_shift"),
    "attn_norm_num_groups": (None, 4),
}


@torch.no_grad()
def test_our_unet_computes_the_same_wherever_it_takes_the_place_of_theirs():
    """Of 48 configs of two levels: random weights, whole and fractional labels."""
    taken = 0
    for values in itertools.product(*GRID.values()):
        config = {**DDPM, **dict(zip(GRID, values, strict=True))}
        config["up_block_types"] = [name.replace("Down", "Up") for name in reversed(config["down_block_types"])]
        ours = native(DiffusersOptions(config=config), SHAPE)
        if ours is None:
            continue
        taken += 1
        original = theirs(config)
        net = ours.build(SHAPE).eval()
        net.load_state_dict(original.state_dict())
        torch.testing.assert_close(net(image(), LABELS), original(image(), LABELS).sample, atol=2e-5, rtol=2e-5)
    assert taken >= 20


@torch.no_grad()
def test_classes_and_a_learned_variance_are_taken_too():
    config = {**DDPM, "num_class_embeds": 5, "out_channels": 6, "dropout": 0.1, "time_embedding_dim": 32}
    ours = native(DiffusersOptions(config=config, classes=4, learned_variance=True), SHAPE)
    original, net = theirs(config), ours.build(SHAPE).eval()
    net.load_state_dict(original.state_dict())
    classes = torch.tensor([2, 4])
    expected = original(image(), LABELS, classes).sample
    torch.testing.assert_close(net(image(), LABELS, classes), expected, atol=2e-5, rtol=2e-5)
    assert ours.dropout == 0.1
    assert native(DiffusersOptions(config={**DDPM, "num_class_embeds": 5}, classes=5), SHAPE) is None


OTHER = {
    "center_input_sample": True, "time_embedding_type": "fourier", "time_embedding_dim": 48, "freq_shift": 0,
    "flip_sin_to_cos": True, "mid_block_type": None, "mid_block_scale_factor": 2**0.5, "downsample_padding": 1,
    "downsample_type": "resnet", "upsample_type": "resnet", "act_fn": "gelu", "norm_eps": 1e-5, "add_attention": False,
    "attn_norm_num_groups": 2, "num_train_timesteps": 1000, "norm_num_groups": None, "attention_head_dim": 5,
    "down_block_types": ["SkipDownBlock2D", "AttnDownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"],
    "resnet_time_scale_shift": "ada_group", "block_out_channels": [6, 12],
}  # fmt: skip


@pytest.mark.parametrize("option", OTHER)
def test_a_config_with_one_other_option_is_left_to_diffusers(option):
    assert native(DiffusersOptions(config=DDPM), SHAPE) is not None
    assert native(DiffusersOptions(config={**DDPM, option: OTHER[option]}), SHAPE) is None


def test_every_option_of_theirs_is_decided():
    """Each either changes what is taken, or is shown above to be one that is carried over."""
    carried = {"sample_size", "in_channels", "out_channels", "layers_per_block", "dropout", "num_class_embeds"}
    assert {*OTHER, *carried, "class_embed_type"} == set(DEFAULTS["UNet2DModel"])


@torch.no_grad()
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"heads": 2, "attention": (8,), "multipliers": (2, 2)},
        {"scale_shift": True, "classes": 3, "attention": (16,)},
        {"learned_variance": True, "blocks": 2, "groups": 2},
        {"group_channels": 100},
    ],
)
def test_our_unet_is_theirs_in_their_words(options):
    """Ours with weights of its own, theirs built from the config: equal, and the config leads back to ours."""
    ours = UNetOptions(**{"channels": 16, "multipliers": (1, 2), "blocks": 1, "attention": (8,), **options})
    config = configured(ours, SHAPE)
    net = shaken(ours.build(SHAPE))
    original = diffusers.UNet2DModel(**config).eval()
    original.load_state_dict(net.state_dict())
    classes = (torch.tensor([1, 3]),) if ours.classes else ()
    expected = original(image(), LABELS, *classes).sample
    torch.testing.assert_close(net(image(), LABELS, *classes), expected, atol=2e-5, rtol=2e-5)
    like = {"classes": ours.classes, "learned_variance": ours.learned_variance}
    again = native(DiffusersOptions(config=config, **like), SHAPE)
    assert configured(again, SHAPE) == config


@pytest.mark.parametrize(
    ("options", "shape", "words"),
    [
        ({"stem": "inception"}, SHAPE, "stem = inception"),
        ({"stem_kernel": 7}, SHAPE, "stem_kernel = 7: it needs stem_kernel = 3"),
        ({"bottleneck": "halved"}, SHAPE, "bottleneck = halved"),
        ({"resampling": "pool"}, SHAPE, "resampling = pool"),
        ({"skip_scale": 0.5}, SHAPE, "skip_scale = 0.5"),
        ({"group_channels": 4}, SHAPE, r"group_channels = 4 makes \[4, 8, .*\]: train a network without"),
        ({"heads": 2, "attention": (16, 8)}, SHAPE, "needs heads = 1"),
        ({}, (1, 7, 8), r"halve evenly, got \(7, 8\)"),
        ({}, (1, 16), r"of images \(C, H, W\), and these samples have the shape \(1, 16\)"),
    ],
)
def test_what_theirs_cannot_be_is_refused_by_name(options, shape, words):
    with pytest.raises(UsageError, match=words):
        configured(UNetOptions(**{"channels": 16, "multipliers": (1, 2), "blocks": 1, **options}), shape)
