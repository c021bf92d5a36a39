"""Folders of diffusers: what the original computes, every option of its networks, and what is refused by name."""

import json
import random
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from scoresde import models
from scoresde.core.errors import CheckpointError, ScoreSDEError, UsageError
from scoresde.core.random import seed_global, undisturbed
from scoresde.models.foreign import families
from scoresde.models.foreign.base import family_of
from scoresde.models.foreign.diffusers import Diffusers
from scoresde.networks.diffusers import DiffusersOptions
from scoresde.networks.exchange import native
from scoresde.networks.unet import UNetOptions
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers

diffusers = pytest.importorskip("diffusers")
GOLDEN = Path(__file__).parents[2] / "golden/foreign"
CASES = {
    "diffusers-vp": ("unet", "ddpm", "eps"),
    "diffusers-vp-defaults": ("diffusers", "ddpm", "v"),
    "diffusers-ve": ("diffusers", "ve", "score"),
}
TOLERANCE = 2e-5


def relative(found, truth):
    """The largest error of each row over the row's largest value."""
    return float(((found - truth).flatten(1).abs().amax(1) / truth.flatten(1).abs().amax(1)).max())


def golden(case, model):
    """The states and their times as the model takes them, the class labels, and what the original gives."""
    truth = load_file(GOLDEN / case / "golden.safetensors")
    if case == "diffusers-ve":  # data in [0, 1]: x = 2 u - 1 has twice the noise and half the score
        t = model.sde.time(-torch.log(2 * truth["timestep"].double()))
        return 2 * truth["x"] - 1, t, None, {"eps": truth["eps"], "score": truth["score"] / 2}
    return truth["x"], model.sde.chain.times[truth["timestep"]], truth.get("class_labels"), truth


def errors(model, case):
    """Relative errors of ε, of the score and of x_0, if given."""
    x, t, classes, truth = golden(case, model)
    eps = model.evaluate(x, t, classes).eps
    sigma, alpha = (each.float()[:, None, None, None] for each in (model.sde.sigma(t), model.sde.alpha(t)))
    if "alphas_cumprod" in truth:  # the original's, in float32, by which its 1 - ᾱ is off by several roundings of 1
        variance = 1 - truth["alphas_cumprod"].double()
        torch.testing.assert_close(model.sde.sigma(t).square(), variance, atol=2.5e-7, rtol=0)
        sigma = variance.sqrt().float()[:, None, None, None]
    found = {"eps": eps, "score": -eps / sigma, "x0": (x - sigma * eps) / alpha}
    return {name: relative(value, truth[name]) for name, value in found.items() if name in truth}


def copy(case, tmp_path, **changes):
    """A copy of a golden folder; changes are those of a config, unet=... or scheduler=..., None takes a key away."""
    folder = shutil.copytree(GOLDEN / case, tmp_path / "copy", copy_function=shutil.copyfile)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    files = {"unet": "unet/config.json", "scheduler": "scheduler/scheduler_config.json", "index": "model_index.json"}
    for part, values in changes.items():
        edit(folder / files[part], **values)
    return folder


def edit(path, **values):
    content = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({key: value for key, value in content.items() if value != "-"}))


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_it_computes_what_the_original_computes(case):
    assert family_of(GOLDEN / case) is Diffusers
    found = Diffusers().read(GOLDEN / case)
    model = found.model
    assert (model.options.name, model.sde.name, str(model.predicts)) == CASES[case]
    assert model.shape == (3, 16, 16) and not model.training
    assert max(errors(model, case).values()) < TOLERANCE
    assert found.notes["weights"] == ["unet/diffusion_pytorch_model.safetensors"]
    json.dumps(found.notes)


