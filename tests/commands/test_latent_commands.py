"""Every command on a model of latents: pictures come out, or one sentence says why not."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from latents import latent_folder
from PIL import Image

import scoresde
from scoresde import models
from scoresde.bench.compare import read_rows
from scoresde.core.random import generators, stream
from scoresde.data import data
from scoresde.images import sheets
from scoresde.likelihood import latent_nll, log_likelihood
from scoresde.metrics import metrics
from scoresde.models.latent import decoded
from scoresde.posterior import store
from scoresde.web.app import WebSettings, load
from scoresde.web.tabs import tabs


@pytest.fixture
def grey(tmp_path):
    return latent_folder(tmp_path / "grey")


@pytest.fixture
def colour(tmp_path):
    return latent_folder(tmp_path / "colour", channels=3, classes=3)


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return pixels


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture).astype(float)


def test_sample_writes_the_decoded_pictures(grey, colour, tmp_path, run):
    said = run(
        "sample --model colour --class 0,1,2 --guidance 2 -n 3 --batch 2 --solver unipc --steps 4 --out out --quiet"
    )
    assert "3 samples" in said
    found = scoresde.sample(colour, "unipc", n=3, steps=4, classes=[0, 1, 2], guidance=2.0).images
    for i, image in enumerate(found):
        assert np.array_equal(pixels(tmp_path / "out" / f"{i:06d}.png"), image.permute(1, 2, 0).numpy())
    record = json.loads((tmp_path / "out" / "samples.json").read_text())
    assert record["model"]["autoencoder"] and record["nfe"] == 5
    run("sample --model grey -n 2 --solver euler --steps 4 --trajectory 3 --out way --quiet")
    assert pixels(tmp_path / "way" / "trajectory.png").shape[1] > pixels(tmp_path / "way" / "sheet.png").shape[1]
    assert (tmp_path / "way" / "trajectory.gif").is_file() and (tmp_path / "way" / "000001.png").is_file()


def test_likelihood_is_that_of_latents_and_says_so(grey, run):
    said = json.loads(run("likelihood grey -n 2 --draws 2 --solver rk23 --tol 1e-2 --seed 3 --json --quiet"))
    assert "bits_per_dim" not in said and said["unit"] == "nats per number of a latent"
    model, images = models.load(grey), data["digits"]().load("test").drawn(2, 3)
    total = []
    for k in range(2):
        z = model.autoencoder.encode(images.scaled(), [stream(3, "encode", i, k) for i in range(2)])
        probes = [stream(3, "probes", i, k) for i in range(2)]
        solver = scoresde.solvers.solvers["rk23"](tol=1e-2, controller="pi")
        found = log_likelihood(model, z, solver=solver, generator=probes)
        total.append(-found.log_prob / 64)
    assert said["nats_per_latent_dim"] == pytest.approx(float(torch.stack(total).mean()), rel=1e-6)
    assert "latents of shape (4, 4, 4)" in run("likelihood grey -n 2 --solver rk23 --tol 1e-2 --quiet")
    assert "bits per dimension are those of pixels" in run("likelihood grey -n 2 --vlb 4 --quiet", 2)


def test_bench_judges_the_pictures(grey, tmp_path, run):
    line = "bench --model grey --solver euler:steps=3 --metric pixel-frechet -n 16 --quiet"
    assert "a model of latents, which has no likelihood of images: give --likelihood 0" in run(f"{line} --out a", 2)
    run(f"{line} --likelihood 0 --out bench")
    (row,) = read_rows(tmp_path / "bench")
    x = scoresde.sample(models.load(grey), "euler:steps=3", n=16).images
    real = sheets.to_uint8(data["digits"]().load("train").scaled())
    (expected,) = metrics["pixel-frechet"]().measure(x, real)
    found = {each["name"]: each["value"] for each in row["metrics"]}
    assert found["FD[pixels]"] == pytest.approx(expected.value, rel=1e-4)


def test_stats_are_those_of_the_latents(grey, tmp_path, run):
    run("stats grey --kinds channel,full -n 200 --quiet")
    images = data["digits"]().load("train").drawn(200)
    z = models.load(grey).autoencoder.encode(images.scaled()).double().flatten(1)
    covariance = store.load(tmp_path / "grey", "full")
    full = covariance.factors[0] @ torch.diag(covariance.variances) @ covariance.factors[0].T
    torch.testing.assert_close(full, torch.cov(z.T, correction=0), rtol=1e-3, atol=1e-4)  # a floor of 1e-5


def test_tuned_solvers_are_used(grey, run, monkeypatch):
    monkeypatch.setattr("scoresde.bench.tune.learning.ITERATIONS", 4)
    run("tune grey --nfe 3 --trajectories 4 --held-out 4 --quiet")
    assert "2 samples by linear" in run("sample --model grey --steps 3 -n 2 --out out --quiet")


def test_what_is_known_comes_back(colour, photo, tmp_path, run):
    """By dps through the decoder; then the pixels around the hole are written, bit for bit, and the luma."""
    run("inpaint photo.png --model colour --box 2,2,6,6 -n 2 --out hole --quiet")
    hole = np.zeros((8, 8), dtype=bool)
    hole[2:6, 2:6] = True
    for i in range(2):
        assert np.array_equal(pixels(tmp_path / "hole" / f"photo-{i:06d}.png")[~hole], photo[~hole])
    record = json.loads((tmp_path / "hole" / "inpaint.json").read_text())
    assert record["conditioner"]["name"] == "dps" and record["pictures"][0]["vjps"] > 0
    assert record["solver"]["steps"] == 100  # at 20, dps leaves the range of pictures
    run("colourise photo.png --model colour --steps 60 -n 1 --out out --quiet")
    run("restore photo.png --model colour --task downsample:2 --degrade --steps 60 -n 1 --out back --quiet")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sample --model colour -n 1 --clip --out out", "--clip cuts off at black and white"),
        ("inpaint photo.png --model colour --box 2,2,6,6 --clip", "range of pictures, and this is a model of latents"),
        (
            "inpaint photo.png --model colour --box 2,2,6,6 --conditioner covariance",
            "covariance takes linear observations",
        ),
        ("inpaint photo.png --model colour --box 2,2,6,6 --posterior gibbs", "gibbs takes linear observations"),
        ("inpaint large.png --model colour --box 2,2,6,6 --fit tile", "tiles are parts of pictures"),
        ("colourise photo.png --model grey", "colourise needs a model of colour images"),
        ("encode photo.png --model colour", "codes are those that pictures flow into"),
        ("interpolate --model colour", "codes are those that pictures flow into"),
    ],
)
def test_what_has_no_meaning_for_latents_is_one_sentence(grey, colour, photo, tmp_path, run, line, said):
    Image.fromarray(photo).resize((24, 16)).save(tmp_path / "large.png")
    assert said in run(line, 2)


class Listener:
    """A job whose events are kept."""

    def __init__(self):
        self.seen = []

    def emit(self, event, **values):
        self.seen.append((event, values))

    def check(self):
        pass


def shown(png):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))


def test_the_page_draws_pictures(colour, photo, tmp_path):
    served, job = load(colour, WebSettings((), Path("none.sqlite"))), Listener()
    assert (served.description["channels"], served.description["height"]) == (3, 8)
    assert served.description["solver"] == {"name": "dpm++", "steps": 100}
    assert served.description["conditioner"] == "dps" and all(tab.serves(served.model) for tab in tabs.values())
    asked = {"model": "colour", "seed": 5, "count": 2, "solver": {"name": "euler", "steps": 4}}
    done = tabs["generate"](**asked, classes=[1]).work(served)(job)
    model = models.load(colour)
    expected = scoresde.sample(model, "euler", seeds=[5, 6], steps=4, classes=[1]).images
    for png, image in zip(done["pictures"], expected, strict=True):
        assert np.array_equal(shown(png), image.permute(1, 2, 0).numpy())
    assert shown(done["path"]["states"]).shape[1:] == (16, 3) and shown(job.seen[0][1]["pictures"][0]).shape == (
        8,
        8,
        3,
    )
    race = tabs["race"](model="colour", solvers=[{"name": "euler", "steps": 3}] * 2).work(served)(job)
    assert shown(race["lanes"][1]["pictures"][0]).shape == (8, 8, 3)

    picture = base64.b64encode((tmp_path / "photo.png").read_bytes()).decode()
    mask = base64.b64encode(np.packbits([0] * 48 + [1] * 16).tobytes()).decode()
    asked |= {"picture": picture, "solver": {"name": "euler", "steps": 40}}
    filled = tabs["inpaint"](**asked, mask=mask).work(served)(job)
    assert np.array_equal(shown(filled["pictures"][1])[:6], photo[:6]) and filled["vjps"] > 0
    assert len(tabs["colourise"](**asked).work(served)(job)["pictures"]) == 2


def test_pruned_and_averaged_models_keep_their_autoencoder(grey, tmp_path, run):
    run("prune grey --amount 0.5 --samples 8 --metric pixel-frechet --out less --quiet")
    again, model = models.load(tmp_path / "less"), models.load(grey)
    assert torch.equal(again.coder.gain, model.coder.gain)
    x = again.prior(generators(range(2)))
    assert decoded(again, x).shape == (2, 1, 8, 8)


def test_the_figure_is_the_density_of_latents_in_closed_form():
    """Normal latents, of which images of one colour have one each: -log p(z)/d from the normal density itself."""
    from latents import folded

    from scoresde.data import Images
    from scoresde.models.gaussian import GaussianModel
    from scoresde.sde import VPSDE

    model = GaussianModel(torch.full((4, 2, 2), 0.2), torch.full((4, 2, 2), 0.3), VPSDE())
    model.autoencoder = folded((1, 4, 4), scale=0.5, shift=0.1, std=0.0)
    values = torch.tensor([0, 7, 15], dtype=torch.uint8)
    images = Images(values[:, None, None, None].expand(3, 1, 4, 4).contiguous(), levels=16)
    z = 0.5 * (values.double() * (2 / 15) - 1 - 0.1)
    expected = -torch.distributions.Normal(0.2, 0.3**0.5).log_prob(z)
    found = latent_nll(model, images, divergence=scoresde.likelihood.Exact())
    assert found.value == pytest.approx(float(expected.mean()), abs=2e-3)
    assert found.standard_error == pytest.approx(float(expected.std()) / 3**0.5, rel=1e-2)
    assert found.from_probes == 0 and found.images == 3 and found.draws == 1
