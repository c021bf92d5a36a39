"""The catalogue: what is kept is found again, by words, beginnings and misspellings, and survives what may happen."""

import json
import random
import signal
import sqlite3
import stat
import sys
import threading
import time
import unicodedata

import forked
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scoresde.core.errors import DataError, ResourceError, UsageError
from scoresde.web import catalogue as module
from scoresde.web import database, search
from scoresde.web.catalogue import Catalogue
from scoresde.web.entries import MissingEntry
from scoresde.web.uploads import png

PICTURE = png(np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3))


@pytest.fixture
def kept(tmp_path):
    with Catalogue(tmp_path / "catalogue.db") as catalogue:
        yield catalogue


def fill(catalogue, *captions):
    for caption in captions:
        catalogue.save(caption, PICTURE, {})


def captions(catalogue, query="", order="newest", **options):
    entries, total = catalogue.page(order, query=query, **options)
    assert total >= len(entries)
    return [entry.caption for entry in entries]


def intact(path):
    """By SQLite's own checks, of the tables and of both indexes against them."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
        assert (
            db.execute("SELECT count(*) FROM entries").fetchone() == db.execute("SELECT entries FROM size").fetchone()
        )
    finally:
        db.close()


def test_what_is_saved_comes_back(tmp_path):
    parameters = {"model": "photos", "tol": 0.01, "seeds": [1, 2], "class": None, "nested": {"ü": True}}
    before = time.time()
    with Catalogue(tmp_path / "new" / "catalogue.db") as catalogue:
        saved = catalogue.save("  Two \n words\t", PICTURE, parameters)
        assert (saved.caption, saved.width, saved.height, saved.parameters) == ("Two words", 4, 6, parameters)
        assert before <= saved.created <= time.time()
    with Catalogue(str(tmp_path / "new" / "catalogue.db")) as catalogue:
        assert catalogue.entry(saved.id) == saved
        assert catalogue.image(saved.id) == PICTURE
        assert catalogue.page() == ([saved], 1)
    assert stat.S_IMODE(catalogue.path.stat().st_mode) == 0o600
    with pytest.raises(ResourceError, match="is closed"):
        catalogue.page()


def test_orders_and_pages(kept):
    names = [f"{letter}{i}" for i, letter in enumerate("hgfedcbahgfedcba")]
    fill(kept, *names)
    assert captions(kept) == names[::-1] and captions(kept, order="oldest") == names
    wanted = {"newest": names[::-1], "oldest": names, "name": sorted(names)}
    for order, whole in wanted.items():
        for offset in range(18):
            for limit in (1, 3, 16, 200):
                entries, total = kept.page(order, offset, limit)
                assert [e.caption for e in entries] == whole[offset : offset + limit] and total == 16
    for bad in ({"offset": -1}, {"limit": 0}, {"limit": 201}, {"order": "best"}):
        with pytest.raises(UsageError):
            kept.page(**bad)
    assert kept.page("newest", 10**30) == ([], 16)


def test_names_are_sorted_as_people_do(kept):
    fill(kept, "zebra", "Éclair", "apple", "Banana", "eclipse")
    assert captions(kept, order="name") == ["apple", "Banana", "Éclair", "eclipse", "zebra"]


FOUND = [
    ("striped trousers", "striped", "a word"),
    ("striped trousers", "trou", "a beginning"),
    ("striped trousers", "STRIPED", "case"),
    ("striped trousers", "trousers striped", "another order"),
    ("striped trousers", "stri trou", "two beginnings"),
    ("striped trousers", "trosers", "a letter left out"),
    ("striped trousers", "trouusers", "a letter twice"),
    ("striped trousers", "truosers", "two letters swapped"),
    ("striped trousers", "trowsers", "a wrong letter"),
    ("striped trousers", "stripd trosers", "two misspelt words"),
    ("a kitten", "mitten", "a wrong first letter"),
    ("a kaleidoscope", "kalidascope", "two letters wrong in a long word"),
    ("a runner who runs", "running", "another form"),
    ("generated portraits", "generating portrait", "other forms"),
    ("an undershirt", "shirt", "the end of a word"),
    ("crème brûlée", "creme brulee", "accents"),
    ("creme brulee", "crème", "accents of the query"),
    ("Straße", "STRASSE", "sharp s"),
    ("黒猫と犬", "猫", "a script without spaces"),
    ("黒猫と犬", "犬 黒", "two of its characters"),
    ("한국어 글자", "한국", "Hangul"),
    ("हिन्दी शब्द", "हिन्दी", "marks that are letters"),
    ("a cat 🐱!", "🐱", "a picture sign"),
    ("IMG_2041.png", "2041", "a number"),
    ("ﬁne print", "fine", "a ligature"),
]


@pytest.mark.parametrize(("caption", "query", "why"), FOUND, ids=[why for *_, why in FOUND])
def test_the_search_finds(kept, caption, query, why):
    fill(kept, "a green hat", caption, "blue sea at night")
    assert captions(kept, query) == [caption]


def misspelt(draw, word):
    """A word with a letter left out, put in, or changed, or with two neighbours swapped."""
    i, letter = draw.randrange(len(word) - 1), draw.choice("abcdefghijklmnopqrstuvwxyz")
    swapped = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    return draw.choice(
        [word[:i] + word[i + 1 :], word[:i] + letter + word[i:], word[:i] + letter + word[i + 1 :], swapped]
    )


@pytest.mark.parametrize(("letters", "mistakes", "share"), [(7, 1, 0.95), (10, 1, 0.97), (10, 2, 0.85)])
def test_misspelt_words_are_found_among_many(kept, letters, mistakes, share):
    """Ten thousand made-up words, a twelfth of which end alike, so that a piece of a word is in many others.

    What was misspelt is looked for; of so many words, others may be nearer, in a tenth of those with two mistakes.
    """
    draw = random.Random(letters)
    syllables = [a + b for a in "bcdfghklmnprstv" for b in ("a", "e", "i", "o", "u", "an", "er", "on")]
    words = {
        "".join(draw.choices(syllables, k=5))[: letters - 3] + draw.choice(["ing"] * 10 + syllables)
        for _ in range(10**4)
    }
    with kept._lock:
        kept._db.execute("PRAGMA synchronous = OFF")
        search.learn(kept._db, " ".join(sorted(words)))
        found = 0
        for word in draw.sample(sorted(words), 150):
            wrong = word
            for _ in range(mistakes):
                wrong = misspelt(draw, wrong)
            found += word.startswith(wrong) or word in search.alike(kept._db, wrong)
    assert found >= share * 150, f"{found} of 150"


@pytest.mark.parametrize("query", ["sock", "striped hat", "xyzzy plugh", "!?", '"', "*", "cot", "trou*s hat"])
def test_the_search_finds_nothing_that_is_not_there(kept, query):
    fill(kept, "striped trousers", "a green hat", "cat")
    assert captions(kept, query) == []


def test_the_best_match_comes_first(kept):
    """The word itself before words that begin so, and those before words that are only spelt alike."""
    fill(kept, "coats", "coat", "goat", "coatrack", *[f"other {i}" for i in range(20)])
    assert captions(kept, "coat") == ["coat", "coats", "coatrack", "goat"]
    fill(kept, "moon over a very long sentence about lakes and hills", "moon")
    assert captions(kept, "moon") == ["moon", "moon over a very long sentence about lakes and hills"]


def test_a_common_word_gives_the_newest(kept):
    """More matches than are ranked: all are counted, and pages neither overlap nor leave any out."""
    count = search.MOST + 30
    with kept._lock:
        kept._db.execute("PRAGMA synchronous = OFF")
    fill(kept, *[f"lamp {i}" for i in range(count)])
    entries, total = kept.page(query="lamp", limit=200)
    assert total == count and [e.caption for e in entries] == [f"lamp {count - 1 - i}" for i in range(200)]
    pages = [captions(kept, "lamp", offset=offset, limit=200) for offset in range(0, count, 200)]
    assert [c for page in pages for c in page] == [f"lamp {count - 1 - i}" for i in range(count)]
    assert captions(kept, "lamp 17")[0] == "lamp 17"
    fill(kept, "blue lump")
    assert captions(kept, "blue lump") == ["blue lump"] and captions(kept, "bleu lump") == ["blue lump"]
    assert captions(kept, "blue lamp") == []  # that word is spelt as it should be


def test_ranked_pages_fit_together(kept):
    fill(kept, *[f"lamp {'shade ' * (i % 5)}{i}" for i in range(60)])
    whole = captions(kept, "lamp", limit=200)
    assert len(set(whole)) == 60
    assert [c for offset in range(0, 60, 7) for c in captions(kept, "lamp", offset=offset, limit=7)] == whole


ANY = st.text(st.characters(exclude_categories=()), max_size=60)
OPERATORS = ['"', '""', "AND", "OR NOT", "NEAR(a b)", "a*", "^a", "folded:a", "-a", "(", "{a}", "' OR 1=1 --", "%", "_"]


@pytest.mark.parametrize(
    "text", [*OPERATORS, "<b>&amp;", "\\", "a\0b", "\u202eabc", "🏴‍☠️", "e" + "\u0301" * 50, "﷽" * 20]
)
def test_every_text_is_text(kept, text):
    other = kept.save("something else", PICTURE, {})
    saved = kept.save(text, PICTURE, {"text": text})
    assert kept.entry(saved.id).parameters == {"text": text}
    assert saved.caption == " ".join(text.replace("\0", " ").split())
    found = captions(kept, text)
    assert found[:1] == ([saved.caption] if search.fold(text) else [])
    kept.rename(other.id, text)
    kept.delete(saved.id)
    kept.restore(saved.id)
    intact(kept.path)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(caption=ANY, query=ANY)
@example(caption="half of a sign: \ud83d", query="\ude00")
def test_any_caption_is_kept_and_found_by_its_words(kept, caption, query):
    kept._db.execute("PRAGMA synchronous = OFF")
    saved = kept.save(caption, PICTURE, {})
    assert kept.entry(saved.id) == saved
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in saved.caption)
    kept.page(query=query)
    for word in search.fold(saved.caption).split()[:3]:
        if word.isalnum() and word.isascii():
            assert saved.id in [e.id for e in kept.page(query=word, limit=200)[0]]
    kept.delete(saved.id)


def test_captions_have_a_limit_and_may_be_empty(kept):
    assert kept.save("", PICTURE, {}).caption == ""
    longest = kept.save("ä" * 500, PICTURE, {})
    assert longest.caption == "ä" * 500 and captions(kept, "a" * 500) == ["ä" * 500]
    for act in (lambda: kept.save("a" * 501, PICTURE, {}), lambda: kept.rename(longest.id, "a" * 501)):
        with pytest.raises(UsageError, match="501 characters, and at most 500"):
            act()
    assert kept.page()[1] == 2
    began = time.monotonic()
    assert captions(kept, "word " * 10**6) == []
    with pytest.raises(UsageError, match="5,000,000 characters"):
        kept.save("a" * 5 * 10**6, PICTURE, {})
    assert time.monotonic() - began < 2


def test_what_cannot_be_kept_is_refused(kept):
    for data in (b"", b"GIF89a" + bytes(40), PICTURE[:20], b"\x89PNG\r\n\x1a\n" + bytes(40)):
        with pytest.raises(DataError, match="PNG"):
            kept.save("a", data, {})
    nested = []
    for _ in range(10**5):
        nested = [nested]
    for parameters in (
        {"a": object()},
        {"a": float("nan")},
        {"a": {1, 2}},
        {"a": "\ud800"},
        {"a": "\ud800" * 2000},
        {"a": nested},
    ):
        with pytest.raises(UsageError, match="JSON"):
            kept.save("a", PICTURE, parameters)
    with pytest.raises(UsageError, match="at most 50,000"):
        kept.save("a", PICTURE, {"a": ["a" * 900] * 60})
    assert kept.page() == ([], 0)


def test_rename_delete_restore(kept):
    fill(kept, "first", "second", "third")
    (entry,), _ = kept.page(query="second")
    renamed = kept.rename(entry.id, "deuxième")
    assert renamed.caption == "deuxième" and renamed.created == entry.created
    assert captions(kept, "second") == [] and captions(kept, "deuxieme") == ["deuxième"]
    kept.delete(entry.id)
    assert captions(kept) == ["third", "first"] and captions(kept, "deuxieme") == [] and kept.page()[1] == 2
    for act in (kept.entry, kept.image, kept.delete, lambda id: kept.rename(id, "a")):
        for id in (entry.id, 99, -1, 0, 2**70, -(2**70)):
            with pytest.raises(MissingEntry):
                act(id)
    later = kept.save("fourth", PICTURE, {})
    assert later.id > entry.id + 1
    assert kept.restore(entry.id) == renamed and kept.image(entry.id) == PICTURE
    assert captions(kept) == ["fourth", "third", "deuxième", "first"] and captions(kept, "deuxieme") == ["deuxième"]
    for id in (entry.id, 99, 2**70):
        with pytest.raises(MissingEntry, match="cannot be restored"):
            kept.restore(id)
    intact(kept.path)


def test_what_was_deleted_long_ago_is_removed(tmp_path, monkeypatch):
    path, now = tmp_path / "catalogue.db", time.time()
    with Catalogue(path) as catalogue:
        fill(catalogue, "stays", "new", "old")
        catalogue.delete(3)
        monkeypatch.setattr(module.time, "time", lambda: now + module.RESTORABLE - 60)
        catalogue.delete(2)
    monkeypatch.setattr(module.time, "time", lambda: now + module.RESTORABLE + 60)
    with Catalogue(path) as catalogue:
        with pytest.raises(MissingEntry):
            catalogue.restore(3)
        assert catalogue.restore(2).caption == "new" and catalogue.image(2) == PICTURE
        assert catalogue._db.execute("SELECT count(*) FROM pictures").fetchone() == (2,)
        assert catalogue.save("next", PICTURE, {}).id == 4  # a number is not given twice


def test_threads_share_a_catalogue(kept):
    errors = []

    def work(number):
        try:
            draw = random.Random(number)
            for i in range(12):
                own = kept.save(f"thread {number} picture {i}", PICTURE, {"n": number, "i": i})
                kept.page(draw.choice(["newest", "oldest", "name"]), query=draw.choice(["", "thread", "pictur"]))
                if i % 3 == 0:
                    kept.delete(own.id)
                    kept.restore(own.id)
                assert kept.rename(own.id, f"{own.caption} renamed").parameters == {"n": number, "i": i}
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and kept.page()[1] == 96
    assert kept.page(query="renamed")[1] == 96
    intact(kept.path)


def test_two_programs_share_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY", 0.1)
    path = tmp_path / "catalogue.db"
    with Catalogue(path) as one, Catalogue(path) as two:
        saved = one.save("shared", PICTURE, {})
        assert two.entry(saved.id) == saved and captions(two, "shar") == ["shared"]
        one._db.execute("BEGIN IMMEDIATE")
        with pytest.raises(ResourceError, match="in use by another program"):
            two.save("blocked", PICTURE, {})
        assert two.page()[1] == 1  # reading goes on
        one._db.execute("ROLLBACK")
        two.save("free", PICTURE, {})
        assert one.page()[1] == 2


def test_a_copy_made_while_it_is_used_is_a_catalogue(kept, tmp_path):
    """As docs/web.md has it."""
    fill(kept, "one", "two", "three")
    kept.delete(2)
    db = sqlite3.connect(kept.path, isolation_level=None)
    db.execute("VACUUM INTO ?", [str(tmp_path / "copy.sqlite")])
    db.close()
    with Catalogue(tmp_path / "copy.sqlite") as copy:
        assert copy.page() == kept.page() and captions(copy, "thre") == ["three"]
        assert copy.restore(2).caption == "two" and copy.image(2) == PICTURE
    intact(tmp_path / "copy.sqlite")


def test_files_that_are_no_catalogue(tmp_path):
    path = tmp_path / "file.db"
    for content in (
        b"some text that is longer than any header of a data base, and then some more of it" * 40,
        PICTURE * 50,
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is not a catalogue"):
            Catalogue(path)
        assert path.read_bytes() == content
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY)")
    db.close()
    content = path.read_bytes()
    with pytest.raises(DataError, match="an SQLite file but not a catalogue"):
        Catalogue(path)
    assert path.read_bytes() == content


def test_a_newer_layout_is_refused(tmp_path):
    path = tmp_path / "catalogue.db"
    with Catalogue(path) as catalogue:
        fill(catalogue, "a")
        catalogue._db.execute("PRAGMA user_version = 2")
    with pytest.raises(DataError, match="has layout 2, and this version reads 1: update scoresde"):
        Catalogue(path)


def test_damage_is_said(tmp_path):
    path = tmp_path / "catalogue.db"
    with Catalogue(path) as catalogue:
        fill(catalogue, *(f"entry {i}" for i in range(40)))
    data = bytearray(path.read_bytes())
    data[4096:] = random.Random(0).randbytes(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(DataError, match="is damaged"):
        Catalogue(path)


def test_an_sqlite_without_the_search_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "PROBE", "CREATE VIRTUAL TABLE probe USING fts5(x, tokenize = 'older')")
    with pytest.raises(ResourceError, match=r"needs SQLite 3\.34 or newer with FTS5, and this Python has 3\."):
        Catalogue(tmp_path / "catalogue.db")
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file" / "catalogue.db", "/proc/catalogue.db"):
        with pytest.raises(ResourceError, match="cannot be written"):
            Catalogue(place)


def test_a_file_that_becomes_read_only(kept):
    fill(kept, "before")
    kept._db.execute("PRAGMA query_only = ON")
    for act in (lambda: kept.save("a", PICTURE, {}), lambda: kept.rename(1, "b"), lambda: kept.delete(1)):
        with pytest.raises(ResourceError, match="cannot be written"):
            act()
    assert captions(kept) == ["before"]
    kept._db.execute("PRAGMA query_only = OFF")
    kept.rename(1, "after")
    assert captions(kept) == ["after"]


def test_a_full_disk_loses_nothing(kept):
    """SQLite's own limit of pages gives the error of a full disk, in the middle of a transaction."""
    fill(kept, "before")
    (pages,) = kept._db.execute("PRAGMA page_count").fetchone()
    kept._db.execute(f"PRAGMA max_page_count = {pages + 4}")
    noise = PICTURE + random.Random(0).randbytes(100_000)
    with pytest.raises(ResourceError, match="make room on the disk"):
        kept.save("too much", noise, {})
    assert captions(kept) == ["before"] and captions(kept, "much") == []
    kept._db.execute("PRAGMA max_page_count = 1000000")
    kept.save("room again", noise, {})
    assert captions(kept) == ["room again", "before"]
    intact(kept.path)


