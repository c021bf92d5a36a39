"""The number of threads follows a container's quota, and nothing is changed that somebody has chosen."""

import os
import subprocess
import sys

import pytest

from scoresde.core.threads import CHOSEN, SPINS, quota, share_threads


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
