"""Pipelines of latents, made by diffusers with random weights: pixel for pixel what its own pipelines draw."""

import json

import pytest
import torch

import scoresde
from scoresde import models
from scoresde.core.errors import CheckpointError, UsageError
from scoresde.core.random import seed_global, undisturbed
from scoresde.models.autoencoders.diffusers import OLD, DiffusersAutoencoder, autoencoder_of
from scoresde.models.foreign.diffusers import Diffusers
from scoresde.models.guided import GuidedModel
from scoresde.models.latent import WEIGHTS, data_shape, decoded
from scoresde.sampling.sample import transport
from scoresde.solvers import solvers

diffusers = pytest.importorskip("diffusers")
BLOCKS = {
    "block_out_channels": (8, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "norm_num_groups": 4,
}
STEPS = 10


@torch.no_grad()
def shaken(net):
    """Weights of which none is zero or one, so that none can be left out unseen."""
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.mean()), std=0.1)
    return net.eval().requires_grad_(False)


def kl(**options):
    return diffusers.AutoencoderKL(**BLOCKS, latent_channels=4, **options)


def shifted():
    return kl(scaling_factor=0.3, shift_factor=0.1, use_quant_conv=False, use_post_quant_conv=False)


def vq(**options):
    return diffusers.VQModel(**BLOCKS, latent_channels=3, num_vq_embeddings=16, **options)


def tiny(**options):
    return diffusers.AutoencoderTiny(
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
        **options,
    )


@pytest.fixture
def seeded():
    with undisturbed():
        seed_global(3)
        yield


@pytest.fixture
def dit(seeded, tmp_path):
    """A class-conditional transformer of latents with a learned variance, as facebook/DiT-XL-2-256 is."""
    net = diffusers.DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        out_channels=8,
        num_layers=2,
        sample_size=4,
        num_embeds_ada_norm=1000,
    )
    scheduler = diffusers.DDIMScheduler(clip_sample=False)
    pipe = diffusers.DiTPipeline(shaken(net), shaken(kl()), scheduler, {0: "tench"})
    pipe.set_progress_bar_config(disable=True)
    pipe.save_pretrained(tmp_path / "dit")
    return pipe, tmp_path / "dit"


@pytest.fixture
def ldm(seeded, tmp_path):
    """An unconditional U-Net of latents, as CompVis/ldm-celebahq-256 is."""
    net = diffusers.UNet2DModel(
        sample_size=8,
        block_out_channels=(16, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
    )
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear", clip_sample=False
    )
    pipe = diffusers.LDMPipeline(shaken(vq()), shaken(net), scheduler)
    pipe.set_progress_bar_config(disable=True)
    pipe.save_pretrained(tmp_path / "ldm")
    return pipe, tmp_path / "ldm"


def drawn(model, around, z, timesteps):
    """Our `ddim` at the same steps from the same noise, decoded; the last step of theirs is our denoising."""
    times = model.sde.chain.times[timesteps].tolist()
    solver = solvers["ddim"](steps=len(times) - 1, grid={"name": "list", "at": tuple(times[1:-1])})
    end = transport(around, solver, z, start=times[0], stop=times[-1], denoise=True).x
    return (decoded(around, end) / 2 + 0.5).clamp(0, 1)


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(5))


def test_a_guided_dit_draws_what_its_pipeline_draws(dit, tmp_path, run):
    pipe, folder = dit
    labels, model = [7, 0, 999], Diffusers().read(folder).model
    theirs = pipe(
        labels,
        guidance_scale=3.0,
        num_inference_steps=STEPS,
        generator=torch.Generator().manual_seed(5),
        output_type="pt",
    ).images
    assert model.shape == (4, 4, 4) and data_shape(model) == (3, 8, 8) and model.classes == 1000
    guided = GuidedModel(model, labels, 3.0)
    ours = drawn(model, guided, noise(3, 4, 4, 4), pipe.scheduler.timesteps)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    assert guided.evaluate(noise(3, 4, 4, 4), torch.full((3,), 0.5, dtype=torch.float64)).share is not None
    plain = drawn(model, GuidedModel(model, labels), noise(3, 4, 4, 4), pipe.scheduler.timesteps)
    assert float((plain - theirs).abs().max()) > 1e-2

    models.save(model, tmp_path / "ours")  # and the same from a folder of ours
    again = models.load(tmp_path / "ours")
    same = drawn(again, GuidedModel(again, labels, 3.0), noise(3, 4, 4, 4), pipe.scheduler.timesteps)
    assert torch.equal(same, ours)
    options = {"n": 2, "classes": [7, 0], "guidance": 3.0}
    found = scoresde.sample(again, "ddpm:steps=5,variance=learned", **options)
    assert found.x.shape == (2, 3, 8, 8) and found.latents.shape == (2, 4, 4, 4)
    said = run("sample --model ours --class 7,0 --guidance 3 -n 2 --solver ddim --steps 3 --out out --quiet")
    assert "2 samples" in said and (tmp_path / "out" / "000001.png").is_file()


