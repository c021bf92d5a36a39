"""Pruning against NumPy, its report against torch's own count, and the command."""

import json
import shutil

import numpy as np
import pytest
import torch

from scoresde import models
from scoresde.core import files
from scoresde.core.errors import UsageError
from scoresde.networks import networks
from scoresde.networks.describe import describe
from scoresde.networks.prune import each, hold, layers, measure, prune

SHAPE = (1, 8, 8)


def network(name="unet"):
    torch.manual_seed(0)
    small = {"unet": {"channels": 8, "multipliers": [1, 2], "blocks": 1, "attention": []}, "basic": {"widths": [8, 16]}}
    net = networks[name](**small[name]).build(SHAPE)
    for parameter in net.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return net.eval()


@pytest.mark.parametrize("name", ["unet", "basic"])
@pytest.mark.parametrize("method", ["l1", "random", "ln"])
def test_the_share_asked_for_is_taken_from_each_layer(method, name):
    net, before = network(name), network(name)
    kept = prune(net, method, 0.5)
    for (key, layer), old in zip(layers(net).items(), layers(before).values(), strict=True):
        weight, whole = layer.weight.detach().numpy(), old.weight.detach().numpy()
        if key not in kept:
            assert method == "ln" and key in ("conv_out", "last") and (weight == whole).all()
            continue
        mask = kept[key].numpy()
        assert (weight == whole * mask).all()
        if method == "ln":
            axis = 1 if isinstance(layer, torch.nn.ConvTranspose2d) else 0
            length = np.linalg.norm(np.moveaxis(whole, axis, 0).reshape(whole.shape[axis], -1), axis=1)
            gone = np.argsort(length)[: round(0.5 * len(length))]
            assert not np.moveaxis(mask, axis, 0)[gone].any()
            assert mask.sum() == mask.size * (1 - len(gone) / len(length))
        else:
            assert mask.size - mask.sum() == round(0.5 * mask.size)
        if method == "l1":
            assert np.abs(whole[~mask]).max() <= np.abs(whole[mask]).min()
    assert not any("mask" in key or "orig" in key for key in net.state_dict())


@pytest.mark.parametrize(
    ("patterns", "fits"),
    [
        (["mid_block"], lambda name: name.startswith("mid_block.")),
        (["*.conv1"], lambda name: name.endswith(".conv1")),
        (["conv_in", "up_blocks.0"], lambda name: name == "conv_in" or name.startswith("up_blocks.0.")),
    ],
)
def test_only_layers_in_the_modules_are_pruned(patterns, fits):
    net, before = network(), network()
    kept = prune(net, "l1", 0.5, modules=patterns)
    assert set(kept) == {name for name in layers(net) if fits(name)} and 0 < len(kept) < len(layers(net))
    for name, layer in layers(net).items():
        old = layers(before)[name].weight
        assert torch.equal(layer.weight, old * kept[name] if name in kept else old)


def test_the_line_of_a_layer_says_what_its_weights_are():
    net = network("basic")
    prune(net, "l1", 0.25, modules=["down"])
    lines = {line.pop("layer"): line for line in each(net)}
    assert set(lines) == set(layers(net))
    line = lines["down.0.conv1"]  # 8 to 16 channels, 3x3, with a bias of 16, in 4 bytes each
    assert line == {"weight": "16 x 8 x 3 x 3", "weights": 1152, "zeros": 288, "sparsity": 0.25, "KiB": 4.6}
    assert lines["first"]["zeros"] == 0 and lines["first"]["KiB"] == round(4 * (8 * 9 + 8) / 1024, 1)


def test_modules_that_are_none_are_refused():
    with pytest.raises(UsageError, match=r"no layer is in a module 'mid_blok'\. Did you mean .*mid_block"):
        prune(network(), "l1", 0.5, modules=["mid_blok"])
    with pytest.raises(UsageError, match="ln leaves the last layer alone, and conv_out is all"):
        prune(network(), "ln", 0.5, modules=["conv_out"])


