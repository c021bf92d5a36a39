"""The page's server: what it draws is what the package draws, and what it refuses it refuses in one sentence."""

import base64
import contextlib
import io
import json
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

import httpx
import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_model

from scoresde import models
from scoresde.commands.web import quickest_first
from scoresde.conditioners import conditioners
from scoresde.core.errors import ResourceError, UsageError
from scoresde.core.options import Options
from scoresde.core.random import generators
from scoresde.images import sheets
from scoresde.models.guided import GuidedModel
from scoresde.posterior.tasks import Method, grey, hole
from scoresde.sampling import sample as sampling
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers
from scoresde.web import encoding, reading, schema
from scoresde.web import server as impatience
from scoresde.web.app import WebSettings, create_app
from scoresde.web.catalogue import Catalogue
from scoresde.web.security import AccessPolicy, loopback


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    return {
        1: tiny_model(base / "grey"),
        3: tiny_model(base / "colour", channels=3),
        "true": "digits",
        "labels": tiny_model(base / "labelled", classes=3),
        "trained": tiny_model(base / "colourist", channels=3, condition="colour"),
    }


@contextlib.contextmanager
def serving(folders, catalogue, **options):
    """A server on a free port, and a client that has the key, as the page has it."""
    with impatience.listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        settings = WebSettings(tuple(folders.values()), catalogue, port=port, **options)
        running = impatience.server(create_app(settings))
        thread = threading.Thread(target=running.run, args=([listener],))
        thread.start()
        address = f"http://127.0.0.1:{port}"
        try:
            with httpx.Client(base_url=address, headers={"origin": address}, timeout=60, trust_env=False) as client:
                client.get("/")  # sets the cookie
                client.settings = settings
                yield client
        finally:
            running.should_exit = True
            thread.join(30)


@pytest.fixture(scope="module")
def client(folders, tmp_path_factory):
    with serving(folders, tmp_path_factory.mktemp("kept") / "catalogue.sqlite") as made:
        yield made


def events(text):
    parts = [part.split("\n") for part in text.split("\n\n") if part and part[0] != ":"]
    return [(first.removeprefix("event: "), json.loads(second.removeprefix("data: "))) for first, second in parts]


def drawn(client, task, **body):
    """The last event, which has to be a success."""
    response = client.post(f"/api/{task}", json=body)
    assert response.status_code == 200, response.text
    name, data = events(response.text)[-1]
    assert name == "done", data
    return data


def refused(response, status):
    """The sentence of an answer with this status."""
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    return response.json()["error"]


def pixels(png):
    with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
        assert not picture.info  # nothing is written beside the pixels
        return np.asarray(picture)


def png(array):
    file = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(file, "PNG")
    return file.getvalue()


def text(array):
    return base64.b64encode(png(array)).decode()


def expected(x):
    return [np.asarray(sheets.single(image)) for image in x]


SKY = np.stack([np.full((8, 8), 90), np.linspace(80, 160, 64).reshape(8, 8), np.full((8, 8), 220)], -1)
EM = {"name": "em", "steps": 5}


def test_generated_pictures_are_those_of_the_package(client, folders):
    done = drawn(client, "generate", model="grey", seed=3, count=2, solver=EM, clip=False)
    model, sources = models.load(folders[1]), generators([3, 4])
    truth = sample(model, solvers["em"](steps=5), model.prior(sources), generator=sources)
    np.testing.assert_array_equal([pixels(each) for each in done["pictures"]], expected(truth.x))
    assert done["nfe"] == truth.nfe == 6
    for key in ("states", "denoised"):
        assert pixels(done["path"][key]).shape == (8 * done["path"]["frames"], 16)
    np.testing.assert_array_equal(pixels(done["path"]["denoised"])[-8:, :8], expected(truth.x)[0])


def test_the_way_of_large_pictures_has_fewer_frames():
    assert [encoding.frames(shape) for shape in ((4, 3, 32, 32), (16, 3, 256, 256), (1, 1, 4096, 4096))] == [16, 3, 2]


def test_a_class_can_be_asked_for(client, folders):
    done = drawn(client, "generate", model="labelled", count=3, solver=EM, classes=[2, 0], guidance=1.5)
    model, sources = models.load(folders["labels"]), generators(range(3))
    truth = sample(GuidedModel(model, [2, 0, 2], 1.5), solvers["em"](steps=5), model.prior(sources), generator=sources)
    np.testing.assert_array_equal([pixels(each) for each in done["pictures"]], expected(truth.x))


