"""guided-diffusion's checkpoints: what its own code computes of them, and what is refused rather than guessed."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import scoresde
from scoresde.core.errors import CheckpointError, UsageError
from scoresde.core.random import seed_global
from scoresde.models.folder import read, save
from scoresde.models.foreign import families
from scoresde.models.foreign.base import family_of
from scoresde.models.foreign.guided_classifier import read_classifier
from scoresde.models.foreign.guided_diffusion import GuidedDiffusion
from scoresde.models.foreign.guided_diffusion_flags import PUBLISHED, read_flags, setting
from scoresde.models.guided import LabelledModel
from scoresde.networks.guided_classifier import ClassifierOptions
from scoresde.networks.guided_diffusion import GuidedDiffusionOptions
from scoresde.solvers.ddpm import DDPMSampling
from scoresde.solvers.reverse_diffusion import forward_step

GOLDEN = Path(__file__).parent.parent.parent / "golden" / "foreign"
NAMES = ["class-sigma", "iddpm"]


def source(name):
    return GOLDEN / f"guided-diffusion-{name}"


def imported(name, **options):
    classes = {"num_classes": 10} if name == "class-sigma" else {}
    family = GuidedDiffusion(**{"flags": str(source(name) / "flags.json"), **classes, **options})
    return family.read(source(name) / "ema_0.9999_000003.pt")


def error(found, expected):
    """The largest relative error of a row."""
    return max(float((a - b).norm() / b.norm()) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_the_step_of_the_chain_is_the_originals(name, monkeypatch):
    """ε, x_0, and the mean and learned variance of a step of its sampler."""
    golden, model = load_file(source(name) / "golden.safetensors"), imported(name).model
    torch.testing.assert_close(model.sde.alphas_cumprod, golden["alphas_cumprod"], rtol=1e-12, atol=1e-16)
    t = model.sde.chain.times[golden["timestep"]]
    torch.testing.assert_close(model.time_input(t), golden["label"].double(), rtol=1e-9, atol=1e-9)
    classes = golden.get("y")
    out, x = model.evaluate(golden["x"], t, classes), golden["x"]
    assert error(out.eps, golden["eps"]) < 2e-5
    labelled = model if classes is None else LabelledModel(model, classes)
    assert error(labelled.score(x, t), golden["score"]) < 2e-5
    assert error(labelled.denoise(x, t), golden["x0"]) < 2e-5
    solver = DDPMSampling(variance="learned")
    for row, step in enumerate(golden["timestep"].tolist()):
        now, later = model.sde.levels([float(model.sde.chain.times[n]) for n in (step, step - 1)])
        one = model if classes is None else LabelledModel(model, classes[row : row + 1])
        ends = []
        for noise in (torch.zeros_like, torch.ones_like):
            monkeypatch.setattr("scoresde.solvers.ddpm.randn_like", lambda x, _, noise=noise: noise(x))
            ends.append(solver.step(one, x[row : row + 1], now, later, None)[0])
        assert error(ends[:1], golden["mean"][row : row + 1]) < 2e-5
        b = forward_step(later, now)[1]
        log_variance = 2 * math.log(b) + 2 * (1 - out.learned()[row]) * math.log(later.sigma / now.sigma)
        assert error([log_variance], [golden["log_variance"][row]]) < 2e-5
        std = torch.exp(golden["log_variance"][row] / 2)
        assert (ends[1] - ends[0] - std).abs().max() < 1e-6 + 2e-5 * std.min()
    assert not model.training and not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_wrong_flags_that_fit_the_weights_are_seen(name):
    """No shape tells the heads, the schedule or the label: each changes the golden output by far more than 2e-5."""
    golden = load_file(source(name) / "golden.safetensors")
    chain = {"noise_schedule": "linear"} if name == "iddpm" else {"noise_schedule": "cosine"}
    label = {"rescale_timesteps": False} if name == "iddpm" else {"diffusion_steps": 2000, "rescale_timesteps": False}
    heads = {"num_heads": 4, "num_head_channels": -1}
    for wrong in (heads, {"use_new_attention_order": True}, chain, label, {"predict_xstart": True}):
        model, rows = imported(name, **wrong).model, slice(1, 2)
        t = model.sde.chain.times[golden["timestep"][rows]]
        labelled = model if "y" not in golden else LabelledModel(model, golden["y"][rows])
        assert error(labelled.denoise(golden["x"][rows], t), golden["x0"][rows]) > 1e-3, wrong


def test_the_folder_gives_the_same_model(tmp_path):
    for name in NAMES:
        found = imported(name)
        save(found.model, tmp_path / name, {"imported": found.notes})
        again, model = read(tmp_path / name), found.model
        assert (again.sde, again.label, again.options, again.classes) == (
            model.sde,
            model.label,
            model.options,
            model.classes,
        )
        ours, theirs = again.net.state_dict(), torch.load(source(name) / "ema_0.9999_000003.pt", weights_only=True)
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)
        assert json.loads((tmp_path / name / "config.json").read_text())["imported"]["flags"]["image_size"] == 16


def test_a_model_of_classes_is_asked_for_one(tmp_path):
    model = imported("class-sigma").model
    with pytest.raises(UsageError, match="never shown a sample of no class: give each a class from 0 to 9"):
        scoresde.sample(model, "ddim", n=2, steps=2)
    with pytest.raises(UsageError, match="give each a class from 0 to 9"):
        scoresde.log_likelihood(model, torch.zeros(1, 3, 16, 16))
    found = scoresde.sample(model, "ancestral", n=2, steps=3, classes=[3, 9])
    assert found.x.shape == (2, 3, 16, 16) and found.x.isfinite().all()
    with pytest.raises(UsageError, match="class"):
        scoresde.sample(model, "ddim", n=2, steps=2, classes=[3, 9], guidance=2.0)
    assert scoresde.sample(imported("iddpm").model, "ddim", n=1, steps=2).x.isfinite().all()


def test_a_checkpoint_is_recognised(tmp_path):
    for name in NAMES:
        assert family_of(source(name) / "ema_0.9999_000003.pt") is GuidedDiffusion is families["guided-diffusion"]
    for path in GOLDEN.rglob("*"):
        assert GuidedDiffusion.claims(path) == ("guided" in str(path) and path.suffix == ".pt"), path
    inside = torch.load(source("iddpm") / "ema_0.9999_000003.pt", weights_only=True)
    torch.save({f"model.diffusion_model.{key}": value for key, value in inside.items()}, tmp_path / "latent.pt")
    assert not GuidedDiffusion.claims(tmp_path / "latent.pt")


def test_flags_that_the_file_does_not_show_are_asked_for():
    file = source("iddpm") / "ema_0.9999_000003.pt"
    with pytest.raises(
        UsageError, match="give flags, .*; or give image_size, diffusion_steps, noise_schedule, num_heads"
    ):
        GuidedDiffusion().read(file)
    with pytest.raises(UsageError, match="or give rescale_timesteps"):
        GuidedDiffusion(image_size=64, diffusion_steps=4000, noise_schedule="cosine", num_heads=4).read(file)
    with pytest.raises(UsageError, match="images of 16 pixels have no usual widths: give channel_mult"):
        GuidedDiffusion(image_size=16, diffusion_steps=1000, noise_schedule="cosine", num_heads=4).read(file)
    said = {"image_size": 16, "num_channels": 32, "num_res_blocks": 1, "num_heads": 2, "channel_mult": "1,1"}
    said |= {"attention_resolutions": "8", "learn_sigma": True, "diffusion_steps": 4000, "noise_schedule": "cosine"}
    model = GuidedDiffusion(**said, rescale_timesteps=True).read(file).model
    ours, theirs = model.net.state_dict(), imported("iddpm").model.net.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours) and str(model.label) == "step:scale=0.25"


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_flags_build(name):
    network, shape, sde, label, predicts = setting(read_flags(name)[0], Path("file.pt"))
    with torch.device("meta"):
        net = network.build(shape)
    millions = sum(p.numel() for p in net.parameters()) / 1e6
    # The papers' numbers, those with a class; without, the 1000 rows of the embedding are missing.
    papers = {
        "64x64": 296,
        "128x128": 422,
        "256x256_diffusion_u": 553,
        "256x256": 554,
        "512x512": 559,
        "imagenet64_u": 120,
    }
    papers |= {"imagenet64_c": 270, "lsun_uncond": 114, "lsun": 553}
    if expected := next((n for start, n in papers.items() if name.startswith(start)), 0):
        assert abs(millions - expected) < 0.015 * expected
    assert predicts == "eps" and network.learned_variance and shape[1] in (32, 64, 256, 128, 512)
    assert label == ("step:scale=0.25" if "uncond" in name and sde.steps == 4000 else "step")
    assert network.classes == (
        1000 if name[:3] in ("64x", "128", "512") or name in ("256x256_diffusion", "imagenet64_cond_270M_250K") else 0
    )


@pytest.mark.parametrize(
    "flag, value, message",
    [
        ("low_res", 64, "the flag low_res = 64 is not covered"),
        ("noise_schedule", "sqrt", "noise_schedule must be one of 'linear' or 'cosine', got 'sqrt'"),
        ("channel_mult", "1;2", "a list of numbers is written as 32/16/8 or 32,16,8"),
        ("attention_resolutions", "0", "a list of numbers is written as"),
        ("attention_resolutions", "all", "a list of numbers is written as"),
        ("class_cond", "perhaps", "class_cond must be true or false"),
        ("num_heads", 3, "3 heads must divide the 32 channels"),
        ("image_size", 17, "sides that 2 divides"),
    ],
)
def test_what_is_not_covered_is_refused(tmp_path, flag, value, message):
    flags = json.loads((source("iddpm") / "flags.json").read_text())
    (tmp_path / "flags.json").write_text(json.dumps({**flags, flag: value}))
    with pytest.raises((UsageError, CheckpointError), match=message):
        imported("iddpm", flags=str(tmp_path / "flags.json"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"learn_sigma": False},
        {"class_cond": True},
        {"num_channels": 64},
        {"num_res_blocks": 2},
        {"resblock_updown": True},
        {"use_scale_shift_norm": False},
        {"attention_resolutions": "16"},
        {"channel_mult": "1,2"},
    ],
    ids=str,
)
def test_flags_of_another_network_do_not_fit(wrong):
    with pytest.raises(CheckpointError, match="do not fit the network"):
        imported("iddpm", **wrong)


def test_what_else_is_wrong_is_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="label_emb.weight has the shape \\(10, 128\\), not \\(1000, 128\\)"):
        imported("class-sigma", num_classes=1000)
    with pytest.raises(UsageError, match="Did you mean '256x256_diffusion_uncond'"):
        imported("iddpm", flags="256x256_difusion_uncond")
    (tmp_path / "flags.json").write_text("[1]")
    with pytest.raises(UsageError, match="must be one table of flags"):
        imported("iddpm", flags=str(tmp_path / "flags.json"))
    (tmp_path / "flags.json").write_text("{")
    with pytest.raises(UsageError, match="are unreadable"):
        imported("iddpm", flags=str(tmp_path / "flags.json"))
    tensors = torch.load(source("iddpm") / "ema_0.9999_000003.pt", weights_only=True)
    tensors["input_blocks.0.0.weight"] = torch.zeros(32, 6, 3, 3)
    torch.save(tensors, tmp_path / "upsampler.pt")
    with pytest.raises(UsageError, match="is an upsampler"):
        GuidedDiffusion(flags=str(source("iddpm") / "flags.json")).read(tmp_path / "upsampler.pt")


def test_by_command(run, tmp_path):
    shutil.copy(source("iddpm") / "ema_0.9999_000003.pt", tmp_path / "ema.pt")
    shutil.copy(source("iddpm") / "flags.json", tmp_path / "flags.json")
    said = run("import ema.pt --out model --flags flags.json --force")
    assert "label step:scale=0.25" in said and "not passed" in said
    said = run("import ema.pt --out model --flags flags.json --num-heads 1 --force")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["network"]["heads"] == 1
    assert "give flags" in run("import ema.pt --out other", code=2)
    shutil.copy(source("class-sigma") / "ema_0.9999_000003.pt", tmp_path / "classes.pt")
    shutil.copy(source("class-sigma") / "flags.json", tmp_path / "flags.json")
    run("import classes.pt --out classes --flags flags.json --num-classes 10 --force")
    assert "GuidedDiffusion  6 x 16 x 16" in run("describe classes --no-time")
    said = run("sample --model classes --solver ddim --steps 2 -n 1 --out o", code=2)
    assert "give each a class from 0 to 9" in said


def test_a_classifier_is_read_and_guides(tmp_path):
    options = ClassifierOptions(
        classes=4, channels=32, multipliers=(1, 2, 2, 2), blocks=1, attention=(8,), resample_blocks=False
    )
    seed_global(0)
    net = options.build((3, 32, 32))
    torch.save(net.state_dict(), tmp_path / "classifier.pt")
    flags = {"image_size": 32, "num_classes": 4, "classifier_width": 32, "classifier_depth": 1}
    flags |= {"classifier_attention_resolutions": "8", "classifier_resblock_updown": False}
    found = read_classifier(tmp_path / "classifier.pt", **flags)
    x, label = torch.randn(2, 3, 32, 32), torch.tensor([3.0, 700.0])
    assert torch.equal(found(x, label), net.eval()(x, label)) and not found.training
    small = GuidedDiffusionOptions(channels=32, multipliers=(1, 1), blocks=1, attention=(), heads=1)
    model = scoresde.NetworkModel(small.build((3, 32, 32)).eval(), scoresde.DDPM(), (3, 32, 32), options=small)
    guided = scoresde.ClassifierGuidedModel(model, found, 2.0, [1, 3])
    t = model.sde.chain.times[[3, 700]]
    seen = x.clone().requires_grad_()
    log_p = net(seen, label).log_softmax(1)[[0, 1], [1, 3]].sum()
    sigma = torch.sqrt(1 - model.sde.alphas_cumprod[[3, 700]]).float()[:, None, None, None]
    expected = model.eps(x, t) - 2 * sigma * torch.autograd.grad(log_p, seen)[0]  # algorithm 2 of the paper
    torch.testing.assert_close(guided.eps(x, t), expected.detach(), atol=1e-5, rtol=1e-5)
    with pytest.raises(CheckpointError, match="do not fit the network"):
        read_classifier(tmp_path / "classifier.pt", **flags | {"classifier_pool": "adaptive"})
    with pytest.raises(UsageError, match="no classifier is called '64x64'. Did you mean|There are"):
        read_classifier(tmp_path / "classifier.pt", "64x64")
    with pytest.raises(UsageError, match="classifier_depht is not a flag .* 'classifier_depth'"):
        read_classifier(tmp_path / "classifier.pt", **flags, classifier_depht=2)
    with pytest.raises(UsageError, match="image_size must be one of 32, 64, 128, 256, 512, got None"):
        read_classifier(tmp_path / "classifier.pt")
    with pytest.raises(UsageError, match="pool must be one of"):
        read_classifier(tmp_path / "classifier.pt", **flags | {"classifier_pool": "spatial"})