def test_random_is_a_function_of_its_seed_and_leaves_torchs_generator_alone():
    nets = [network() for _ in range(3)]
    state = torch.get_rng_state()
    masks = [prune(net, "random", 0.3, seed=seed) for net, seed in zip(nets, (5, 5, 6), strict=True)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(masks[0]["conv_in"], masks[1]["conv_in"]) and not torch.equal(*(m["conv_in"] for m in masks[1:]))


@pytest.mark.parametrize("name", ["unet", "basic"])
def test_operations_are_those_that_torch_counts(name):
    """All but the products inside attention, which have no weights."""
    net = network(name)
    found = measure(net, SHAPE)
    attention = 2 * 2 * 16**2 * 16 if name == "unet" else 0  # q kᵀ and its product with v: 16 positions of 16 channels
    assert found.flops + attention == describe(net, SHAPE, timed=False).flops
    assert (found.zeros, found.useful) == (0, found.flops)
    prune(net, "l1", 0.5)
    half = measure(net, SHAPE)
    assert half.sparsity == pytest.approx(0.5, abs=0.01) and half.useful == pytest.approx(found.flops / 2, rel=0.01)


def test_what_was_taken_stays_away():
    net = network()
    kept = prune(net, "l1", 0.4)
    before = measure(net, SHAPE)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1.0)
    hold(net, kept)
    assert measure(net, SHAPE) == before
    with pytest.raises(UsageError, match="--amount must be between 0 and 1, got 1"):
        prune(net, "l1", 1.0)


@pytest.mark.slow
def test_a_few_steps_mend(run):
    said = json.loads(run("prune digits --amount 0.5 --finetune 40 --samples 64 --json --quiet --device cpu"))
    distance = [float(line["FD[pixels]"].split()[0]) for line in said]
    assert distance[0] < distance[2] < 0.8 * distance[1]


def test_the_command_reports_and_keeps_what_it_did(run, tmp_path):
    said = json.loads(run("prune digits --finetune 2 --samples 20 --json --quiet --device cpu"))
    whole, pruned, after = said
    assert (whole["sparsity"], pruned["sparsity"], after["sparsity"]) == (0.0, 0.5, 0.5)
    assert whole["operations"] == whole["of"] > 1.9 * pruned["operations"]
    assert pruned["operations"] == after["operations"] and pruned["FD[pixels]"] != whole["FD[pixels]"]
    folder = tmp_path / "pruned" / "digits"
    assert measure(models.load(folder).net, SHAPE).sparsity == pytest.approx(0.5, abs=0.001)
    recipe = files.read_json(folder / "config.json")["recipe"]
    assert recipe["pruned"] == {"method": "l1", "amount": 0.5, "finetune": 2}
    by_module = json.loads(run("prune digits --module mid_block --layers --samples 0 --out mid --json --device cpu"))
    zeros = {line["layer"]: line["sparsity"] for line in by_module[1]["layers"]}
    assert set(zeros.values()) == {0.0, 0.5} and zeros["mid_block.resnets.0.conv1"] == 0.5 and zeros["conv_in"] == 0
    assert files.read_json(tmp_path / "mid" / "config.json")["recipe"]["pruned"]["modules"] == ["mid_block"]
    run("prune digits --method random --seed 7 --samples 0 --out any --json --device cpu")
    recorded = files.read_json(tmp_path / "any" / "config.json")["recipe"]["pruned"]
    again = models.load("digits").net
    prune(again, recorded["method"], recorded["amount"], seed=recorded["seed"])
    drawn = models.load(tmp_path / "any").net.state_dict()
    assert all(torch.equal(x, drawn[name]) for name, x in again.state_dict().items())
    assert "sparsity" in run("prune pruned/digits --method ln --samples 0 --out again --device cpu")
    needs = run("prune pruned/digits --finetune 3 --out again --device cpu", 2)
    assert "needs the configuration that pruned/digits was trained with" in needs
    assert "is the model itself" in run("prune pruned/digits --out pruned/digits --samples 0 --device cpu", 2)
    before = (tmp_path / "mid" / "model.safetensors").read_bytes()
    assert "mid holds another model" in run("prune fashion --out mid --samples 0 --device cpu", 2)
    assert (tmp_path / "mid" / "model.safetensors").read_bytes() == before
    assert "The pruned model is in mid" in run("prune digits --out mid --samples 0 --device cpu")
    shutil.copytree(models.locate("digits"), tmp_path / "copy")
    assert "copy holds another model" in run("prune digits --out copy --samples 0 --device cpu", 2)
    models.save(models.load("digits"), tmp_path / "other")
    assert "other holds another model" in run("prune digits --out other --samples 0 --device cpu", 2)
