"""score_sde's checkpoints: what its own code computes of them, and what is refused rather than guessed."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import scoresde
from scoresde.core.errors import CheckpointError, UsageError
from scoresde.models.folder import read, save
from scoresde.models.foreign import families
from scoresde.models.foreign.base import family_of
from scoresde.models.foreign.guided_diffusion_flags import read_flags
from scoresde.models.foreign.score_sde import ScoreSDE
from scoresde.models.foreign.score_sde_configs import PUBLISHED, configuration, setting
from scoresde.sde.labels.reversed import ReversedLabel

GOLDEN = Path(__file__).parent.parent.parent / "golden" / "foreign"
NAMES = ["ddpmpp-vp-cont", "ddpmpp-subvp-cont", "ddpmpp-vp-disc", "ncsnpp-ve-cont"]


def source(name):
    return GOLDEN / f"score_sde-{name}"


def imported(name, **options):
    folder = source(name)
    return ScoreSDE(**{"config": str(folder / "config.json"), **options}).read(folder / "checkpoint_3.pth")


def states(model, golden):
    """The golden states and times as our model takes them, with the factor by which scores shrink there."""
    sde, exploding = model.sde, model.sde.name == "ve"
    if exploding:
        # The level that the network is given, not the golden time: the original's float32 rounds it.
        return 2 * golden["x"] - 1, sde.time(-torch.log(2 * golden["label"].double())), 2
    if sde.chain is not None:
        return golden["x"], sde.chain.times[golden["label"].long()], 1
    return golden["x"], golden["t"].double(), 1


def error(found, expected):
    """The largest relative error of a row."""
    return max(float((a - b).norm() / b.norm()) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_eps_and_score_are_those_of_score_sde(name):
    golden = load_file(source(name) / "golden.safetensors")
    model = imported(name).model
    x, t, factor = states(model, golden)
    torch.testing.assert_close(model.time_input(t), golden["label"].double(), atol=0, rtol=3e-7)
    assert error(model.eps(x, t), golden["eps"]) < 2e-5
    # The original divides by a σ of its own, in float32: that of the chain comes from 1 - ᾱ and is 2e-5 off.
    rounding = model.sde.sigma(t) / (factor * golden["marginal_std"].double())
    torch.testing.assert_close(rounding, torch.ones_like(rounding), rtol=3e-5 if model.sde.chain else 1e-5, atol=0)
    factor = factor * rounding[:, None, None, None].float()
    assert error(factor * model.score(x, t), golden["score"]) < 2e-5
    raw = imported(name, weights="raw").model
    assert error(factor * raw.score(x, t), golden["score_of_raw_weights"]) < 2e-5
    # The two are told from each other: the last weights taken for the averages would be seen.
    assert error(factor * raw.score(x, t), golden["score"]) > 1e-3
    assert not model.training and not any(p.requires_grad for p in model.parameters())


@torch.no_grad()
def test_other_processes_and_labels_are_seen():
    """What a wrong reading of the configuration would give, on the golden states."""
    golden = load_file(source("ddpmpp-vp-disc") / "golden.safetensors")
    model = imported("ddpmpp-vp-disc").model
    x, t, _ = states(model, golden)
    continuous = scoresde.NetworkModel(model.net, scoresde.VPSDE(), model.shape)
    assert error(continuous.score(x, golden["t"].double()), golden["score"]) > 0.03
    golden = load_file(source("ncsnpp-ve-cont") / "golden.safetensors")
    model = imported("ncsnpp-ve-cont").model
    x, t, _ = states(model, golden)
    narrow = scoresde.NetworkModel(model.net, scoresde.VESDE(), model.shape, label="sigma", predicts="score")
    assert error(narrow.eps(x, t), golden["eps"]) > 0.4


@torch.no_grad()
def test_discrete_levels_of_exploding_variance(tmp_path):
    """The original: label (1 - t)(N - 1), rounded, from the highest σ on; the score is the output over σ of the label.

    There is no golden checkpoint of it; the weights are those of the discrete `vpsde`, which has the same network.
    """
    config = json.loads((source("ddpmpp-vp-disc") / "config.json").read_text())
    config["training"]["sde"], config["data"]["centered"], config["model"]["scale_by_sigma"] = "vesde", False, True
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = imported("ddpmpp-vp-disc", config=str(tmp_path / "config.json")).model
    plain = imported("ddpmpp-vp-disc").model.net
    sigmas = torch.load(source("ddpmpp-vp-disc") / "checkpoint_3.pth", weights_only=True)["model"]["module.sigmas"]
    t = torch.tensor([0, 1, 500, 998, 999], dtype=torch.float64) / 999
    label = torch.round((1 - t) * 999)
    of_label = sigmas[label.long()]
    assert model.label == ReversedLabel(scale=999)
    torch.testing.assert_close(model.sde.sigma(t), 2 * of_label, rtol=1e-9, atol=0)  # data in [-1, 1]: twice as wide
    x = torch.rand(5, 3, 16, 16)
    expected = plain(2 * x - 1, label.float()) / of_label.float()[:, None, None, None]
    assert error(2 * model.score(2 * x - 1, t), expected) < 2e-5
    between = (t[:1] + t[1:2]) / 2  # where the original would round, σ goes on in equal ratios
    torch.testing.assert_close(model.sde.sigma(between), 2 * (of_label[:1] * of_label[1:2]).sqrt(), rtol=1e-9, atol=0)


def test_the_folder_gives_the_same_model(tmp_path):
    for name in NAMES:
        found = imported(name)
        save(found.model, tmp_path / name, {"imported": found.notes})
        again = read(tmp_path / name)
        assert (again.sde, again.label, again.predicts, again.options, again.shape) == (
            found.model.sde,
            found.model.label,
            found.model.predicts,
            found.model.options,
            found.model.shape,
        )
        ours, theirs = again.net.state_dict(), found.model.net.state_dict()
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)
        x, t = torch.randn(2, *again.shape), torch.tensor([0.2, 0.9], dtype=torch.float64)
        assert torch.equal(again.eps(x, t), found.model.eps(x, t))
        assert found.notes["weights"] == "averages" and found.notes["step"] == 3


def test_an_imported_model_samples():
    for name in ("ddpmpp-vp-disc", "ncsnpp-ve-cont"):
        found = scoresde.sample(imported(name).model, "ddim", n=2, steps=3)
        assert found.x.shape == (2, 3, 16, 16) and found.x.isfinite().all()


def test_a_checkpoint_is_recognised():
    assert family_of(source("ddpmpp-vp-cont") / "checkpoint_3.pth") is ScoreSDE is families["score_sde"]
    for path in GOLDEN.rglob("*"):
        if path.suffix in (".pt", ".pth", ".safetensors", ".json"):
            assert ScoreSDE.claims(path) == ("score_sde" in str(path) and path.suffix == ".pth"), path


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_in_the_encodings_of_powershell_are_read(tmp_path, encoding):
    """Its `>` writes UTF-16, and its Out-File -Encoding utf8 a byte order mark."""
    text = (source("ddpmpp-vp-cont") / "config.json").read_text()
    (tmp_path / "config.json").write_text(text, encoding=encoding)
    assert configuration(str(tmp_path / "config.json")) == json.loads(text)
    (tmp_path / "flags.json").write_text('{"image_size": 64, "diffusion_steps": 100}', encoding=encoding)
    flags, _ = read_flags(str(tmp_path / "flags.json"))
    assert (flags.image_size, flags.diffusion_steps) == (64, 100)


def test_the_configuration_is_asked_for_by_name():
    with pytest.raises(UsageError, match="give config, a JSON file or one of .*ve/church_ncsnpp_continuous"):
        ScoreSDE().read(source("ddpmpp-vp-cont") / "checkpoint_3.pth")
    with pytest.raises(UsageError, match="Did you mean 've/cifar10_ncsnpp_continuous'"):
        ScoreSDE(config="ve/cifar10_ncsnp_continuous").read(source("ddpmpp-vp-cont") / "checkpoint_3.pth")


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configurations_build(name):
    network, shape, sde, label, predicts = setting(configuration(name))
    with torch.device("meta"):
        net = network.build(shape)
    assert sde.name in ("ddpm", "vp", "sub-vp", "ve") and predicts == ("score" if name.startswith("ve") else "eps")
    assert ("continuous" in name) == (label in ("scaled:scale=999", "sigma:scale=0.5"))
    assert net.attends == [side in network.attention for side in (shape[1] // 2**i for i in range(len(net.attends)))]
    assert sum(net.attends) == 1  # where features have 16 pixels


@pytest.mark.parametrize(
    "name, golden",
    [
        ("vp/cifar10_ddpmpp_continuous", "ddpmpp-vp-cont"),
        ("subvp/cifar10_ddpmpp_continuous", "ddpmpp-subvp-cont"),
        ("vp/cifar10_ddpmpp", "ddpmpp-vp-disc"),
        ("ve/cifar10_ncsnpp_continuous", "ncsnpp-ve-cont"),
    ],
)
def test_published_configurations_are_those_of_the_original_but_for_the_sizes(name, golden):
    """The golden ones are the original's modules with smaller sizes."""
    ours, theirs = configuration(name), json.loads((source(golden) / "config.json").read_text())
    smaller = {"nf", "ch_mult", "num_res_blocks", "attn_resolutions", "image_size"}
    for part in ("model", "data", "training"):
        for key, value in ours[part].items():
            assert key in smaller or theirs[part][key] == value, (part, key)


