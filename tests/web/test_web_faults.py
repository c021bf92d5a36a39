"""What strangers may send to the page's server: each request has an answer of a known status, and none is a trace."""

import base64
import io
import json
import os
import random
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_web import EM, SKY, events, folders, pixels, png, refused, serving, text  # noqa: F401
from test_web_uploads import crafted_png, fuzzed, seeds

from scoresde.solvers import solvers
from scoresde.web import reading
from scoresde.web.security import HEADERS

BYTES = {"content-type": "application/octet-stream"}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client(folders, tmp_path_factory):  # noqa: F811
    with serving(folders, tmp_path_factory.mktemp("faults") / "catalogue.sqlite") as made:
        yield made


def raw(client, *lines, body=b""):
    """The answer to a request as it is written on the wire: its status and all of it."""
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
    with socket.create_connection(("127.0.0.1", client.settings.port), 10) as connection:
        connection.sendall(head + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer[9:12]), answer


def resident():
    """Bytes of memory that this process, the server in it, holds; nothing where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def ours(client):
    """The headers of the page's own requests."""
    place, policy = f"127.0.0.1:{client.settings.port}", client.settings.policy
    return [f"Host: {place}", f"Origin: http://{place}", f"Cookie: {policy.cookie}={policy.token}"]


def test_hosts_as_they_should_not_be(client):
    port = client.settings.port
    for host in ("127.0.0.1:²", f"127.0.0.1:0{port}", "127.0.0.1:" + "9" * 5000, f"127.0.0.1:{port}:{port}",
                 f"127.0.0.1.evil.example:{port}", f"127.0.0.1@evil.example:{port}", f"evil.example#:{port}",
                 f"0x7f.1:{port}", f"[::ffff:10.0.0.1]:{port}", ":", " "):  # fmt: skip
        assert raw(client, "GET /api/about HTTP/1.1", f"Host: {host}", *ours(client)[1:])[0] in (400, 403), host
    twice = ("GET /api/about HTTP/1.1", f"Host: 127.0.0.1:{port}", *ours(client))
    assert raw(client, *twice)[0] == 400
    assert raw(client, "GET / HTTP/1.1")[0] == 400 and raw(client, "GET / HTTP/1.0")[0] == 403
    status, answer = raw(client, "GET http://evil.example/api/about HTTP/1.1", "Host: evil.example", *ours(client)[1:])
    assert status == 403 and b"models" not in answer


def test_the_key_is_asked_for_however_the_address_is_written(client):
    host = ours(client)[0]
    for path in (
        "/api/about",
        "/%61pi/about",
        "/api/%61bout",
        "/api/catalogue/1.png",
        "/api/../api/about",
        "/api/",
        "/api%2fabout",
    ):
        assert raw(client, f"GET {path} HTTP/1.1", host)[0] in (401, 404), path
    for path in ("//api/about", "/./api/about", "/API/about", "/x/../api/about"):
        status, answer = raw(client, f"GET {path} HTTP/1.1", host)
        assert status == 404 and b"models" not in answer, path
    for key in ("Authorization: Bearer \xff\xfe", "Authorization: Bearer", "Authorization: Basic eA==",
                'Cookie: \xff=;;=" ', "Cookie: " + "a=b; " * 500):  # fmt: skip
        assert raw(client, "GET /api/about HTTP/1.1", host, key)[0] == 401, key


def test_no_file_but_the_page_s_is_read(client):
    for path in ("/../../../../etc/passwd", "/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/..\\..\\app.py", "/app.js%00.css",
                 "/static/../security.py", "/app.js/", "/.", "/..", "/%", "/%ff", "/api/catalogue/..%2f1.png",
                 "/api/catalogue/%2e%2e.png", "/etc/passwd", "/C:/Windows/win.ini", "/" + "a" * 10_000):  # fmt: skip
        status, answer = raw(client, f"GET {path} HTTP/1.1", *ours(client))
        assert status in (307, 400, 404) and b"root:" not in answer and b"import " not in answer, path


