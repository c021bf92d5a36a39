"""A disk of 2 MB that is really full: nothing kept is lost, one sentence is said, and a deletion makes room."""

import json

import forked
import numpy as np
import pytest

from scoresde.web.uploads import png

PICTURE = png(np.zeros((6, 4, 3), np.uint8))
APART = """
import ctypes, os, sys

libc, owner = ctypes.CDLL(None), {"uid_map": f"0 {os.getuid()} 1", "gid_map": f"0 {os.getgid()} 1"}
if libc.unshare(0x10020000):  # whatever this process mounts, it alone sees
    sys.exit(77)
for name, text in ({"setgroups": "deny"} | owner).items():
    with open("/proc/self/" + name, "w") as file:
        file.write(text)
if libc.mount(b"none", os.fsencode(sys.argv[1]), b"tmpfs", 0, b"size=2m"):
    sys.exit(77)
"""
HEAD = """
import json, sqlite3
from scoresde.core.errors import ResourceError
from scoresde.web.catalogue import Catalogue

folder, size, head = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
path = folder + "/c.sqlite"

def save(catalogue, count):
    kept = {}
    try:
        while len(kept) < count:
            picture = head + os.urandom(size)
            kept[catalogue.save("picture %d" % len(kept), picture, {}).id] = picture
        said = ""
    except ResourceError as error:
        said = str(error)
    return kept, said

def whole(catalogue, kept):
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    ids = catalogue.ids()
    return len(ids) == len(kept) and all(catalogue.image(id) == kept[id] for id in ids)

def brim():
    try:
        with open(folder + "/other", "wb", buffering=0) as other:
            while True:
                other.write(bytes(1024))
    except OSError:
        pass
"""
FILLED = """
with Catalogue(path) as catalogue:
    kept, said = save(catalogue, 2000)
    brim()
    after = [whole(catalogue, kept)]
    for id in list(kept)[:-21:-1]:
        catalogue.delete(id)
        del kept[id]
    more, again = save(catalogue, 2)
    kept |= more
    after.append(whole(catalogue, kept))
with Catalogue(path) as catalogue:
    after.append(whole(catalogue, kept))
print(json.dumps([said, again, len(more), after, sorted(os.listdir(folder))]))
"""
LOGGED = """
if not os.fork():
    catalogue = Catalogue(path)
    catalogue._db.execute("PRAGMA journal_mode = WAL")  # as earlier versions did
    catalogue._db.execute("PRAGMA wal_autocheckpoint = 0")
    assert not save(catalogue, 10)[1]
    os._exit(0)
os.wait()
logged = os.path.getsize(path + "-wal")
brim()
try:
    Catalogue(path)
    said = ""
except ResourceError as error:
    said = str(error)
os.unlink(folder + "/other")
with Catalogue(path) as catalogue:
    print(json.dumps([logged, said, len(catalogue.ids()), os.listdir(folder)]))
"""
TORN = """
if not os.fork():
    catalogue = Catalogue(path)
    save(catalogue, 40)
    catalogue._db.execute("PRAGMA cache_size = 1")  # so that half of the transaction is in the file
    catalogue._db.execute("BEGIN")
    catalogue._db.execute("UPDATE entries SET caption = 'torn', folded = 'torn'")
    catalogue._db.execute("UPDATE pictures SET parameters = ?", ("[]",))
    os._exit(0)
os.wait()
with open(path + "-journal", "rb") as journal:
    torn = journal.read(1) != b"\\0"
brim()
with Catalogue(path) as catalogue:
    entries = catalogue.page()[0]
    print(json.dumps([torn, len(entries), sum("picture" in entry.caption for entry in entries)]))
"""


@pytest.fixture
def small(tmp_path):
    """Runs code with a disk of 2 MB, in a namespace of its own."""

    def run(code, size):
        done = forked.run("-c", APART + HEAD + code, tmp_path, size, PICTURE.hex())
        if done.returncode == 77:
            pytest.skip("this system lets nobody mount a small disk")
        assert not done.returncode, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("size", [2_000, 200_000])
def test_a_deletion_makes_room_on_a_disk_that_is_full(small, size):
    said, again, more, after, files = small(FILLED, size)
    assert said.endswith("make room on the disk; what it held is unharmed") and "\n" not in said
    assert (again, more, after) == ("", 2, [True] * 3)
    assert files == ["c.sqlite", "other"]


def test_a_log_that_holds_changes_loses_none_of_them(small):
    """The log of an earlier version that was killed cannot be brought into the file before there is room."""
    logged, said, kept, files = small(LOGGED, 16_000)
    assert logged > 160_000
    assert said.endswith("make room on the disk; what it held is unharmed") and "\n" not in said
    assert kept == 10 and "c.sqlite-wal" not in files


def test_what_was_cut_off_is_undone_without_any_room(small):
    assert small(TORN, 2_000) == [True, 40, 40]