SAVER = """
import sys
from scoresde.core.errors import ResourceError
from scoresde.web.catalogue import Catalogue
try:
    catalogue, picture = Catalogue(sys.argv[1]), bytes.fromhex(sys.argv[2])
    first = catalogue.page()[1]
    for i in range(first, first + 100_000):
        entry = catalogue.save(f"picture number{i}", picture + i.to_bytes(8, "big") * 2000, {"i": i})
        print(entry.id, i, flush=True)
        if i % 5 == 0:
            catalogue.delete(entry.id)
            catalogue.restore(entry.id)
except ResourceError as error:
    print(error)
"""


def test_kill_while_saving_loses_nothing_that_was_acknowledged(tmp_path):
    path, draw, acknowledged = tmp_path / "catalogue.db", random.Random(0), {}
    for _ in range(3):
        child = forked.Process("-c", SAVER, path, PICTURE.hex())
        text = child.stdout.readline()
        threading.Timer(draw.uniform(0.01, 0.25), child.kill).start()
        text += child.communicate()[0]
        assert child.returncode == -signal.SIGKILL and text
        whole = [line.split() for line in text[: text.rindex("\n")].split("\n")]
        acknowledged |= {int(id): int(i) for id, i in whole}
        with Catalogue(path) as catalogue:
            for id, i in acknowledged.items():
                try:
                    assert catalogue.entry(id).parameters == {"i": i}
                except MissingEntry:  # killed between its deletion and its restoration
                    assert catalogue.restore(id).parameters == {"i": i}
                assert catalogue.image(id) == PICTURE + i.to_bytes(8, "big") * 2000
                assert catalogue.page(query=f"number{i}")[0][0].parameters == {"i": i}
            assert len(acknowledged) <= catalogue.page()[1] <= len(acknowledged) + 3
        intact(path)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep this limit of a file's size")
