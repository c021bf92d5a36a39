"""Classes by name on the page: what the server says of them, what a word means, and what is drawn."""

import json

import numpy as np
import pytest
from test_web import EM, drawn, pixels, refused, serving
from tiny import tiny_model

from scoresde import models
from scoresde.web.tabs.generate import GUIDANCE, Generate

JSON = {"content-type": "application/json"}
NAMES = ["Sandal", "Sneaker", "Ankle boot"]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    folders = {"plain": tiny_model(base / "plain"), "labelled": tiny_model(base / "labelled", classes=3)}
    model = models.load(folders["labelled"])
    model.class_names = tuple(NAMES)
    models.save(model, base / "named")
    with serving(folders | {"named": str(base / "named")}, base / "catalogue.sqlite") as made:
        yield made


def test_the_page_is_told_the_names_of_classes(client):
    about = client.get("/api/about").json()
    assert [model["class_names"] for model in about["models"]] == [[], [], NAMES]
    (tab,) = (tab for tab in about["tabs"] if tab["name"] == "generate")
    assert tab["guidance"] == GUIDANCE > 1 and tab["defaults"]["guidance"] == 1


def test_a_word_finds_classes(client):
    def found(text):
        response = client.get("/api/classes", params={"model_name": "named", "text": text})
        assert response.status_code == 200
        return response.json()["classes"]

    assert found("draw me a sneaker") == ["Sneaker"]
    assert found("shoes") == NAMES
    assert found("ankle boots and trainers") == ["Ankle boot", "Sneaker"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"model_name": "named", "text": "spaceship"},
            "no class is called 'spaceship'. There are: Ankle boot, Sandal,",
        ),
        ({"model_name": "named", "text": "1"}, "no class is called '1'"),
        ({"model_name": "named", "text": ""}, "no class is called ''"),
        ({"model_name": "labelled", "text": "sneaker"}, "have no names: give whole numbers"),
        ({"model_name": "plain", "text": "0"}, "have no names"),
        ({"model_name": "nobody", "text": "sneaker"}, "no model is called 'nobody' here"),
        ({"model_name": "named"}, "text: field required"),
    ],
)
def test_what_is_no_class_is_refused_in_a_sentence(client, asked, said):
    assert said in refused(client.get("/api/classes", params=asked), 400)


def test_pictures_of_a_name_are_those_of_its_number(client):
    asked = {"model": "named", "count": 3, "solver": EM, "guidance": 1.5}
    for names, numbers in (
        (["Ankle boot", "Sandal"], [2, 0]),
        (["shoe"], [0, 1, 2]),
        (["Sneaker", 2, "0"], [1, 2, 0]),
    ):
        one, other = (drawn(client, "generate", **asked, classes=classes) for classes in (names, numbers))
        for a, b in zip(one["pictures"], other["pictures"], strict=True):
            np.testing.assert_array_equal(pixels(a), pixels(b))


def test_a_name_that_is_none_draws_nothing(client):
    for classes, said in (
        (["hat"], "no class is called 'hat'"),
        ([{}], "classes"),
        (["\ud800"], "no class is called"),
        (["x" * 10**5], "no class is called"),
    ):
        asked = {"content": json.dumps({"model": "named", "classes": classes}), "headers": JSON}
        assert said in refused(client.post("/api/generate", **asked), 400)


def test_guided_pictures_are_expected_to_take_twice_as_long():
    def effort(**asked):
        return Generate(model="named", **asked).effort

    assert effort(classes=["Sneaker"], guidance=2.0) == 2 * effort() == 2 * effort(classes=["Sneaker"])
    assert effort(guidance=2.0) == effort()
