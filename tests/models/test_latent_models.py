"""Models of latents: decoded samples, likelihood and conditions, against the same laws of the pictures themselves.

A latent here is the picture with its pixels in another order, so that every statement about latents is one about
pictures that can be checked exactly.
"""

import json
import math

import pytest
import torch
from latents import folded, latent_folder
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

import scoresde
from scoresde import models
from scoresde.conditioners import conditioners
from scoresde.core.errors import CheckpointError, UsageError
from scoresde.core.random import generators
from scoresde.models.base import ObservedModel
from scoresde.models.clipped import ClippedModel
from scoresde.models.gaussian import GaussianModel
from scoresde.models.latent import WEIGHTS, data_shape
from scoresde.models.network import NetworkModel
from scoresde.models.record import home, record
from scoresde.models.tiled import TiledModel
from scoresde.observations import Downsample, Luma, Pixels
from scoresde.observations.decoded import Decoded
from scoresde.posterior import posteriors
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

PICTURE = (3, 4, 4)
MEAN = torch.linspace(-0.5, 0.5, 48, dtype=torch.float64).reshape(PICTURE)
SPREAD = torch.linspace(0.05, 0.3, 48, dtype=torch.float64).reshape(PICTURE)


def pictures():
    """The exact model of normal pictures."""
    return GaussianModel(MEAN, SPREAD, VPSDE())


def latents(scale=1.0, shift=0.0, gain=1.0, std=0.1):
    """The exact model of their latents, z = scale (gain x - shift) in another order."""
    mean, spread = pixel_unshuffle(MEAN[None], 2)[0], pixel_unshuffle(SPREAD[None], 2)[0]
    model = GaussianModel(scale * (gain * mean - shift), (scale * gain) ** 2 * spread, VPSDE())
    model.autoencoder = folded(PICTURE, gain, scale=scale, shift=shift, std=std)
    return model


def test_scale_and_shift_are_those_of_the_codes():
    coder = folded(PICTURE, 2.0, scale=0.25, shift=0.3)
    x = torch.randn(20, *PICTURE, generator=torch.Generator().manual_seed(0))
    z = coder.encode(x)
    torch.testing.assert_close(z, 0.25 * (2 * pixel_unshuffle(x, 2) - 0.3))
    torch.testing.assert_close(coder.decode(z), x)
    assert coder.encode(x.double()).dtype == torch.float64 and not any(
        p.requires_grad for p in coder.coder.parameters()
    )


def test_a_drawn_code_has_the_law_of_the_encoder_and_depends_on_its_seed_alone():
    coder = folded(PICTURE, scale=0.5, std=0.2)
    x = torch.zeros(400, *PICTURE)
    z = coder.encode(x, generators(range(400)))
    # 19,200 values of N(0, 0.1²): mean and variance to 4.9 standard errors
    assert abs(z.mean()) < 4.9 * 0.1 / math.sqrt(19200) and abs(z.var() / 0.01 - 1) < 4.9 * math.sqrt(2 / 19200)
    assert torch.equal(coder.encode(x[:3], generators([5, 6, 7])), z[5:8])


def test_samples_are_decoded_and_their_latents_kept():
    model = latents(0.5, 0.2, 1.7)
    found = scoresde.sample(model, "dpm++:steps=20", n=5, batch=2)
    z = sample(model, solvers["dpm++"](steps=20), model.prior(range(5)), generator=generators(range(5)))
    assert found.x.shape == (5, *PICTURE) and found.pictures and found.nfe == z.nfe
    torch.testing.assert_close(found.latents, z.x)
    torch.testing.assert_close(found.x, pixel_shuffle((found.latents / 0.5 + 0.2) / 1.7, 2))
    assert data_shape(model) == PICTURE and scoresde.sample(pictures(), n=1).latents is None


def test_samples_have_the_law_of_the_pictures():
    x = scoresde.sample(latents(0.4, 0.2, 1.7), "adams", n=300, dtype=torch.float64).x
    z = (x - MEAN) / SPREAD.sqrt()
    assert abs(z.mean()) < 4.9 / math.sqrt(z.numel()) and abs(z.var() - 1) < 4.9 * math.sqrt(2 / z.numel())


