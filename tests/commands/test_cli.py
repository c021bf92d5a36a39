"""The command line: what it prints, what it writes, what it refuses, and with which exit code."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch
from PIL import Image

from scoresde import models
from scoresde.cli import COMMANDS
from scoresde.conditioners import conditioners
from scoresde.core import files
from scoresde.data import data
from scoresde.models.network import NetworkModel
from scoresde.networks.conv import ConvOptions
from scoresde.networks.mlp import MLPOptions
from scoresde.sde import VPSDE
from scoresde.solvers import solvers


def test_help_is_fast_and_complete():
    """Without importing torch: the least time of the processor of five runs, so that a busy machine does not decide."""
    seconds = []
    for _ in range(5):
        began = os.times()
        done = subprocess.run([sys.executable, "-m", "scoresde", "--help"], capture_output=True, text=True, check=True)
        ended = os.times()
        seconds.append(ended.children_user + ended.children_system - began.children_user - began.children_system)
    assert all(name in done.stdout for name in COMMANDS)
    assert min(seconds) < 0.3, f"{min(seconds):.2f} s"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(run, command):
    text = run(f"{command} --help")
    assert "Examples:" in text and f"scoresde {command}" in text


def test_sample_writes_pictures_and_what_they_cost(run, tmp_path):
    said = run("sample --solver dpm --tol 0.1 -n 6 --batch 4 --seed 3 --out out --trajectory 4 --animation webp")
    assert "6 samples by dpm:tol=0.1:" in said and "NFE" in said and "in out" in said
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"{seed:06d}.png" for seed in range(3, 9)] + [
        "samples.json",
        "sheet.png",
        "trajectory.png",
        "trajectory.webp",
    ]
    record = json.loads((tmp_path / "out" / "samples.json").read_text())
    assert record["solver"] == {"name": "dpm", **solvers["dpm"](tol=0.1).model_dump()}
    assert record["seeds"] == [3, 8] and len(record["nfe_per_batch"]) == 2 and record["work"] > 10
    assert record["model"]["sha256"] == files.read_json(models.locate("digits") / "config.json")["sha256"]
    assert record["versions"]["torch"] == torch.__version__
    with Image.open(tmp_path / "out" / "000005.png") as picture:
        assert picture.size == (8, 8)
        alone = picture.tobytes()
    run("sample --solver dpm --tol 0.1 -n 1 --seed 5 --out alone")
    with Image.open(tmp_path / "alone" / "000005.png") as picture:
        # An image is a function of its seed, up to the rounding of a network on another batch.
        assert max(abs(a - b) for a, b in zip(picture.tobytes(), alone, strict=True)) <= 1


def test_the_way_of_a_first_batch_that_does_not_fit_is_recorded_anew(run, tmp_path, monkeypatch):
    """Memory that is full after some evaluations halves the batch; the truth is a run with batches as small."""
    line = "sample --solver euler --steps 3 -n 4 --trajectory 3 --quiet --out"
    run(f"{line} small --batch 2")
    evaluate, calls = NetworkModel.evaluate, []

    def greedy(self, x, *rest):
        calls.append(len(x))
        if calls == [4, 4]:
            raise torch.OutOfMemoryError
        return evaluate(self, x, *rest)

    monkeypatch.setattr(NetworkModel, "evaluate", greedy)
    run(f"{line} halved --batch 4")
    for name in ("trajectory.png", "trajectory.gif", "000003.png"):
        assert (tmp_path / "halved" / name).read_bytes() == (tmp_path / "small" / name).read_bytes()


@pytest.mark.parametrize("name", solvers.all())
def test_every_solver_samples_from_the_command_line(run, tmp_path, name):
    budgets = {"steps": "--steps 8", "nfe": "--nfe 8", "tol": "--tol 0.1"}
    options = next(text for field, text in budgets.items() if field in solvers[name].model_fields)
    run(f"sample --solver {name} {options} -n 2 --quiet")
    assert json.loads((tmp_path / "samples" / f"digits-{name}" / "samples.json").read_text())["nfe"] > 8


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("smaple", 2, "no command is called 'smaple'. Did you mean 'sample'?"),
        ("sample --solver eulr", 2, "no solver is called 'eulr'. Did you mean 'euler'?"),
        ("sample --tolx 1", 2, "No such option"),
        ("sample --solver em --tol 1e-2", 2, "em, which takes --brownian, --final-corrector, --grid, --steps"),
        ("sample --tol 0", 2, "tol must be greater than 0, got 0"),
        ("sample --tol -1", 2, "tol must be greater than 0, got -1"),
        ("sample --tol nan", 2, "tol must be a finite number, got nan"),
        ("sample --solver em --steps 0", 2, "steps must be at least 1, got 0"),
        ("sample --solver scipy --method RK4", 2, "method of scipy must be one of RK23, RK45"),
        ("sample --trajectory 1000000000000", 6, "the memory does not hold what this takes"),
        ("sample -n 1000000000000", 2, "1000000000000 is not in the range 1<=x<=10000000"),
        ("check-solver :Class", 2, "cannot import ':Class'"),
        ("check-solver .here:Class", 2, "cannot import '.here:Class'"),
        ("sample --trajectory 1", 2, "--trajectory needs at least 2 frames, got 1"),
        ("sample --model nowhere", 2, "no model folder or bundled model is called 'nowhere'"),
        ("sample --out file/out", 2, "cannot write into file/out"),
        ("sample --device cuda:77", 6, "this machine has no device 'cuda:77'"),
        ("sample --device abacus", 2, "no device is called 'abacus'"),
        ("sample --model broken", 4, "is not a model folder: it holds no config.json"),
        ("sample --model cut", 4, "model.safetensors is damaged"),
        ("sample --model old", 4, "has the format 0; this version reads format 1"),
        ("sample --solver rk45 --max-nfe 20 -n 2 --quiet", 5, "rk45 has not ended after max_nfe = 20 evaluations"),
        ("solvers dpmm", 2, "Did you mean 'dpm'?"),
        ("datasets digitz", 2, "Did you mean 'digits'?"),
        ("conditioners covarience", 2, "Did you mean 'covariance'?"),
        ("describe digitz", 2, "Did you mean 'digits'?"),
        ("describe xyz", 2, "cifar10-vp-colour, cifar100-classes, digits, digits-classes"),
        ("describe digits --size 8 network.chanels=8", 2, "chanels is not an option of unet"),
        ("train digitz", 2, "no file, folder or configuration is called 'digitz'. Did you mean 'digits'?"),
        ("train digits --out file/run", 2, "cannot write into file/run"),
        ("train digits --resume", 2, "holds no checkpoint to resume from"),
        ("train digits data.name=npz data.path=nothing.npz", 3, "nothing.npz"),
        ("train bad.toml", 2, "3 mistakes in the configuration bad.toml"),
        ("configs broken", 2, "broken is a folder, and a configuration is a TOML file"),
        ("features fit --data folder --path broken --labels table", 3, "broken holds no pictures"),
    ],
)
def test_bad_input_is_one_clear_sentence(run, tmp_path, line, code, message):
    (tmp_path / "file").touch()
    (tmp_path / "broken").mkdir()
    bundled = models.locate("digits")
    for name in ("cut", "old"):
        (tmp_path / name).mkdir()
        config = json.loads((bundled / "config.json").read_text())
        config["format"] = 0 if name == "old" else config["format"]
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        (tmp_path / name / "model.safetensors").write_bytes((bundled / "model.safetensors").read_bytes()[:1000])
    (tmp_path / "bad.toml").write_text(
        '[data]\nname = "digits"\n[sde]\nname = "vpp"\n[network]\nname = "unet"\nblocks = 0\n[train]\nbach = 3\n'
    )
    text = run(line, code)
    assert message in " ".join(text.split())
    assert not list(tmp_path.rglob("*.png")) and not list(tmp_path.rglob("*.tmp"))


def test_train_then_sample_then_refuse_to_overwrite(run, tmp_path):
    small = "network.channels=8 network.multipliers=[1] network.blocks=1 train.images=640 train.log_every=128"
    said = run(f"train digits {small} --out runs/a --quiet")
    assert "Sample with: scoresde sample --model runs/a" in said
    lines = [json.loads(line) for line in (tmp_path / "runs/a/metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["images"] == 640 and all(line["loss"] > 0 for line in lines)
    assert list((tmp_path / "runs/a/samples").glob("*.png"))
    run("sample --model runs/a --solver euler --steps 5 -n 2 --quiet")
    before = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    assert "already holds a run; continue it with --resume" in run(f"train digits {small} --out runs/a --quiet", 2)
    assert before == {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    assert "Trained on 1280 images" in run(f"train digits {small} train.images=1280 --out runs/a --resume --quiet")


def test_dry_run_prints_a_configuration_that_can_be_used(run, tmp_path):
    text = run("train digits train.batch=7 --dry-run")
    (tmp_path / "again.toml").write_text(text)
    assert run("train again.toml --dry-run") == text and "batch = 7" in text


def test_lists_and_explanations(run):
    rows = json.loads(run("solvers --json"))
    assert {row["solver"] for row in rows} == set(solvers.all()) and all("http" in row["reference"] for row in rows)
    assert "dpm" in run("solvers")
    explained = json.loads(run("solvers dpm --json"))
    own = {"--tol", "--atol", "--control", "--controller", "--first-step", "--order", "--max-nfe", "--final-corrector"}
    assert {row["option"] for row in explained["options"]} == own
    assert "arxiv.org/abs/2206.00927" in run("solvers dpm") and "--order" in run("solvers dpm")
    assert {row["name"] for row in json.loads(run("datasets --json"))} == set(data.all())
    rows = json.loads(run("conditioners --json"))
    references = {row["name"]: row["reference"] for row in rows}  # which an example may follow
    assert references["jpeg"] == "Wallace 1992, https://doi.org/10.1109/30.125072"
    assert not [name for name, text in references.items() if ">>>" in text]
    parts = {(row["kind"], row["name"]) for row in rows}
    assert parts >= {("conditioner", name) for name in conditioners.all()} | {("posterior sampler", "smc")}
    assert "products=" in run("conditioners moment") and "Yismaw et al. 2024" in run("conditioners")
    assert "--download" in run("datasets cifar10")
    assert {row["model"] for row in json.loads(run("models --json"))} == set(models.bundled())


def test_describe(run):
    """The coursework's question: 128 channels with multipliers 1, 2, 4 on 512x512."""
    result = json.loads(run("describe unet-512 --size 512 --no-time --json"))
    shapes = {row["module"]: row["shape"] for row in result["rows"]}
    assert shapes["down.0"] == [128, 256, 256] and shapes["down.1"] == shapes["up.0"] == [256, 128, 128]
    assert shapes["down.2"] == shapes["middle"] == [512, 64, 64] and shapes["up.2"] == [128, 512, 512]
    text = run("describe digits")
    assert "parameters   442,817" in text and "ms per forward" in text


