"""Photographs on the page come back at their own size, as those of the package do; examples; how long it takes."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from test_web import EM, drawn, events, expected, folders, pixels, png, refused, serving, text  # noqa: F401

import scoresde
from scoresde.data.embedded import Digits
from scoresde.web import estimates, examples, jobs
from scoresde.web.estimates import Estimates, evaluations

WIDE = np.random.default_rng(0).integers(0, 256, (24, 40, 3)).astype(np.uint8)
PROJECTION = {"name": "projection"}
BYTES = {"content-type": "application/octet-stream"}


@pytest.fixture(scope="module")
def client(folders, tmp_path_factory):  # noqa: F811
    with serving(folders, tmp_path_factory.mktemp("kept") / "catalogue.sqlite") as made:
        yield made


def mask_of(known):
    return base64.b64encode(np.packbits(~known.numpy()).tobytes()).decode()


def restored(observation, folders, count):  # noqa: F811
    options = {"n": count, "seed": 2, "method": "projection", "progress": False}
    return scoresde.restore(Image.fromarray(WIDE), observation, folders[3], "em:steps=5", **options).x


def test_a_hole_in_a_photograph_is_filled_at_its_own_size(client, folders):  # noqa: F811
    known = torch.ones(24, 40, dtype=torch.bool)
    known[6:15, 20:33] = False
    body = {"picture": text(WIDE), "mask": mask_of(known), "solver": EM, "conditioner": PROJECTION}
    done = drawn(client, "inpaint", model="colour", count=2, seed=2, **body)
    found = [pixels(each) for each in done["pictures"]]
    np.testing.assert_array_equal(found, expected(restored(known, folders, 2)))
    for each in found:
        np.testing.assert_array_equal(each[known], WIDE[known])
    assert "filled in the part" in done["note"] and (found[0] != found[1]).any()


def test_colours_of_a_photograph_have_its_luma_at_its_own_size(client, folders):  # noqa: F811
    done = drawn(
        client, "colourise", model="colour", count=2, seed=2, picture=text(WIDE), solver=EM, conditioner=PROJECTION
    )
    found = [pixels(each) for each in done["pictures"]]
    np.testing.assert_array_equal(found, expected(restored("luma", folders, 2)))
    luma = np.asarray(Image.fromarray(WIDE).convert("L"))
    for each in found:
        np.testing.assert_array_equal(np.asarray(Image.fromarray(each).convert("L")), luma)


def test_what_emerges_is_small_and_what_is_drawn_is_whole(client):
    wide = np.zeros((300, 500, 3), np.uint8)
    known = torch.ones(300, 500, dtype=torch.bool)
    known[100:140, 200:260] = False
    body = {"model": "colour", "count": 1, "picture": text(wide), "mask": mask_of(known), "solver": EM,
            "conditioner": PROJECTION}  # fmt: skip
    found = events(client.post("/api/inpaint", json=body).text)
    emerging = [pixels(data["pictures"][0]).shape for name, data in found if name == "progress" and "pictures" in data]
    assert emerging and set(emerging) == {(154, 256, 3)}
    assert pixels(found[-1][1]["pictures"][0]).shape == (300, 500, 3)


def test_more_pixels_than_are_drawn_at_a_time_are_refused(client):
    body = {"model": "colour", "count": 5, "picture": text(np.zeros((1000, 1000))), "solver": EM}
    sentence = refused(client.post("/api/colourise", json=body), 400)
    assert "5 pictures of 1000x1000 have more than the 4,000,000 pixels" in sentence and "fewer" in sentence


@pytest.mark.parametrize("bits", [b"", bytes(119), bytes(121)])
def test_the_mask_is_one_of_the_photograph(client, bits):
    body = {"model": "colour", "picture": text(WIDE), "mask": base64.b64encode(bits).decode(), "solver": EM}
    said = refused(client.post("/api/inpaint", json=body), 400)
    assert f"the mask of a picture of 40x24 has 960 bits, got {8 * len(bits)}" in said


def test_a_photograph_is_read_upright_at_its_own_size(client):
    tags, file = Image.Exif(), io.BytesIO()
    tags[0x0112] = 6  # the camera was held sideways
    Image.fromarray(WIDE).save(file, "PNG", exif=tags)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(file)))
    answer = client.post("/api/fit?model_name=colour&grey=true", content=file.getvalue(), headers=BYTES).json()
    assert answer["size"] == [24, 40]
    np.testing.assert_array_equal(pixels(answer["picture"]), upright)
    np.testing.assert_array_equal(pixels(answer["grey"]), np.asarray(Image.fromarray(upright).convert("L")))
    answer = client.post("/api/fit?model_name=grey", content=png(WIDE), headers=BYTES).json()
    assert pixels(answer["picture"]).shape == (24, 40) and "grey" not in answer


def test_examples_have_holes_and_those_of_a_model_are_new_to_it(client):
    tabs = {tab["name"]: tab for tab in client.get("/api/about").json()["tabs"]}
    offered = {each["name"] for each in tabs["inpaint"]["examples"]}
    assert {each["name"] for each in tabs["colourise"]["examples"]} < offered == set(examples.EXAMPLES)
    for name in offered:
        whole, hole, small = (
            Image.open(io.BytesIO(client.get(f"/api/examples/{name}.{what}").content))
            for what in ("picture.png", "hole.png", "picture.png?side=96")
        )
        share = (np.asarray(hole) > 127).mean()
        assert whole.size == hole.size and 0 < share <= 0.5 and max(small.size) <= 96
    digit = np.asarray(examples.shown("digit", "picture"))
    levels = (Digits().load("train").pixels[:, 0].numpy() * 255 / 16).round()
    assert not (levels == digit).all((1, 2)).any()
    for wrong in ("/api/examples/other.picture.png", "/api/examples/digit.picture.png?side=1",
                  "/api/examples/digit.mask.png"):  # fmt: skip
        refused(client.get(wrong), 400)


def test_evaluations_are_those_of_the_solver():
    assert evaluations({"name": "em", "steps": 5}) == 6 and evaluations({"name": "rk45"}) == estimates.ADAPTIVE
    assert evaluations({"name": "nobody"}) == evaluations({}) == estimates.ADAPTIVE


def test_an_estimate_is_that_of_the_last_drawings_of_its_kind():
    known = Estimates()
    assert known.seconds(("a",), 10, 0.5) == 5
    for seconds in (1, 2, 100):
        known.learn(("a",), 10, seconds)
    assert known.seconds(("a",), 20, 0.5) == 4  # the median of 0.1, 0.2 and 10 per unit
    assert known.seconds(("b",), 10, 0.5) == 5
    for _ in range(estimates.REMEMBERED):
        known.learn(("a",), 1, 3)
    assert known.seconds(("a",), 2, 0.5) == 6


def test_the_page_is_told_how_long_it_takes(client, monkeypatch):
    body = {"task": "colourise", "model": "colour", "count": 2, "solver": {"name": "heun", "steps": 4}}
    monkeypatch.setattr(jobs, "rounded", lambda seconds: seconds)
    before = client.post("/api/estimate", json=body).json()["seconds"]
    assert before >= 0
    del body["task"]
    began = events(client.post("/api/colourise", json={**body, "picture": text(WIDE)}).text)
    assert "seconds" in dict(began)["begun"]
    assert "task is one of" in refused(client.post("/api/estimate", json={**body, "task": "paint"}), 400)
    assert "no model is called" in refused(
        client.post("/api/estimate", json={"task": "generate", "model": "other"}), 400
    )


def test_what_is_said_of_seconds_is_as_exact_as_it_is():
    assert [jobs.rounded(seconds) for seconds in (0.04, 1.26, 2.4, 61.7)] == [0.0, 1.3, 2, 62]