def test_progress_shows_what_emerges(client):
    body = {"model": "colour", "count": 1, "solver": {"name": "em", "steps": 100}}
    found = events(client.post("/api/generate", json=body).text)
    names = [name for name, _ in found]
    assert names[:3] == ["queued", "begun", "progress"] and names[-1] == "done"
    shares = [data["share"] for name, data in found if name == "progress"]
    assert shares == sorted(shares) and 0 <= shares[0] and shares[-1] <= 1
    assert pixels(found[2][1]["pictures"][0]).shape == (8, 8, 3)


def test_a_filled_hole_is_that_of_the_package_and_keeps_the_rest(client, folders):
    known = torch.ones(8, 8, dtype=torch.bool)
    known[2:6, 3:7] = False
    mask = base64.b64encode(np.packbits(~known.numpy()).tobytes()).decode()
    conditioner = {"name": "projection"}
    done = drawn(client, "inpaint", model="colour", picture=text(SKY), mask=mask, count=2, seed=1, solver=EM,
                 conditioner=conditioner)  # fmt: skip
    y = torch.from_numpy(SKY.astype(np.uint8)).permute(2, 0, 1)[None].float() / 127.5 - 1
    method = Method(solvers.build(EM), conditioners.build(conditioner))
    model = models.load(folders[3])
    truth = method.draw(hole(y, known, ""), model, models.locate(folders[3]), range(1, 3), 2, lambda: print)
    for found, wanted in zip(done["pictures"], expected(truth.x), strict=True):
        np.testing.assert_array_equal(pixels(found), wanted)
        np.testing.assert_array_equal(pixels(found)[known], SKY.astype(np.uint8)[known])


def test_colours_are_those_of_the_package_and_have_the_luma(client, folders):
    conditioner = {"name": "projection"}
    done = drawn(client, "colourise", model="colour", picture=text(SKY), count=1, solver=EM, conditioner=conditioner)
    case = grey(Image.fromarray(SKY.astype(np.uint8)), "")
    method = Method(solvers.build(EM), conditioners.build(conditioner))
    model = models.load(folders[3])
    truth = method.draw(case, model, models.locate(folders[3]), range(1), 1, lambda: print)
    np.testing.assert_array_equal(pixels(done["pictures"][0]), expected(truth.x)[0])
    assert "reduced to its luma" in done["note"]
    assert "have 1 channel" in refused(client.post("/api/colourise", json={"model": "grey", "picture": ""}), 400)


def test_a_network_that_is_trained_for_it_is_given_the_picture(client, folders):
    done = drawn(client, "colourise", model="colourist", picture=text(SKY), count=1, solver=EM)
    model, case = models.load(folders["trained"]), grey(Image.fromarray(SKY.astype(np.uint8)), "")
    method = Method(solvers.build(EM), conditioners["trained"]())
    truth = method.draw(case, model, models.locate(folders["trained"]), range(1), 1, lambda: print)
    np.testing.assert_array_equal(pixels(done["pictures"][0]), expected(truth.x)[0])
    name, data = events(client.post("/api/generate", json={"model": "colourist"}).text)[-1]
    assert name == "failed" and "trained for colour" in data["error"]


def test_a_race_starts_from_one_noise_and_measures_the_distance_to_the_reference(client):
    tight = {"name": "ipndm", "steps": 200}
    done = drawn(client, "race", model="digits", seed=2, solvers=[tight, {"name": "euler", "steps": 5}])
    reference, same, coarse = done["lanes"]
    assert same["pictures"] == reference["pictures"] and same["error"] == 0 and not pixels(same["difference"][0]).any()
    assert coarse["nfe"] == 6 and coarse["error"] > 0 and pixels(coarse["difference"][0]).any()
    alone = drawn(client, "generate", model="digits", seed=2, count=1, solver={"name": "euler", "steps": 5})
    assert alone["pictures"] == coarse["pictures"]