@pytest.mark.parametrize(("shape", "options"), [((2,), MLPOptions(width=8)), ((3, 16), ConvOptions(width=8, blocks=1))])
def test_describe_takes_vectors_and_series(run, tmp_path, shape, options):
    """A model whose samples are no images was an error of Python; a side is asked for where there is one."""
    net = options.build(shape)
    models.save(models.NetworkModel(net, VPSDE(), shape, options=options), tmp_path / "net")
    result = json.loads(run("describe net --no-time --json"))
    assert result["input"] == list(shape) and result["rows"][-1]["shape"] == list(shape)
    assert result["parameters"] == sum(parameter.numel() for parameter in net.parameters())
    if len(shape) == 1:
        assert "--size 4 is the side of images" in run("describe net --size 4 --no-time", 2)
    else:
        assert json.loads(run("describe net --size 4 --no-time --json"))["input"] == [3, 4]


def test_check_solver(run, tmp_path, monkeypatch):
    """A good solver passes; one with a wrong step, its own randomness and a hidden evaluation fails by name."""
    said = run("check-solver ddim eta=1 --fast")  # with the option it adds noise, and promises a law
    assert re.search(r"^ok +law of the data ", said, re.M) and "FAILED" not in said
    (tmp_path / "wrong.py").write_text(
        "import torch\n"
        "from scoresde.solvers import OneStepSolver\n"
        "class Wrong(OneStepSolver):\n"
        "    @property\n"
        "    def claimed_order(self):\n"
        "        return 2.0\n"
        "    def step(self, model, x, t, s, generator):\n"
        "        x = x + (s.time - t.time) * model.velocity(x, t.rows(x)) + 1e-6 * torch.randn_like(x)\n"
        "        return x - 1e-6 * x.mean()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    rows = {row["promise"]: row["verdict"] for row in json.loads(run("check-solver wrong:Wrong --fast --json", 1))}
    failed = {"order on a Gaussian", "order on a mixture", "a function of its seed", "independent of its batch"}
    failed |= {"gradients flow", "law on ve", "law on wide ve", "law on edm"}  # plain Euler steps in t are too long
    assert {promise for promise, verdict in rows.items() if verdict == "FAILED"} == failed
    assert set(rows.values()) == {"ok", "FAILED"}
    assert "is not a class of solvers" in run("check-solver pathlib:Path", 2)
    assert "cannot import" in run("check-solver nowhere:Solver", 2)
    assert "order must be" in run("check-solver dpm order=9", 2)


def test_doctor(run, monkeypatch):
    monkeypatch.setattr(models, "bundled", lambda: ["digits"])  # the others take ten times as long
    rows = json.loads(run("doctor --json"))
    assert {row["result"] for row in rows} == {"ok"}
    assert "off the closed form" in next(row["detail"] for row in rows if row["check"] == "accuracy")