def test_an_unconditional_pipeline_with_a_vqvae_of_2022(ldm):
    """With the names of attention, and the pickled weights, that CompVis/ldm-celebahq-256 has."""
    pipe, folder = ldm
    theirs = pipe(
        batch_size=2, num_inference_steps=STEPS, generator=torch.Generator().manual_seed(5), output_type="np"
    ).images
    new, old = folder / "vqvae" / "diffusion_pytorch_model.safetensors", {}
    for name, value in pipe.vqvae.state_dict().items():
        for before, since in OLD.items():
            name = name.replace(f".{since}.", f".{before}.")
        old[name] = value
    assert any(".query." in name for name in old) and any(".proj_attn." in name for name in old)
    torch.save(old, new.with_suffix(".bin"))
    new.unlink()
    model = Diffusers().read(folder).model
    ours = drawn(model, model, noise(2, 3, 8, 8), pipe.scheduler.timesteps)
    torch.testing.assert_close(ours.permute(0, 2, 3, 1), torch.from_numpy(theirs), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "shape", "scale", "shift"),
    [
        (kl, (4, 4, 4), 0.18215, 0.0),
        (shifted, (4, 4, 4), 0.3, 0.1),
        (vq, (3, 4, 4), 0.18215, 0.0),
        (lambda: vq(vq_embed_dim=2, scaling_factor=1.0), (2, 4, 4), 1.0, 0.0),
        (tiny, (4, 4, 4), 1.0, 0.0),
    ],
    ids=["kl", "kl, shifted", "vq", "vq, embedded", "tiny"],
)  # fmt: skip
def test_autoencoders_code_as_theirs_do(seeded, make, shape, scale, shift, tmp_path):
    net = shaken(make())
    net.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    ours = autoencoder_of(config, net.state_dict(), shape, "here")
    assert ours.shape == (3, 8, 8) and (ours.options.scale, ours.options.shift) == (scale, shift)
    x, z = noise(9, 3, 8, 8).clamp(-1, 1), noise(9, *shape)
    found = net.encode(x)
    code = found.latent_dist.mean if hasattr(found, "latent_dist") else found.latents
    torch.testing.assert_close(ours.encode(x), scale * (code - shift), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.decode(z), net.decode(z / scale + shift).sample, rtol=1e-5, atol=1e-5)
    again = scoresde.models.autoencoders.autoencoders.build(
        {"name": "diffusers", **json.loads(ours.options.model_dump_json())}
    )
    assert again == ours.options


def test_draws_are_those_of_their_normal_law(seeded):
    net = shaken(kl())
    ours = autoencoder_of(json.loads(net.to_json_string()), net.state_dict(), (4, 4, 4), "here")
    x = noise(1, 3, 8, 8).clamp(-1, 1)
    law, z = net.encode(x).latent_dist, ours.encode(x.expand(2000, -1, -1, -1), scoresde.generators(range(2000)))
    u = (z / ours.options.scale - law.mean) / law.std
    # 128,000 values of N(0, 1): mean and variance to 4.9 standard errors
    assert abs(u.mean()) < 4.9 / u.numel() ** 0.5 and abs(u.var() - 1) < 4.9 * (2 / u.numel()) ** 0.5


def test_what_is_not_covered_is_refused_by_name(seeded, dit, tmp_path):
    _, folder = dit
    net = kl()
    config, weights = json.loads(net.to_json_string()), net.state_dict()
    for change, message in (
        (
            {"_class_name": "AutoencoderDC"},
            "AutoencoderKL, VQModel or AutoencoderTiny, and this one is 'AutoencoderDC'",
        ),
        ({"latents_mean": [0.0] * 4}, "latents_mean for each channel is not covered"),
        ({"new_option": 3}, "unexpected keyword argument 'new_option'"),
        ({"act_fn": "none such"}, "diffusers cannot build an AutoencoderKL"),
        ({"scaling_factor": 0.0}, "scale must be greater than 0"),
    ):
        with pytest.raises(UsageError, match=message):
            autoencoder_of({**config, **change}, weights, (4, 4, 4), "here")
    with pytest.raises(UsageError, match=r"does not decode samples of shape \(3, 4, 4\)"):
        autoencoder_of(config, weights, (3, 4, 4), "here")
    wrong = {name: value for name, value in weights.items() if name != "quant_conv.bias"}
    with pytest.raises(
        CheckpointError, match=r"here do not fit the network: net.quant_conv.bias|quant_conv.bias is missing"
    ):
        autoencoder_of(config, wrong, (4, 4, 4), "here")
    model = Diffusers().read(folder).model
    models.save(model, tmp_path / "ours")
    other = shaken(kl())
    scoresde.core.files.write_tensors(
        tmp_path / "ours" / WEIGHTS, {f"net.{k}": v for k, v in other.state_dict().items()}
    )
    with pytest.raises(CheckpointError, match=r"autoencoder.safetensors is damaged"):
        models.load(tmp_path / "ours")
    assert isinstance(model.autoencoder.options, DiffusersAutoencoder)