def test_the_size_of_a_published_network_is_that_of_diffusers():
    """google/ncsnpp-celebahq-256 is a conversion of the same network: 65,574,549 parameters and 128 frequencies."""
    from diffusers import UNet2DModel

    down = ["SkipDownBlock2D"] * 4 + ["AttnSkipDownBlock2D"] + ["SkipDownBlock2D"] * 2
    with torch.device("meta"):
        theirs = UNet2DModel(
            sample_size=256,
            block_out_channels=(128, 128, *[256] * 5),
            layers_per_block=2,
            down_block_types=down,
            up_block_types=[kind.replace("Down", "Up") for kind in reversed(down)],
            time_embedding_type="fourier",
            norm_num_groups=None,
            attention_head_dim=None,
        )
        ours = setting(configuration("ve/celebahq_256_ncsnpp_continuous")).network.build((3, 256, 256))
    count = sum(p.numel() for p in theirs.parameters() if p.requires_grad)
    assert sum(p.numel() for p in ours.parameters()) == count


def changed(tmp_path, name, table, key, value):
    """The golden configuration with one option changed, or without it."""
    config = json.loads((source(name) / "config.json").read_text())
    if value is None:
        del config[table][key]
    else:
        config[table][key] = value
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    return imported(name, config=str(path))


