"""The line of jobs: who waits for whom, what is said meanwhile, and how it ends."""

import asyncio
import json
import os
import shutil
import signal
import sys
import threading
import time
from contextlib import ExitStack

import forked
import httpx
import pytest
from test_web import EM, drawn, folders, serving  # noqa: F401
from tiny import tiny_model

from scoresde.web import jobs
from scoresde.web.jobs import Full, JobQueue

QUICK = {"name": "dpm++", "steps": 10}


def asked(queue, *visitors, first="first"):
    """The order in which visitors are served who ask while a job of the first is worked on, and what each was told."""
    order, free, told = [], threading.Event(), []

    async def collected(job):
        return [data async for name, data in job.events() if name == "queued"]

    async def all_of_them():
        begun = threading.Event()

        def blocking(job):
            begun.set()
            free.wait(10)
            return {}

        running = queue.submit(blocking, first)
        await asyncio.to_thread(begun.wait, 10)
        try:
            waiting = [
                queue.submit(lambda job, name=name: order.append(name) or {}, name.rstrip("0123456789"))
                for name in visitors
            ]
        finally:
            free.set()
        told.extend(await asyncio.gather(*(collected(job) for job in waiting)))
        await collected(running)

    asyncio.run(all_of_them())
    return order, told


def test_visitors_take_turns():
    queue = JobQueue(places=6)
    try:
        order, _ = asked(queue, "a1", "a2", "a3", "b1", "c1", "b2", first="a")
        assert order == ["b1", "c1", "a1", "b2", "a2", "a3"]
        order, told = asked(queue, "a1", "a2", "b1")
        assert order == ["a1", "b1", "a2"]
        assert [each[0]["ahead"] for each in told] == [1, 2, 2]  # b comes before the second of a
        assert told[1][1]["ahead"] == 3 and all("seconds" in each[0] for each in told)
    finally:
        queue.close()


def test_the_wait_is_what_those_before_are_expected_to_take():
    queue = JobQueue(places=3)
    free, begun, told = threading.Event(), threading.Event(), []

    def blocking(job):
        begun.set()
        free.wait(10)
        return {}

    async def all_of_them():
        running = queue.submit(blocking, "a", 1000.0)
        await asyncio.to_thread(begun.wait, 10)
        waiting = [queue.submit(lambda job: {}, name, seconds) for name, seconds in (("b", 500.0), ("c", 30.0))]
        await asyncio.sleep(0.1)
        free.set()
        for job in (running, *waiting):
            told.append([data async for name, data in job.events() if name in ("queued", "begun")])

    try:
        asyncio.run(all_of_them())
    finally:
        queue.close()
    first, second, third = told
    assert first[-1] == {"seconds": 1000}
    assert 980 <= second[0]["seconds"] <= 1000 and second[0]["ahead"] == 1
    assert third[0]["seconds"] - 500 == pytest.approx(second[0]["seconds"], abs=2) and third[0]["ahead"] == 2
    assert [each["seconds"] for each in third if each.get("ahead") == 1] == [
        500
    ]  # of the second, as soon as it is drawn


def test_a_visitor_has_a_share_of_the_line():
    queue = JobQueue(places=4, share=2)
    try:
        with pytest.raises(Full, match="3 drawings of yours are not done yet"):
            asked(queue, "a1", "a2", "a3", first="a")
    finally:
        queue.close()
    queue = JobQueue(places=4, share=2)
    try:
        assert asked(queue, "a1", "b1", "b2", first="c")[0] == ["a1", "b1", "b2"]
    finally:
        queue.close()