def test_the_way_to_the_codes_and_back():
    model, x = latents(0.5, 0.1, 1.3), MEAN + 0.1 * torch.randn(3, *PICTURE, dtype=torch.float64)
    codes = scoresde.encode(model, x, "adams:tol=1e-7")
    back = scoresde.decode(model, codes.x, "adams:tol=1e-7")
    assert codes.x.shape == (3, 12, 2, 2) and back.latents.shape == (3, 12, 2, 2)
    torch.testing.assert_close(back.x, x, rtol=0, atol=1e-4)


def test_the_likelihood_is_that_of_the_latents():
    """log p(z) = log p(x) - D log(scale gain), exactly, for one latent of each picture."""
    x = MEAN + SPREAD.sqrt() * torch.randn(3, *PICTURE, dtype=torch.float64)
    options = {"exact": True, "solver": "rk45:tol=1e-7"}
    found = scoresde.log_likelihood(latents(0.5, 0.1, 1.5), x, **options).log_prob
    alone = scoresde.log_likelihood(pictures(), x, **options).log_prob
    torch.testing.assert_close(found, alone - 48 * math.log(0.75), rtol=0, atol=2e-2)  # placed at one t, not one σ/α
    with pytest.raises(UsageError, match=r"model of latents, \(12, 2, 2\)"):
        scoresde.bits_per_dim(latents(), torch.zeros(2, *PICTURE, dtype=torch.uint8))


@pytest.mark.parametrize("observation", [Luma(), Downsample(), Pixels(torch.eye(4))], ids=lambda o: type(o).__name__)
def test_dps_through_the_decoder_is_dps(observation):
    """With a decoder that keeps lengths, the gradient, and so every state, is that of the pictures in another order."""
    y = observation.forward(torch.linspace(-0.6, 0.6, 2 * 48).reshape(2, *PICTURE))
    options = {"solver": "euler:steps=60", "n": 2, "dtype": torch.float64}
    hidden = scoresde.condition(latents(), observation, y)
    assert type(hidden.conditioner).__name__ == "DPS" and isinstance(hidden.observation, Decoded)
    found = scoresde.sample(hidden, **options)

    model, sources = pictures(), generators(range(2))
    noise = pixel_shuffle(latents().prior(sources, dtype=torch.float64), 2)
    plain = conditioners["dps"]().condition(model, observation, y)
    expected = sample(plain, options["solver"], noise).x
    torch.testing.assert_close(found.x, expected, rtol=0, atol=1e-6)
    assert found.vjps > 0
    if not observation.noise:
        torch.testing.assert_close(observation.forward(found.x), y.double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in conditioners if n not in ("dps", "trained")])
def test_other_conditioners_are_refused_by_name(name):
    expected = (
        "law in closed form|linear" if name == "oracle" else f"{name} takes linear observations, and pictures are"
    )
    with pytest.raises(UsageError, match=expected):
        scoresde.condition(latents(), Luma(), torch.zeros(1, 1, 4, 4), name)


def test_a_mask_of_latents_is_an_ordinary_one():
    """The known channel of the latents is a quarter of the pixels, and the rest of a normal law is independent."""
    mask, model = torch.zeros(1, 12, 2, 2, dtype=torch.bool), latents()
    mask[:, 0] = True
    z = torch.full((300, 12, 2, 2), 0.3)
    found = scoresde.sample(conditioners["replace"]().condition(model, Pixels(mask), z, generators(range(300))), n=300)
    known = pixel_shuffle(mask.float(), 2)[0].bool()
    assert found.x.shape == (300, *PICTURE) and torch.equal(found.x[:, known], torch.full((300, 4), 0.3))
    u = ((found.x - MEAN) / SPREAD.sqrt())[:, ~known]
    assert abs(u.mean()) < 4.9 / math.sqrt(u.numel()) and abs(u.var() - 1) < 4.9 * math.sqrt(2 / u.numel())


