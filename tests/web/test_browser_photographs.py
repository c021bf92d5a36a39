"""Photographs, examples and races in a browser: one click, by keys alone, on a small and on a large screen."""

import base64
import io
import re
import urllib.request

import numpy as np
import pytest
from PIL import Image, features
from test_browser import SLOW, chromium, expect, pictures, serving, shot, visit  # noqa: F401

pytestmark = pytest.mark.browser
WIDTHS = {"small": {"width": 320, "height": 740}, "wide": {"width": 1440, "height": 900}}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("web"), "--model", "digits", "--model", "photos") as found:
        yield found


@pytest.fixture(params=WIDTHS)
def page(request, chromium):  # noqa: F811
    """A page that has said nothing wrong and is no wider than its screen."""
    context = chromium.new_context(
        viewport=WIDTHS[request.param], has_touch=request.param == "small", reduced_motion="reduce"
    )
    page, wrong = context.new_page(), []
    page.set_default_timeout(SLOW)
    harmless = "Cross-Origin-Opener-Policy"  # which browsers heed only with TLS, and on this machine
    page.on("console", lambda m: m.type in ("error", "warning") and harmless not in m.text and wrong.append(m.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.size = {"small": "phone", "wide": "desk"}[request.param]
    yield page
    assert wrong == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def pixels(page, image):
    """The pixels of an image of the page, as they are in its source."""
    with urllib.request.urlopen(image.get_attribute("src")) as source:
        return np.asarray(Image.open(io.BytesIO(source.read())).convert("RGB"))


def example(page, address, tab, name, count="1"):
    """Presses an example, and waits for what is drawn."""
    section = visit(page, address, tab)
    section.get_by_label("pictures").fill(count)
    section.get_by_text("fast", exact=True).click()
    section.get_by_role("button", name=name).click()
    expect(pictures(section)).to_have_count(int(count), timeout=2 * SLOW)
    return section


def test_an_example_comes_back_at_its_own_size_and_shows_what_it_was(page, address):
    section = example(page, address, "inpaint", "Flower")
    drawn = section.locator("figure.result:not(.input) img")
    after = pixels(page, drawn)
    before = section.get_by_role("button", name="Before")
    before.scroll_into_view_if_needed()
    before.click()  # a short press stays, until the next one
    expect(before).to_have_attribute("aria-pressed", "true")
    original = pixels(page, drawn)
    changed = (original != after).any(-1)
    assert original.shape == after.shape == (240, 320, 3) and 0 < changed.mean() < 0.05
    before.click()
    expect(before).to_have_attribute("aria-pressed", "false")
    before.focus()
    page.keyboard.press("Enter")
    expect(before).to_have_attribute("aria-pressed", "true")
    page.keyboard.press(" ")
    expect(before).to_have_attribute("aria-pressed", "false")
    box = drawn.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    expect(before).to_have_attribute("aria-pressed", "true")
    page.mouse.up()
    expect(before).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("dialog")).to_have_count(0)  # a hold is no click
    shot(page, "whole")


def test_colours_of_an_example_have_its_grey(page, address):
    section = example(page, address, "colourise", "Drawing")
    drawn = pixels(page, section.locator("figure.result:not(.input) img"))
    seen = pixels(page, section.locator("figure.input img").first)
    assert drawn.shape == seen.shape == (320, 480, 3)
    np.testing.assert_array_equal(np.asarray(Image.fromarray(drawn).convert("L")), seen[..., 0])


def test_half_a_digit_takes_the_model_of_digits(page, address):
    section = example(page, address, "inpaint", "Half a digit", "2")
    assert section.get_by_label("model").input_value() == "digits"
    assert pixels(page, section.locator("figure.result:not(.input) img").first).shape == (8, 8, 3)


def test_the_editor_zooms_and_its_brush_is_up_to_a_third(page, address):
    section = example(page, address, "inpaint", "Flower")
    canvas, lens = section.locator("canvas"), section.locator(".lens")
    before = canvas.bounding_box()["width"]
    for _ in range(2):
        section.get_by_role("button", name="Zoom in").click()
    assert canvas.bounding_box()["width"] == pytest.approx(2 * lens.bounding_box()["width"], rel=0.02)
    section.get_by_role("button", name="Clear").click()
    section.get_by_label("brush").fill("100")
    canvas.focus()
    for _ in range(20):  # to the corner, which comes into view
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    assert lens.evaluate("(each) => each.scrollLeft + each.clientWidth >= each.scrollWidth - 1")
    with page.expect_request(lambda r: r.url.endswith("api/inpaint")) as asked:
        section.get_by_role("button", name="Fill the hole").click()
    section.get_by_role("button", name="Cancel").click()
    bits = np.unpackbits(np.frombuffer(base64.b64decode(asked.value.post_data_json["mask"]), np.uint8))
    hole = bits.reshape(240, 320)
    y, x = np.mgrid[0:240, 0:320]
    np.testing.assert_array_equal(hole == 1, np.hypot(x - 319, y - 239) <= 40)
    section.get_by_role("button", name="Zoom out").click()
    section.get_by_role("button", name="Zoom out").click()
    expect(section.get_by_role("button", name="Zoom out")).to_be_disabled()
    assert canvas.bounding_box()["width"] == pytest.approx(before, abs=1)


def test_a_race_starts_with_one_click_and_its_curve_has_axes_and_numbers(page, address):
    section = visit(page, address, "race")
    section.get_by_label("model").select_option("digits")
    section.get_by_role("button", name="With and without noise").press("Enter")
    expect(section.get_by_role("button", name="Race", exact=True)).to_be_visible(timeout=4 * SLOW)
    plot = section.get_by_role("img", name=re.compile("Error against evaluations. Within one of 255 levels: adams"))
    for text in ("evaluations of the network", "error, in levels of 255", "one of 255 levels", "100"):
        expect(plot.get_by_text(text, exact=True).first).to_be_attached()
    assert plot.locator(".s0 circle").count() == 5 and plot.locator(".s1 rect, .s2 path").count() == 0
    expect(section.get_by_text("adds noise, so it draws another picture")).to_have_count(4)  # two lanes, two legends
    section.get_by_text("The numbers").click()
    rows = section.get_by_role("row")
    expect(rows).to_have_count(6)
    shown = [float(row.get_by_role("cell").first.inner_text()) for row in rows.all()[1:]]
    assert shown == sorted(shown)
    shot(page, "curve")


def test_an_example_is_filled_and_kept_by_keys_alone(page, address):
    section = visit(page, address, "inpaint")
    section.get_by_label("pictures").fill("1")
    expect(section.get_by_role("button", name="Half a digit")).to_be_visible()
    page.get_by_role("tab", name="Inpaint").focus()

    called = "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"

    def tab_to(name):
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate(called) == name:
                return
        raise AssertionError(f"{name} cannot be reached")

    tab_to("Half a digit")
    page.keyboard.press("Enter")
    expect(pictures(section)).to_have_count(1, timeout=SLOW)
    tab_to(section.get_by_role("button", name="Keep").get_attribute("aria-label"))
    page.keyboard.press("Enter")
    page.keyboard.type(f"by keys {page.size}")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Kept as “by keys {page.size}”")).to_be_visible()


def test_the_link_can_be_shared(page, tmp_path):
    with serving(tmp_path, "--host", "0.0.0.0", "--model", "digits") as link:
        page.goto(link)
        page.get_by_role("button", name="Share").click()
        dialog = page.get_by_role("dialog", name="Open on another device")
        expect(dialog.get_by_label("The link")).to_have_value(link)
        picture = dialog.get_by_role("img", name="The link as a QR code")
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("(each) => each.naturalWidth") > 100
        shot(page, "share")
        dialog.get_by_role("button", name="Back").click()
        expect(dialog).to_have_count(0)


def plain(colour, kind="PNG"):
    """A file with a picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (48, 40), colour).save(file, kind)
    return {"name": f"plain.{kind.lower()}", "mimeType": f"image/{kind.lower()}", "buffer": file.getvalue()}


def test_a_kept_filling_stays_with_its_own_picture_when_another_model_is_chosen(page, address):
    section = example(page, address, "inpaint", "Half a digit")
    section.get_by_role("button", name=re.compile("^Keep")).first.click()
    page.locator("dialog").get_by_role("button", name="Keep", exact=True).click()
    section.locator("input[type=file]").first.set_input_files(plain((0, 0, 255)))
    expect(section.locator(".source .status")).to_contain_text("48×40")
    page.get_by_role("tab", name="Catalogue").click()
    page.get_by_role("button", name=re.compile("^Again")).first.click()
    expect(section.locator(".source .status")).to_have_text("from the catalogue")
    section.get_by_label("model").select_option("photos")
    expect(pictures(section)).to_have_count(0)  # those of the other model
    expect(section.locator(".source .status")).to_have_text("from the catalogue")
    width, height = (section.locator("canvas.paper").get_attribute(name) for name in ("width", "height"))
    assert (width, height) == ("64", "64")  # 8x8, of which a pixel has eight


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF")
def test_a_kind_of_picture_that_the_browser_reads_need_not_be_one_of_the_servers(page, address):
    section = visit(page, address, "inpaint")
    section.locator("input[type=file]").first.set_input_files(plain((200, 40, 40), "AVIF"))
    expect(section.locator(".source .status")).to_contain_text("48×40 pixels")


def test_a_tab_is_opened_at_its_top(page, address):
    section = visit(page, address, "race")
    section.get_by_text("Options", exact=True).click()
    for tab in ("Inpaint", "Race"):
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(f"#{tab.lower()}")).to_be_visible()
        assert page.evaluate("scrollY") == 0
