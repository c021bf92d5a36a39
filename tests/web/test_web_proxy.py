"""The page behind a proxy, and the link that others open it by."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from test_web import EM, events, folders, refused, serving  # noqa: F401

from scoresde.core.errors import UsageError
from scoresde.web import drawing
from scoresde.web.proxy import public_address
from scoresde.web.security import AccessPolicy

PUBLIC = "https://demo.example.org/scoresde/"
OUTSIDE = {"host": "demo.example.org", "origin": "https://demo.example.org", "x-forwarded-for": "203.0.113.7"}


@pytest.fixture(scope="module")
def client(folders, tmp_path_factory):  # noqa: F811
    with serving(folders, tmp_path_factory.mktemp("kept") / "catalogue.sqlite", public=PUBLIC) as made:
        yield made


def fresh(client, **headers):
    return httpx.Client(base_url=client.base_url, headers=OUTSIDE | headers, timeout=60, trust_env=False)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", ""),
        ("https://Demo.example.org", "https://demo.example.org/"),
        ("https://demo.example.org:443/a/b/", "https://demo.example.org/a/b/"),
        ("http://192.168.1.5:9000", "http://192.168.1.5:9000/"),
        ("http://[2001:db8::1]:80/", "http://[2001:db8::1]/"),
    ],
)
def test_an_address_is_written_as_browsers_write_it(text, address):
    assert public_address(text) == address


@pytest.mark.parametrize(
    "text", ["demo.example.org", "ftp://a.org", "https://", "https://a:b@c.org", "https://a.org?x=1", "https://a.org:x",
             "https://a.org#x", "https://a.org:0", "https://[::1"]
)  # fmt: skip
def test_what_is_no_address_is_said(text):
    with pytest.raises(UsageError, match="--public is an address such as"):
        public_address(text)


def test_behind_a_proxy_only_the_link_opens_the_page_also_from_this_machine(client):
    for headers in (OUTSIDE, {"host": f"127.0.0.1:{client.settings.port}"}):
        with httpx.Client(base_url=client.base_url, headers=headers, trust_env=False) as stranger:
            assert stranger.get("/").status_code == 200 and not stranger.cookies
            refused(stranger.get("/api/about"), 401)
    assert client.settings.link == f"{PUBLIC}?token={client.settings.token}"
    with fresh(client) as friend:
        answer = friend.get(f"/?token={client.settings.token}")
        assert answer.status_code == 303 and answer.headers["location"] == "./"  # below whatever prefix the proxy has
        cookie = answer.headers["set-cookie"].lower()
        assert "path=/scoresde/;" in cookie and "secure" in cookie and "httponly" in cookie


def test_requests_through_the_proxy_are_those_of_its_address(client):
    key, body = {"authorization": f"Bearer {client.settings.token}"}, {"model": "grey", "count": 1, "solver": EM}
    inside = {"host": f"127.0.0.1:{client.settings.port}"}  # a proxy that puts its own in place of the Host
    for headers in ({}, inside):
        with fresh(client, **key, **headers) as friend:
            assert events(friend.post("/api/generate", json=body).text)[-1][0] == "done"
    for wrong in ({"host": "evil.example"}, {"host": "demo.example.org:8443"}, {"host": "demo.example.org.evil.net"},
                  {"origin": "http://demo.example.org"}, {"origin": "https://evil.example"},
                  {"origin": "https://demo.example.org.evil.example"}, {"origin": "null"}):  # fmt: skip
        with fresh(client, **key, **wrong) as stranger:
            refused(stranger.post("/api/generate", json=body), 403)


def watched(monkeypatch):
    """The visitors whose requests are put into the queue from now on."""
    seen, submit = [], drawing.JobQueue.submit

    def noted(self, work, visitor="", *rest):
        seen.append(visitor)
        return submit(self, work, visitor, *rest)

    monkeypatch.setattr(drawing.JobQueue, "submit", noted)
    return seen


def test_visitors_behind_the_proxy_are_told_apart_by_what_it_says(client, monkeypatch):
    seen = watched(monkeypatch)
    key, body = {"authorization": f"Bearer {client.settings.token}"}, {"model": "grey", "count": 1, "solver": EM}
    with fresh(client, **key) as friend:
        for forwarded in ("203.0.113.7", "10.9.9.9, 203.0.113.8"):  # the first of the second is what its sender claims
            friend.post("/api/generate", json=body, headers={"x-forwarded-for": forwarded})
    assert seen == ["203.0.113.7", "203.0.113.8"]


def told(client, forwarded, body):
    """When a drawing of a visitor begins and ends, and the gaps between what is sent meanwhile, in seconds."""
    with fresh(client, authorization=f"Bearer {client.settings.token}", **{"x-forwarded-for": forwarded}) as friend:
        times, marks = [time.monotonic()], {}
        with friend.stream("POST", "/api/generate", json=body) as answer:
            for line in answer.iter_lines():
                if line.startswith((":", "event")):
                    times.append(time.monotonic())
                    marks.setdefault(line.removeprefix("event: "), times[-1])
    return marks, np.diff(times)


def test_two_visitors_are_served_in_turn(client):
    body = {"model": "grey", "count": 1, "solver": {"name": "em", "steps": 300}}
    with ThreadPoolExecutor(4) as pool:
        asked = []
        for visitor in ("203.0.113.1", "203.0.113.1", "203.0.113.1", "203.0.113.2"):
            asked.append(pool.submit(told, client, visitor, body))
            time.sleep(0.2)  # in this order
        first, second, third, other = (each.result()[0] for each in asked)
    assert first["begun"] < other["begun"] < third["begun"]  # before what the other one asked for earlier
    assert first["begun"] < second["begun"] < third["begun"]


@pytest.mark.slow
def test_who_waits_hears_something_every_fifteen_seconds(folders, tmp_path):  # noqa: F811
    """With a full line and a busy processor; proxies cut an answer that is silent for a minute."""
    with serving(folders, tmp_path / "catalogue.sqlite", public=PUBLIC, seconds=12.0) as client:
        body = {"model": "digits", "count": 16, "solver": {"name": "em", "steps": 1000}}
        with ThreadPoolExecutor(5) as pool:
            asked = [pool.submit(told, client, f"203.0.113.{i}", body) for i in range(5)]
            gaps = np.concatenate([each.result()[1] for each in asked])
    assert np.quantile(gaps, 0.95) < 15 and gaps.max() < 30


def test_without_a_proxy_nobody_chooses_a_name(folders, tmp_path, monkeypatch):  # noqa: F811
    seen = watched(monkeypatch)
    with serving(folders, tmp_path / "catalogue.sqlite") as client:
        body = {"model": "grey", "count": 1, "solver": EM}
        client.post("/api/generate", json=body, headers={"x-forwarded-for": "203.0.113.7"})
        assert seen == ["127.0.0.1"]
        assert client.get("/api/link").json() == {"link": ""}
        refused(client.get("/api/link.svg"), 404)


def test_a_visitor_behind_a_proxy_has_a_share(client):
    assert client.settings.queue().share == 2 and not client.settings.policy.free
    assert AccessPolicy("127.0.0.1", 1, "").free and not AccessPolicy("0.0.0.0", 1, "").free


def test_the_link_is_a_picture_for_those_who_have_the_key(client):
    with fresh(client, authorization=f"Bearer {client.settings.token}") as friend:
        assert friend.get("/api/link").json() == {"link": client.settings.link}
        answer = friend.get("/api/link.svg")
        assert answer.headers["content-type"] == "image/svg+xml" and answer.content.startswith(b"<svg")
        assert b"style=" not in answer.content and b"<script" not in answer.content
    with fresh(client) as stranger:
        refused(stranger.get("/api/link.svg"), 401)
