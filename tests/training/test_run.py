"""A run's folder and its command, under interruption, damage, another configuration and a full disk."""

import json
import logging
import os
import resource
import shutil
import signal
import time
from pathlib import Path

import forked
import pytest
import torch
from PIL import Image

from scoresde import models
from scoresde.commands.train import asked
from scoresde.core.errors import CheckpointError, NumericalError, ResourceError, UsageError
from scoresde.core.folders import only_writer
from scoresde.core.signals import Signals, Stopped, ended_at_once
from scoresde.training import config as configuration
from scoresde.training.checkpoints import read
from scoresde.training.loop import start, train
from scoresde.training.recorded import recorded_config
from scoresde.training.resume import machine
from scoresde.training.run import Run
from scoresde.training.trainer import follow

SMALL = ["network.channels=4", "network.group_channels=4", "network.multipliers=[1]", "network.blocks=1"]
SMALL += ["train.batch=16", "train.images=320", "train.warmup=160"]
LINE = f"train digits {' '.join(SMALL)} --device cpu --quiet --out run"


def config(*assignments):
    return configuration.load("digits", [*SMALL, *assignments])


def fresh(chosen):
    return start(chosen, (1, 8, 8), torch.device("cpu"))


def finish(chosen, state):
    for _ in train(chosen, chosen.data.load("train"), state):
        pass
    return state


def weights(state):
    return torch.cat([p.flatten() for p in [*state.model.parameters(), *state.ema.parameters()]])


@pytest.fixture
def begun(tmp_path):
    """A run of 20 steps with checkpoints after 10 and 15."""
    chosen = config()
    folder = Run(tmp_path / "run", chosen, {"command": "scoresde train digits", "seed": 0})
    folder.open()
    for state in train(chosen, chosen.data.load("train"), fresh(chosen)):
        if state.step in (5, 10, 15):
            folder.save(state)
            folder.log(state, 0.5)
    return folder


