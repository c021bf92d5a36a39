"""Every command on a folder that was imported: a network of diffusers that none of ours can be, in our own folder."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import scoresde
from scoresde import models
from scoresde.bench.compare import read_rows
from scoresde.core.random import seed_global, undisturbed
from scoresde.models.foreign.diffusers import Diffusers
from scoresde.web.app import WebSettings, load
from scoresde.web.tabs import tabs

diffusers = pytest.importorskip("diffusers")


def folder(tmp_path, name, channels, **options):
    """A network of random weights as diffusers writes it, imported and saved, without a recipe, as imports are."""
    with undisturbed():
        seed_global(0)
        net = diffusers.UNet2DModel(
            sample_size=8,
            in_channels=channels,
            out_channels=channels,
            block_out_channels=(8,),
            down_block_types=("DownBlock2D",),
            up_block_types=("UpBlock2D",),
            layers_per_block=1,
            norm_num_groups=4,
            **options,
        )
    for last in net.conv_out.parameters():
        torch.nn.init.zeros_(last)
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=50, beta_start=2e-3, beta_end=0.4)
    diffusers.DDPMPipeline(net, scheduler).save_pretrained(tmp_path / f"{name}-theirs")
    model = Diffusers(classes=options.get("num_class_embeds")).read(tmp_path / f"{name}-theirs").model
    assert model.options.name == "diffusers" and model.sde.chain is not None
    models.save(model, tmp_path / name)
    return tmp_path / name


@pytest.fixture
def grey(tmp_path):
    return folder(tmp_path, "grey", 1)


@pytest.fixture
def colour(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)).save(tmp_path / "photo.png")
    return folder(tmp_path, "colour", 3)


def test_samples(grey, tmp_path, run):
    """A network that predicts no noise leaves x/α of the noise, whatever the solver; the folder is all that is read."""
    run("sample --model grey -n 2 --solver ddpm --steps 49 --trajectory 3 --out out --quiet")
    record = json.loads((tmp_path / "out" / "samples.json").read_text())
    assert record["nfe"] == 50 and record["model"]["name"] == "grey"
    x = scoresde.sample(str(grey), "euler", n=2, steps=4)
    model = models.load(grey)
    end = model.sde.alpha(torch.tensor([model.sde.t_max], dtype=torch.float64)).float()
    torch.testing.assert_close(x.x, model.prior(range(2)) / end, rtol=1e-4, atol=1e-4)
    assert "3 samples" in run("sample --model grey -n 3 --solver adams --clip --out clipped --quiet")


def test_a_network_that_knows_no_lack_of_a_class(tmp_path, run):
    folder(tmp_path, "labelled", 1, num_class_embeds=3)
    assert not models.load(tmp_path / "labelled").null_class
    run("sample --model labelled --class 0,2 -n 2 --solver euler --steps 3 --out out --quiet")
    for line, said in (
        ("--class 0 --guidance 2", "guidance compares with samples of no class, and this network was never shown one"),
        ("", "never shown a sample of no class: give each a class from 0 to 2"),
        ("--class 3", "from 0 to 2"),
    ):
        assert said in run(f"sample --model labelled {line} -n 2 --solver euler --steps 3 --out no --quiet", 2)


def test_likelihoods(grey, run):
    assert "does not say what it was trained on: name a data set" in run("likelihood grey -n 2", 2)
    found = json.loads(run("likelihood grey --data digits -n 2 --solver rk23 --tol 1e-2 --json --quiet"))
    assert found["bits_per_dim"] > 0
    bound = json.loads(run("likelihood grey --data digits -n 2 --vlb 50 --json --quiet"))
    assert bound["bits_per_dim"] > 0 and bound["nfe"] == 50


def test_benchmarks(grey, tmp_path, run):
    said = run("bench --model grey --solver euler:steps=2 -n 8 --quiet", 2)
    assert 'give data = { name = "..." }' in said
    (tmp_path / "spec.toml").write_text(
        'model = "grey"\nsolver = ["euler:steps=2"]\nmetric = ["pixel-frechet"]\ncount = 8\n'
        'data = { name = "digits" }\n'
    )
    run("bench spec.toml --likelihood 0 --out bench --quiet")
    (row,) = read_rows(tmp_path / "bench")
    assert row["status"] == "done" and row["nfe"]["mean"] == 3


def test_tuned_solvers(grey, run, monkeypatch):
    monkeypatch.setattr("scoresde.bench.tune.learning.ITERATIONS", 4)
    run("tune grey --nfe 3 --trajectories 4 --held-out 4 --quiet")
    assert "2 samples by linear" in run("sample --model grey --steps 3 -n 2 --out out --quiet")


def test_statistics_and_what_they_are_for(colour, tmp_path, run):
    run("inpaint photo.png --model colour --box 2,2,6,6 -n 1 --quiet", 2)
    (tmp_path / "pictures").mkdir()
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{i}.png")
    run("stats colour --data folder:path=pictures,size=8,held_out=0 --quiet")
    run("inpaint photo.png --model colour --box 2,2,6,6 -n 1 --steps 5 --out hole --quiet")
    run("colourise photo.png --model colour -n 1 --steps 5 --out out --quiet")
    run("restore photo.png --model colour --task downsample:2 --degrade -n 1 --steps 5 --out back --quiet")
    hole = np.zeros((8, 8), dtype=bool)
    hole[2:6, 2:6] = True
    there, known = (np.asarray(Image.open(tmp_path / f)) for f in ("hole/photo-000000.png", "photo.png"))
    assert np.array_equal(there[~hole], known[~hole]) and not np.array_equal(there[hole], known[hole])


def test_codes_and_pruned_weights(colour, tmp_path, run):
    run("encode photo.png --model colour --solver euler --steps 5 --out codes --quiet")
    assert (tmp_path / "codes" / "codes.safetensors").is_file()
    run("prune colour --amount 0.5 --samples 0 --out less --quiet")
    assert models.load(tmp_path / "less").options == models.load(colour).options
    run("describe less")


class Listener:
    def emit(self, event, **values):
        pass

    def check(self):
        pass


def test_the_page(colour, tmp_path):
    served, job = load(str(colour), WebSettings((), Path("none.sqlite"))), Listener()
    solver = {"name": "euler", "steps": 4}
    done = tabs["generate"](model="colour", count=2, solver=solver).work(served)(job)
    assert len(done["pictures"]) == 2
    picture = base64.b64encode((tmp_path / "photo.png").read_bytes()).decode()
    asked = {"model": "colour", "count": 1, "solver": solver, "picture": picture, "conditioner": {"name": "projection"}}
    mask = base64.b64encode(np.packbits([0] * 48 + [1] * 16).tobytes()).decode()
    assert len(tabs["inpaint"](**asked, mask=mask).work(served)(job)["pictures"]) == 1
    assert len(tabs["colourise"](**asked).work(served)(job)["pictures"]) == 1
    race = tabs["race"](model="colour", solvers=[solver, {"name": "heun", "steps": 2}]).work(served)(job)
    assert all("pictures" in lane for lane in race["lanes"])