def test_methods_that_nothing_answers(client):
    for method in ("PUT", "OPTIONS", "TRACE", "CONNECT", "PATCH", "DELETE", "POST", "BREW"):
        for path in ("/", "/app.js", "/api/about"):
            assert raw(client, f"{method} {path} HTTP/1.1", *ours(client))[0] in (404, 405, 411, 415), (method, path)
    upgrade = ["Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
    assert raw(client, "GET /api/about HTTP/1.1", *ours(client), *upgrade)[0] != 101


def test_lengths_that_are_not_those_of_the_request(client):
    """Chunks would go on beyond any length that was promised, and have none of their own."""
    head = ["POST /api/generate HTTP/1.1", *ours(client), "Content-Type: application/json"]
    chunked = "Transfer-Encoding: chunked"
    assert raw(client, *head, chunked, body=b"2\r\n{}\r\n0\r\n\r\n")[0] == 411
    assert raw(client, *head, "Content-Length: 2", chunked, body=b"2\r\n{}\r\n0\r\n\r\n")[0] == 411
    for length in ("-1", "²", "1e3", "0x10", "2, 3", "9" * 5000, ""):
        assert raw(client, *head, f"Content-Length: {length}")[0] in (400, 411), length
    assert raw(client, *head, "Content-Length: 10000001")[0] == 413
    assert raw(client, *head, "Content-Length: 2", "Content-Length: 3", body=b"{}")[0] == 400


def test_a_slow_request_is_given_up(client, monkeypatch):
    monkeypatch.setattr(reading, "SLOWEST", 0.3)
    began = time.monotonic()
    head = ["POST /api/fit?model_name=grey HTTP/1.1", *ours(client), "Content-Type: application/octet-stream"]
    status, answer = raw(client, *head, "Content-Length: 1000", body=b"some")
    assert status == 408 and b"did not arrive" in answer and time.monotonic() - began < 5


def test_every_refusal_has_the_headers_and_says_nothing_of_the_machine(client):
    port, own = client.settings.port, ours(client)
    for lines in (["GET /api/about HTTP/1.1", "Host: evil.example"], ["GET /api/about HTTP/1.1", own[0]],
                  ["GET /nothing HTTP/1.1", *own], ["POST / HTTP/1.1", *own, "Content-Length: 0"],
                  ["POST /api/fit HTTP/1.1", own[0], f"Origin: http://localhost:{port}", own[2]]):  # fmt: skip
        status, answer = raw(client, *lines)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert status >= 400 and list(json.loads(body)) == ["error"]
        for name in HEADERS:
            assert name.encode() in head.lower(), (lines, name)
        for secret in (client.settings.token.encode(), b"Traceback", b".py", b"site-packages"):
            assert secret not in answer


UPLOADS = {
    "a bomb": (crafted_png(30_000, 30_000), 413),
    "too many pixels": (png(np.zeros((2001, 2000))), 413),
    "a document": (b"%PDF-1.4" + bytes(500), 415),
    "a page": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
    "half a picture": (png(SKY)[:60], 400),
    "nothing": (b"", 400),
}


@pytest.mark.parametrize("what", UPLOADS)
def test_an_upload_that_is_none(client, what):
    data, status = UPLOADS[what]
    before = client.get("/api/catalogue").json()["total"]
    refused(client.post("/api/fit?model_name=colour", content=data, headers=BYTES), status)
    body = {"picture": base64.b64encode(data).decode()}
    refused(client.post("/api/catalogue", json={**body, "caption": "a", "parameters": {}}), status)
    refused(client.post("/api/colourise", json={**body, "model": "colour", "solver": EM}), status)
    assert client.get("/api/catalogue").json()["total"] == before


def test_what_a_picture_says_beside_its_pixels_is_not_kept(client):
    """Neither the place where it was taken, nor the program, nor a comment."""
    tags = Image.Exif()
    tags[0x010E], tags[0x0131] = "a secret place", "a secret program"
    file = io.BytesIO()
    Image.fromarray(SKY.astype(np.uint8)).save(file, "JPEG", quality=95, exif=tags, comment=b"a secret comment")
    assert b"secret" in file.getvalue()
    picture = base64.b64encode(file.getvalue()).decode()
    entry = client.post("/api/catalogue", json={"caption": "a", "picture": picture, "parameters": {}}).json()
    kept = client.get(f"/api/catalogue/{entry['id']}.png").content
    fitted = client.post("/api/fit?model_name=colour&grey=true", content=file.getvalue(), headers=BYTES).json()
    for data in (kept, *(base64.b64decode(fitted[key]) for key in ("picture", "grey"))):
        assert b"secret" not in data
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.format == "PNG" and not picture.info and picture.size == (8, 8)


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_random_uploads_are_answered(client, count):
    draw, whole, statuses = random.Random(count), seeds(), set()
    for i in range(count):
        if i == count // 4:
            before = resident()
        answer = client.post("/api/fit?model_name=colour", content=fuzzed(draw, whole), headers=BYTES)
        assert answer.status_code == 200 or refused(answer, answer.status_code)
        statuses.add(answer.status_code)
    assert resident() < before + 100 * 2**20  # three quarters of them leave nothing behind
    assert statuses <= {200, 400, 413, 415} and {200, 400, 415} <= statuses
    good = client.post("/api/fit?model_name=colour", content=png(SKY), headers=BYTES).json()
    np.testing.assert_array_equal(pixels(good["picture"]), SKY.astype(np.uint8))


def test_fifty_uploads_at_once_are_each_answered_with_their_own(client):
    pictures = [np.full((8, 8, 3), 5 * level, np.uint8) for level in range(50)]

    def task(i):
        if i % 5 == 4:
            return client.post("/api/fit?model_name=colour", content=bytes(50), headers=BYTES)
        return client.post("/api/fit?model_name=colour", content=png(pictures[i]), headers=BYTES)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(task, range(50)))
    for i, answer in enumerate(answers):
        if i % 5 == 4:
            refused(answer, 415)
        elif answer.status_code != 503:
            np.testing.assert_array_equal(pixels(answer.json()["picture"]), pictures[i])
    assert sum(answer.status_code == 200 for answer in answers) >= 30