def test_the_run_folder_is_a_model_folder(tmp_path):
    chosen = config()
    state = finish(chosen, fresh(chosen))
    folder = Run(tmp_path, chosen, {"command": "scoresde train digits", "seed": 0})
    folder.open(state, chosen.data.load("train"))
    folder.log(state, 0.5)
    folder.draw(state)
    folder.save(state)
    model = models.load(tmp_path)
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([0.1, 0.9]).double()
    assert torch.equal(model.eps(x, t), state.ema.eps(x, t))
    assert recorded_config(tmp_path) == chosen
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["images"] == 320
    assert json.loads((tmp_path / "meta.json").read_text())["versions"]["torch"] == torch.__version__
    for name in ("samples", "trajectories"):
        assert len(list((tmp_path / name).glob("*.png"))) == 1
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_run_goes_on_from_the_newest_whole_checkpoint_and_its_log_with_it(begun, caplog):
    assert [path.name for path in begun.checkpoints.all()] == ["step_000000010", "step_000000015"]
    state = begun.checkpoints.all()[-1] / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    with open(begun.folder / "metrics.jsonl", "a") as log:
        log.write('{"step": 20, "ima')  # as a kill leaves it
    (begun.folder / "model.safetensors.tmp").touch()
    (begun.checkpoints.folder / "step_000000020.tmp").mkdir()
    again = fresh(begun.config)
    with caplog.at_level(logging.WARNING, "scoresde"):
        begun.resume(again)
    assert "the run goes on from step_000000010" in caplog.text and "bit for bit" not in caplog.text
    assert (again.step, again.images) == (10, 160)
    begun.open(again)
    lines = [json.loads(line) for line in (begun.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10]
    assert not list(begun.folder.rglob("*.tmp"))
    assert torch.equal(weights(finish(begun.config, again)), weights(finish(begun.config, fresh(begun.config))))


def test_a_model_that_a_kill_left_in_two_halves_is_whole_after_resume(begun):
    """Its weights are written before the digest that makes them valid."""
    (begun.folder / "model.safetensors").write_bytes((models.locate("digits") / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="is damaged"):
        models.load(begun.folder)
    begun.resume(fresh(begun.config))
    assert models.load(begun.folder).shape == (1, 8, 8)


def test_another_configuration_is_refused_unless_it_is_meant(begun):
    recipe = {}
    free = Run(begun.folder, config("train.images=640", "train.keep_every=320", "train.log_every=16"), recipe)
    free.resume(fresh(free.config))
    other = Run(begun.folder, config("train.learning_rate=0.5", "train.images=640"), recipe)
    with pytest.raises(CheckpointError, match=r"other values of train\.learning_rate; .*--change"):
        other.resume(fresh(other.config))
    other.resume(fresh(other.config), changed=True)
    similar = Run(begun.folder, config("train.optimizer=adamw"), recipe)
    similar.resume(resumed := fresh(similar.config), changed=True)
    assert finish(similar.config, resumed).step == 20  # whose moments are of the same kind
    fixed = ("train.batch=8", "train.seed=1", "train.optimizer=adamax", "network.channels=16", "data.name=photos")
    for assignment in fixed:
        wrong = Run(begun.folder, configuration.load("digits", [*SMALL, assignment]), recipe)
        key = assignment.split("=")[0]
        with pytest.raises(CheckpointError, match=f"of {key}[^;]*; give the same ones, or another folder$"):
            wrong.resume(fresh(begun.config), changed=True)


def test_another_machine_is_named(begun, caplog, monkeypatch):
    here = machine(fresh(begun.config).model)
    monkeypatch.setattr("scoresde.training.run.machine", lambda model: here | {"threads": 7, "torch": "3.0"})
    with caplog.at_level(logging.WARNING, "scoresde"):
        begun.resume(fresh(begun.config))
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2 and all("it goes on, but not bit for bit" in line for line in said)
    assert f"threads = {here['threads']} and now has 7" in "".join(said)


def test_raw_and_averaged_weights_are_stored_apart_and_without_prefixes(begun):
    """The raw ones are trained on, the averaged ones are the model."""
    found = read(begun.checkpoints.all()[-1])
    state = fresh(begun.config)
    assert {f"net.{name}" for name in state.model.net.state_dict()} <= set(found.tensors)
    assert not any("module." in name or "_orig_mod" in name for name in found.tensors)
    begun.resume(state)
    model = models.load(begun.folder).net.state_dict()
    apart = [name for name in model if not torch.equal(found.tensors[f"net.{name}"], found.tensors[f"ema.{name}"])]
    assert apart
    for name, value in state.model.net.state_dict().items():
        assert torch.equal(value, found.tensors[f"net.{name}"])
        assert torch.equal(model[name], found.tensors[f"ema.{name}"])


def test_the_command_resumes_only_what_is_there(run, monkeypatch):
    assert "holds no checkpoint to resume from" in run(f"{LINE} --resume", 2)
    Path("empty").mkdir()  # as of a run that was interrupted before its first step
    for given in ("--resume nowhere", "--resume=nowhere", "--resume empty"):
        name = given.removeprefix("--resume")[1:]
        assert f"holds no checkpoint to resume from, and {name} is no run" in run(f"train {given}", 2)
    with pytest.raises(UsageError, match="nothing is named that could be trained on"):
        asked([""], None)  # as of a variable of the shell that is not set
    assert "Trained on 320 images" in run(f"{LINE} --resume auto")
    assert "already holds a run" in run(LINE, 2)
    assert "Trained on 640 images" in run(f"train --resume digits {LINE.split(' ', 2)[2]} train.images=640")
    assert "--change" in run(f"{LINE} train.images=640 train.clip=2 --resume auto", 4)
    assert "Trained on 640 images" in run(f"{LINE} train.images=640 train.clip=2 --resume auto --change")
    for state in Path("run/checkpoints").glob("*/state.safetensors"):
        state.write_bytes(b"")
    assert "no checkpoint is whole" in run(f"{LINE} --resume auto", 4)
    assert "already holds a run" in run(LINE, 2)


def test_the_log_of_a_run_that_was_killed_is_that_of_one_that_ran_through(tmp_path):
    """Lines every four steps, and a checkpoint of the sixth."""
    chosen = config("train.images=160", "train.log_every=64", "train.save_every=96")
    folder, logs = Run(tmp_path, chosen, {}), list[list[dict]]()
    for resumed in (False, True):
        state = fresh(chosen)
        if resumed:
            shutil.rmtree(folder.checkpoints.all()[-1])
            folder.resume(state)
        folder.open(state)
        assert follow(chosen.data.load("train"), state, folder, progress=False) == 0
        logs.append([json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()])
    assert [row["step"] for row in logs[0]] == [4, 8, 10] and state.step == 10
    assert [row | {"seconds": 0} for row in logs[0]] == [row | {"seconds": 0} for row in logs[1]]


def test_two_trainings_do_not_share_a_folder(run):
    Path("run").mkdir()
    with only_writer(Path("run")):
        assert "run is in use by process" in run(LINE, 2)


def test_a_full_disk_ends_the_run_and_leaves_the_checkpoints(run):
    run(f"{LINE} train.save_every=160")
    before = {path: path.read_bytes() for path in Path("run").glob("checkpoints/*/*")}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        assert "cannot write" in run(f"{LINE} train.images=640 --resume", 6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path: path.read_bytes() for path in Path("run").glob("checkpoints/*/*")} == before
    assert "Trained on 640 images" in run(f"{LINE} train.images=640 --resume")


def test_a_disk_that_is_full_for_the_log_is_one_sentence(run):
    run(LINE)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path("run/metrics.jsonl").stat().st_size + 20, limits[1]))
    folder = Run(Path("run"), config(), {})
    try:
        with pytest.raises(ResourceError, match=r"cannot write run/metrics\.jsonl: .*File too large"):
            folder.note(fresh(config()), loss=0.5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_sets_that_cannot_fill_a_batch_are_refused(run):
    Path("one").mkdir()
    assert "holds no pictures" in run("train digits data.name=folder data.path=one --out run", 3)
    Image.new("RGB", (8, 8)).save("one/a.png")
    assert "train.batch = 128 is more than the images, 1" in run(
        "train digits data.name=folder data.path=one data.size=8 train.accumulate=2 --out run --device cpu", 3
    )


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_step(run):
    Path("run").touch()
    assert "cannot write into run" in run(LINE, 2)


def test_an_error_while_sampling_does_not_cost_the_checkpoint(run, monkeypatch):
    def broken(self, state, *observers):
        raise NumericalError("the samples are not finite")

    monkeypatch.setattr(Run, "draw", broken)
    assert "not finite" in run(LINE, 5)
    assert models.load("run").shape == (1, 8, 8) and Path("run/checkpoints/step_000000020").exists()


def test_a_signal_during_a_sheet_still_saves(run, monkeypatch):
    """The sheet is left, not finished: it can take longer than a scheduler waits."""

    def interrupted(self, state, check):
        os.kill(os.getpid(), signal.SIGUSR1)
        check()
        raise AssertionError("the sheet went on")

    monkeypatch.setattr(Run, "draw", interrupted)
    assert "Stopped at 64 images" in run(f"{LINE} train.sample_every=48", 143)
    assert Path("run/checkpoints/step_000000004").exists()


def test_signals_are_noted_and_a_second_ctrl_c_is_not_held_back():
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        signals.check()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # a scheduler may repeat itself
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Stopped):
            signals.check()
        assert signals.code == 143
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    with Signals(echo=60) as signals:  # as torchrun passes on what the terminal has already said
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.code == 130
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_closed_terminal_is_a_signal_unless_nohup_has_it_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals, ended_at_once():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN and not signals.code
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and not what the tests were started with, under nohup
        with Signals() as signals:
            signal.raise_signal(signal.SIGHUP)
            assert signals.code == 128 + 1  # the number of SIGHUP in POSIX
    finally:
        signal.signal(signal.SIGHUP, before)