@torch.no_grad()
@pytest.mark.parametrize("case", ["diffusers-vp", "diffusers-vp-defaults"])
def test_ten_steps_of_ddim_end_where_the_originals_end(case):
    """Theirs end with ᾱ = 1, which is our denoising from the first level."""
    model, truth = Diffusers().read(GOLDEN / case).model, load_file(GOLDEN / case / "golden.safetensors")
    times = model.sde.chain.times[truth["ddim10_timesteps"]].tolist()
    model = model if model.null_class else GivenClasses(model, truth["class_labels"])
    x = solvers["ddim"](steps=9, grid="list:at=" + "/".join(map(repr, times[1:-1]))).solve(
        model, truth["x"], start=times[0], stop=times[-1]
    )
    end = model.denoise(x, torch.full((3,), times[-1], dtype=torch.float64))
    assert relative(end, truth["ddim10"]) < TOLERANCE


class GivenClasses(models.base.WrapperModel):
    def __init__(self, model, classes):
        super().__init__(model)
        self.labels = classes

    def evaluate(self, x, t, classes=None):
        return self.model.evaluate(x, t, self.labels)


@pytest.mark.parametrize("case", CASES)
def test_a_folder_of_it_is_the_same_to_the_bit(case, tmp_path):
    model = Diffusers().read(GOLDEN / case).model
    models.save(model, tmp_path / "m")
    again = models.load(tmp_path / "m")
    x, t, classes, _ = golden(case, model)
    assert again.sde == model.sde and again.label == model.label
    assert torch.equal(again.evaluate(x, t, classes).eps, model.evaluate(x, t, classes).eps)


WRONG = {
    "groups": ("diffusers-vp", {"unet": {"norm_num_groups": 4}}),
    "flip_sin_to_cos": ("diffusers-vp", {"unet": {"flip_sin_to_cos": "-"}}),
    "freq_shift": ("diffusers-vp", {"unet": {"freq_shift": 0}}),
    "padding": ("diffusers-vp", {"unet": {"downsample_padding": 1}}),
    "head_dim": ("diffusers-vp", {"unet": {"attention_head_dim": 8}}),
    "eps": ("diffusers-vp", {"unet": {"norm_eps": 1e-5}}),
    "prediction": ("diffusers-vp-defaults", {"scheduler": {"prediction_type": "epsilon"}}),
    "schedule": ("diffusers-vp-defaults", {"scheduler": {"beta_schedule": "linear"}}),
    "middle": ("diffusers-ve", {"unet": {"mid_block_scale_factor": 1}}),
    "sigma": ("diffusers-ve", {"unet": {"time_embedding_type": "positional", "time_embedding_dim": 128}}),
}


@torch.no_grad()
@pytest.mark.parametrize("name", WRONG)
def test_a_config_that_says_something_else_is_something_else(name, tmp_path):
    """Each of these loads strictly with the names and shapes of the right one: the config alone tells them apart."""
    case, changes = WRONG[name]
    folder = copy(case, tmp_path, **changes)
    try:
        wrong = Diffusers().read(folder).model
    except CheckpointError:
        assert name == "sigma"  # a table of another width
        return
    x, t, classes, _ = golden(case, wrong)
    right = Diffusers().read(GOLDEN / case).model
    assert relative(wrong.evaluate(x, t, classes).eps, right.evaluate(x, t, classes).eps) > 2 * TOLERANCE


@torch.no_grad()
def test_the_rows_of_the_classes_are_those_of_the_file():
    model = Diffusers().read(GOLDEN / "diffusers-vp-defaults").model
    x, t, classes, truth = golden("diffusers-vp-defaults", model)
    assert model.classes == 11 and not model.null_class
    assert relative(model.evaluate(x, t, (classes + 1) % 11).eps, truth["eps"]) > 1e-3
    with pytest.raises(UsageError, match="never shown a sample of no class"):
        model.eps(x, t)
    null = Diffusers(classes=10).read(GOLDEN / "diffusers-vp-defaults")
    assert null.model.classes == 10 and null.notes["no_class"] == "class 10"
    assert relative(null.model.eps(x, t)[2:], truth["eps"][2:]) < TOLERANCE, "row 10 is no class"
    with pytest.raises(UsageError, match="classes must be 10 or 11"):
        Diffusers(classes=9).read(GOLDEN / "diffusers-vp-defaults")


