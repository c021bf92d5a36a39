"""Checkpoints: whole or absent whatever happens while they are written, and never used when damaged."""

import json
import logging
import random
import resource
import signal
import subprocess
import sys

import forked
import pytest
import torch

from scoresde.core.errors import CheckpointError, ResourceError, UsageError
from scoresde.core.folders import only_writer
from scoresde.training.checkpoints import Checkpoints, read, superseded


def tensors(step, values=500):
    return {"net.weight": torch.arange(values) + float(step), "optimizer.0.step": torch.tensor(float(step))}


@pytest.fixture
def checkpoints(tmp_path):
    kept = Checkpoints(tmp_path / "checkpoints")
    for step in (5, 10):
        kept.save(step, tensors(step), {"step": step})
    return kept


def names(checkpoints):
    return sorted(path.name for path in checkpoints.folder.iterdir())


def test_what_is_written_is_read_back_and_sha256sum_agrees(checkpoints):
    found = checkpoints.newest()
    assert found.content == {"step": 10} and found.path.name == "step_000000010"
    assert all(torch.equal(found.tensors[name], value) for name, value in tensors(10).items())
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "state.sha256"], cwd=found.path, check=True)
    assert names(checkpoints) == ["step_000000005", "step_000000010"]


def test_none_of_300_flipped_bits_and_100_cuts_is_used(checkpoints):
    """Of both files together, as if they were one; safetensors alone would read most of the flipped ones."""
    draw, path = random.Random(0), checkpoints.all()[-1]
    files = {file: file.read_bytes() for file in path.iterdir()}
    assert len(files) == 2
    for trial in range(400):
        file = draw.choices(list(files), [len(content) for content in files.values()])[0]
        bad = bytearray(files[file])
        if trial < 300:
            bad[draw.randrange(len(bad))] ^= 1 << draw.randrange(8)
        else:
            bad = bad[: draw.randrange(len(bad))]
        file.write_bytes(bad)
        with pytest.raises(CheckpointError, match=r"is damaged: its sha256 is not the one in state\.sha256"):
            read(path)
        file.write_bytes(files[file])
    for bit in range(0, 8 * 81, 3):  # of the small file
        bad = bytearray(files[path / "state.sha256"])
        bad[bit // 8] ^= 1 << bit % 8
        (path / "state.sha256").write_bytes(bad)
        with pytest.raises(CheckpointError, match="is damaged"):
            read(path)
    (path / "state.sha256").write_bytes(files[path / "state.sha256"])
    assert read(path).content == {"step": 10}


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("fault", ["flip", "state.safetensors", "state.sha256", "empty", "nan"])
def test_the_one_before_a_damaged_one_is_used_with_a_warning(checkpoints, caplog, fault):
    newest = checkpoints.all()[-1]
    if fault == "nan":
        checkpoints.save(10, tensors(10) | {"ema.bias": torch.tensor([0.0, torch.nan])}, {"step": 10})
    elif fault == "flip":
        damage(newest / "state.safetensors")
    elif fault == "empty":
        (newest / "state.safetensors").write_bytes(b"")
    else:
        (newest / fault).unlink()
    with caplog.at_level(logging.WARNING, "scoresde"):
        assert checkpoints.newest().content == {"step": 5}
    (record,) = caplog.records
    reason = {"flip": "damaged", "empty": "damaged", "nan": "ema.bias holds numbers that are not finite"}
    assert reason.get(fault, "is incomplete: " + fault) in record.getMessage()
    assert "goes on from step_000000005, and the damaged one is kept as step_000000010.bad" in record.getMessage()
    assert {"step_000000005", "step_000000010.bad"} <= set(names(checkpoints))
    checkpoints.save(10, tensors(10), {"step": 10})
    assert checkpoints.newest().content == {"step": 10}


def test_if_all_are_damaged_nothing_is_used_or_touched(checkpoints):
    for path in checkpoints.all():
        damage(path / "state.safetensors")
    with pytest.raises(CheckpointError, match=r"no checkpoint is whole, so the run cannot go on.*damaged.*damaged"):
        checkpoints.newest()
    assert names(checkpoints) == ["step_000000005", "step_000000010"] and checkpoints.any()


def test_without_any_there_is_nothing_to_resume(tmp_path):
    empty = Checkpoints(tmp_path / "checkpoints")
    (empty.folder / "step_000000005.tmp").mkdir(parents=True)
    (empty.folder / "step_000000003.bad").mkdir()
    assert not empty.any()
    with pytest.raises(UsageError, match="holds no checkpoint to resume from; leave out --resume"):
        empty.newest()
    empty.tidy()
    assert names(empty) == ["step_000000003.bad"]


def test_a_full_disk_leaves_the_old_ones(checkpoints):
    """A limit on the size of a file fails in the middle of a write, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(ResourceError, match=r"cannot write .*state\.safetensors: .*File too large"):
            checkpoints.save(15, tensors(15, 10_000), {"step": 15})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(checkpoints) == ["step_000000005", "step_000000010"]
    assert checkpoints.newest().content == {"step": 10}


def test_a_folder_that_cannot_be_renamed_is_one_sentence(checkpoints, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.rename", full)
    with pytest.raises(ResourceError, match=r"cannot write .*step_000000015: .*No space left"):
        checkpoints.save(15, tensors(15), {"step": 15})
    assert names(checkpoints) == ["step_000000005", "step_000000010"]


@pytest.mark.parametrize(
    ("images", "every", "kept"),
    [
        ([10, 20, 30, 40], 0, [30, 40]),
        ([10, 20, 30, 40, 50], 20, [20, 40, 50]),
        ([15, 30, 45, 60, 75, 90], 40, [45, 75, 90]),  # 45 is the first beyond 40, 90 the first beyond 80
        ([10], 0, [10]),
    ],
)
def test_which_are_kept(images, every, kept):
    assert [count for count in images if count not in superseded(images, every)] == kept


def test_what_is_kept_for_good_stays_as_the_run_goes_on(tmp_path):
    kept = Checkpoints(tmp_path)
    for step in range(1, 31):
        kept.save(step, tensors(step, 2), {})
        kept.prune(batch=7, every=50)
    # Multiples of 50 images are passed at steps 8 (56), 15 (105), 22 (154) and 29 (203).
    assert [int(path.name[5:]) for path in kept.all()] == [8, 15, 22, 29, 30]


KILLED = """
import os, random, signal, sys, time, torch
from pathlib import Path
from scoresde.training.checkpoints import Checkpoints
torch.set_num_threads(1)
kept, draw, known = Checkpoints(Path(sys.argv[1])), random.Random(0), 0
for trial in range(30):
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        synchronise, calls = os.fsync, 0
        def fsync(file):  # every second child dies within a save, at one of its synchronisations
            global calls
            calls += 1
            if trial % 2 and calls == 1 + trial // 2:
                os.kill(os.getpid(), signal.SIGKILL)
            synchronise(file)
        os.fsync = fsync
        for step in range(known + 1, known + 10_000):
            kept.save(step, {"weight": torch.full((5_000,), float(step))}, {"step": step})
            kept.prune(1, 0)
            os.write(theirs, b"%d\\n" % step)
    os.close(theirs)
    if trial % 2 == 0:
        time.sleep(draw.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with open(ours) as pipe:
        known = max([known, *(int(line) for line in pipe.read().splitlines())])
    kept.tidy()
    if kept.any():
        found = kept.newest()  # a damaged one would be named .bad
        assert found.content["step"] >= known and (found.tensors["weight"] == found.content["step"]).all()
        known = found.content["step"]
left = [path.name for path in kept.folder.iterdir() if path.suffix]
assert not left, left
print(known)
"""


def test_killed_at_any_moment_of_a_save_what_was_saved_is_there(tmp_path):
    done = forked.run("-c", KILLED, tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 15


def test_one_process_writes_and_a_kill_frees_the_folder(tmp_path):
    code = (  # as `only_writer` does, without the time that importing torch takes
        "import fcntl, os, sys, time\nfile = open(sys.argv[1] + '/.lock', 'w')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
        "print(f'process {os.getpid()}', file=file, flush=True)\nprint('in', flush=True)\ntime.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "in\n"
    with pytest.raises(UsageError, match=f"is in use by process {other.pid}; wait for its end"), only_writer(tmp_path):
        pass
    other.send_signal(signal.SIGKILL)
    other.communicate()
    with only_writer(tmp_path), pytest.raises(UsageError, match="is in use"), only_writer(tmp_path):
        pass


def test_a_state_that_is_no_safetensors_file_is_refused(checkpoints):
    """A pickle, or a header that lies, with a digest that fits it: nothing of it is run or believed."""
    from hashlib import sha256

    path = checkpoints.all()[-1]
    for content in (b"\x80\x04cos\nsystem\n.", (2**40).to_bytes(8, "little") + b"{}", json.dumps({}).encode()):
        (path / "state.safetensors").write_bytes(content)
        (path / "state.sha256").write_text(f"{sha256(content).hexdigest()}  state.safetensors\n")
        with pytest.raises(CheckpointError, match="is unreadable"):
            read(path)
