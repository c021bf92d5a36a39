"""A result takes the place of the earlier one, whole, and of nothing else, whatever interrupts it."""

import json
import multiprocessing
import os
import random
import signal
import time

import forked
import pytest

from scoresde.core.errors import ResourceError, UsageError
from scoresde.core.files import read_json, write_json
from scoresde.core.folders import only_writer, result

VERSIONS = {"versions": {"scoresde": "1"}}


def put(folder, texts, record="a.json", known=()):
    with result(folder, record, known) as place:
        for name, text in texts.items():
            (place / name).write_text(text)
        write_json(place / record, {"n": len(texts), **VERSIONS})


def content(folder):
    """The files of a folder but for records, hidden ones too."""
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file() and path.suffix != ".json"}


def test_a_smaller_result_leaves_nothing_of_the_one_before(tmp_path):
    put(tmp_path / "out", {"1": "old", "2": "old", "3": "old"})
    (tmp_path / "out" / "mine.txt").write_text("mine")
    put(tmp_path / "out", {"2": "new", "4": "new"})
    assert content(tmp_path / "out") == {"2": "new", "4": "new", "mine.txt": "mine"}
    assert read_json(tmp_path / "out" / "a.json") == {"n": 2, **VERSIONS, "files": ["2", "4", "a.json"]}


def test_results_of_two_kinds_share_a_folder_but_no_file(tmp_path):
    put(tmp_path, {"1": "a"})
    put(tmp_path, {"2": "b"}, "b.json")
    put(tmp_path, {"3": "a"})
    assert content(tmp_path) == {"2": "b", "3": "a"}
    with pytest.raises(UsageError, match="holds a file 2 that is not of an earlier result"):
        put(tmp_path, {"2": "a"})
    assert content(tmp_path)["2"] == "b"


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("theirs", ["1", "a.json"])
@pytest.mark.parametrize("before", [False, True])
def test_a_file_of_somebody_else_is_not_written_over(tmp_path, theirs, known, before):
    """Also if it lies where the record would; it is noticed at once if its name is known, and at the end if not."""
    if before:
        put(tmp_path, {"0": "old"})
    (tmp_path / theirs).write_text('{"files": ["x"]}')
    (tmp_path / "x").write_text("mine")
    all_before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    reached = []
    with (
        pytest.raises(UsageError, match=f"holds a file {theirs} that"),
        result(tmp_path, "a.json", "1" * known) as place,
    ):
        reached.append(place)
        (place / "1").write_text("new")
        write_json(place / "a.json", VERSIONS)
    assert bool(reached) == (not known and theirs == "1")
    left = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    assert left == all_before, "what was there is as it was"
    if reached:
        assert (tmp_path / ".unfinished" / "1").read_text() == "new", "and the new one is not lost"


def test_a_record_cannot_name_files_elsewhere(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out").mkdir()
    names = ["../precious", str(tmp_path / "precious"), "..", ".", "", 3, None]
    write_json(tmp_path / "out" / "a.json", {**VERSIONS, "files": names})
    put(tmp_path / "out", {"1": "new"})
    assert (tmp_path / "precious").read_text() == "mine" and content(tmp_path / "out") == {"1": "new"}


def test_a_record_without_names_owns_what_is_called_like_the_new_files(tmp_path):
    """As version 0.1.0 wrote it."""
    write_json(tmp_path / "a.json", VERSIONS)
    (tmp_path / "1").write_text("old")
    (tmp_path / "7").write_text("not known")
    put(tmp_path, {"1": "new"}, known=["1"])
    assert content(tmp_path) == {"1": "new", "7": "not known"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError, UsageError])
