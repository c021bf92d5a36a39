"""What makes the first impression: presets that mean what they say, what a network has seen, the film, larger files."""

import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_web import EM, drawn, folders, pixels, refused, serving, text  # noqa: F401

from scoresde import models
from scoresde.core.random import generators
from scoresde.data.base import data
from scoresde.images import sheets
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers
from scoresde.web import exporting
from scoresde.web.tabs import Served, tabs
from scoresde.web.tabs.generate import EXACT, FAST, FILM, GOOD

ROOT = Path(__file__).parents[2]
FILE = ROOT / "scoresde/web/static/film.png"


@pytest.fixture(scope="module")
def client(folders, tmp_path_factory):  # noqa: F811
    with serving(folders, tmp_path_factory.mktemp("kept") / "catalogue.sqlite") as made:
        yield made


def test_presets_of_new_pictures_are_as_exact_as_they_say():
    model = models.load("digits")
    noise = model.prior(generators(range(12)))
    truth = sample(model, solvers["ipndm"](steps=120), noise).x
    levels = {}
    for preset in (FAST, GOOD, EXACT):
        done = sample(model, solvers.build(preset.solver), noise)
        assert done.nfe == preset.solver["steps"] + 1  # what the page says
        off = (done.x - truth).square().mean((1, 2, 3)).sqrt() * 127.5
        levels[preset.name] = float(off.median())
    assert 2 <= levels["fast"] <= 4.5 and levels["good"] < 1 and levels["exact"] < 0.15, levels


def test_every_tab_with_a_solver_has_three_presets_and_begins_with_one(client):
    for tab in client.get("/api/about").json()["tabs"]:
        presets = {preset["name"]: preset for preset in tab["presets"]}
        if "solver" not in tab["defaults"]:
            assert not presets
            continue
        assert list(presets) == ["fast", "good", "exact"] and all(each["meaning"] for each in presets.values())
        assert tab["defaults"]["solver"] in [each["solver"] for each in presets.values()]
        made = [solvers.build(each["solver"]) for each in presets.values()]
        assert made[0].steps < made[1].steps < made[2].steps


@pytest.mark.parametrize("name", ["digits", "photos", "cifar10", "fashion"])
def test_the_page_says_what_a_bundled_network_has_seen(name):
    folder = models.locate(name)
    said = Served(name, folder, models.load(name)).seen
    assert said == data["fashion-mnist" if name == "fashion" else name].shows and said
    if name == "digits":
        assert f"{len(data[name]().load('train')):,}" in said
    if name in ("cifar10", "fashion"):
        assert f"{json.loads((folder / 'covariance.json').read_text())['images']:,}" in said


def test_what_is_not_known_of_a_network_is_not_made_up(client, tmp_path):
    known = {model["name"]: model for model in client.get("/api/about").json()["models"]}
    assert known["grey"]["seen"] == data["digits"].shows and known["grey"]["pace"] > 0
    model = models.load("digits")
    for recipe, said in (
        ({}, ""),
        ({"data": {"name": "folder"}}, "the images of “folder”"),
        ({"data": {"name": "?"}}, "the images of “?”"),
    ):
        models.save(model, tmp_path / "other", {"recipe": recipe})
        assert Served("other", tmp_path / "other", model).seen == said


def test_a_path_has_a_frame_for_each_evaluation_and_ends_with_the_picture(client):
    done = drawn(client, "generate", model="grey", seed=3, count=2, solver=EM)
    path = done["path"]
    assert path["frames"] == done["nfe"] == 6
    states, ends = pixels(path["states"]), pixels(path["denoised"])
    rows = states.reshape(6, 8, 16)
    assert all((rows[i] != rows[i + 1]).any() for i in range(5))
    np.testing.assert_array_equal(ends[-8:], np.concatenate([pixels(each) for each in done["pictures"]], 1))


def test_a_small_picture_is_enlarged_by_lanczos_and_a_large_one_is_not(client):
    generator = np.random.default_rng(0)
    for size, wanted in (((32, 32), (512, 512)), ((16, 32), (512, 256)), ((700, 20), (20, 700))):
        array = generator.integers(0, 256, (*size, 3), np.uint8)
        response = client.post("/api/enlarge", json={"picture": text(array)})
        assert response.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(response.content)) as found:
            assert found.size == wanted
            truth = Image.fromarray(array).resize(wanted, Image.Resampling.LANCZOS)
            np.testing.assert_array_equal(np.asarray(found), np.asarray(truth))
    assert client.post("/api/enlarge", json={"picture": "JVBERg=="}).status_code == 415
    assert "picture is missing" in refused(client.post("/api/enlarge", json={}), 400)


