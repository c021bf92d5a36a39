"""The catalogue as a collection: related words, a random order whose pages fit together, and everything as one ZIP."""

import io
import json
import shutil
import subprocess
import time
import zipfile

import numpy as np
import pytest
from test_web import refused, serving, text
from tiny import tiny_model

from scoresde.web.archive import archive
from scoresde.web.catalogue import Catalogue
from scoresde.web.uploads import png

PICTURES = [png(np.full((4, 6, 3), 20 * i, np.uint8)) for i in range(12)]


@pytest.fixture
def kept(tmp_path):
    with Catalogue(tmp_path / "catalogue.db") as catalogue:
        yield catalogue


def captions(catalogue, **options):
    return [entry.caption for entry in catalogue.page(**options)[0]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("shoe", ["my shoes", "a red sneaker", "old sandals", "ankle boots in snow"]),
        ("sneakers", ["a red sneaker", "my shoes"]),
        ("trainer", ["my shoes", "a red sneaker"]),
        ("jumper", ["a woolly pullover"]),
        ("sandals", ["old sandals", "my shoes"]),
        ("red shoe", ["a red sneaker"]),
        ("car", ["carnival", "an automobile"]),
        ("spaceship", []),
    ],
)
def test_the_search_finds_related_words(kept, query, found):
    text = "a woolly pullover, ankle boots in snow, old sandals, a red sneaker, my shoes, carnival, an automobile"
    for caption in text.split(", "):
        kept.save(caption, PICTURES[0], {})
    assert sorted(captions(kept, query=query)) == sorted(found)
    if found:
        assert captions(kept, query=query)[0] == found[0]  # what has the word itself comes before what is related


def test_a_random_order_is_one_that_pages_fit_together_in(kept):
    for i in range(60):
        kept.save(str(i), PICTURES[0], {})

    def order(seed):
        parts = [captions(kept, order="random", seed=seed, offset=offset, limit=25) for offset in (0, 25, 50)]
        return sum(parts, [])

    first = order(7)
    assert sorted(first, key=int) == [str(i) for i in range(60)] and first == order(7) != order(8)
    ranks = np.corrcoef(np.array(first, float), np.arange(60))[0, 1]
    assert abs(ranks) < 0.4  # three deviations of the correlation of two independent orders of 60
    kept.save("60", PICTURES[0], {})
    kept.delete(1)
    later = order(7)
    assert [each for each in later if each != "60"] == [each for each in first if each != "0"]
    assert captions(kept, order="random", offset=10**30) == []
    assert captions(kept, order="random", seed=10**30) and captions(kept, order="random", seed=-1)


def test_everything_is_one_zip_with_what_it_was_made_from(kept):
    long = "x" * 5000  # stored apart, as pictures are
    captions = ["A red  sneaker!", "", "Über ../../etc", "長靴", "w" * 400] + [f"n {i}" for i in range(6)]
    for i, caption in enumerate(captions):
        kept.save(caption, PICTURES[i], {"seed": i, "picture": long if i == 3 else None})
    kept.delete(6)
    data = b"".join(archive(kept))
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        assert made.testzip() is None
        *names, last = made.namelist()
        rows = json.loads(made.read(last))
        assert last == "pictures.json" and [row["file"] for row in rows] == names == sorted(names)
        assert names[:4] == ["01-a-red-sneaker.png", "02.png", "03-uber-etc.png", "04-長-靴.png"]
        assert all(len(name) < 80 and "/" not in name for name in names) and len(names) == 10
        for row in rows:
            i = row["id"] - 1
            assert made.read(row["file"]) == PICTURES[i] and row["caption"] == kept.entry(row["id"]).caption
            assert row["parameters"] == {"seed": i, "picture": long if i == 3 else None}
            assert abs(time.mktime((*made.getinfo(row["file"]).date_time, 0, 0, -1)) - row["created"]) <= 3


def test_another_program_reads_the_zip(kept, tmp_path):
    if shutil.which("unzip") is None:
        pytest.skip("there is no unzip")
    kept.save("one", PICTURES[1], {})
    (tmp_path / "all.zip").write_bytes(b"".join(archive(kept)))
    subprocess.run(["unzip", "-q", "all.zip", "-d", "out"], cwd=tmp_path, check=True)
    assert (tmp_path / "out/1-one.png").read_bytes() == PICTURES[1]


def test_the_zip_is_made_while_it_is_sent(kept):
    for i in range(5):
        kept.save(str(i), PICTURES[i], {})
    pieces = archive(kept)
    first = next(pieces)
    assert PICTURES[0] in first and PICTURES[1] not in first
    kept.delete(2)  # before its turn
    kept.save("later", PICTURES[7], {})
    with zipfile.ZipFile(io.BytesIO(first + b"".join(pieces))) as made:
        assert made.namelist() == ["1-0.png", "3-2.png", "4-3.png", "5-4.png", "pictures.json"]
        assert len(json.loads(made.read("pictures.json"))) == 4


@pytest.mark.parametrize(("created", "year"), [(0, 1980), (1e10, 2107), (1.7e9, 2023)])
def test_times_that_a_zip_cannot_hold_are_brought_near(kept, created, year):
    kept.save("", PICTURES[0], {})
    kept._db.execute("UPDATE entries SET created = ?", (created,))
    with zipfile.ZipFile(io.BytesIO(b"".join(archive(kept)))) as made:
        assert made.getinfo("1.png").date_time[0] == year


def test_the_addresses_of_the_page(tmp_path):
    with serving({1: tiny_model(tmp_path / "tiny")}, tmp_path / "catalogue.sqlite") as client:
        with zipfile.ZipFile(io.BytesIO(client.get("/api/catalogue.zip").content)) as made:
            assert made.namelist() == ["pictures.json"] and json.loads(made.read("pictures.json")) == []
        for i in range(3):
            picture = text(np.full((8, 8), 40 * i, np.uint8))
            client.post("/api/catalogue", json={"caption": f"boot {i}", "picture": picture, "parameters": {"i": i}})
        answer = client.get("/api/catalogue.zip")
        assert (
            answer.headers["content-type"] == "application/zip"
            and "attachment" in answer.headers["content-disposition"]
        )
        with zipfile.ZipFile(io.BytesIO(answer.content)) as made:
            assert made.namelist() == ["1-boot-0.png", "2-boot-1.png", "3-boot-2.png", "pictures.json"]
            assert made.read("2-boot-1.png") == client.get("/api/catalogue/2.png").content
        orders = [client.get("/api/catalogue", params={"order": "random", "seed": seed}).json() for seed in range(20)]
        assert len({tuple(entry["id"] for entry in each["entries"]) for each in orders}) > 3
        assert client.get("/api/catalogue", params={"query": "shoe"}).json()["total"] == 3
        assert "newest, oldest, name, random" in refused(client.get("/api/catalogue?order=none"), 400)
        assert "seed" in refused(client.get("/api/catalogue?order=random&seed=x"), 400)
        client.cookies.clear()
        assert client.get("/api/catalogue.zip").status_code == 401