def test_a_file_that_may_not_grow(tmp_path):
    """The operating system's own refusal, as of a full disk, once a file has 300 kB."""
    path = tmp_path / "catalogue.db"
    code = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
    )
    done = forked.run("-c", code + SAVER, path, PICTURE.hex())
    *saved, last = done.stdout.splitlines()
    assert "make room on the disk" in last and saved and not done.stderr
    with Catalogue(path) as catalogue:
        assert catalogue.page()[1] == len(saved)
    intact(path)


def test_long_parameters_are_kept_once_and_left_out_of_pages(kept):
    picture, parameters = "p" * 200_000, {"task": "inpaint", "seed": 1}
    first = kept.save("first", PICTURE, parameters | {"picture": picture, "mask": "m" * 2000})
    second = kept.save("second", PICTURE, parameters | {"picture": picture})
    assert first.parameters == parameters | {"picture": picture, "mask": "m" * 2000}
    assert kept.entry(second.id).parameters == parameters | {"picture": picture}
    for entry in kept.page()[0]:
        assert len(json.dumps(entry.parameters)) < 300 and entry.parameters["seed"] == 1
    assert kept.rename(first.id, "third").parameters["picture"] == picture
    (size,) = kept._db.execute("SELECT sum(length(text)) FROM attachments").fetchone()
    assert size == 202_000
    kept.delete(first.id)
    assert kept.restore(first.id).parameters["mask"] == "m" * 2000
    for id in (first.id, second.id):
        kept.delete(id)
    with kept._write():
        kept._purge(keep=-1)
    assert kept._db.execute("SELECT count(*) FROM attachments").fetchone() == (0,)
    intact(kept.path)