def test_an_interrupted_result_leaves_the_earlier_one(tmp_path, error, caplog):
    put(tmp_path / "deep" / "out", {"1": "old", "2": "old"})
    before = content(tmp_path / "deep" / "out")
    for folder, begun in ((tmp_path / "deep" / "out", True), (tmp_path / "new" / "out", False)):
        with pytest.raises(error), result(folder, "a.json") as place:
            if begun:
                (place / "1").write_text("new")
            raise error
    assert str(tmp_path / "deep" / "out" / ".unfinished") in caplog.text
    assert (tmp_path / "deep" / "out" / ".unfinished" / "1").read_text() == "new"
    assert not (tmp_path / "new").exists(), "nothing was done, and no folder is left"
    put(tmp_path / "deep" / "out", {"1": "old", "2": "old"})
    assert content(tmp_path / "deep" / "out") == before, "the next result clears up"


def test_a_full_disk_at_the_end_is_said_and_the_next_result_clears_up(tmp_path, monkeypatch):
    put(tmp_path, {"1": "old", "2": "old", "3": "old"})
    replace, calls = os.replace, []

    def full(a, b):
        calls.append(b)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        replace(a, b)

    with monkeypatch.context() as patch, pytest.raises(ResourceError, match="No space left"):
        patch.setattr(os, "replace", full)
        put(tmp_path, {"2": "new", "4": "new", "5": "new"})
    put(tmp_path, {"2": "newer"})
    assert content(tmp_path) == {"2": "newer"}


def test_killed_at_any_moment_nothing_foreign_is_lost_and_nothing_old_stays(tmp_path):
    """Processes that put results of changing sizes are killed; the next result is then alone, beside a file of ours."""
    source = random.Random(0)
    (tmp_path / "mine").write_text("mine")

    def work():
        for i in range(10**6):
            put(tmp_path, {str(j): str(i) for j in range(i % 7 + 1)})

    for _ in range(25):
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
        time.sleep(0.005 + 0.03 * source.random())
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        record = json.loads((tmp_path / "a.json").read_text()) if (tmp_path / "a.json").exists() else {"files": []}
        there = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} - {"a.json.tmp"}
        assert there - {"mine"} <= {*record["files"], "a.json"}, "each file is of a result that its record knows"
    put(tmp_path, {"new": "new"})
    assert content(tmp_path) == {"new": "new", "mine": "mine"}


def test_a_second_process_is_refused_and_a_kill_frees_the_folder(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom scoresde.core.folders import result\n"
        "with result(Path(sys.argv[1]), 'a.json'):\n    print('in', flush=True)\n    time.sleep(60)"
    )
    other = forked.Process("-c", code, tmp_path)
    assert other.stdout.readline() == "in\n"
    with pytest.raises(UsageError, match=f"{tmp_path} is in use by process {other.pid}; wait for its end"):
        put(tmp_path, {"1": "new"})
    os.kill(other.pid, signal.SIGKILL)
    other.communicate()
    put(tmp_path, {"1": "new"})
    assert content(tmp_path) == {"1": "new"}


def test_processes_that_share_a_folder_have_locks_of_their_own(tmp_path):
    with only_writer(tmp_path, ".lock-0"), only_writer(tmp_path, ".lock-1"):
        with pytest.raises(UsageError, match="is in use"), only_writer(tmp_path, ".lock-0"):
            pass
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock-0", ".lock-1"], "the refusal took no lock"
    assert not list(tmp_path.iterdir())


def test_a_lock_that_is_taken_away_meanwhile_is_no_lock(tmp_path):
    """Many processes want one folder again and again: never are two of them inside."""
    inside = multiprocessing.get_context("fork").Value("i", 0)
    twice = multiprocessing.get_context("fork").Value("i", 0)
    entered = multiprocessing.get_context("fork").Value("i", 0)

    def work():
        end = time.monotonic() + 1
        while time.monotonic() < end:
            try:
                with only_writer(tmp_path):
                    inside.value += 1
                    entered.value += 1
                    twice.value += inside.value != 1
                    inside.value -= 1
            except UsageError:
                pass

    children = [multiprocessing.get_context("fork").Process(target=work) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert twice.value == 0 and entered.value > 50 and all(child.exitcode == 0 for child in children)


def test_a_drive_without_locks_can_be_written_to(tmp_path, monkeypatch):
    import fcntl

    def none(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", none)
    put(tmp_path, {"1": "new"})
    assert content(tmp_path) == {"1": "new"}
