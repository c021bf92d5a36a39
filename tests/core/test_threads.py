"""The number of threads follows a container's quota and what is free; what somebody has chosen stays."""

import os
import subprocess
import sys

import pytest
import torch

from scoresde.core import threads
from scoresde.core.threads import CHOSEN, SPINS, Times, quota, share_threads, take_free, times, torch_threads


def group(folder, **files):
    """Control groups as the kernel shows them."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return folder


@pytest.fixture
def many(monkeypatch):
    """A machine of 64 processors."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)


@pytest.mark.parametrize(
    ("files", "processors"),
    [
        ({"cpu_dot_max": "200000 100000"}, 2.0),
        ({"cpu_dot_max": "125000 100000"}, 1.25),
        ({"cpu_dot_max": "max 100000"}, float("inf")),
        ({}, float("inf")),
        ({"cpu_dot_max": "nonsense"}, float("inf")),
        ({"cpu__cpu_dot_cfs_quota_us": "50000", "cpu__cpu_dot_cfs_period_us": "100000"}, 0.5),
        ({"cpu__cpu_dot_cfs_quota_us": "-1", "cpu__cpu_dot_cfs_period_us": "100000"}, float("inf")),
    ],
)
def test_a_quota_is_read(files, processors, tmp_path, many):
    assert quota(group(tmp_path, **files)) == processors
    environment = {}
    share_threads(environment, tmp_path)
    threads = {} if processors == float("inf") else {"OMP_NUM_THREADS": str(-int(-processors // 1))}
    assert environment == {"GOMP_SPINCOUNT": str(SPINS), **threads}


def test_the_group_of_a_service_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("scoresde.core.threads._own", lambda: "a.slice/b.service")
    folder = group(tmp_path, cpu_dot_max="max 100000", **{"a.slice__b.service__cpu_dot_max": "300000 100000"})
    assert quota(folder) == 3.0


def test_a_quota_beyond_the_processors_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    environment = {}
    share_threads(environment, group(tmp_path, cpu_dot_max="400000 100000"))
    assert "OMP_NUM_THREADS" not in environment


@pytest.mark.parametrize("name", CHOSEN)
def test_what_is_chosen_stays(name, tmp_path, many):
    environment = {name: "7"}
    share_threads(environment, group(tmp_path, cpu_dot_max="200000 100000"))
    assert environment == {name: "7"}


COMMAND = """
import os, sys
from scoresde import cli
before = dict(os.environ)
sys.argv = ["scoresde", "--version"]
try:
    cli.main()
except SystemExit:
    print(before.get("GOMP_SPINCOUNT"), os.environ["GOMP_SPINCOUNT"], "torch" in sys.modules)
"""


def test_the_command_says_it_before_torch_and_the_package_never():
    clean = {name: value for name, value in os.environ.items() if name not in CHOSEN}
    done = subprocess.run([sys.executable, "-c", COMMAND], env=clean, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"None {SPINS} False"


@pytest.fixture
def count(monkeypatch):
    """Torch's threads, sixteen before each test, and put back after it."""
    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "_most", [])
    torch.set_num_threads(16)
    yield torch.get_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("idle", "own", "wanted"),
    [
        (30.0, 2.0, 16),  # nobody else
        (29.2, 2.0, 16),  # the little that any system does
        (28.0, 2.0, 15),  # one busy process
        (2.0, 2.0, 2),
        (0.0, 0.3, 1),  # many, of which this is one
        (62.0, 2.0, 16),  # of 32 processors: never more than there were
    ],
)
def test_threads_are_as_many_as_processors_are_free(idle, own, wanted, count):
    said = take_free(Times(5.0, 1.0, 100.0), Times(5.0 + idle, 1.0 + own, 102.0))
    assert count() == wanted
    assert said == (wanted if wanted < 16 else None)


@pytest.mark.parametrize(
    "moments", [(None, Times(0, 0, 9)), (Times(0, 0, 0), None), (Times(0, 0, 0), Times(0, 0, 0.4))]
)
def test_what_is_not_known_changes_nothing(moments, count):
    assert take_free(*moments) is None
    assert count() == 16
    torch_threads(3)  # nor does a run that goes on
    assert count() == 16


def test_a_run_goes_on_with_the_threads_it_began_with_if_there_are_as_many(count):
    take_free(Times(0, 0, 0), Times(2.0, 1.0, 1.0))
    assert count() == 3
    for began, has in ((12, 12), (17, 12), (0, 12), (1, 1)):
        torch_threads(began)
        assert count() == has


def test_idle_time_is_that_of_the_processors_that_are_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 12}, raising=False)
    stat = tmp_path / "stat"
    rows = ["cpu 9 9 9 999 999 9", "cpu0 1 1 1 700 7 1", "cpu1 1 1 1 300 50 1", "cpu12 1 1 1 40 10 1", "intr 12"]
    stat.write_text("\n".join(rows) + "\n")
    assert times(stat).idle == 400 / os.sysconf("SC_CLK_TCK")
    assert times(tmp_path / "none") is None


CROWDED = """
import sys
from scoresde import cli
from scoresde.core import threads
moments = iter([threads.Times(0.0, 0.0, -1e6), threads.Times(0.1e6, 1.1e6, 0.0)])
threads.times = cli.times = lambda: next(moments)
sys.argv = ["scoresde", "solvers"]
try:
    cli.main()
finally:
    print(sys.modules["torch"].get_num_threads())
"""


@pytest.mark.parametrize("chosen", [{}, {"OMP_NUM_THREADS": "2"}])
def test_the_command_takes_what_is_free_and_says_so(chosen):
    environment = {name: value for name, value in os.environ.items() if name not in CHOSEN} | chosen
    done = subprocess.run([sys.executable, "-c", CROWDED], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ("2" if chosen else "1")
    assert ("threads = 1." in done.stderr) == (not chosen and len(os.sched_getaffinity(0)) > 1)
