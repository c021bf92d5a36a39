"""Weights & Biases: what it is sent and when it fails, with a stand-in; and with the package, where it is installed."""

import json
import logging
import re
import struct
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from scoresde import models
from scoresde.core.errors import NumericalError
from scoresde.training.run import Run

SMALL = ["network.channels=4", "network.group_channels=4", "network.multipliers=[1]", "network.blocks=1"]
SMALL += ["train.batch=16", "train.images=96", "train.warmup=0", "train.log_every=32", "train.evaluate_every=48"]
LINE = f"train digits {' '.join(SMALL)} --device cpu --quiet --out run"
KEY = "0123456789abcdef" * 2 + "01234567"


class StandIn:
    """A library that notes its calls, and fails at one of them."""

    def __init__(self, fails=""):
        self.fails, self.calls = fails, []
        self.Settings, self.Image = SimpleNamespace, lambda sheet: sheet.size
        for name in ("init", "log", "finish"):
            setattr(self, name, lambda *arguments, name=name, **options: self.note(name, *arguments, **options))

    def note(self, name, *arguments, **options):
        self.calls.append((name, *arguments, options))
        if name == self.fails:
            raise ConnectionError("the service is away")
        return SimpleNamespace(id=options.get("id") or "name7", log=self.log, finish=self.finish)

    def of(self, name):
        return [call[1:] for call in self.calls if call[0] == name]


@pytest.fixture
def library(monkeypatch):
    def put(**options):
        monkeypatch.setitem(sys.modules, "wandb", StandIn(**options))
        return sys.modules["wandb"]

    return put


def lines(folder="run"):
    return [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]


def expected(rows):
    """What the rows of the log say, by images."""
    found = {}
    for row in rows:
        numbers = {k: v for k, v in row.items() if k not in ("step", "images", "buckets")}
        numbers |= {f"buckets/{i}": v for i, v in enumerate(row.get("buckets", []))}
        found.setdefault(row["images"], {}).update(numbers)
    return found


def test_what_is_sent_is_what_the_log_says(run, library):
    seen = library()
    run(f"{LINE} train.wandb=mine")
    ((begun,),) = seen.of("init")
    assert (begun["project"], begun["dir"], begun["id"], begun["resume"]) == ("mine", "run", None, "allow")
    assert begun["config"]["train"]["batch"] == 16 and begun["config"]["data"]["name"] == "digits"
    sent = {}
    for row, options in seen.of("log"):
        sent.setdefault(options["step"], {}).update(row)
    for name in ("samples", "trajectories"):
        with Image.open(f"run/{name}/images_000000096.png") as sheet:
            assert sent[96].pop(name) == sheet.size
    assert sent == expected(lines())
    assert seen.of("finish") == [({"exit_code": 0},)]


def test_a_resumed_run_goes_on_under_its_name(run, library):
    library()
    run(f"{LINE} train.wandb=mine")
    again = library()
    run(f"{LINE} train.wandb=mine train.images=160 --resume")
    assert again.of("init")[0][0]["id"] == "name7" and Path("run/wandb-id").read_text() == "name7\n"
    assert min(options["step"] for _, options in again.of("log")) > 96


def test_the_parts_of_the_hybrid_loss_are_figures_of_their_own(run, library):
    """In the log, on the printed line and on the board; loss = mse + 0.001 vlb, whatever the parts of a batch."""
    seen = library()
    hybrid = "sde.name=ddpm sde.steps=100 train.loss=hybrid network.learned_variance=true train.accumulate=2"
    run(f"{LINE} train.wandb=mine {hybrid}".replace("--quiet ", ""))
    logged = [row for row in lines() if "loss" in row]
    assert len(logged) == 3
    for row in logged:
        assert row["loss"] == pytest.approx(row["mse"] + 1e-3 * row["vlb"], abs=2e-6) and row["vlb"] > 0
    sent = [row for row, _ in seen.of("log") if "loss" in row]
    assert [(row["mse"], row["vlb"]) for row in sent] == [(row["mse"], row["vlb"]) for row in logged]
    assert re.search(r"loss \d+\.\d{4}, mse \d+\.\d{4}, vlb \d+\.\d{4}", Path("run/log.txt").read_text())
    run("plot run")


def test_a_loss_of_one_part_has_one_figure(run, library):
    library()
    run(LINE)
    assert all("mse" not in row and "vlb" not in row for row in lines())


@pytest.mark.parametrize("call", ["init", "log", "finish"])
def test_what_fails_there_does_not_end_the_training(run, library, caplog, call):
    seen = library(fails=call)
    with caplog.at_level(logging.WARNING, "scoresde"):
        assert "Trained on 96 images" in run(f"{LINE} train.wandb=mine")
    said = [record.getMessage() for record in caplog.records]
    assert said == ["Weights & Biases has failed, and the training goes on without it: the service is away"]
    assert len(seen.of(call)) == 1
    assert models.load("run").shape == (1, 8, 8) and len(lines()) == 5


def test_a_training_that_fails_is_sent_as_failed(run, library, monkeypatch):
    def broken(self, state):
        raise NumericalError("not finite")

    monkeypatch.setattr(Run, "save", broken)
    seen = library()
    run(f"{LINE} train.wandb=mine", 5)
    assert seen.of("finish") == [({"exit_code": 1},)]


def test_a_missing_package_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert "train.wandb = 'mine' needs another package: pip install 'scoresde[wandb]'" in run(
        f"{LINE} train.wandb=mine", 2
    )
    assert not Path("run/checkpoints").exists()
    run(LINE)


def records(path):
    """The records of a file of the package: a log as of LevelDB, in blocks of 32 KiB, after a head of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, part = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        part += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(part)
            part = b""


def history(path):
    """The numbers of a file of the package, by images; its service may write the last of them after the run's end."""
    found, patience = {}, time.monotonic() + 20
    while not any(record.HasField("exit") for record in records(path)) and time.monotonic() < patience:
        time.sleep(0.05)
    for record in records(path):
        if record.HasField("history"):
            row = {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
            found[row.pop("_step")] = {k: v for k, v in row.items() if not k.startswith(("_", "samples", "traj"))}
    return found


def test_the_package_writes_what_the_log_says_and_nothing_else(run, monkeypatch):
    pytest.importorskip("wandb")
    for name, value in {"MODE": "offline", "SILENT": "true", "API_KEY": KEY}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    run(f"{LINE} train.wandb=mine")
    run(f"{LINE} train.wandb=mine train.images=160 --resume")
    files = sorted(Path("run/wandb").glob("offline-run-*/*.wandb"))
    name = Path("run/wandb-id").read_text().strip()
    assert [path.name for path in files] == [f"run-{name}.wandb"] * 2
    assert history(files[0]) | history(files[1]) == expected(lines())
    begun = next(record.run for record in records(files[0]) if record.HasField("run"))
    settings = {item.key: item.value_json for item in begun.config.update}
    assert begun.project == "mine" and json.loads(settings["train"])["images"] == 96
    assert not begun.host and not begun.git.remote_url
    assert len(list(Path("run/wandb").rglob("*.png"))) == 2
    for path in Path("run/wandb").rglob("*.*"):
        content = path.read_bytes() if path.is_file() else b""
        assert KEY.encode() not in content
        if path.suffix == ".wandb":  # which is what is sent
            assert not [text for text in (str(Path.cwd()), str(Path.home()), sys.argv[0]) if text.encode() in content]


def test_the_package_is_told_to_write_nothing(run, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    run(f"{LINE} train.wandb=mine")
    assert not list(Path("run").rglob("*.wandb"))