def test_fifty_at_once_in_the_catalogue_lose_and_mix_nothing(client):
    def task(i):
        body = {"caption": f"crowd{i}", "picture": text(np.full((8, 8), i)), "parameters": {"i": i}}
        return client.post("/api/catalogue", json=body).json()["id"]

    with ThreadPoolExecutor(50) as pool:
        ids = list(pool.map(task, range(50)))
    assert len(set(ids)) == 50
    for i, id in list(enumerate(ids))[::5]:
        found = client.get("/api/catalogue", params={"query": f"crowd{i}"}).json()["entries"][0]
        assert found["id"] == id and found["parameters"] == {"i": i}
        kept = client.get(f"/api/catalogue/{id}.png").content
        assert (pixels(base64.b64encode(kept)) == i).all()


@pytest.mark.parametrize("name", solvers.all())
def test_no_solver_can_be_asked_for_endless_work(client, name):
    """Whatever number it takes, a hundred million is refused; so it is where it is written in the grid's options."""
    fields = solvers[name].model_fields
    whole = [field for field in fields if fields[field].annotation in (int, int | None)]
    for field in whole:
        body = {"model": "grey", "count": 1, "solver": {"name": name, field: 10**8}}
        assert field in refused(client.post("/api/generate", json=body), 400)
    assert whole or "tol" in fields


@pytest.mark.parametrize("name", solvers.all())
def test_every_solver_that_is_offered_draws(client, name):
    options = {"steps": 3, "nfe": 8, "tol": 0.1}
    table = {"name": name, **{key: value for key, value in options.items() if key in solvers[name].model_fields}}
    answer = client.post("/api/generate", json={"model": "grey", "count": 2, "solver": table})
    event, data = events(answer.text)[-1]
    assert event == "done", data


VALUES = [None, True, -1, 0, 1, 17, 2**53, 10**40, 1e308, "", "x", "\ud800", "grey", "em", "../../etc/passwd", [], [[]],
          [1] * 100, {}, {"a": {"b": {}}}, {"name": "em", "steps": 3}, {"name": "em", "self": 1},
          {"name": "em", "steps": 2, "grid": {"name": "karras"}},
          {"name": "em", "steps": 2, "grid": {"rho": 1}}]  # fmt: skip
KEYS = ["model", "seed", "count", "clip", "solver", "solvers", "classes", "guidance", "conditioner", "picture", "mask",
        "caption", "parameters", "self", "__class__", "", "name", "\ud800"]  # fmt: skip