@pytest.mark.parametrize(
    "name, option, value, message",
    [
        ("ddpmpp-vp-cont", "model.fir", None, "lacks model.fir"),
        ("ddpmpp-vp-cont", "training.continuous", None, "lacks training.continuous"),
        ("ddpmpp-vp-cont", "training.continuous", "False", "training.continuous must be true or false"),
        ("ddpmpp-vp-cont", "model.name", "ncsnv2_64", "model.name must be ncsnpp or ddpm, got 'ncsnv2_64'"),
        ("ddpmpp-vp-cont", "model.modified_sde", True, "model.modified_sde = True is an option that is not covered"),
        ("ddpmpp-vp-cont", "data.crop", 8, "data.crop = 8 is an option that is not covered"),
        ("ddpmpp-vp-cont", "training.sde", "cld", "training.sde must be vpsde, subvpsde or vesde, got 'cld'"),
        ("ddpmpp-vp-cont", "model.ch_mult", 2, "value of the wrong kind"),
        ("ddpmpp-vp-cont", "model.attn_resolutions", 16, "value of the wrong kind"),
        ("ddpmpp-vp-cont", "model.num_scales", "many", "value of the wrong kind"),
        ("ddpmpp-vp-cont", "model.beta_min", "x", "must be a number"),
        ("ncsnpp-ve-cont", "model.sigma_min", [1], "must be a number"),
        ("ddpmpp-vp-cont", "training.loss", "l1", "training.loss = 'l1' is an option"),
        ("ddpmpp-vp-cont", "model.resblock_type", "resnet", "resblock must be one of 'biggan' or 'ddpm'"),
        ("ddpmpp-vp-cont", "data.centered", False, "data.centered = false is covered with training.sde = vesde only"),
        ("ddpmpp-vp-cont", "model.scale_by_sigma", True, "model.scale_by_sigma = true is covered"),
        ("ncsnpp-ve-cont", "training.continuous", False, "fourier needs training.continuous = true"),
        ("ncsnpp-ve-cont", "model.embedding_type", "positional", "must be fourier, got positional"),
        ("ncsnpp-ve-cont", "model.sigma_max", 348, "1000 from 0.01 to 50 as levels of noise, and the configuration"),
        ("ncsnpp-ve-cont", "model.num_scales", 2000, "that of another checkpoint"),
    ],
)
def test_what_is_not_covered_or_contradicts_the_file_is_refused(tmp_path, name, option, value, message):
    with pytest.raises(UsageError, match=message):
        changed(tmp_path, name, *option.split("."), value)


