"""Checkpoints of SiT and DiT: what the original computes, in both layouts, and what is refused."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from scoresde import models
from scoresde.core.errors import CheckpointError, UsageError
from scoresde.models.foreign import sit
from scoresde.models.foreign.base import family_of
from scoresde.models.foreign.dit import DiTFamily
from scoresde.models.foreign.sit import SiTFamily
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE, FlowSDE
from scoresde.solvers import solvers

GOLDEN = Path(__file__).parents[2] / "golden/foreign/sit-flow"
LAYOUTS = {"0000003.pt": {"num_heads": 2}, "released-layout.pt": {"num_heads": 2, "prediction": "velocity"}}


def relative(found, truth):
    """The largest error of each row over the row's largest value."""
    return ((found - truth).flatten(1).abs().amax(1) / truth.flatten(1).abs().amax(1)).max()


@pytest.mark.parametrize("name, options", LAYOUTS.items())
def test_it_computes_what_the_original_computes(name, options):
    assert family_of(GOLDEN / name) is SiTFamily
    model, truth = SiTFamily(**options).read(GOLDEN / name).model, load_file(GOLDEN / "golden.safetensors")
    assert model.sde == FlowSDE() and model.shape == (4, 8, 8) and model.classes == 10
    x, t = truth["x"], 1 - truth["t"].double()  # whose time is 1 at the data
    out = model.evaluate(x, t, truth["y"])
    assert relative(model.output(x, t, truth["y"]), truth["output"]) < 2e-5
    assert relative(out.eps, truth["noise"]) < 2e-5
    assert relative(-out.eps / t.float()[:, None, None, None], truth["score"]) < 2e-5


def test_averages_are_not_the_raw_weights():
    truth = load_file(GOLDEN / "golden.safetensors")
    model = SiTFamily(num_heads=2, weights="raw").read(GOLDEN / "0000003.pt").model
    found = model.output(truth["x"], 1 - truth["t"].double(), truth["y"])
    assert relative(found, truth["output_of_raw_weights"]) < 2e-5 and relative(found, truth["output"]) > 1e-2


@torch.no_grad()
def test_a_step_of_the_original_is_a_step_here():
    """x + dt u with dt > 0 in its time, from noise to data, is a step of `ddim`."""
    truth = load_file(GOLDEN / "golden.safetensors")
    model = SiTFamily(num_heads=2).read(GOLDEN / "0000003.pt").model
    x, steps = truth["x"], 4
    found = sample(model, solvers["ddim"](steps=steps, grid="time"), x, denoise=False).x
    times = torch.linspace(1 - model.sde.t_max, 1 - model.sde.t_min, steps + 1, dtype=torch.float64)
    for now, then in zip(times, times[1:], strict=False):
        x = x + float(then - now) * model.net(x, torch.full((3,), float(now)))
    assert relative(found, x) < 1e-4


def test_a_folder_of_it_is_the_same_to_the_bit(tmp_path):
    model = SiTFamily(num_heads=2).read(GOLDEN / "0000003.pt").model
    models.save(model, tmp_path / "m")
    again = models.load(tmp_path / "m")
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([0.1, 0.7], dtype=torch.float64)
    for classes in (None, torch.tensor([3, 10])):
        assert torch.equal(again.evaluate(x, t, classes).eps, model.evaluate(x, t, classes).eps)


@pytest.mark.parametrize("prediction, predicts", [("noise", "eps"), ("score", "score")])
@pytest.mark.parametrize("path, sde", [("Linear", FlowSDE()), ("VP", VPSDE())])
def test_other_predictions_and_paths(prediction, path, predicts, sde):
    options = {"num_heads": 2, "prediction": prediction, "path": path}
    found = SiTFamily(**options).read(GOLDEN / "released-layout.pt").model
    assert found.sde == sde and str(found.predicts) == predicts
    t = torch.tensor([0.25], dtype=torch.float64)
    assert float(found.time_input(t)) == 0.75


def written(folder, weights=(), **args):
    """A file of train.py with other arguments, and with weights added."""
    found = load()
    found["args"] = argparse.Namespace(**{**vars(found["args"]), **args})
    found["ema"].update(weights)
    torch.save(found, folder / "0000004.pt")
    return folder / "0000004.pt"


def load():
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(GOLDEN / "0000003.pt", weights_only=True)


