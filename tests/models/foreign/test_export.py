"""Models for diffusers: its own pipelines draw what our solvers draw, and the way back is exact to the bit."""

import copy
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import scoresde
from scoresde import models
from scoresde.cli import scoresde as cli
from scoresde.core.errors import NumericalError, ResourceError, UsageError
from scoresde.core.random import seed_global, undisturbed
from scoresde.core.units import Units
from scoresde.models.clipped import ClippedModel
from scoresde.models.foreign import export as exporting
from scoresde.models.foreign.diffusers import Diffusers
from scoresde.models.foreign.export import export
from scoresde.models.foreign.exported_schedulers import scheduler_of
from scoresde.models.foreign.push import push
from scoresde.models.network import NetworkModel
from scoresde.networks.diffusers import DiffusersOptions
from scoresde.networks.mlp import MLPOptions
from scoresde.networks.unet import UNetOptions
from scoresde.sde import DDPM, VESDE, VPSDE, FlowSDE, GivenChain, SubVPSDE, VPCosineSDE
from scoresde.solvers import solvers

diffusers = pytest.importorskip("diffusers")
GOLDEN = Path(__file__).parents[2] / "golden/foreign"
SHAPE = (3, 8, 8)
SMALL = {"channels": 8, "multipliers": (1, 2), "blocks": 1, "attention": (4,)}
THEIRS = {"sample_size": 8, "block_out_channels": [8, 8], "norm_num_groups": 4, "layers_per_block": 1,
          "down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2}  # fmt: skip
PROCESSES = {
    "vp": VPSDE(),
    "cosine": VPCosineSDE(),
    "linear": DDPM(steps=200),
    "quadratic": DDPM(schedule="quadratic", beta_first=0.00085, beta_last=0.012),
    "cosine chain": DDPM(schedule="cosine"),
    "sigmoid": DDPM(schedule="sigmoid"),
    "given": GivenChain(alphas_cumprod=tuple(torch.linspace(0.999, 0.001, 100).tolist())),
}


@pytest.fixture(autouse=True)
def silent():
    diffusers.utils.logging.disable_progress_bar()
    yield
    diffusers.utils.logging.enable_progress_bar()


def trained(sde=None, shape=SHAPE, **given):
    """A model as training would leave it: random weights, none of them zero."""
    made = {name: given.pop(name) for name in ("label", "predicts") if name in given}
    options = UNetOptions(**{**SMALL, **given})
    with undisturbed():
        seed_global(0)
        net = options.build(shape)
        for parameter in net.parameters():
            parameter.data += 0.05 * torch.randn(parameter.shape)
    model = NetworkModel(net, sde or VPSDE(), shape, classes=options.classes, options=options, **made)
    return model.eval().requires_grad_(False)


def pipeline_of(kind, folder):
    pipeline = getattr(diffusers, kind).from_pretrained(folder, low_cpu_mem_usage=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def times_of(model, scheduler):
    """Our times of a scheduler's steps."""
    levels = scheduler_of(model, False).times
    return levels[scheduler.timesteps].tolist()


def ours(model, solver, noise, times, **options):
    grid = "list:at=" + "/".join(map(repr, times[1:-1]))
    made = solvers[solver](steps=len(times) - 1, grid=grid, **options)
    x = made.solve(model, noise, start=times[0], stop=times[-1])
    return model.denoise(x, torch.full((len(x),), times[-1], dtype=torch.float64))


@torch.no_grad()
@pytest.mark.parametrize("predicts", ["eps", "v", "x0"])
@pytest.mark.parametrize("name", PROCESSES)
def test_ddim_of_the_exported_folder_is_our_ddim(name, predicts, tmp_path):
    """DDIMPipeline from disk on the same noise, in pixels; then the way back, with the same weights to the bit."""
    model = trained(PROCESSES[name], predicts=predicts)
    found = export(model, tmp_path / "out")
    assert found.error < 1e-5 and found.pipeline == "DDIMPipeline"
    pipeline = pipeline_of("DDIMPipeline", tmp_path / "out")
    steps = 7 if name == "cosine" else 10  # diffusers goes down by whole levels, of which there are 994
    theirs = pipeline(2, torch.Generator().manual_seed(3), num_inference_steps=steps, output_type="pt").images
    noise = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(3))
    # In float64: ε of a network that predicts v or x_0 has lost what is left of the data, 5e-5, at the end of cosine.
    drawn = ours(model, "ddim", noise.double(), times_of(model, pipeline.scheduler)).float()
    torch.testing.assert_close((drawn / 2 + 0.5).clamp(0, 1), theirs, atol=1e-5, rtol=0)
    again = Diffusers().read(tmp_path / "out").model
    assert again.options.name == "unet" and str(again.predicts) == predicts
    weights = model.net.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in again.net.state_dict().items())
    t = torch.tensor([0.1, 0.5], dtype=torch.float64)
    at = again.sde.time(model.sde.log_snr(t))
    torch.testing.assert_close(again.eps(noise, at), model.eps(noise, t), atol=1e-4, rtol=1e-3)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of diffusers with numpy 2