REFUSED = [
    ("diffusers-vp", {"unet": {"norm_groups": 8}}, "no option norm_groups, got 8"),
    ("diffusers-vp", {"unet": {"_class_name": "UNet2DConditionModel"}}, "is a UNet2DConditionModel: UNet2DModel and"),
    ("diffusers-vp", {"unet": {"class_embed_type": "identity"}}, "class_embed_type = 'identity'"),
    ("diffusers-vp", {"unet": {"in_channels": 6}}, "makes 3 channels of 6"),
    ("diffusers-vp", {"unet": {"sample_size": None}}, "does not say the size of a sample: give size"),
    ("diffusers-vp", {"scheduler": {"_class_name": "LCMScheduler"}}, "the scheduler LCMScheduler is not covered"),
    ("diffusers-vp", {"scheduler": {"snr_shift_scale": 3.0}}, "snr_shift_scale = 3.0 of DDPMScheduler"),
    ("diffusers-vp", {"scheduler": {"prediction_type": "velocity"}}, "got 'velocity'"),
    ("diffusers-vp", {"scheduler": {"beta_schedule": "warmup"}}, "got 'warmup'"),
    ("diffusers-vp", {"scheduler": {"beta_start": "-"}}, "must say beta_start, a number, got None"),
    ("diffusers-vp", {"scheduler": {"timestep_type": "continuous"}}, "timestep_type = 'continuous'"),
    ("diffusers-vp", {"scheduler": {"variance_type": "learned_range"}}, "'learned_range' with 3 outputs for 3"),
    ("diffusers-vp", {"scheduler": {"trained_betas": [0.1, 0.2]}}, "2 trained_betas for 1000 steps"),
    (
        "diffusers-vp",
        {"index": {"text_encoder": ["transformers", "CLIPTextModel"]}},
        "models of text are not supported",
    ),
    ("diffusers-vp", {"index": {"mel": ["diffusers", "Mel"]}}, "part mel .* is not covered"),
    ("diffusers-vp", {"index": {"unet": "-"}}, "must name one network"),
    ("diffusers-ve", {"scheduler": {"sigma_max": "-"}}, "must say sigma_max"),
]