@pytest.mark.parametrize(
    "name, options, error, reason",
    [
        ("released-layout.pt", {"num_heads": 2}, UsageError, "give prediction, velocity, noise, score; .*--as dit"),
        ("released-layout.pt", {"prediction": "velocity"}, UsageError, "give num_heads"),
        ("0000003.pt", {}, UsageError, "give num_heads"),
        ("0000003.pt", {"num_heads": 2, "prediction": "noise"}, UsageError, "with the prediction velocity, not noise"),
        ("0000003.pt", {"num_heads": 2, "path": "VP"}, UsageError, "with the path Linear, not VP"),
        ("0000003.pt", {"num_heads": 2, "classes": 5}, UsageError, "does not fit 5 classes"),
        ("0000003.pt", {"num_heads": 5}, UsageError, "num_heads must divide"),
        ("released-layout.pt", {"num_heads": 2, "weights": "raw"}, CheckpointError, "has no raw of a SiT"),
        (
            "released-layout.pt",
            {"num_heads": 2, "prediction": "velocity", "path": "VP"},
            UsageError,
            "velocity along the path VP, which is not covered",
        ),
    ],
)
def test_what_it_refuses(name, options, error, reason):
    with pytest.raises(error, match=reason):
        SiTFamily(**options).read(GOLDEN / name)


@pytest.mark.parametrize(
    "args, weights, error, reason",
    [
        ({"path_type": "GVP"}, {}, UsageError, "along the path GVP"),
        ({"model": "DiT-XL/2"}, {}, UsageError, "--as dit"),
        ({"num_classes": 7}, {}, UsageError, "does not fit 7 classes"),
        ({}, {"blocks.0.attn.q_norm.weight": torch.ones(16)}, CheckpointError, "q_norm.weight is unknown"),
        ({"num_workers": torch.nn.Linear(1, 1)}, {}, CheckpointError, "more than tensors and plain values"),
    ],
)
def test_what_a_file_may_not_say(tmp_path, args, weights, error, reason):
    with pytest.raises(error, match=reason):
        SiTFamily(num_heads=2).read(written(tmp_path, weights, **args))


@pytest.mark.parametrize("bad", [None, 3, "x", [], torch.tensor(1.0), torch.zeros(0), torch.zeros(0, 0, 0, 0)])
def test_a_damaged_entry_is_an_error_of_ours(bad, tmp_path, monkeypatch):
    whole = torch.load(GOLDEN / "released-layout.pt", weights_only=True)
    names = ("x_embedder.proj.weight", "pos_embed", "y_embedder.embedding_table.weight", "final_layer.linear.weight")
    for name in (*names, "blocks.0.mlp.fc1.weight", "blocks.1.attn.qkv.bias"):
        monkeypatch.setattr(sit, "read_weights", lambda _, found={**whole, name: bad}: found)
        for family in (SiTFamily(num_heads=2, prediction="velocity"), DiTFamily(num_heads=2)):
            with pytest.raises((UsageError, CheckpointError)):
                family.read(tmp_path)


def test_all_rows_may_be_classes():
    model = SiTFamily(num_heads=2, classes=11, prediction="velocity").read(GOLDEN / "released-layout.pt").model
    assert model.classes == 11 and not model.null_class
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([0.1, 0.7], dtype=torch.float64)
    with pytest.raises(UsageError, match="never shown a sample of no class"):
        model.eps(x, t)
    assert model.evaluate(x, t, torch.tensor([3, 10])).eps.shape == x.shape


def test_the_same_weights_as_dit():
    """The network gives noise and variance: SiT's output, with what it drops."""
    assert not DiTFamily.claims(GOLDEN / "released-layout.pt")
    truth = load_file(GOLDEN / "golden.safetensors")
    found = DiTFamily(num_heads=2).read(GOLDEN / "released-layout.pt")
    model = found.model
    assert (model.sde.name, model.sde.steps, str(model.label), str(model.predicts)) == ("ddpm", 1000, "step", "eps")
    out = model.net(truth["x"], truth["t"], truth["y"])
    assert out.shape[1] == 8 and relative(out[:, :4], truth["output"]) < 2e-5
    assert model.evaluate(truth["x"], model.sde.times[[5, 50, 999]]).share is not None
    assert "CC BY-NC" in found.notes["licence"]


def test_an_autoencoder_of_its_latents(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    options = {"block_out_channels": [4, 4], "layers_per_block": 1, "norm_num_groups": 2, "latent_channels": 4}
    blocks = {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    diffusers.AutoencoderKL(**options, **blocks).save_pretrained(tmp_path / "vae")
    found = SiTFamily(num_heads=2, autoencoder=str(tmp_path / "vae")).read(GOLDEN / "0000003.pt")
    assert found.model.autoencoder.shape == (3, 16, 16) and found.notes["autoencoder"] == "vae"
    config = json.loads((tmp_path / "vae/config.json").read_text())
    (tmp_path / "vae/config.json").write_text(json.dumps({**config, "scaling_factor": 0.13025}))
    with pytest.raises(UsageError, match=r"have the scale 0.18215, those of .* 0.13025"):
        SiTFamily(num_heads=2, autoencoder=str(tmp_path / "vae")).read(GOLDEN / "0000003.pt")
