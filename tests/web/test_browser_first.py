"""The first impression in a browser: the film, plain words, the history, the large view and the path."""

import base64
import io
import json
import re
import time

import numpy as np
import pytest
from PIL import Image
from test_browser import SLOW, address, chromium, expect, pictures, serving, shot, switch, visit  # noqa: F401

pytestmark = pytest.mark.browser
WIDTHS = {"small": {"width": 320, "height": 740}, "wide": {"width": 1440, "height": 900}}


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("bundled")) as found:
        yield found


@pytest.fixture(params=WIDTHS)
def page(request, chromium):  # noqa: F811
    """A page that has said nothing wrong and is no wider than its screen."""
    context = chromium.new_context(viewport=WIDTHS[request.param], has_touch=request.param == "small")
    page, wrong = context.new_page(), []
    page.set_default_timeout(SLOW)
    page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.size = {"small": "phone", "wide": "desk"}[request.param]
    yield page
    assert wrong == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def digits(page, address):  # noqa: F811
    """Four digits, drawn."""
    page.route("**/api/about", quick)
    section = visit(page, address, "generate")
    done(section)
    return section


def quick(route):
    """The model with which the page begins is a small one, however busy the machine is."""
    about = route.fetch().json()
    for model in about["models"]:
        model["pace"] = 0.001 if model["name"] == "digits" else 1000
    route.fulfill(body=json.dumps(about), content_type="application/json")


def done(section):
    expect(section.locator(".status")).to_have_text(re.compile(r"^\d+ evaluations · [\d.]+ s$"), timeout=2 * SLOW)
    expect(section.locator(".controls > .primary")).to_have_text("Generate", timeout=2 * SLOW)


def again(section):
    section.locator(".controls > .primary").click()
    expect(section.locator(".controls > .primary")).to_have_text("Cancel")
    done(section)


def labels(section):
    return section.locator(".stage > .grid .label").all_text_contents()


def test_the_page_opens_on_pictures_and_draws_the_same_four(page, bundled):
    began = time.monotonic()
    section = visit(page, bundled, "generate")
    expect(pictures(section)).to_have_count(4)
    print(f"pictures of the film after {time.monotonic() - began:.2f} s")
    expect(section.locator(".intro")).to_contain_text("50,000 photographs of ten kinds of animals and vehicles")
    expect(section.locator(".status")).to_contain_text("Prepared before", timeout=SLOW)
    assert section.locator(".stage > .grid .view").first.bounding_box()["width"] >= 130
    slider = section.get_by_label("The way from noise to the picture")
    expect(slider).to_have_js_property("value", slider.get_attribute("max"))  # it was played, up to the end
    film = [np.asarray(Image.open(shown).convert("RGB")).astype(int) for shown in finals(page, section)]
    expect(section.get_by_label("What the slider shows")).to_be_hidden()
    shot(page, "opening")
    done(section)
    now = [np.asarray(Image.open(shown).convert("RGB")).astype(int) for shown in finals(page, section)]
    assert all(abs(a - b).max() <= 2 for a, b in zip(film, now, strict=True))
    assert labels(section) == [f"seed {seed}" for seed in range(38, 42)]
    expect(section.get_by_label("What the slider shows")).to_be_visible()
    expect(section.locator(".past")).to_be_hidden()  # the film was no drawing
    shot(page, "generate")


def finals(page, section):
    """The pictures that are shown, as files."""
    for shown in section.locator(".stage > .grid img").all():
        yield io.BytesIO(base64.b64decode(shown.get_attribute("src").partition(",")[2]))


def test_nothing_moves_by_itself_where_motion_is_unwanted(chromium, bundled):  # noqa: F811
    page = chromium.new_page(reduced_motion="reduce")
    page.route("**/api/generate", lambda route: route.abort())
    section = visit(page, bundled, "generate")
    expect(pictures(section)).to_have_count(4, timeout=SLOW)
    slider = section.get_by_label("The way from noise to the picture")
    expect(slider).to_have_js_property("value", slider.get_attribute("max"))
    expect(section.get_by_role("button", name="Play")).to_be_visible()  # it has not begun
    page.close()