def test_dpm_solver_of_the_exported_folder_is_ours(tmp_path):
    """DPM-Solver++ (2M) at the same times; ours in float32, theirs with its levels in float32."""
    model = trained(predicts="v")
    export(model, tmp_path / "out")
    pipeline = pipeline_of("DDIMPipeline", tmp_path / "out")
    scheduler = diffusers.DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config, lower_order_final=False)
    scheduler.set_timesteps(10)
    noise = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(3))
    x = noise
    for t in scheduler.timesteps:
        x = scheduler.step(pipeline.unet(x, t).sample, t, x).prev_sample
    drawn = ours(model, "dpm++", noise, times_of(model, scheduler))
    torch.testing.assert_close(drawn, x, atol=1e-5 * float(x.abs().max()), rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("case", ["diffusers-vp", "diffusers-vp-defaults", "diffusers-ve"])
def test_what_was_imported_goes_back_to_the_bit(case, tmp_path):
    model = Diffusers().read(GOLDEN / case).model
    assert export(model, tmp_path / "out").error < 1e-5
    again = Diffusers().read(tmp_path / "out").model
    assert (again.sde, again.label, again.predicts, again.shape) == (
        model.sde,
        model.label,
        model.predicts,
        model.shape,
    )
    weights = model.net.state_dict()
    assert again.net.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in again.net.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize(
    ("sde", "label", "predicts"),
    [
        (FlowSDE(), "scaled:scale=1000", "flow"),
        (VESDE(sigma_min=0.002, sigma_max=80), "log-sigma", "edm:data_std=0.25"),
    ],
)
def test_flow_and_edm_go_there_and_back(sde, label, predicts, tmp_path):
    model = trained(sde, label=label, predicts=predicts)
    assert export(model, tmp_path / "out").error < 1e-5
    again = Diffusers().read(tmp_path / "out").model
    assert (again.sde, again.label, again.predicts) == (model.sde, model.label, model.predicts)
    x, t = torch.linspace(-1, 1, 192).reshape(1, *SHAPE), torch.tensor([0.4], dtype=torch.float64)
    assert torch.equal(again.eps(x, t), model.eps(x, t))


@torch.no_grad()
def test_classes_and_a_learned_variance_go_there_and_back(tmp_path):
    model = trained(classes=4, learned_variance=True, scale_shift=True)
    found = export(model, tmp_path / "out")
    assert found.pipeline == "DDPMPipeline" and found.error < 1e-5
    again = Diffusers(classes=4).read(tmp_path / "out").model
    assert again.options == model.options.model_copy(update={"groups": 2, "attention": (4,)})
    x, classes = torch.linspace(-1, 1, 2 * 192).reshape(2, *SHAPE), torch.tensor([1, 4])
    n = torch.tensor([20, 700])
    out = model.evaluate(x, n / 999.0, classes)
    back = again.evaluate(x, again.sde.chain.times[n], classes)
    torch.testing.assert_close(back.eps, out.eps, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(back.share, out.share, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_pipeline_of_latents_goes_there_and_back(tmp_path):
    with undisturbed():
        seed_global(0)
        net = diffusers.UNet2DModel(**THEIRS)
        coder = diffusers.VQModel(block_out_channels=(8, 8), norm_num_groups=4, latent_channels=3,
                                  down_block_types=("DownEncoderBlock2D",) * 2,
                                  up_block_types=("UpDecoderBlock2D",) * 2)  # fmt: skip
    diffusers.LDMPipeline(coder, net, diffusers.DDIMScheduler(clip_sample=False)).save_pretrained(tmp_path / "in")
    model = Diffusers().read(tmp_path / "in").model
    found = export(model, tmp_path / "out")
    assert found.pipeline == "LDMPipeline"
    theirs = pipeline_of("LDMPipeline", tmp_path / "out")(1, torch.Generator().manual_seed(1), num_inference_steps=3)
    first = pipeline_of("LDMPipeline", tmp_path / "in")(1, torch.Generator().manual_seed(1), num_inference_steps=3)
    assert theirs.images[0].size == first.images[0].size == (16, 16)
    again = Diffusers().read(tmp_path / "out").model
    x = torch.linspace(-1, 1, 192).reshape(1, 3, 8, 8)
    assert torch.equal(again.autoencoder.decode(x), model.autoencoder.decode(x))


@torch.no_grad()
def test_a_transformer_of_latents_goes_there_and_back(tmp_path):
    with undisturbed():
        seed_global(0)
        net = diffusers.DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, num_layers=1, sample_size=8,
                                              out_channels=8, num_embeds_ada_norm=5)  # fmt: skip
        coder = diffusers.AutoencoderKL(block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4,
                                        down_block_types=("DownEncoderBlock2D",) * 2,
                                        up_block_types=("UpDecoderBlock2D",) * 2)  # fmt: skip
        for parameter in net.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    diffusers.DiTPipeline(net, coder, diffusers.DDIMScheduler()).save_pretrained(tmp_path / "in")
    model = Diffusers().read(tmp_path / "in").model
    found = export(model, tmp_path / "out")
    assert found.pipeline == "DiTPipeline" and found.error < 1e-5
    again = Diffusers().read(tmp_path / "out").model
    x, t, classes = torch.linspace(-1, 1, 256).reshape(1, 4, 8, 8), model.sde.chain.times[[300]], torch.tensor([3])
    assert torch.equal(again.evaluate(x, t, classes).eps, model.evaluate(x, t, classes).eps)
    assert torch.equal(again.autoencoder.decode(x), model.autoencoder.decode(x))
    picture = pipeline_of("DiTPipeline", tmp_path / "out")(
        class_labels=[2], guidance_scale=1, num_inference_steps=2
    ).images[0]
    assert picture.size == (16, 16)
    model.autoencoder.options = model.autoencoder.options.model_copy(update={"scale": 0.5})
    with pytest.raises(UsageError, match=r"scale 0.5 and shift 0, .* says 0.18215 and 0"):
        export(model, tmp_path / "other")


REFUSED = {
    "groups": (dict(group_channels=2), "has one number of groups for all normalisations"),
    "stem": (dict(stem="inception"), "nothing like stem = inception"),
    "sub-vp": (dict(sde=SubVPSDE()), "no scheduler for a network that predicts eps on sub-vp"),
    "ve": (dict(sde=VESDE()), "no scheduler for a network that predicts eps on ve"),
    "score": (dict(predicts="score"), "predicts score on vp"),
    "label": (dict(label="scaled:scale=0.5"), "is given scaled:scale=0.5"),
    "chain label": (dict(sde=DDPM(), label="step:scale=0.25"), "is given step:scale=0.25"),
    "sides": (dict(shape=(1, 7, 8)), r"halve evenly, got \(7, 8\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_diffusers_cannot_have_is_refused_by_name(name, tmp_path):
    given, words = REFUSED[name]
    with pytest.raises(UsageError, match=words):
        export(trained(**given), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_other_models_are_refused_by_name(tmp_path):
    model = trained()
    with pytest.raises(UsageError, match="a ClippedModel cannot be exported: export the network inside it"):
        export(ClippedModel(model), tmp_path / "out")
    options = MLPOptions()
    other = NetworkModel(options.build((4,)), VPSDE(), (4,), options=options)
    with pytest.raises(UsageError, match="nothing like the network mlp"):
        export(other, tmp_path / "out")
    with pytest.raises(UsageError, match="a network of no registered kind"):
        export(NetworkModel(model.net, VPSDE(), SHAPE), tmp_path / "out")
    conditional = copy.copy(model)
    conditional.condition = "colour"
    with pytest.raises(UsageError, match="no pipeline for a network trained for colour"):
        export(conditional, tmp_path / "out")
    measured = copy.copy(model)
    measured.units = Units(torch.zeros(1, 1, 1, dtype=torch.float64), torch.ones(1, 1, 1, dtype=torch.float64))
    with pytest.raises(UsageError, match="of data that are no pictures"):
        export(measured, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("kept")
    with pytest.raises(UsageError, match="holds something, and nothing is written over"):
        export(trained(), tmp_path / "out")
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UsageError, match="holds something"):
        export(trained(), tmp_path / "file")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


WRONG = {
    "groups": ("_network", lambda kind, config: (kind, {**config, "norm_num_groups": 1, "attn_norm_num_groups": 1})),
    "flip": ("_network", lambda kind, config: (kind, {**config, "flip_sin_to_cos": True})),
    "padding": ("_network", lambda kind, config: (kind, {**config, "downsample_padding": 1})),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_network_does_not_pass_the_check(name, tmp_path, monkeypatch):
    function, change = WRONG[name]
    right = getattr(exporting, function)
    monkeypatch.setattr(exporting, function, lambda model: change(*right(model)))
    with pytest.raises(NumericalError, match="the exported network differs from the model by"):
        export(trained(), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", [{"prediction_type": "v_prediction"}, {"trained_betas": None}])
def test_a_wrong_scheduler_does_not_pass_the_check(change, tmp_path, monkeypatch):
    right = exporting.scheduler_of

    def wrong(model, unit):
        made = right(model, unit)
        return type(made)(made.kind, {**made.options, **change}, made.times, made.chain)

    monkeypatch.setattr(exporting, "scheduler_of", wrong)
    with pytest.raises(NumericalError, match="differs"):
        export(trained(VPSDE(beta_max=15.0)), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_the_command_exports_and_prints_the_difference(tmp_path):
    recipe = {"command": "scoresde train flowers", "seed": 5, "data": {"name": "cifar100", "root": "data"}}
    models.save(trained(classes=3), tmp_path / "m", {"recipe": recipe})
    run = CliRunner().invoke(cli, ["export", str(tmp_path / "m"), "--out", str(tmp_path / "out")])
    assert run.exit_code == 0 and "DDIMPipeline, equal to" in run.output, run.output
    card = (tmp_path / "out/README.md").read_text()
    assert "library_name: diffusers" in card and "scoresde train flowers" in card and "3 x 8 x 8" in card
    # The way back, as the card says it, but for the pictures of the check, which a test does not download.
    back = re.search(r"`scoresde (import out --out models/out) (--classes 3) --data cifar100`", card)
    path = ["import", str(tmp_path / "out"), "--out", str(tmp_path / "back")]
    run = CliRunner().invoke(cli, [*path, *back[2].split(), "--force"])
    assert run.exit_code == 0 and models.load(tmp_path / "back").null_class, run.output
    run = CliRunner().invoke(cli, ["export", str(tmp_path / "m"), "--out", str(tmp_path / "other"), "--json"])
    assert json.loads(run.output)["difference"] < 1e-5
    run = CliRunner().invoke(cli, ["export", "digits", "--out", str(tmp_path / "digits")])
    assert run.exit_code in (0, 2)
    assert run.exit_code == 0 or "one number of groups" in run.output


def test_export_from_python(tmp_path):
    found = scoresde.export_model(trained(), tmp_path / "out")
    assert found.folder == tmp_path / "out" and found.error < 1e-5 and "DDIMPipeline" in str(found)


def test_a_missing_library_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ResourceError, match=r"pip install 'scoresde\[diffusers\]'"):
        export(trained(), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_the_class_of_a_network_of_theirs_is_kept(tmp_path):
    """A network with options that our U-Net has not, on a process of ours."""
    options = DiffusersOptions(config=THEIRS)
    net = options.build(SHAPE)
    export(NetworkModel(net, VPSDE(), SHAPE, options=options).eval(), tmp_path / "out")
    again = Diffusers().read(tmp_path / "out").model
    assert again.options == options
    weights = net.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in again.net.state_dict().items())


class FakeApi:
    """A hub that writes down what it is asked for."""

    calls: list = []
    fails: Exception | None = None

    def __init__(self, **options):
        pass

    def create_repo(self, name, **options):
        if self.fails:
            raise self.fails
        self.calls.append(("create", name, options))

    def upload_folder(self, *, repo_id, folder_path, allow_patterns, commit_message):
        files = sorted(str(path.relative_to(folder_path)) for path in Path(folder_path).rglob("*") if path.is_file()
                       and any(path.match(pattern) for pattern in allow_patterns))  # fmt: skip
        self.calls.append(("upload", repo_id, files))


@pytest.fixture
def hub(monkeypatch):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(FakeApi, "calls", [])
    return huggingface_hub


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("exported") / "out"
    export(trained(), place)
    return place


def test_a_folder_is_sent_with_its_card(hub, folder, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "out")
    (copied / "secret.txt").write_text("mine")
    run = CliRunner().invoke(cli, ["push", str(copied), "me/flowers", "--private"])
    assert run.exit_code == 0 and run.output.strip() == "https://huggingface.co/me/flowers", run.output
    (create, name, options), (upload, to, files) = FakeApi.calls
    assert (create, name, options) == ("create", "me/flowers", {"private": True, "exist_ok": True})
    assert (upload, to) == ("upload", "me/flowers") and "secret.txt" not in files
    assert files == ["README.md", "model_index.json", "scheduler/scheduler_config.json", "unet/config.json",
                     "unet/diffusion_pytorch_model.safetensors"]  # fmt: skip


def test_nothing_is_sent_offline_or_without_a_card(hub, folder, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="holds no model_index.json: make the folder with `scoresde export"):
        push(tmp_path, "me/flowers")
    for name in ("flowers", "me/", "a/b/c"):
        with pytest.raises(UsageError, match="named OWNER/NAME"):
            push(folder, name)
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ResourceError, match="HF_HUB_OFFLINE is set"):
        push(folder, "me/flowers")
    assert not FakeApi.calls


def test_what_the_hub_says_is_passed_on(hub, folder, monkeypatch):
    monkeypatch.setattr(FakeApi, "fails", OSError("401 Client Error: you are not logged in"))
    with pytest.raises(ResourceError, match="did not take .* as me/flowers: 401 Client Error"):
        push(folder, "me/flowers")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ResourceError, match=r"pip install 'scoresde\[hub\]'"):
        push(folder, "me/flowers")
