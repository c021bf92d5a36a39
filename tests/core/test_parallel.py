"""Several processes: the training of one, to the rounding of sums, and the samples of one, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import pytest
import torch

from scoresde.core.errors import UsageError
from scoresde.core.parallel import Processes, group, processes
from scoresde.training import config as configuration
from scoresde.training.batches import Feed
from scoresde.training.checkpoints import read
from scoresde.training.loop import start, train

SMALL = ["network.channels=4", "network.group_channels=4", "network.multipliers=[1,2]", "network.blocks=1"]
SMALL += ["train.batch=12", "train.images=240", "train.warmup=24", "train.decay=0", "train.clip=2.0"]
LINE = ["train", "digits", *SMALL, "train.log_every=12", "train.save_every=120", "train.sample_every=1000000"]
LINE += ["train.snapshot_every=60", "--device", "cpu", "--out"]
HALF = ["train.precision=float16", "train.predicts=x0", "train.weighting=min-snr:cap=100"]
HALF += ["train.images=120"]

STAND_IN = """
import os, types
Settings = types.SimpleNamespace
def init(**options):
    with open(options["dir"] + "/told", "a") as file:
        file.write(os.environ["RANK"] + options["project"])
    return types.SimpleNamespace(id="7", log=lambda row, step: None, finish=lambda exit_code: None)
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What came of command lines in one, two and three processes, and the folder they ran in."""
    folder = tmp_path_factory.mktemp("ranks")
    sampled = ["sample", "--solver", "rk45", "--tol", "0.1", "-n", "7", "--batch", "2", "--device", "cpu"]
    jobs = {
        "one": (1, [*LINE, "one"]),
        "two": (2, [*LINE, "two", "train.wandb=mine"]),
        "three": (3, [*LINE, "three", "train.accumulate=2"]),
        "cut": (3, [*LINE, "cut", "train.accumulate=2", "train.images=120"]),
        "resumed": (3, [*LINE, "cut", "train.accumulate=2", "--resume"]),
        "refused": (2, [*LINE, "two"]),
        "nonfinite": (2, [*LINE, "nonfinite", "train.learning_rate=1e30", "train.clip=1e30"]),
        "unwritable": (2, [*LINE, "unwritable"]),
        "half": (2, [*LINE, "half", *HALF]),
        "sampled": (1, [*sampled, "--out", "sampled"]),
        "shared": (2, [*sampled, "--out", "shared"]),
    }
    (folder / "unwritable").mkdir()
    (folder / "unwritable" / "checkpoints").touch()
    (folder / "wandb.py").write_text(STAND_IN)
    script, environment = Path(__file__).parents[1] / "ranks.py", os.environ | {"PYTHONPATH": f"{folder}"}
    done = forked.run(script, json.dumps(list(jobs.values())), cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    return dict(zip(jobs, map(json.loads, done.stdout.splitlines()), strict=True)) | {"folder": folder}


def tensors(folder):
    return read(folder / "checkpoints" / "step_000000020").tensors


@pytest.mark.parametrize("other", ["two", "three"])
def test_more_processes_train_as_one_does(ran, other):
    """The same global batches, so the same losses; what differs is the order in which gradients are summed up.

    Each of the three also computes its share in two parts.
    """
    assert ran[other]["codes"] == [0] * len(ran[other]["codes"]), ran[other]["said"]
    curves = []
    for name in ("one", other):
        lines = [json.loads(line) for line in (ran["folder"] / name / "metrics.jsonl").read_text().splitlines()]
        assert [line["images"] for line in lines] == list(range(12, 241, 12))  # each image once, and no more
        curves.append(torch.tensor([[line["loss"], line["grad_norm"]] for line in lines]))
    assert torch.allclose(curves[1], curves[0], rtol=1e-5, atol=0)
    assert curves[0][-1, 0] < 0.9 * curves[0][0, 0]  # it does learn
    one, many = tensors(ran["folder"] / "one"), tensors(ran["folder"] / other)
    assert one.keys() == many.keys()
    for name, value in one.items():
        if not name.startswith("optimizer"):
            assert (many[name] - value).abs().max() < 1e-4  # Adam divides small gradients by their size


def test_steps_of_float16_that_overflow_are_left_out_by_all(ran):
    """A weight of 100 makes the first gradients too large for it; then the two learn as one process does."""
    assert ran["half"]["codes"] == [0, 0], ran["half"]["said"]
    lines = [json.loads(line) for line in (ran["folder"] / "half" / "metrics.jsonl").read_text().splitlines()]
    over = [line["grad_norm"] is None for line in lines]
    assert over[0] and not over[-1] and lines[-1]["images"] == 120 and not any(line["skipped"] for line in lines)
    assert [line["scale"] for line in lines] == [2.0 ** (16 - sum(over[: i + 1])) for i in range(10)]
    kept = read(ran["folder"] / "half" / "checkpoints" / "step_000000010").tensors
    assert kept["scaler.scale"] == lines[-1]["scale"] and kept["optimizer.0.step"] == over.count(False)


def test_only_the_first_process_speaks(ran):
    for name in ("two", "three", "resumed", "shared"):
        first, *others = ran[name]["said"]
        assert first.strip() and not any(others), ran[name]


def test_only_the_first_process_tells_weights_and_biases(ran):
    assert (ran["folder"] / "two" / "told").read_text() == "0mine"


def test_a_resumed_run_of_three_ends_bit_for_bit_as_an_uninterrupted_one(ran):
    """Sums of three depend on their order, which the training has to keep."""
    whole, resumed = tensors(ran["folder"] / "three"), tensors(ran["folder"] / "cut")
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_snapshots_of_many_are_those_of_one(ran):
    """As near as the weights are, and half precision lets them be."""
    paths = [sorted((ran["folder"] / name / "snapshots").iterdir()) for name in ("one", "two", "three", "cut")]
    assert len({tuple(path.name for path in found) for found in paths}) == 1 and len(paths[0]) == 4
    for one, two, three, cut in zip(*paths, strict=True):
        expected = read(one).tensors
        for name, value in read(two).tensors.items():
            assert torch.allclose(value, expected[name], rtol=2**-10, atol=1e-4)
        assert (cut / "state.sha256").read_text() == (three / "state.sha256").read_text()


def test_what_the_first_refuses_ends_all(ran):
    assert ran["refused"]["codes"] == [2, 2] and "already holds a run" in ran["refused"]["said"][0]
    assert ran["nonfinite"]["codes"] == [5, 5] and "the loss is inf" in ran["nonfinite"]["said"][0]
    assert not ran["refused"]["said"][1] and not ran["nonfinite"]["said"][1]


def test_what_the_first_cannot_do_ends_the_others(ran):
    """It fails in the middle of the run, where the others wait for it."""
    assert ran["unwritable"]["codes"] == [6, 6]
    first, second = ran["unwritable"]["said"]
    assert "cannot write" in first and "process 1 has lost the others" in second and "Traceback" not in first + second


def test_shared_samples_are_those_of_one_process(ran):
    """Seven samples in batches of two: neither one too many, nor one twice; and the sheet and record of all."""
    assert ran["shared"]["codes"] == [0, 0], ran["shared"]["said"]
    one, two = ran["folder"] / "sampled", ran["folder"] / "shared"
    assert sorted(path.name for path in two.iterdir()) == sorted(path.name for path in one.iterdir())
    for path in one.glob("*.png"):
        assert path.read_bytes() == (two / path.name).read_bytes()
    records = [json.loads((folder / "samples.json").read_text()) for folder in (one, two)]
    assert records[0]["nfe_per_batch"] == records[1]["nfe_per_batch"] and len(records[0]["nfe_per_batch"]) == 4


def test_shares_of_a_batch_are_the_batch():
    options = configuration.load("digits", [*SMALL, "train.flip=true"]).train
    images, cpu = configuration.load("digits").data.load("train"), torch.device("cpu")
    whole, *shares = (next(Feed(images, options, cpu, g).steps(7)) for g in map(Processes, (0, 0, 1, 2), (1, 3, 3, 3)))
    for name in ("images", "labels", "hidden", "uniform", "noise"):
        assert torch.equal(torch.cat([getattr(share, name) for share in shares]), getattr(whole, name))


def test_processes_that_have_not_joined_do_not_train(monkeypatch):
    """As accelerate and others do under a launcher on a CPU: every process would train a network of its own."""
    monkeypatch.setenv("WORLD_SIZE", "4")
    chosen = configuration.load("digits", SMALL)
    state = start(chosen, (1, 8, 8), torch.device("cpu"))
    said = rf"WORLD_SIZE is 4, but no process group is up.* inside {group.__module__}\.group\(\)"
    with pytest.raises(UsageError, match=said):
        next(train(chosen, chosen.data.load("train"), state))


@pytest.mark.parametrize("missing", ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK"])
def test_incomplete_variables_are_named(run, monkeypatch, missing):
    whole = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    for name, value in whole.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(missing)
    assert f"but {missing} is not set: start with torchrun" in run(" ".join([*LINE, "run"]), 2)


def test_a_batch_must_fit_the_processes(monkeypatch):
    monkeypatch.setattr("scoresde.training.loop.processes", lambda: Processes(0, 5))
    chosen = configuration.load("digits", SMALL)
    with pytest.raises(UsageError, match="train.batch = 12 .* for each of 5 processes: choose a multiple of 5"):
        next(train(chosen, chosen.data.load("train"), start(chosen, (1, 8, 8), torch.device("cpu"))))


def test_alone_every_exchange_is_none():
    alone = processes()
    x = torch.ones(2)
    assert alone.first and alone.only_first(lambda: 3) == 3 and alone.any(True, torch.device("cpu"))
    assert alone.mean(x) is x and alone.gather(5) == [5] and not alone.any(False, torch.device("cpu"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_torchrun_passes_a_signal_on_and_the_run_goes_on(tmp_path, number):
    """By torchrun itself: the signal reaches it alone, both processes stop at one step, and a checkpoint is there."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    command = [*launcher, "scoresde", *LINE, "run", "train.images=12000000", "--quiet", "--resume", "auto"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    for _ in range(6000):
        if (tmp_path / "run" / "metrics.jsonl").exists():
            break
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0 and said.count("Stopped at") == 1
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    newest = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    assert read(newest).content["step"] == lines[-1]["step"]
    last = [*launcher, "scoresde", *LINE, "run", f"train.images={lines[-1]['images'] + 24}", "--resume", "auto"]
    done = subprocess.run(last, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "Trained on" in done.stdout


def test_the_slurm_script_saves_and_goes_back_into_the_queue(tmp_path):
    """The script of the documentation, with stand-ins for what SLURM brings."""
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    (tmp_path / "train.slurm").write_text(page.split("<!-- train.slurm -->\n```sh\n")[1].split("```")[0])
    stand_ins = {
        "srun": 'trap "echo saved > saved; exit 143" TERM; echo "$@" > asked; while :; do sleep 0.01; done',
        "scontrol": 'if [ "$1" = show ]; then echo node1; echo node2; else echo "$@" > queued; fi',
    }
    for name, text in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "42"}
    environment |= {"SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "node[1-2]"}
    process = subprocess.Popen(["bash", "train.slurm"], cwd=tmp_path, env=environment)
    for _ in range(1000):
        if (tmp_path / "asked").exists() and (tmp_path / "asked").read_text():
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(timeout=20) == 0
    assert (tmp_path / "saved").exists() and (tmp_path / "queued").read_text() == "requeue 42\n"
    asked = (tmp_path / "asked").read_text()
    assert "--nnodes 2 " in asked and "--rdzv-endpoint node1:29500" in asked and asked.endswith("--resume auto\n")