def test_a_catalogue_of_an_earlier_version_is_read(tmp_path):
    with Catalogue(tmp_path / "old.db") as catalogue:
        catalogue._db.executescript("DROP TABLE attachments; DROP TABLE attached")
        catalogue._db.execute("INSERT INTO entries VALUES (1, 'a', 'a', 0, 4, 6)")
        catalogue._db.execute("INSERT INTO pictures VALUES (1, ?, ?)", (PICTURE, json.dumps({"picture": "p" * 5000})))
    with Catalogue(tmp_path / "old.db") as catalogue:
        assert catalogue.entry(1).parameters == {"picture": "p" * 5000}
        assert catalogue.save("b", PICTURE, {"picture": "q" * 5000}).parameters == {"picture": "q" * 5000}


@pytest.mark.skipif(sys.platform == "win32", reason="there, a file that is open cannot be removed")
@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_removed_or_replaced_while_it_is_open(tmp_path, replaced):
    path = tmp_path / "catalogue.db"
    with Catalogue(tmp_path / "other.db") as other:
        fill(other, "of another")
    with Catalogue(path) as catalogue:
        fill(catalogue, "before")
        path.unlink()
        if replaced:
            (tmp_path / "other.db").rename(path)
        fill(catalogue, "after")
        expected = ["after", "of another"] if replaced else ["after"]
        assert captions(catalogue) == expected
    with Catalogue(path) as catalogue:
        assert captions(catalogue) == expected


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
from scoresde.core.errors import ResourceError
from scoresde.web.catalogue import Catalogue
with Catalogue(sys.argv[1]) as catalogue:
    def fill(count):
        ids = []
        try:
            while len(ids) < count:
                ids.append(catalogue.save(f"picture {len(ids)}", bytes.fromhex(sys.argv[2]) + bytes(16_000), {}).id)
        except ResourceError:
            pass
        return ids
    fill(100)
    for id in [entry.id for entry in catalogue.page()[0]]:
        catalogue.delete(id)
    print(len(fill(3)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep this limit of a file's size")
def test_room_can_be_made_on_a_full_disk(tmp_path):
    done = forked.run("-c", FULL, tmp_path / "catalogue.db", PICTURE.hex())
    assert done.stdout == "3\n", done.stderr
    intact(tmp_path / "catalogue.db")
