"""What every import has in common, on the golden folders: by command, from Python, through the cache, refused."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

import scoresde
from scoresde import models
from scoresde.cli import scoresde as cli
from scoresde.core.errors import CheckpointError, ResourceError, UsageError
from scoresde.core.random import randn, stream
from scoresde.models.foreign import families
from scoresde.models.foreign.base import family_of
from scoresde.models.foreign.cache import state
from scoresde.models.foreign.weights import fill, read_weights

GOLDEN = Path(__file__).parent.parent.parent / "golden" / "foreign"
DIFFUSERS = GOLDEN / "diffusers-vp"


def run(*arguments):
    return CliRunner().invoke(cli, [str(each) for each in arguments])


def test_a_family_knows_its_own_and_no_other():
    for folder in GOLDEN.iterdir():
        if folder.is_dir():
            name = next(name for name in families if folder.name.startswith(name))
            source = folder if name == "diffusers" else next(p for p in folder.iterdir() if p.suffix in (".pt", ".pth"))
            assert family_of(source).name == name
    for other in (GOLDEN / "README.md", GOLDEN):
        with pytest.raises(UsageError, match="is of no family that is known .*: name its family"):
            family_of(other)
    with pytest.raises(UsageError, match="there is no file or folder"):
        family_of(GOLDEN / "nothing")
    with pytest.raises(UsageError, match="is of no family that is known"):
        family_of(models.locate("digits"))


def test_random_weights_do_not_pass_and_are_kept_by_force_alone(tmp_path):
    out = tmp_path / "out"
    refused = run("import", DIFFUSERS, "--out", out)
    assert refused.exit_code == 2 and "was read, but its model does not denoise" in refused.output
    assert not (out / "config.json").exists()
    kept = run("import", DIFFUSERS, "--out", out, "--force")
    assert kept.exit_code == 0 and "not passed: of noise 0.1 it leaves" in kept.output, kept.output
    record = json.loads((out / "config.json").read_text())["imported"]
    assert record["family"]["name"] == "diffusers" and record["source"] == "diffusers-vp"
    assert record["check"]["passed"] is False and len(record["check"]["errors"]) == 4
    assert (
        run(
            "sample", "--model", out, "-n", "2", "--solver", "ddim", "--steps", "3", "--out", tmp_path / "drawn"
        ).exit_code
        == 0
    )


def test_from_python_and_again_over_an_earlier_import_but_over_no_other_model(tmp_path):
    golden = load_file(DIFFUSERS / "golden.safetensors")
    for _ in range(2):
        model = scoresde.import_model(DIFFUSERS, tmp_path / "out", family="diffusers", force=True, device="cpu")
    eps = model.eps(golden["x"], model.sde.chain.times[golden["timestep"].long()])
    assert (eps - golden["eps"]).abs().max() < 2e-5 * golden["eps"].abs().max()
    models.save(models.load("digits"), tmp_path / "mine")
    before = (tmp_path / "mine" / "config.json").read_bytes()
    with pytest.raises(UsageError, match="holds a model that was not imported: choose another folder"):
        scoresde.import_model(DIFFUSERS, tmp_path / "mine", force=True)
    assert (tmp_path / "mine" / "config.json").read_bytes() == before
    with pytest.raises(UsageError, match="no family is called 'difusers'. Did you mean 'diffusers'"):
        scoresde.import_model(DIFFUSERS, tmp_path / "out", family="difusers")
    with pytest.raises(UsageError, match="sizes"):
        scoresde.import_model(DIFFUSERS, tmp_path / "out", sizes=3)


def test_named_in_place_of_a_model_it_is_imported_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("SCORESDE_CACHE", str(tmp_path / "cache"))
    source = shutil.copytree(DIFFUSERS, tmp_path / "source")
    with pytest.raises(UsageError, match="does not denoise"):
        models.load(f"diffusers:{source}")
    monkeypatch.setattr("scoresde.models.foreign.importing.check", lambda *a: {"passed": True})
    first = models.locate(f"diffusers:{source}")
    assert first.parent == tmp_path / "cache" and "imported diffusers:" in caplog.text
    monkeypatch.setattr("scoresde.models.foreign.importing.check", None)  # it is not made again
    assert models.locate(f"diffusers:{source}") == first
    assert (
        run(
            "sample",
            "--model",
            f"diffusers:{source}",
            "-n",
            "1",
            "--solver",
            "ddim",
            "--steps",
            "2",
            "--out",
            tmp_path / "o",
        ).exit_code
        == 0
    )
    before = state(source)
    os.utime(source / "unet" / "config.json", ns=(1, 1))
    assert state(source) != before
    with pytest.raises(UsageError, match="there is no file or folder"):
        models.load("diffusers:nowhere")
    with pytest.raises(UsageError, match="no model folder or bundled model is called 'c:/x'"):
        models.load("c:/x")


def test_a_file_where_a_folder_should_be_and_the_other_way_is_said(tmp_path):
    file = GOLDEN / "sit-flow" / "released-layout.pt"
    for source, family, words in ((DIFFUSERS, "edm", "is a folder"), (file, "diffusers", "is a file")):
        found = run("import", source, "--as", family, "--out", tmp_path / "out")
        assert found.exit_code == 2 and f"{words}, and a checkpoint of {family} is a" in found.output
    found = run("import", tmp_path / "nothing", "--as", "edm", "--out", tmp_path / "out")
    assert found.exit_code == 2 and "there is no file or folder" in found.output and not (tmp_path / "out").exists()


def test_the_hub_is_asked_for_weights_and_configs_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SCORESDE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("scoresde.models.foreign.importing.check", lambda *a: {"passed": True})
    asked = []

    def download(repository, revision=None, allow_patterns=None):
        asked.append((repository, revision, allow_patterns))
        if repository == "a/gone":
            raise OSError("404\n not found")
        return str(DIFFUSERS)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert models.load("hub:a/b@v1").shape == (3, 16, 16)
    assert asked == [("a/b", "v1", ["*.json", "*.safetensors", "*.bin"])]
    with pytest.raises(ResourceError, match="the repository a/gone cannot be fetched: 404 not found"):
        models.load("hub:a/gone")


def test_weights_that_could_run_code_are_not_opened(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"weight": torch.ones(2), "other": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="more than tensors and plain values and is not opened"):
        read_weights(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", ["cut", "text", "list", "missing"])
@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_damaged_weights_are_one_sentence(tmp_path, damage, ending):
    path = tmp_path / f"weights{ending}"
    (save_file if ending == ".safetensors" else torch.save)({"a": torch.ones(100)}, path)
    if damage == "list":
        torch.save([torch.ones(2)], path)
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:200] if damage == "cut" else b"not weights at all")
    with pytest.raises(CheckpointError) as caught:
        read_weights(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_every_weight_and_nothing_else():
    net, x = torch.nn.Linear(3, 2), randn((4, 3), stream(0))
    weights = {name: value + 1 for name, value in net.state_dict().items()}
    wrong = [
        ({"weight": weights["weight"]}, "bias is missing"),
        ({**weights, "more": torch.ones(1)}, "more is unknown"),
        ({**weights, "bias": torch.ones(3)}, r"bias has the shape \(3,\), not \(2,\)"),
        ({**weights, "bias": torch.tensor([1, torch.inf])}, "bias is not finite"),
        ({**weights, "bias": 3}, "bias has the shape an int"),
        ({}, r"bias is missing \(and 1 more\)"),
    ]
    before = net(x)
    for tensors, message in wrong:
        with pytest.raises(CheckpointError, match=f"the weights of here do not fit the network: {message}"):
            fill(net, tensors, "here")
        assert torch.equal(net(x), before)
    fill(net, weights, "here")
    assert torch.equal(net.bias, weights["bias"])


ASKED = {  # what a file does not say, as the command is given it
    "score_sde-ddpmpp-vp-cont": {"config": "config.json"},
    "score_sde-ddpmpp-subvp-cont": {"config": "config.json"},
    "score_sde-ddpmpp-vp-disc": {"config": "config.json"},
    "score_sde-ncsnpp-ve-cont": {"config": "config.json"},
    "guided-diffusion-class-sigma": {"flags": "flags.json", "num_classes": "10"},
    "guided-diffusion-iddpm": {"flags": "flags.json"},
    "lucidrains-v-sigmoid": {"image_size": "16"},
    "lucidrains-eps-cosine": {"image_size": "16"},
    "sit-flow": {"num_heads": "2"},
}
FOLDERS = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())


@pytest.mark.parametrize("name", FOLDERS)
def test_by_command_a_checkpoint_is_the_model_that_its_family_reads(name, tmp_path):
    """The tests of the families compare the latter with the original's own outputs."""
    folder = GOLDEN / name
    weights = sorted(path for path in folder.iterdir() if path.suffix in (".pt", ".pth"))
    source = weights[0] if weights else folder
    options = {key: str(folder / text) if text.endswith(".json") else text for key, text in ASKED.get(name, {}).items()}
    asked = [part for key, text in options.items() for part in (f"--{key.replace('_', '-')}", text)]
    if asked:
        refused = run("import", source, "--out", tmp_path / "out", "--force")
        assert refused.exit_code == 2 and next(iter(options)) in refused.output, refused.output
    done = run("import", source, "--out", tmp_path / "out", "--force", *asked)
    assert done.exit_code == 0, done.output
    before = torch.get_rng_state()
    ours, expected = models.load(tmp_path / "out"), family_of(source)(**options).read(source).model
    assert torch.equal(torch.get_rng_state(), before)  # the caller's own random numbers do not depend on it
    assert (ours.sde, ours.label, ours.predicts, ours.shape, ours.classes, ours.options) == (
        expected.sde, expected.label, expected.predicts, expected.shape, expected.classes, expected.options,
    )  # fmt: skip
    weights = expected.net.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in ours.net.state_dict().items())
    x, t = randn((2, *ours.shape), stream(0)), torch.full((2,), 0.5, dtype=torch.float64)
    classes = torch.zeros(2, dtype=torch.long) if ours.classes else None
    assert torch.equal(ours.evaluate(x, t, classes).eps, expected.evaluate(x, t, classes).eps)