def test_words_are_plain_until_an_expert_wants_them(page, address):  # noqa: F811
    section = digits(page, address)
    section.get_by_text("Options").click()
    for label in ("Method", "Steps"):
        expect(section.get_by_label(label, exact=True)).to_be_visible()
    for label in ("clip", "solver"):
        expect(section.get_by_label(label, exact=True)).to_have_count(0 if label == "solver" else 1)
    expect(section.get_by_label("clip")).to_be_hidden()
    section.get_by_label("Method").select_option("rk45")
    expect(section.get_by_label("Accuracy")).to_be_visible()
    expect(section.locator(".quality .hint").last).to_contain_text("Settings of your own")
    section.locator(".quality").get_by_text("good", exact=True).click()
    expect(section.get_by_label("Steps", exact=True)).to_have_value("20")
    expect(section.get_by_label("Method")).to_have_value("unipc")
    expect(section.locator(".quality .hint").last).to_contain_text("21 evaluations, here")
    shot(page, "plain")
    with page.expect_request(lambda r: r.url.endswith("/generate")) as asked:
        again(section)
    assert asked.value.post_data_json["solver"] == {"name": "unipc", "steps": 20}
    switch(page, "expert")
    expect(section.get_by_label("Solver", exact=True)).to_be_visible()
    expect(section.get_by_label("clip")).to_be_visible()
    section.get_by_label("Solver", exact=True).select_option("rk45")
    expect(section.get_by_label("tol", exact=True)).to_be_visible()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-expert", "on")
    section.get_by_text("Options").click()
    expect(section.get_by_label("Solver", exact=True)).to_be_visible()
    done(section)


def test_a_question_mark_opens_one_sentence_by_keys_and_by_touch(page, address):  # noqa: F811
    section = digits(page, address)
    assert section.locator("[title]").count() == 0
    button = section.get_by_role("button", name="What is this: Evaluations")
    answer = page.locator(f"#{button.get_attribute('aria-controls')}")
    expect(button).to_have_attribute("aria-expanded", "false")
    button.focus()
    page.keyboard.press("Enter")
    expect(answer).to_contain_text("the network looks once at all the pictures")
    expect(button).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(answer).to_be_hidden()
    expect(button).to_be_focused()
    (button.tap if page.size == "phone" else button.click)()
    expect(answer).to_be_visible()
    section.get_by_text("Options").click()
    for each in section.locator(".ask:visible").all():
        if each.get_attribute("aria-expanded") == "false":
            each.click()
    said = section.locator(".answer:visible").all_text_contents()
    assert len(said) >= 8 and all(text.endswith(".") for text in said)


def test_finished_pictures_stay_and_two_batches_can_be_compared(page, address):  # noqa: F811
    section = digits(page, address)
    expect(section.locator(".past")).to_be_hidden()
    first = labels(section)
    again(section)
    assert labels(section) != first  # other seeds
    rows = section.locator(".batch")
    expect(rows).to_have_count(1)
    section.get_by_text("Same seed").click()
    section.locator(".quality").get_by_text("exact", exact=True).click()
    before = labels(section)
    again(section)
    assert labels(section) == before
    expect(rows).to_have_count(2)
    rows.last.scroll_into_view_if_needed()
    shot(page, "history")
    rows.first.get_by_role("button", name="Compare").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("img")).to_have_count(8)
    expect(dialog).to_contain_text("Steps: 10 on the left, 100 on the right.")
    expect(dialog).to_contain_text(re.compile(r"differ by \d+\.\d of 255 levels"))
    shot(page, "compare")
    page.keyboard.press("Escape")
    expect(rows.first.get_by_role("button", name="Compare")).to_be_focused()
    rows.last.get_by_role("button", name="Compare").click()
    expect(dialog).to_contain_text("They begin with other noise: seeds 0 to 3 on the left, seeds 4 to 7 on the right.")
    page.keyboard.press("Escape")
    section.locator(".quality").get_by_text("fast", exact=True).click()
    section.get_by_label("Pictures").fill("1")
    for _ in range(8):
        again(section)
    expect(rows).to_have_count(8)  # not more
    rows.first.get_by_role("button", name="Remove").click()
    expect(rows).to_have_count(7)