@pytest.mark.parametrize(
    "name, option, value",
    [
        ("ddpmpp-vp-cont", "model.nf", 16),
        ("ddpmpp-vp-cont", "model.num_res_blocks", 2),
        ("ddpmpp-vp-cont", "model.attn_resolutions", [16]),
        ("ddpmpp-vp-cont", "model.progressive_input", "residual"),
        ("ncsnpp-ve-cont", "model.resblock_type", "ddpm"),
        ("ncsnpp-ve-cont", "model.fir", False),
    ],
)
def test_a_configuration_of_another_network_does_not_fit(tmp_path, name, option, value):
    with pytest.raises(CheckpointError, match="do not fit the network"):
        changed(tmp_path, name, *option.split("."), value)


def test_damage_is_seen(tmp_path):
    content = torch.load(source("ddpmpp-vp-cont") / "checkpoint_3.pth", weights_only=True)
    family = ScoreSDE(config=str(source("ddpmpp-vp-cont") / "config.json"))

    def written(**changes):
        torch.save({**content, **changes}, tmp_path / "checkpoint.pth")
        return tmp_path / "checkpoint.pth"

    assert family.read(written()).notes["step"] == 3
    short = {**content["ema"], "shadow_params": content["ema"]["shadow_params"][1:]}
    with pytest.raises(CheckpointError, match="153 averages, and the network 154 parameters"):
        family.read(written(ema=short))
    turned = {**content["ema"], "shadow_params": content["ema"]["shadow_params"][::-1]}
    with pytest.raises(CheckpointError, match="has the shape"):
        family.read(written(ema=turned))
    with pytest.raises(CheckpointError, match="no averages"):
        family.read(written(ema=None))
    with pytest.raises(CheckpointError, match="has the shape a NoneType"):
        family.read(written(ema={"shadow_params": [None] * 154}))
    with pytest.raises(CheckpointError, match="is not finite"):
        family.read(written(ema={"shadow_params": [p / 0 for p in content["ema"]["shadow_params"]]}))
    assert family.read(written(step=torch.tensor(3))).notes["step"] is None
    with pytest.raises(CheckpointError, match="no entry model"):
        family.read(written(model=[1]))
    with pytest.raises(CheckpointError, match="no levels of noise"):
        family.read(written(model={k: v for k, v in content["model"].items() if k != "module.sigmas"}))
    bare = {name.removeprefix("module."): value for name, value in content["model"].items()}
    assert family.read(written(model=bare)).model.shape == (3, 16, 16)  # trained without DataParallel
    with pytest.raises(UsageError, match="must have the tables model, data, training"):
        (tmp_path / "config.json").write_text("{}")
        ScoreSDE(config=str(tmp_path / "config.json")).read(tmp_path / "checkpoint.pth")