def test_random_tables_are_answered(client):
    draw = random.Random(0)
    good = {"model": "grey", "count": 1, "solver": {"name": "em", "steps": 2}, "picture": text(SKY[..., 0]),
            "mask": "gAAAAAAAAAA=", "conditioner": {"name": "projection"}, "solvers": [EM, EM]}  # fmt: skip
    fields = {
        "generate": ["model", "count", "solver"],
        "race": ["model", "count", "solvers"],
        "inpaint": ["model", "count", "solver", "picture", "mask", "conditioner"],
        "colourise": ["model", "count", "solver", "picture", "conditioner"],
        "catalogue": ["picture"],
    }
    statuses = set()
    for _ in range(80):
        task = draw.choices(list(fields), [5, 1, 5, 5, 4])[0]  # a race also draws its reference, which takes long
        body = {key: good[key] for key in fields[task]}
        for _ in range(draw.choice([0, 1, 1, 2])):
            body[draw.choice([*fields[task], draw.choice(KEYS)])] = draw.choice(VALUES)
        answer = client.post(f"/api/{task}", content=json.dumps(body).encode(), headers=JSON)
        statuses.add(answer.status_code)
        if answer.status_code == 200 and task != "catalogue":
            name, data = events(answer.text)[-1]
            assert name in ("done", "failed") and "went wrong" not in str(data), body
        elif answer.status_code != 200:
            sentence = refused(answer, answer.status_code)
            assert answer.status_code < 500 and "\n" not in sentence, (body, sentence)
    assert {200, 400} <= statuses <= {200, 400, 413, 415}
    assert client.get("/api/catalogue").status_code == 200


def test_numbers_that_json_has_not(client):
    for value in (b"NaN", b"Infinity", b"-1e999", b"9" * 5000):
        body = b'{"model": "grey", "guidance": ' + value + b"}"
        refused(client.post("/api/generate", content=body, headers=JSON), 400)
        body = b'{"caption": "a", "picture": "' + text(SKY).encode() + b'", "parameters": {"a": ' + value + b"}}"
        refused(client.post("/api/catalogue", content=body, headers=JSON), 400)


def test_captions_are_text_and_parameters_are_short(client):
    def keep(**body):
        return client.post("/api/catalogue", json={"caption": "", "picture": text(SKY), "parameters": {}, **body})

    for caption in ("<script>alert(1)</script>", '" OR 1=1 --', "NEAR(a", "🏴‍☠️", "a\0b", "x" * 500):
        entry = keep(caption=caption).json()
        assert entry["caption"] == caption.replace("\0", " ")
        found = client.get("/api/catalogue", params={"query": caption})
        assert found.status_code == 200 and found.headers["content-type"] == "application/json"
    assert "at most 500" in refused(keep(caption="x" * 501), 400)
    assert "at most 50,000" in refused(keep(parameters={"a": ["x" * 900] * 60}), 400)
    half = json.dumps({"caption": "\ud800", "picture": text(SKY), "parameters": {"a": "\ud800"}}).encode()
    refused(client.post("/api/catalogue", content=half, headers=JSON), 400)
    assert client.get("/api/catalogue").status_code == 200


def test_a_disk_that_is_full_is_said(folders, tmp_path, monkeypatch):  # noqa: F811
    from scoresde.web import app

    made = []
    monkeypatch.setattr(app, "Catalogue", lambda path, cls=app.Catalogue: made.append(cls(path)) or made[0])
    with serving(folders, tmp_path / "full.sqlite") as client:
        body = {"caption": "a", "picture": text(SKY), "parameters": {}}
        assert client.post("/api/catalogue", json=body).status_code == 200
        made[0]._db.execute("PRAGMA query_only = ON")
        assert "cannot be written" in refused(client.post("/api/catalogue", json=body), 507)
        assert client.get("/api/catalogue").json()["total"] == 1


def test_who_goes_away_in_the_middle_leaves_the_server_well(client):
    body = json.dumps({"model": "grey", "count": 16, "solver": {"name": "em", "steps": 1000}}).encode()
    head = "\r\n".join(["POST /api/generate HTTP/1.1", *ours(client), "Content-Type: application/json", ""])
    reset = struct.pack("ii", 1, 0)

    def leave(length, sent):
        with socket.create_connection(("127.0.0.1", client.settings.port), 10) as connection:
            connection.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode() + sent)
            time.sleep(0.05)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)

    threads = [threading.Thread(target=leave, args=(len(body), body[: len(body) - i % 2])) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deadline = time.monotonic() + 10
    small = {"model": "grey", "count": 1, "solver": EM}
    while (answer := client.post("/api/generate", json=small)).status_code == 503:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert events(answer.text)[-1][0] == "done"