def test_what_is_cancelled_or_fails_brings_the_pictures_back(page, address):  # noqa: F811
    section = digits(page, address)
    first = labels(section)
    section.get_by_text("Options").click()
    section.get_by_label("Method").select_option("em")
    section.get_by_label("Steps", exact=True).fill("1000")
    section.locator(".controls > .primary").click()
    expect(section.locator(".batch")).to_have_count(1)  # the new ones emerge above
    section.get_by_role("button", name="Cancel").click()
    expect(section.locator(".status")).to_have_text("Cancelled.")
    assert labels(section) == first
    expect(section.locator(".batch")).to_have_count(0)
    section.get_by_role("button", name="Play").click()
    expect(section.get_by_role("button", name="Stop")).to_be_visible()
    expect(section.get_by_role("button", name="Play")).to_be_visible(timeout=SLOW)


def test_the_large_view_has_the_path_and_gives_it_away(page, address):  # noqa: F811
    section = digits(page, address)
    view = section.get_by_role("button", name="Enlarge seed 2")
    view.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".stills img")).to_have_count(8)
    shown = dialog.locator(".light img")
    expect(shown).to_have_attribute("src", re.compile("^blob:"))  # smoothed by the server
    expect(shown).to_have_js_property("naturalWidth", 512)
    shot(page, "large")
    dialog.get_by_role("button", name="Show pixels").click()
    expect(shown).to_have_js_property("naturalWidth", 8)
    dialog.get_by_role("button", name="Show pixels").click()
    expect(shown).to_have_js_property("naturalWidth", 512)
    dialog.get_by_role("button", name="Play").click()
    expect(shown).to_have_js_property("naturalWidth", 8)
    expect(dialog.get_by_role("button", name="Play")).to_be_visible(timeout=SLOW)
    expect(shown).to_have_js_property("naturalWidth", 512)
    for kind in ("GIF", "WebP"):
        with page.expect_download() as download:
            dialog.get_by_role("button", name=f"Download the path as {kind}").click()
        assert download.value.suggested_filename.endswith(kind.lower())
        with Image.open(download.value.path()) as found:
            assert found.format == kind.upper() and found.size == (512, 512) and found.n_frames > 5
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(view).to_be_focused()
    with page.expect_download() as download:
        section.get_by_role("button", name="Download the path as WebP").click()
    with Image.open(download.value.path()) as found:
        assert found.size == (512, 512)


def test_from_the_start_to_a_kept_picture_by_keys_alone(page, address):  # noqa: F811
    section = digits(page, address)

    def tab_to(element, key="Tab"):
        for _ in range(80):
            if element.evaluate("(each) => each === document.activeElement"):
                return
            page.keyboard.press(key)
        raise AssertionError("the focus does not come there")

    tab_to(section.get_by_role("radio", name="fast"))
    page.keyboard.press("ArrowRight")
    expect(section.get_by_role("radio", name="good")).to_be_checked()
    tab_to(section.locator(".controls > .primary"), "Shift+Tab")
    page.keyboard.press("Enter")
    expect(section.locator(".status")).to_contain_text("21 evaluations")
    done(section)
    tab_to(section.get_by_role("button", name="Enlarge seed 4"), "Shift+Tab")
    page.keyboard.press("Enter")
    tab_to(page.get_by_role("dialog").get_by_role("button", name="Keep"))
    page.keyboard.press("Enter")
    page.keyboard.type(f"by keys ({page.size})")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text(f"Kept as “by keys ({page.size})”")