def test_a_silent_job_shows_that_it_lives(folders, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(jobs, "BEAT", 0.05)
    queue = JobQueue()
    try:

        async def names():
            job = queue.submit(lambda job: time.sleep(0.5) or {})
            return [name async for name, _ in job.events()]

        found = asyncio.run(names())
        assert found[0] == "queued" and found[-1] == "done" and found.count("beat") >= 3
        assert [name for name in found if name != "beat"] == ["queued", "begun", "done"]
    finally:
        queue.close()
    monkeypatch.setattr(jobs, "BEAT", 1e-4)
    with serving(folders, tmp_path / "catalogue.sqlite") as client:
        body = {"model": "grey", "count": 1, "solver": EM}
        assert ": still here\n\n" in client.post("/api/generate", json=body).text


def test_pages_answer_head(folders, tmp_path):  # noqa: F811
    with serving(folders, tmp_path / "catalogue.sqlite") as client:
        for path in ("/", "/app.js"):
            answer = client.head(path)
            assert answer.status_code == 200 and not answer.content
        assert client.head("/nothing.js").status_code == 404


def test_the_default_of_a_model_without_covariance_works(folders, tmp_path):  # noqa: F811
    with serving(folders, tmp_path / "catalogue.sqlite") as client:
        models = {model["name"]: model for model in client.get("/api/about").json()["models"]}
        assert models["grey"]["conditioner"] == "projection" and "scoresde stats grey" in models["grey"]["advice"]
        assert models["digits"]["conditioner"] == "covariance" and models["digits"]["advice"] == ""
        picture = drawn(client, "generate", model="grey", count=1, solver=EM)["pictures"][0]
        drawn(client, "inpaint", model="grey", count=1, picture=picture, mask="gAAAAAAAAAA=", solver=QUICK)


def test_the_page_outlives_the_folder_of_its_model(tmp_path):
    folder = tiny_model(tmp_path / "grey")
    with serving({1: folder}, tmp_path / "catalogue.sqlite") as client:
        before = client.get("/api/about").json()
        shutil.rmtree(folder)
        assert client.get("/api/about").json() == before
        drawn(client, "generate", model="grey", count=1, solver=EM)


def test_what_is_asked_of_a_closed_queue_is_refused():
    queue = JobQueue()
    queue.close()
    with pytest.raises(Full, match="is being ended"):
        asyncio.run(submitted(queue))


async def submitted(queue):
    return queue.submit(lambda job: {})


def test_a_catalogue_page_leaves_pictures_out_and_one_entry_has_them(folders, tmp_path):  # noqa: F811
    with serving(folders, tmp_path / "catalogue.sqlite") as client:
        picture = drawn(client, "generate", model="grey", count=1, solver=EM)["pictures"][0]
        parameters = {"task": "inpaint", "model": "grey", "picture": "p" * 200_000}
        kept = client.post("/api/catalogue", json={"caption": "", "picture": picture, "parameters": parameters}).json()
        page = client.get("/api/catalogue")
        assert len(page.content) < 2000 and page.json()["entries"][0]["parameters"]["task"] == "inpaint"
        assert client.get(f"/api/catalogue/{kept['id']}").json()["parameters"] == parameters


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C reaches a process there in another way")
def test_ctrl_c_while_drawing_ends_all_drawings_first_and_quietly(tmp_path):
    line = ["web", "--port", "0", "--model", "digits", "--catalogue", tmp_path / "catalogue.sqlite"]
    process = forked.Process("-m", "scoresde", *line, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        address = process.stdout.readline().split()[-1].rstrip("/")
        with httpx.Client(base_url=address, headers={"origin": address}, timeout=60, trust_env=False) as client:
            client.get("/")
            body = {"model": "digits", "count": 16, "solver": {"name": "em", "steps": 1000}}
            with ExitStack() as both:
                answers = [both.enter_context(client.stream("POST", "/api/generate", json=body)) for _ in range(2)]
                drawing, waiting = (answer.iter_lines() for answer in answers)
                assert any(line == "event: progress" for line in drawing)
                process.send_signal(signal.SIGINT)
                last = [[line for line in lines if line.startswith("data: ")][-1] for lines in (drawing, waiting)]
        _, errors = process.communicate(timeout=60)
        assert [json.loads(line.removeprefix("data: ")) for line in last] == [{"error": "this was cancelled"}] * 2
        assert "Traceback" not in errors
    finally:
        process.kill()
        process.wait()