def test_a_folder_keeps_the_autoencoder(tmp_path):
    model = models.load(latent_folder(tmp_path / "a"))
    assert model.shape == (4, 4, 4) and data_shape(model) == (1, 8, 8) and "coder.gain" in model.state_dict()
    models.save(model, tmp_path / "b")
    again, x = models.load(tmp_path / "b"), torch.rand(2, 1, 8, 8)
    assert again.autoencoder.options == model.autoencoder.options and float(again.coder.gain) == 1.5
    assert torch.equal(again.autoencoder.encode(x), model.autoencoder.encode(x))
    assert not again.training and not any(p.requires_grad for p in again.parameters())
    assert ObservedModel(again).autoencoder is again.autoencoder
    copied = home(tmp_path / "b", tmp_path / "c")
    assert float(models.load(copied).coder.gain) == 1.5
    kept = json.loads((tmp_path / "b" / "config.json").read_text())["autoencoder"]["sha256"]
    assert record(again, tmp_path / "b")["model"]["autoencoder"] == kept


def edit(folder, **changes):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["autoencoder"] |= changes
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / WEIGHTS).unlink(), "autoencoder.safetensors is missing"),
        (lambda f: (f / WEIGHTS).write_bytes(b"x"), "autoencoder.safetensors is damaged"),
        (lambda f: (f / "model.safetensors").rename(f / WEIGHTS), "autoencoder.safetensors is damaged"),
        (lambda f: edit(f, sha256="0"), "autoencoder.safetensors is damaged"),
        (lambda f: edit(f, network={"name": "fold"}), "no autoencoder is called 'fold'. Did you mean 'folded'"),
        (lambda f: edit(f, network={"name": "folded", "scale": 0}), "scale must be greater than 0"),
        (lambda f: edit(f, shape="a"), "does not describe a model"),
        (lambda f: edit(f, network=None), "does not describe a model"),
    ],
)
def test_a_damaged_autoencoder_is_one_sentence(tmp_path, damage, message):
    latent_folder(tmp_path / "a")
    weights = (tmp_path / "a" / "model.safetensors").read_bytes()
    damage(tmp_path / "a")
    (tmp_path / "a" / "model.safetensors").write_bytes(weights)
    with pytest.raises(CheckpointError, match=message) as caught:
        models.load(tmp_path / "a")
    assert "\n" not in str(caught.value)


def test_a_model_of_pictures_in_the_place_of_one_of_latents(tmp_path):
    latent_folder(tmp_path / "a")
    models.save(models.load("digits"), tmp_path / "a")
    assert models.load(tmp_path / "a").autoencoder is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ClippedModel(latents()), "range of pictures, and this is a model of latents"),
        (lambda: scoresde.sample(latents(), n=1, clip=True), "range of pictures, and this is a model of latents"),
        (lambda: scoresde.sample(latents(), "ddim:steps=2,clip_x0=true", n=1), "clip_x0 cuts off at -1 and 1"),
        (lambda: TiledModel(latents(), (12, 4, 4)), "tiles are parts of pictures"),
        (lambda: scoresde.encode(latents(), torch.zeros(1, 3, 5, 5)), r"x is \(B, 3, 4, 4\)"),
        (lambda: latents().autoencoder.encode(torch.zeros(1, 3, 5, 5)), r"pictures of shape \(3, 4, 4\), got"),
        (lambda: latents().autoencoder.decode(torch.zeros(1, 12, 3, 3)), r"makes pictures of \(3, 6, 6\)"),
        (
            lambda: NetworkModel(
                torch.nn.Identity(), VPSDE(), (12, 2, 2), units=scoresde.core.units.Units(MEAN, SPREAD),
                autoencoder=folded(PICTURE),
            ),
            "leave out units",
        ),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_said(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.parametrize("name", posteriors)
def test_posterior_samplers_are_refused_by_name(name):
    model, y = latents(), torch.zeros(1, 1, 4, 4)
    with pytest.raises(UsageError, match=f"{name} "):
        posteriors[name]().draw(model, Decoded(Luma(), model.autoencoder), y, generator=generators([0]))