@pytest.mark.parametrize(("case", "changes", "words"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_not_covered_is_refused_by_name(case, changes, words, tmp_path):
    with pytest.raises(UsageError, match=words):
        Diffusers().read(copy(case, tmp_path, **changes))


def test_a_network_alone_is_given_its_scheduler():
    source, said = GOLDEN / "diffusers-vp/unet", GOLDEN / "diffusers-vp/scheduler"
    assert family_of(source) is Diffusers
    with pytest.raises(UsageError, match="give scheduler"):
        Diffusers().read(source)
    for place in (said, said / "scheduler_config.json"):
        model = families.parse(f"diffusers:scheduler={place}").read(source).model
        assert max(errors(model, "diffusers-vp").values()) < TOLERANCE


@torch.no_grad()
def test_the_oldest_repositories_have_everything_in_one_folder(tmp_path):
    """The layout and the configs of google/ddpm-cifar10-32 as it was published, with a smaller network."""
    folder = copy("diffusers-vp", tmp_path)
    for part in ("unet", "scheduler"):
        for path in (folder / part).iterdir():
            path.rename(folder / path.name)
        (folder / part).rmdir()
    younger = "downsample_type upsample_type dropout attn_norm_num_groups resnet_time_scale_shift add_attention "
    younger += "class_embed_type num_class_embeds num_train_timesteps time_embedding_dim mid_block_type"
    edit(folder / "config.json", _diffusers_version="0.1.1", **dict.fromkeys(younger.split(), "-"))
    known = ["beta_end", "beta_schedule", "beta_start", "clip_sample", "num_train_timesteps", "trained_betas"]
    said = json.loads((folder / "scheduler_config.json").read_text())
    edit(folder / "scheduler_config.json", **{key: "-" for key in said if key[0] != "_" and key not in known})
    found = Diffusers().read(folder)
    assert found.model.options.name == "unet" and max(errors(found.model, "diffusers-vp").values()) < TOLERANCE
    (folder / "model_index.json").unlink()
    assert Diffusers().read(folder).model.sde == found.model.sde, "without an index, too"


def test_the_networks_of_google_become_ours():
    """Their configs: the CIFAR-10 network of Ho et al. 2020, and that for 256 pixels."""
    rules = {"attention_head_dim": None, "downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1,
             "norm_eps": 1e-6}  # fmt: skip
    for size, widths, ours in (
        (32, [128, 256, 256, 256], UNetOptions(groups=32)),
        (256, [128, 128, 256, 256, 512, 512], UNetOptions(multipliers=(1, 1, 2, 2, 4, 4), groups=32)),
    ):
        kinds = ["AttnDownBlock2D" if size / 2**i == 16 else "DownBlock2D" for i in range(len(widths))]
        up = [kind.replace("Down", "Up") for kind in reversed(kinds)]
        config = {**rules, "sample_size": size, "block_out_channels": widths, "down_block_types": kinds}
        assert native(DiffusersOptions(config={**config, "up_block_types": up}), (3, size, size)) == ours


@pytest.mark.parametrize("number", range(60))
def test_a_damaged_folder_is_refused_and_nothing_else_happens(number, tmp_path):
    """One value of one of the three files is something else, or is gone."""
    draw = random.Random(number)
    folder = copy(draw.choice(sorted(CASES)), tmp_path)
    path = draw.choice(
        [folder / "model_index.json", folder / "unet/config.json", folder / "scheduler/scheduler_config.json"]
    )
    key = draw.choice(sorted(json.loads(path.read_text())))
    edit(path, **{key: draw.choice(["-", None, "x", [], {}, -1, 0, 1e300, True, [["a"]], [0, 1]])})
    try:
        model = Diffusers().read(folder).model
    except ScoreSDEError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert model.shape[0] == 3


@pytest.mark.parametrize("how", ["bin", "fp16", "sharded", "old names"])
def test_weights_come_in_several_files_and_names(how, tmp_path):
    folder = copy("diffusers-vp", tmp_path)
    place = folder / "unet/diffusion_pytorch_model.safetensors"
    tensors, tolerance, options = load_file(place), TOLERANCE, {}
    place.unlink()
    if how == "bin":
        torch.save(tensors, place.with_suffix(".bin"))
    elif how == "fp16":
        save_file({name: value.half() for name, value in tensors.items()}, place.with_suffix(".fp16.safetensors"))
        tolerance, options = 1e-2, {"variant": "fp16"}
        with pytest.raises(UsageError, match="has weights of fp16, not the plain ones: give variant"):
            Diffusers().read(folder)
    elif how == "sharded":
        names = sorted(tensors)
        parts = {f"diffusion_pytorch_model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
        for file, part in parts.items():
            save_file({name: tensors[name] for name in part}, place.with_name(file))
        index = {"metadata": {}, "weight_map": {name: file for file, part in parts.items() for name in part}}
        place.with_name(place.name + ".index.json").write_text(json.dumps(index))
    else:
        new = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
        for word, old in new.items():
            tensors = {name.replace(f".{word}.", f".{old}."): value for name, value in tensors.items()}
        assert any(".proj_attn." in name for name in tensors)
        save_file(tensors, place)
    model = Diffusers(**options).read(folder).model
    assert max(errors(model, "diffusers-vp").values()) < tolerance


def test_weights_that_do_not_fit_or_could_run_code_are_refused(tmp_path):
    folder = copy("diffusers-vp", tmp_path)
    place = folder / "unet/diffusion_pytorch_model.safetensors"
    tensors = load_file(place)
    save_file({name: value for name, value in tensors.items() if name != "conv_in.bias"}, place)
    with pytest.raises(CheckpointError, match="conv_in.bias is missing"):
        Diffusers().read(folder)
    place.unlink()
    with pytest.raises(CheckpointError, match="holds no weights"):
        Diffusers().read(folder)
    torch.save({"conv_in.bias": Path("/")}, place.with_suffix(".bin"))
    with pytest.raises(CheckpointError, match="not opened"):
        Diffusers().read(folder)


BLOCKS = {
    "plain": (["DownBlock2D", "AttnDownBlock2D"], ["AttnUpBlock2D", "UpBlock2D"]),
    "skip": (["SkipDownBlock2D", "AttnSkipDownBlock2D"], ["AttnSkipUpBlock2D", "SkipUpBlock2D"]),
    "resnet": (["ResnetDownsampleBlock2D", "AttnDownBlock2D"], ["AttnUpBlock2D", "ResnetUpsampleBlock2D"]),
}
CHOICES = {
    "center_input_sample": [False, True], "time_embedding_dim": [None, 20], "freq_shift": [0, 1],
    "flip_sin_to_cos": [False, True], "mid_block_type": ["UNetMidBlock2D", None],
    "layers_per_block": [1, 2], "mid_block_scale_factor": [1, 2**0.5], "downsample_padding": [0, 1],
    "downsample_type": ["conv", "resnet"], "upsample_type": ["conv", "resnet"], "act_fn": ["silu", "gelu", "swish"],
    "attention_head_dim": [None, 4, 8], "norm_num_groups": [4, 8], "attn_norm_num_groups": [None, 4],
    "norm_eps": [1e-5, 1e-6], "resnet_time_scale_shift": ["default", "scale_shift"], "add_attention": [True, False],
    "num_class_embeds": [None, 3], "time_embedding_type": ["positional", "positional", "fourier"],
}  # fmt: skip


def drawn(number):
    """A config of a small network, drawn by its number, with all of the options above."""
    draw = random.Random(number)
    config = {name: draw.choice(values) for name, values in CHOICES.items()}
    kind = draw.choice(sorted(BLOCKS))
    down, up = BLOCKS[kind]
    widths = [32, 32] if kind == "skip" else [16, 32]  # in those, diffusers itself chooses groups that need this
    return {**config, "sample_size": 8, "block_out_channels": widths, "down_block_types": down, "up_block_types": up}


@torch.no_grad()
@pytest.mark.parametrize("number", range(40))
def test_any_unet_gives_what_from_pretrained_gives(number, tmp_path):
    """Random options and weights, saved by diffusers; whole labels and one between two."""
    config = drawn(number)
    with undisturbed():
        seed_global(number)
        net = diffusers.UNet2DModel(**config)
        for parameter in net.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    diffusers.DDPMPipeline(net, diffusers.DDPMScheduler(variance_type="fixed_large")).save_pretrained(tmp_path)
    original = diffusers.UNet2DModel.from_pretrained(tmp_path / "unet").eval()
    model = Diffusers().read(tmp_path).model
    x = torch.linspace(-3, 3, 4 * 3 * 64).sin().reshape(4, 3, 8, 8)
    t = model.sde.time(
        torch.lerp(
            *(model.sde.log_snr(model.sde.chain.times[n]) for n in ([3, 500, 900, 997], [4, 500, 901, 999])), 0.25
        )
    )
    label = torch.tensor([3.25, 500.0, 900.25, 997.5])
    assert torch.allclose(model.time_input(t).float(), label, atol=0.3)
    classes = (torch.tensor([0, 1, 2, 1]),) if config["num_class_embeds"] else ()
    expected = original(x, model.time_input(t).float(), *classes).sample
    assert relative(model.evaluate(x, t, *classes).eps, expected) < TOLERANCE


@torch.no_grad()
def test_samples_of_the_pipeline(tmp_path):
    """DDIMPipeline on the golden folder and our ddim: the same noise, the same steps, the same pictures."""
    folder = copy("diffusers-vp", tmp_path, scheduler={"clip_sample": False})
    pipeline = diffusers.DDIMPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(2, torch.Generator().manual_seed(3), num_inference_steps=5, output_type="pt").images
    noise = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    model = Diffusers().read(folder).model
    times = model.sde.chain.times[pipeline.scheduler.timesteps].tolist()
    solver = solvers["ddim"](steps=4, grid="list:at=" + "/".join(map(repr, times[1:-1])))
    x = solver.solve(model, noise, start=times[0], stop=times[-1])
    ours = model.denoise(x, torch.full((2,), times[-1], dtype=torch.float64))
    torch.testing.assert_close((ours / 2 + 0.5).clamp(0, 1), theirs, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_transformer_of_latents_by_class(tmp_path):
    """DiT: its null class is the last row, its variance is learned, and its latents are decoded by its autoencoder."""
    with undisturbed():
        seed_global(0)
        net = diffusers.DiTTransformer2DModel(
            num_attention_heads=2, attention_head_dim=8, num_layers=2, sample_size=8, out_channels=8,
            num_embeds_ada_norm=10,
        )  # fmt: skip
        coder = diffusers.AutoencoderKL(block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4,
                                        down_block_types=("DownEncoderBlock2D",) * 2,
                                        up_block_types=("UpDecoderBlock2D",) * 2)  # fmt: skip
        for parameter in (*net.parameters(), *coder.parameters()):
            parameter += 0.1 * torch.randn(parameter.shape)
    pipeline = diffusers.DiTPipeline(net, coder, diffusers.DDIMScheduler(), id2label={0: "a", 1: "b"})
    pipeline.save_pretrained(tmp_path)
    found = Diffusers().read(tmp_path)
    model = found.model
    assert (model.shape, model.classes, model.null_class) == ((4, 8, 8), 10, True)
    assert model.autoencoder is not None and model.autoencoder.shape == (3, 16, 16)
    x, n, classes = (
        torch.linspace(-2, 2, 2 * 256).sin().reshape(2, 4, 8, 8),
        torch.tensor([3, 800]),
        torch.tensor([4, 10]),
    )
    theirs = net.eval()(x, n, class_labels=classes).sample
    out = model.evaluate(x, model.sde.chain.times[n], classes)
    assert relative(out.eps, theirs[:, :4]) < TOLERANCE and relative(out.share, (theirs[:, 4:] + 1) / 2) < TOLERANCE
    assert torch.equal(model.eps(x, model.sde.chain.times[n])[1], out.eps[1])
    decoded = coder.eval().decode(x / coder.config.scaling_factor).sample
    torch.testing.assert_close(model.autoencoder.decode(x), decoded)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["EDMEulerScheduler", "FlowMatchEulerDiscreteScheduler"])
def test_processes_that_are_no_chains(kind, tmp_path):
    """x̂_0 as the scheduler itself makes it from the network's output."""
    scheduler = getattr(diffusers, kind)()
    with undisturbed():
        seed_global(0)
        net = diffusers.UNet2DModel(**{**drawn(1), "time_embedding_type": "positional", "num_class_embeds": None})
    net.eval().save_pretrained(tmp_path / "unet")
    scheduler.save_pretrained(tmp_path / "scheduler")
    model = Diffusers(scheduler=str(tmp_path / "scheduler")).read(tmp_path / "unet").model
    x = torch.linspace(-3, 3, 3 * 64).sin().reshape(1, 3, 8, 8)
    for sigma in (0.05, 0.4, 0.9):
        t = model.sde.time(
            -torch.log(torch.tensor([sigma / (model.sde.name == "ve" or 1 - sigma)], dtype=torch.float64))
        )
        if kind.startswith("EDM"):
            sigmas = torch.tensor([sigma])
            out = net(scheduler.precondition_inputs(x, sigmas), scheduler.precondition_noise(sigmas)).sample
            expected = scheduler.precondition_outputs(x, out, sigmas)
        else:
            expected = x - sigma * net(x, torch.tensor([1000 * sigma])).sample
        assert relative(model.denoise(x, t), expected) < TOLERANCE
    ends = sample(model, solvers["euler"](steps=2), model.prior([0])).x
    assert ends.isfinite().all()
