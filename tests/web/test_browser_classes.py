"""Classes by name in a browser: words draw what they mean, chips choose, and pictures say what they are of."""

import base64
import json
import re
import zipfile

import numpy as np
import pytest
from test_browser import SIZES, SLOW, chromium, expect, page, serving, shot, visit  # noqa: F401
from test_browser_first import done
from tiny import tiny_model

from scoresde import models
from scoresde.web.uploads import png

pytestmark = pytest.mark.browser
DOT = base64.b64encode(png(np.full((8, 8, 3), 90, np.uint8))).decode()
NAMES = ("Sandal", "Sneaker", "Ankle boot")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    model = models.load(tiny_model(folder / "tiny", classes=3))
    model.class_names = NAMES
    models.save(model, folder / "shoes")
    with serving(folder, "--model", str(folder / "shoes"), "--model", str(folder / "tiny")) as found:
        yield found


@pytest.fixture(scope="module")
def clothes(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("clothes"), "--model", "fashion") as found:
        yield found


@pytest.mark.parametrize("size", SIZES)
def test_draw_me_a_sneaker(chromium, clothes, size):  # noqa: F811
    own = chromium.new_page(viewport=SIZES[size])
    own.size = size
    section = visit(own, clothes, "generate")
    done(section)
    section.get_by_label("Draw me a …").fill("sneaker")
    own.keyboard.press("Enter")
    expect(section.locator(".stage > .grid .label").first).to_have_text(re.compile("^Sneaker, seed"), timeout=2 * SLOW)
    done(section)
    own.evaluate("scrollTo(0, 0)")
    shot(own, "sneaker")
    own.close()


def chip(section, name):
    return section.get_by_role("button", name=name, exact=True)


def labels(section):
    return section.locator(".stage > .grid .label").all_text_contents()


def test_a_word_draws_what_it_means(page, address):  # noqa: F811
    section = visit(page, address, "generate")
    done(section)
    assert labels(section)[0] == "seed 0"
    expect(chip(section, "any")).to_have_attribute("aria-pressed", "true")
    wish = section.get_by_label("Draw me a …")
    wish.fill("red sneakers")
    with page.expect_request(lambda r: r.url.endswith("/generate")) as asked:
        page.keyboard.press("Enter")
    sent = asked.value.post_data_json
    assert (sent["classes"], sent["guidance"], sent["count"]) == (["Sneaker"], 2, 4)
    done(section)
    assert labels(section) == [f"Sneaker, seed {seed}" for seed in range(4, 8)]
    for name in ("any", *NAMES):
        expect(chip(section, name)).to_have_attribute("aria-pressed", str(name == "Sneaker").lower())
    expect(section.locator(".batch .hint")).to_contain_text("seeds 0 to 3")
    wish.fill("spaceship")
    section.get_by_role("button", name="Draw", exact=True).click()
    expect(section.get_by_role("alert")).to_have_text(
        "No class is called 'spaceship'. There are: Ankle boot, Sandal, Sneaker."
    )
    expect(chip(section, "Sneaker")).to_have_attribute("aria-pressed", "true")
    assert labels(section) == [f"Sneaker, seed {seed}" for seed in range(4, 8)]
    assert len(page.wrong) == 1 and "400" in page.wrong.pop()  # what the browser says of the refusal


def test_several_classes_are_drawn_in_turn(page, address):  # noqa: F811
    section = visit(page, address, "generate")
    done(section)
    section.get_by_label("Pictures").fill("1")
    for name in ("Ankle boot", "Sandal"):
        chip(section, name).focus()
        page.keyboard.press("Enter")
    expect(section.get_by_label("Pictures")).to_have_value("2")  # one of each
    section.locator(".controls > .primary").click()
    done(section)
    assert labels(section) == ["Ankle boot, seed 4", "Sandal, seed 5"]
    section.get_by_role("button", name="Keep Sandal, seed 5").click()
    expect(page.get_by_label("Caption")).to_have_value("Sandal")
    page.get_by_role("button", name="Keep", exact=True).click()
    chip(section, "any").click()
    section.locator(".controls > .primary").click()
    done(section)
    assert labels(section) == ["seed 6", "seed 7"]
    section.locator(".batch").get_by_role("button", name="Compare").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Classes: Ankle boot, Sandal on the left, any on the right.")
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Catalogue").click()
    page.get_by_role("button", name="Again: “Sandal”").first.click()
    expect(section.locator(".stage > .grid .label")).to_have_text(["Sandal, seed 5"], timeout=SLOW)
    done(section)
    expect(chip(section, "Sandal")).to_have_attribute("aria-pressed", "true")


def test_classes_belong_to_their_model(page, address):  # noqa: F811
    section = visit(page, address, "generate")
    done(section)
    chip(section, "Sneaker").click()
    section.get_by_text("Options").click()
    expect(section.get_by_label("Guidance")).to_have_value("2")
    section.get_by_label("Model").select_option("tiny")
    expect(section.get_by_label("Draw me a …")).to_have_count(0)
    section.get_by_label("Class", exact=True).fill("2, 0")
    with page.expect_request(lambda r: r.url.endswith("/generate")) as asked:
        section.locator(".controls > .primary").click()
    assert asked.value.post_data_json["classes"] == [2, 0]
    done(section)
    assert [bool(re.fullmatch(r"seed \d+", label)) for label in labels(section)] == [True] * 4
    section.get_by_label("Model").select_option("shoes")
    expect(chip(section, "any")).to_have_attribute("aria-pressed", "true")
    expect(section.get_by_label("Class", exact=True)).to_be_hidden()


def test_the_catalogue_is_shuffled_and_downloaded(page, address, tmp_path):  # noqa: F811
    page.goto(f"{address}#catalogue")
    keep = """async ([caption, picture]) => fetch("api/catalogue", {method: "POST",
        headers: {"content-type": "application/json"}, body: JSON.stringify({caption, picture, parameters: {}})})"""
    for i in range(9):
        page.evaluate(keep, [f"{'abcdefghi'[i]} automobile {page.size}", DOT])
    section = page.locator("#catalogue")
    section.get_by_label("Search").fill(f"cars {page.size}")
    expect(section.locator(".kept figure")).to_have_count(9, timeout=SLOW)
    with page.expect_response(lambda r: "query=&" in r.url) as all_of_them:
        section.get_by_label("Search").fill("")
    expect(section.locator(".kept figure")).to_have_count(all_of_them.value.json()["total"])
    before = section.locator(".kept .label").all_text_contents()
    with page.expect_response(lambda r: "order=random" in r.url):
        section.get_by_label("order").select_option("random")
    expect(section.locator(".kept .label")).not_to_have_text(before)
    assert sorted(section.locator(".kept .label").all_text_contents()) == sorted(before)
    with page.expect_download() as taken:
        section.get_by_role("button", name="Download all").click()
    taken.value.save_as(tmp_path / "pictures.zip")
    with zipfile.ZipFile(tmp_path / "pictures.zip") as made:
        rows = json.loads(made.read("pictures.json"))
        assert {f"{each} automobile {page.size}" for each in "abcdefghi"} <= {row["caption"] for row in rows}
        assert [row["file"] for row in rows] == made.namelist()[:-1] == sorted(made.namelist()[:-1])