def test_a_kept_picture_can_be_had_large(client):
    array = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    entry = client.post("/api/catalogue", json={"caption": "", "picture": text(array), "parameters": {}}).json()
    for query, size in (("", 8), ("?large=true", 512)):
        with Image.open(io.BytesIO(client.get(f"/api/catalogue/{entry['id']}.png{query}").content)) as found:
            assert found.size == (size, size)


@pytest.mark.parametrize("kind", ["gif", "webp"])
@pytest.mark.parametrize(("across", "size"), [(1, (512, 512)), (4, (512, 512)), (2, (512, 256))])
def test_a_path_is_an_animation_that_ends_with_the_pictures(client, kind, across, size):
    grey = np.linspace(0, 255, 3).astype(np.uint8)
    strip = np.repeat(np.repeat(grey[:, None], 8, 0), 8 * across, 1)
    strip[-8:, 8 * across - 8 :] = 60  # of the last picture, at the end
    body = {"strip": text(strip), "frames": 3, "across": across, "kind": kind, "pixels": True}
    response = client.post("/api/animate", json=body)
    assert response.headers["content-type"] == f"image/{kind}"
    with Image.open(io.BytesIO(response.content)) as found:
        assert (found.format.lower(), found.n_frames, found.size, found.info["loop"]) == (kind, 3, size, 0)
        durations, shown = [], []
        for frame in range(3):
            found.seek(frame)
            found.load()
            durations.append(found.info["duration"])
            shown.append(np.asarray(found.convert("L")).astype(int))
    assert durations == [exporting.FRAME, exporting.FRAME, 5 * exporting.FRAME]
    assert abs(shown[0]).max() <= 3 and abs(shown[1] - 127).max() <= 3
    assert abs(shown[2][-1, -1] - 60) <= 3
    others = {1: [], 2: [(0, 0)], 4: [(0, 0), (0, -1), (-1, 0)]}[across]
    assert all(abs(shown[2][place] - 255) <= 3 for place in others)


def test_the_pixels_of_a_path_are_smoothed_unless_they_are_wanted(client):
    strip = 255 * np.random.default_rng(0).integers(0, 2, (16, 8), np.uint8)
    for sharp in (True, False):
        body = {"strip": text(strip), "frames": 2, "kind": "gif", "pixels": sharp}
        with Image.open(io.BytesIO(client.post("/api/animate", json=body).content)) as found:
            shown = np.asarray(found.convert("L")).astype(int)
        assert (np.unique(shown).tolist() == [0, 255]) == sharp


def test_what_is_no_path_is_refused_in_a_sentence(client):
    good = {"strip": text(np.zeros((8, 8), np.uint8)), "frames": 2, "kind": "gif"}
    assert client.post("/api/animate", json=good).status_code == 200
    for change, sentence in (
        ({"frames": 3}, "a strip of 8x8 has no 3 rows of 1 equal pictures"),
        ({"across": 3}, "no 2 rows of 3 equal pictures"),
        ({"frames": 1}, "frames must be at least 2"),
        ({"frames": 10**9}, "frames must be at most"),
        ({"across": 17}, "across must be at most 16"),
        ({"kind": "mp4"}, "kind"),
        ({"strip": "?"}, "the strip is not written in base64"),
    ):
        assert sentence in refused(client.post("/api/animate", json=good | change), 400)


def test_an_animation_is_the_same_in_a_file_and_in_memory(tmp_path):
    frames = [Image.new("RGB", (8, 8), (i, 2 * i, 0)) for i in (10, 90)]
    sheets.save_animation(frames, tmp_path / "a.gif", milliseconds=70)
    assert (tmp_path / "a.gif").read_bytes() == sheets.animation(frames, "gif", milliseconds=70)


def test_the_film_is_of_the_bundled_model_and_fits_its_request():
    assert json.loads((models.locate("cifar10") / "config.json").read_text())["sha256"] == FILM["sha256"]
    asked = {key: value for key, value in FILM.items() if key not in ("sha256", "frames", "nfe")}
    tab = tabs["generate"](model="cifar10", **asked)
    assert tab.solver == FAST.solver and FILM["nfe"] == FAST.solver["steps"] + 1
    with Image.open(FILE) as film:
        assert film.size == (32 * FILM["count"], 32 * FILM["frames"]) and not film.info


@pytest.mark.slow
def test_the_film_is_what_the_model_draws():
    spec = importlib.util.spec_from_file_location("film", ROOT / "benchmarks/film.py")
    module = importlib.util.module_from_spec(spec)
    threads = torch.get_num_threads()
    spec.loader.exec_module(module)
    try:
        with Image.open(io.BytesIO(module.film())) as drawn_now, Image.open(FILE) as film:
            off = abs(np.asarray(drawn_now).astype(int) - np.asarray(film))
    finally:
        torch.set_num_threads(threads)
    assert off.max() <= 2  # another machine rounds otherwise
