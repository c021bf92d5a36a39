"""Pickles of EDM, in an imitation of their layout: what the networks compute, what a file says, what is refused."""

import json
from pathlib import Path

import pytest
import torch
from persistence import installed, snapshot
from safetensors import safe_open
from seeded import seeded

from scoresde import models
from scoresde.core.errors import CheckpointError, UsageError
from scoresde.models.foreign.base import family_of
from scoresde.models.foreign.edm import EDM
from scoresde.networks import networks
from scoresde.sde import VESDE, VPSDE

GOLDEN = Path(__file__).parents[2] / "golden/foreign/seeded.safetensors"
NAMES = {"SongUNet": "edm-song", "DhariwalUNet": "edm-adm"}


@pytest.fixture(autouse=True)
def imitation(monkeypatch):
    installed(monkeypatch)


def written(path, case="ncsnpp", kind="EDMPrecond", name=None, changes=None, told=None, protocol=4):
    """A snapshot of a network of the golden data, with other options."""
    with safe_open(GOLDEN, "pt") as file:
        options = json.loads(file.metadata()["edm"])[case]
    own, made = dict(options), options.pop("model_type")
    side, channels, classes = options.pop("img_resolution"), options.pop("img_channels"), options.pop("label_dim", 0)
    std = options.pop("sigma_data", None)
    net = seeded(networks[NAMES[made]](classes=classes, **options).build((channels, side, side)))
    if options.get("embedding_type") == "fourier":
        seeded(net, "map_noise.freqs")
    network = {
        "img_resolution": side,
        "in_channels": channels,
        "out_channels": channels,
        "label_dim": classes,
        **options,
    }
    own |= {"use_fp16": True, **({"sigma_data": std} if std else {}), **(told or {})}
    return snapshot(path, net, {**network, **(changes or {})}, own, kind, name or made, protocol)


def relative(found, truth):
    """The largest error of each row over the row's largest value."""
    return ((found - truth).flatten(1).abs().amax(1) / truth.flatten(1).abs().amax(1)).max()


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("case", ["ddpmpp", "ncsnpp", "skips", "adm"])
def test_it_computes_what_the_original_computes(case, protocol, tmp_path):
    source = written(tmp_path / "edm-a.pkl", case, protocol=protocol, changes={"label_dropout": 0.1})
    assert family_of(source) is EDM
    found = EDM().read(source)
    model = found.model.double()
    with safe_open(GOLDEN, "pt") as file:
        x, sigma, truth = (file.get_tensor(f"edm.{case}.{what}").double() for what in ("x", "sigma", "x0"))
    assert model.sde == VESDE(sigma_min=0.002, sigma_max=80)
    assert relative(model.denoise(x, model.sde.time(-sigma.log())), truth) < 5e-6
    assert found.notes["network"] == ("DhariwalUNet" if case == "adm" else "SongUNet")
    assert "not for commercial use" in found.notes["licence"] and not model.training


def test_a_folder_of_it_is_the_same_to_the_bit(tmp_path):
    model = EDM().read(written(tmp_path / "a.pkl", changes={"label_dropout": 0.1})).model
    models.save(model, tmp_path / "m")
    again = models.load(tmp_path / "m")
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([0.1, 0.7], dtype=torch.float64)
    for classes in (None, torch.tensor([3, 4])):
        assert torch.equal(again.evaluate(x, t, classes).eps, model.evaluate(x, t, classes).eps)


def test_a_network_that_always_had_a_class_is_given_one(tmp_path):
    found = EDM().read(written(tmp_path / "a.pkl"))
    assert not found.model.null_class and found.notes["no_class"] == "was not trained"
    with pytest.raises(UsageError, match="give each a class from 0 to 3"):
        found.model.eps(torch.zeros(1, 3, 16, 16), torch.ones(1, dtype=torch.float64))


def test_the_preconditioning_of_vp(tmp_path):
    """D = x - σ F(x/√(σ² + 1), 999 t(σ)) with the σ(t) of `vp`: F is ε, and its input x_t of `vp`."""
    source = written(tmp_path / "a.pkl", "ddpmpp", "VPPrecond", told={"beta_d": 19.9, "beta_min": 0.1, "M": 1000})
    model = EDM().read(source).model
    assert model.sde == VPSDE() and str(model.predicts) == "eps"
    t = torch.tensor([0.25], dtype=torch.float64)
    sigma = torch.expm1(0.5 * 19.9 * t**2 + 0.1 * t).sqrt()
    assert torch.allclose(torch.exp(-model.sde.log_snr(t)), sigma) and float(model.time_input(t)) == 999 / 4


@pytest.mark.parametrize(
    "options, error, reason",
    [
        ({"kind": "Precond"}, UsageError, "a network of EDM2, which is not covered"),
        ({"kind": "VEPrecond"}, UsageError, "preconditioned as VE"),
        ({"kind": "iDDPMPrecond"}, UsageError, "preconditioned as iDDPM"),
        ({"name": "UNet"}, UsageError, "holds a UNet, which is not covered: SongUNet and DhariwalUNet are"),
        ({"told": {"noise_offset": 0.1}}, UsageError, "the option noise_offset of an EDMPrecond"),
        ({"told": {"sigma_data": [0.5]}}, UsageError, "sigma_data of the pickle is no number but a list"),
        ({"told": {"sigma_min": "x"}}, UsageError, "sigma_min of the pickle is no number but a str"),
        ({"told": {"sigma_data": -1.0}}, UsageError, "data_std"),
        ({"changes": {"additive_pos_embed": True}}, UsageError, "option additive_pos_embed, which is not covered"),
        ({"changes": {"extra_channels": 2}}, UsageError, "option extra_channels, which is not covered"),
        ({"changes": {"embedding_type": "zero"}}, UsageError, "embedding_type"),
        ({"changes": {"in_channels": 5}}, UsageError, "from 5 to 3 channels"),
        ({"changes": {"img_resolution": "16"}}, CheckpointError, "the size and the channels"),
        ({"changes": {"num_blocks": 2}}, CheckpointError, "has the shape|is missing"),
        ({"changes": {"channel_mult": [2, 4]}}, CheckpointError, "has the shape|is missing|is unknown"),
        ({"changes": {"label_dim": 7}}, CheckpointError, "map_label.weight has the shape"),
    ],
)
def test_what_it_refuses(options, error, reason, tmp_path):
    with pytest.raises(error, match=reason):
        EDM().read(written(tmp_path / "a.pkl", **options))


def test_another_filter_cannot_be_put_in(tmp_path):
    """The filter is in the file as well as in the options: one that contradicts is refused."""
    source = written(tmp_path / "a.pkl", changes={"resample_filter": [1, 1]})
    with pytest.raises(CheckpointError, match="resample_filter has the shape"):
        EDM().read(source)


def test_no_snapshot(tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04}.")
    assert not EDM.claims(tmp_path / "a.pkl") and not EDM.claims(tmp_path)
    with pytest.raises(CheckpointError, match="no entry ema"):
        EDM().read(tmp_path / "a.pkl")