MISTAKES = [
    ("generate", {"model": "other"}, "no model is called 'other'"),
    ("generate", {}, "model is missing"),
    ("generate", {"model": "grey", "colour": 1}, "colour is not an option"),
    ("generate", {"model": "grey", "count": 17}, "count must be at most 16, got 17"),
    ("generate", {"model": "grey", "seed": -1}, "seed must be at least 0, got -1"),
    ("generate", {"model": "grey", "seed": 2**60}, "seed must be at most"),
    ("generate", {"model": "grey", "seed": 0.5}, "seed must be a whole number"),
    ("generate", {"model": "grey", "solver": {"name": "emm"}}, "Did you mean 'em'?"),
    ("generate", {"model": "grey", "solver": {}}, "no solver is called ''"),
    ("generate", {"model": "grey", "solver": {"name": "em", "steps": 1001}}, "steps is at most 1000 on this page"),
    ("generate", {"model": "grey", "solver": {"name": "pc", "corrector_steps": 10**9}}, "corrector_steps is at most"),
    ("generate", {"model": "grey", "solver": {"name": "rk45", "max_nfe": 10**9}}, "max_nfe is at most"),
    ("generate", {"model": "grey", "solver": {"name": "em", "tol": 1}}, "tol is not an option of em"),
    ("generate", {"model": "grey", "solver": {"name": "dpm-single", "r1": 1e-300}}, "r1 must be at least 0.001"),
    ("generate", {"model": "grey", "solver": {"name": "ggf", "atol": 1e300}}, "atol must be at most 1000"),
    ("generate", {"model": "grey", "classes": [0]}, "this model knows no classes"),
    ("generate", {"model": "labelled", "classes": [10**21]}, "classes are whole numbers from 0 to 2"),
    ("generate", {"model": "labelled", "classes": [-1]}, "classes are whole numbers from 0 to 2"),
    ("race", {"model": "grey", "solvers": [EM]}, "solvers"),
    ("race", {"model": "grey", "solvers": [EM] * 5}, "solvers"),
    ("inpaint", {"model": "grey", "picture": text(SKY), "mask": "/w" * 8}, "the mask of a picture of 8x8"),
    ("inpaint", {"model": "grey", "picture": text(SKY), "mask": "AAAAAAAAAAA="}, "nothing is painted yet"),
    ("inpaint", {"model": "grey", "picture": text(SKY[:4]), "mask": "gAAAAAAAAAA="}, "picture of 8x4 has 32 bits"),
    ("inpaint", {"model": "grey", "picture": "?", "mask": "gAAAAAAAAAA="}, "picture is not written in base64"),
    ("colourise", {"model": "colour", "picture": text(SKY), "conditioner": {"name": "moment", "products": 10**6}},
     "products is at most"),
    ("colourise", {"model": "colour", "picture": text(SKY), "conditioner": {"name": "covariance", "covariance": "x"}},
     "covariance cannot be set from a page"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "body", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(client, task, body, sentence):
    assert sentence in refused(client.post(f"/api/{task}", json=body), 400)


def test_a_broken_solver_ends_its_job_and_no_other(client):
    body = {"model": "grey", "solver": {"name": "rk45", "tol": 1e-6, "max_nfe": 10}}
    name, data = events(client.post("/api/generate", json=body).text)[-1]
    assert name == "failed" and "max_nfe = 10" in data["error"]
    body["solver"] = {"name": "dpm++", "grid": "karras:rho=1e40"}
    name, data = events(client.post("/api/generate", json=body).text)[-1]
    assert name == "failed" and "times that are too close to each other" in data["error"]
    drawn(client, "generate", model="grey", count=1, solver=EM)


def test_an_error_that_nobody_expected_is_a_number_to_the_visitor_and_a_trace_to_the_log(client, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("a secret")

    body = {"model": "grey", "count": 1, "solver": EM}
    with monkeypatch.context() as patch:
        patch.setattr(sampling, "sample", broken)
        patch.setattr(Catalogue, "page", broken)
        name, data = events(client.post("/api/generate", json=body).text)[-1]
        said = [data["error"], refused(client.get("/api/catalogue"), 500)]
    assert name == "failed"
    for sentence in said:
        number = sentence.rpartition(" ")[2]
        assert "secret" not in sentence and f"error {number}" in caplog.text
    assert caplog.text.count("ZeroDivisionError: a secret") >= 2
    drawn(client, "generate", **body)  # the worker lives on


def test_of_fifty_at_once_four_wait_and_the_others_are_told_to_come_back(client):
    body = {"model": "grey", "count": 1, "solver": {"name": "em", "steps": 20}}
    slow = {"model": "grey", "count": 16, "solver": {"name": "em", "steps": 1000}}
    with ThreadPoolExecutor(50) as pool:
        with client.stream("POST", "/api/generate", json=slow) as response:
            lines = response.iter_lines()
            assert any(line == "event: progress" for line in lines)
            asked = {pool.submit(client.post, "/api/generate", json={**body, "seed": i}): i for i in range(50)}
            refusals = [future.result() for _, future in zip(range(46), as_completed(asked), strict=False)]
        for answer in refusals:
            assert "try again" in refused(answer, 503) and answer.headers["retry-after"] == "5"
        good = {seed: future.result() for future, seed in asked.items() if future.result().status_code == 200}
    assert len(good) == 4
    for seed, answer in good.items():
        assert events(answer.text)[-1][1]["pictures"] == drawn(client, "generate", **body, seed=seed)["pictures"]


def test_who_goes_away_leaves_the_line(folders, tmp_path):
    slow = {"model": "grey", "count": 16, "solver": {"name": "em", "steps": 1000}}
    with serving(folders, tmp_path / "c.sqlite", waiting=0) as client:
        with client.stream("POST", "/api/generate", json=slow) as response:
            lines = response.iter_lines()
            assert any(line == "event: progress" for line in lines)
            assert client.post("/api/generate", json=slow).status_code == 503
        left = time.monotonic()
        while client.post("/api/generate", json={"model": "grey", "solver": EM}).status_code == 503:
            assert time.monotonic() - left < 5
            time.sleep(0.05)


def test_a_job_that_takes_too_long_is_ended(folders, tmp_path):
    with serving(folders, tmp_path / "c.sqlite", seconds=0.05) as client:
        body = {"model": "grey", "solver": {"name": "em", "steps": 1000}}
        name, data = events(client.post("/api/generate", json=body).text)[-1]
    assert name == "failed" and "took more than 0.05 s" in data["error"]


def test_what_is_kept_can_be_found_renamed_deleted_and_made_again(client):
    done = drawn(client, "generate", model="grey", seed=5, count=1, solver=EM)
    parameters = {"task": "generate", "model": "grey", "seed": 5, "count": 1, "solver": EM}
    body = {"caption": "a <i>quiet</i> place", "picture": done["pictures"][0], "parameters": parameters}
    entry = client.post("/api/catalogue", json=body).json()
    assert entry["caption"] == body["caption"] and (entry["width"], entry["height"]) == (8, 8)
    found = client.get("/api/catalogue", params={"query": "quiett"}).json()
    assert found["total"] == 1 and found["entries"][0]["id"] == entry["id"]
    image = client.get(f"/api/catalogue/{entry['id']}.png")
    assert image.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(pixels(base64.b64encode(image.content)), pixels(done["pictures"][0]))
    task, body = found["entries"][0]["parameters"].pop("task"), found["entries"][0]["parameters"]
    assert drawn(client, task, **body)["pictures"] == done["pictures"]
    place = f"/api/catalogue/{entry['id']}"
    assert client.patch(place, json={"caption": "elsewhere"}).json()["caption"] == "elsewhere"
    assert client.delete(place).status_code == 200
    assert client.get("/api/catalogue", params={"query": "elsewhere"}).json()["total"] == 0
    assert client.post(f"{place}/restore", json={}).status_code == 200
    assert client.get("/api/catalogue", params={"query": "elsewhere"}).json()["total"] == 1
    assert "must be" in refused(client.get("/api/catalogue?order=size"), 400)
    for path in ("/api/catalogue?offset=x", "/api/catalogue/x.png"):
        assert "not allowed" in refused(client.get(path), 400)
    for number in ("77", "9" * 30):
        refused(client.get(f"/api/catalogue/{number}.png"), 404)


def test_a_picture_that_is_none_is_not_kept(client):
    before = client.get("/api/catalogue").json()["total"]
    body = {"caption": "", "picture": base64.b64encode(b"%PDF-1.4").decode(), "parameters": {}}
    refused(client.post("/api/catalogue", json=body), 415)
    assert client.get("/api/catalogue").json()["total"] == before


def test_only_our_own_page_may_ask(client):
    body, good = {"model": "grey", "solver": EM}, dict(client.headers)
    for host in ("evil.example", f"evil.example:{client.settings.port}", "127.0.0.1", "127.0.0.1:1", ""):
        refused(client.get("/api/about", headers={"host": host}), 403)
        refused(client.get("/", headers={"host": host}), 403)
    for origin in (
        "http://evil.example",
        "null",
        f"http://localhost:{client.settings.port}",
        "https" + good["origin"][4:],
    ):
        refused(client.post("/api/generate", json=body, headers={"origin": origin}), 403)
    with httpx.Client(base_url=client.base_url, cookies=client.cookies, trust_env=False) as bare:
        assert "another page" in refused(bare.post("/api/generate", json=body), 403)
        refused(bare.delete("/api/catalogue/1"), 403)
        bare.cookies.clear()
        assert "link" in refused(bare.get("/api/about"), 401)
        refused(bare.get("/api/about", headers={"cookie": f"{client.settings.policy.cookie}=guess"}), 401)
        script = {"authorization": f"Bearer {client.settings.token}"}
        assert bare.post("/api/generate", json=body, headers=script).status_code == 200
        refused(bare.post("/api/generate", json=body, headers=script | {"origin": "http://evil.example"}), 403)


def test_a_request_says_what_it_is_and_how_long(client):
    form = {"content-type": "application/x-www-form-urlencoded"}
    refused(client.post("/api/generate", content=b"a=1", headers=form), 415)
    refused(client.post("/api/generate", content=b"{}", headers={"content-type": "text/plain"}), 415)
    kind = {"content-type": "application/json"}
    refused(client.post("/api/generate", content=iter([b"{}"]), headers=kind), 411)
    for wrong in (b"[1]", b"{", b"\xff", b"[" * 100_000):
        assert "JSON object" in refused(client.post("/api/generate", content=wrong, headers=kind), 400)
    with socket.create_connection(("127.0.0.1", client.settings.port), 5) as raw:  # refused before a byte is sent
        raw.sendall(head(client, 10**9))
        assert raw.recv(20).startswith(b"HTTP/1.1 413")


def head(client, length):
    return (
        f"POST /api/generate HTTP/1.1\r\nHost: 127.0.0.1:{client.settings.port}\r\nOrigin: {client.base_url}\r\n"
        f"Cookie: {client.settings.policy.cookie}={client.settings.token}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize(("sent", "answer"), [(head, b"HTTP/1.1 408"), (lambda c, n: head(c, n)[:80], b"")])
def test_who_is_too_slow_is_cut_off(client, monkeypatch, sent, answer):
    monkeypatch.setattr(reading, "SLOWEST", 0.2)
    monkeypatch.setattr(impatience, "SLOWEST_HEAD", 0.2)
    with socket.create_connection(("127.0.0.1", client.settings.port), 5) as raw:
        raw.sendall(sent(client, 1000))
        assert raw.recv(12) == answer


def test_nothing_but_the_page_is_read_from_disk(client):
    for path in (
        "/../app.py",
        "/%2e%2e/app.py",
        "/..%2f..%2fapp.py",
        "/static/app.js",
        "//etc/passwd",
        "/app.py",
    ):
        refused(client.get(path), 404)
    refused(client.post("/", json={}), 405)
    for path in ("/docs", "/openapi.json", "/api/nothing"):
        refused(client.get(path), 404)


def test_every_answer_has_the_headers(client):
    for path in ("/", "/app.js", "/api/about", "/nothing"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and "access-control-allow-origin" not in headers
    cookie = client.get("/").headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    page = client.get("/").text
    assert "http" not in page.replace("http-equiv", "") and "style=" not in page and "onclick" not in page


@pytest.mark.parametrize(
    ("host", "admitted", "refused"),
    [
        (
            "127.0.0.1",
            ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"],
            ["192.168.0.2:8000", "example.org:8000", "x"],
        ),
        ("0.0.0.0", ["192.168.0.2:8000", "[fe80::1]:8000", f"{socket.gethostname()}:8000"], ["example.org:8000", ""]),
        ("192.168.0.2", ["192.168.0.2:8000"], ["192.168.0.3:8000", "192.168.0.2", "192.168.0.2:80", "localhost:8000"]),
    ],
)
def test_hosts(host, admitted, refused):
    policy = AccessPolicy(host, 8000, "key")
    assert all(map(policy.admits, admitted)) and not any(map(policy.admits, refused))


def test_models_are_told_apart_by_their_names(folders, tmp_path):
    for names, sentence in (("digits", "digits"), "two models are called 'digits'"), (("other",), "called 'other'"):
        with pytest.raises(UsageError, match=sentence):
            create_app(WebSettings(names, tmp_path / "c.sqlite"))


def test_the_link_holds_the_key_where_others_can_reach_the_page(folders, tmp_path):
    assert loopback("::1") and not loopback("0.0.0.0") and not loopback("example.org")
    for host, shown in (("192.168.0.2", "192.168.0.2"), ("fe80::1", "[fe80::1]"), ("0.0.0.0", None)):
        settings = WebSettings((), tmp_path / "c.sqlite", host=host, port=8000)
        name, _, rest = settings.link.removeprefix("http://").rpartition(":")
        assert rest == f"8000/?token={settings.token}" and settings.policy.admits(f"{name}:8000")
        assert name == shown or host == "0.0.0.0" != name
    assert WebSettings((), tmp_path / "c.sqlite").link == "http://127.0.0.1:8000/"
    with serving(folders, tmp_path / "c.sqlite", host="0.0.0.0") as client:
        client.cookies.clear()
        assert "set-cookie" not in client.get("/").headers
        assert "set-cookie" not in client.get("/?token=guess").headers
        refused(client.get("/api/about"), 401)
        moved = client.get(f"/?token={client.settings.token}")
        assert moved.status_code == 303 and moved.headers["location"] == "./"
        assert client.get("/api/about").status_code == 200


@pytest.mark.parametrize("registry", [solvers, conditioners], ids=["solvers", "conditioners"])
def test_every_option_that_a_form_can_hold_is_in_it(registry):
    for name, cls in registry.all().items():
        form = schema.form(cls)
        offered = {field["name"]: field for field in form["fields"]}
        left = set(cls.model_fields) - set(offered)
        assert left <= {"covariance", "weights", "times"} and form["name"] == name and form["summary"]
        for field in offered.values():
            assert (
                field["meaning"]
                and json.dumps(field["default"])
                and field["kind"] in ("int", "float", "bool", "choice", "text")
            )
        if name != "oracle":
            defaults = {key: field["default"] for key, field in offered.items() if field["default"] is not None}
            assert isinstance(schema.build(registry, {"name": name, **defaults}), Options)


def test_bounds_of_a_form():
    fields = {field["name"]: field for field in schema.form(solvers["ddim"])["fields"]}
    assert (fields["steps"]["least"], fields["steps"]["greatest"]) == (1, 1000)
    assert (fields["eta"]["least"], fields["eta"]["greatest"]) == (0, 1)
    assert "karras" in fields["grid"]["suggestions"]


def test_the_page_lists_the_quickest_model_first():
    names = quickest_first()
    sizes = [sum(p.numel() for p in models.load(name).parameters()) for name in names]
    assert sorted(names) == models.bundled() and sizes == sorted(sizes)


def test_without_the_extra_the_command_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "scoresde.web.server", raising=False)
    assert "pip install 'scoresde[web]'" in run("web", code=2)


def test_a_python_without_sqlite_is_one_sentence(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    for name in [name for name in sys.modules if name.startswith("scoresde.web")]:
        monkeypatch.delitem(sys.modules, name)
    assert "with sqlite3, which this Python was built without" in " ".join(run("web", code=2).split())


def test_a_taken_port_and_a_foreign_address_are_one_sentence(run):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert "try --port 0" in run(f"web --port {listener.getsockname()[1]}", code=6)
    assert "--host" in run("web --host nowhere.invalid", code=2)


def test_a_port_is_taken_and_waits_for_visitors_before_the_models_are_loaded():
    with impatience.listening("127.0.0.1", 0) as listener:
        socket.create_connection(listener.getsockname(), timeout=5).close()
        with pytest.raises(ResourceError, match="cannot listen at .*: Address already in use; try --port 0"):
            impatience.listening(*listener.getsockname())