def started(tmp_path, *assignments):
    """The command as a process, once it has written its first line of the log."""
    line = " ".join(["train", "digits", *SMALL, *assignments, "--out", str(tmp_path)])
    process = forked.Process("-m", "scoresde", *line.split(), "--quiet")
    while not (tmp_path / "metrics.jsonl").exists() and process.poll() is None:
        time.sleep(0.01)
    return process, line


def recorded(folder):
    return read(Run(folder, config(), {}).checkpoints.all()[-1]).content


def test_ctrl_c_saves_and_the_run_goes_on_to_the_same_weights(run, tmp_path):
    """The command, interrupted after its first log line and resumed, against one that ran through."""
    assignments = ["train.images=3200", "train.log_every=160"]
    process, line = started(tmp_path, *assignments)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "--resume" in said
    assert 0 < recorded(tmp_path)["images"] < 3200
    run(f"{line} --resume --quiet")
    assert recorded(tmp_path)["images"] == 3200
    chosen = config(*assignments)
    state = finish(chosen, fresh(chosen))
    tensors = models.load(tmp_path).net.state_dict()
    assert all(torch.equal(tensors[name], value) for name, value in state.ema.net.state_dict().items())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_scheduler_s_signal_saves_within_a_step(tmp_path, number):
    """Steps that take a second each: it must not wait for the end of more than the one at work."""
    process, _ = started(tmp_path, "train.batch=1500", "train.images=15_000_000", "train.log_every=1500")
    process.send_signal(number)
    sent = time.perf_counter()
    process.communicate(timeout=60)
    assert process.returncode == 143 and time.perf_counter() - sent < 30
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert recorded(tmp_path)["step"] == lines[-1]["step"] <= 3


def test_kills_leave_no_trace(tmp_path):
    """Kills at random moments and within saves, by the benchmark that does twenty of them."""
    script = Path(__file__).parents[2] / "benchmarks" / "kills.py"
    done = forked.run(script, "--kills", "3", "--images", "1600", "--out", tmp_path / "kills.md")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills" in done.stdout and "1 of them within a save" in done.stdout
