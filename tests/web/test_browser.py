"""The page in a browser: every feature is clicked through at the size of a desk and of a phone.

`make test-browser` runs these; SCORESDE_CHROMIUM names the browser, SCORESDE_SCREENSHOTS a folder for screenshots.
"""

import base64
import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image
from tiny import tiny_model

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api", reason="install playwright, which drives the browser")
expect = sync_api.expect

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SIZES = {"desk": {"width": 1200, "height": 860}, "phone": {"width": 390, "height": 844}}
SLOW = 60_000
"""Milliseconds that a picture may take on a busy machine."""


@pytest.fixture(scope="module")
def chromium():
    path = os.environ.get("SCORESDE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium is installed: install one, or name it in SCORESDE_CHROMIUM")
    arguments = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        expect.set_options(timeout=SLOW)  # five seconds are not enough for what a busy machine decodes
        yield browser
        browser.close()


@contextlib.contextmanager
def serving(folder, *options, **environment):
    command = [
        sys.executable,
        "-m",
        "scoresde",
        "web",
        "--port",
        "0",
        "--catalogue",
        str(folder / "c.sqlite"),
        *options,
    ]
    pipe, nowhere, variables = subprocess.PIPE, subprocess.DEVNULL, os.environ | environment
    with subprocess.Popen(command, stdout=pipe, stderr=nowhere, text=True, cwd=folder, env=variables) as server:
        try:  # without the end, a test that fails would wait for its server for ever
            yield re.search(r"http://\S+", server.stdout.readline()).group()
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    labelled = tiny_model(folder / "labelled", classes=3)
    with serving(folder, "--model", "digits", "--model", "photos", "--model", labelled) as found:
        yield found


@pytest.fixture(params=SIZES)
def page(request, chromium, address):
    """A page that has said nothing wrong, asked nobody else, and is no wider than its screen."""
    context = chromium.new_context(
        viewport=SIZES[request.param], has_touch=request.param == "phone", accept_downloads=True
    )
    context.grant_permissions(["camera"], origin=address)
    page, wrong = context.new_page(), []
    page.set_default_timeout(SLOW)
    page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
    page.wrong = wrong
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: r.url.startswith((address, "data:", "blob:")) or wrong.append(f"external: {r.url}"))
    page.size = request.param
    yield page
    assert wrong == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def visit(page, address, tab):
    page.goto(f"{address}#{tab}")
    return page.locator(f"#{tab}")


def shot(page, name):
    folder = os.environ.get("SCORESDE_SCREENSHOTS")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than the screen"
    if folder:
        file = Path(folder) / f"{name}-{page.size}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=file)
        Image.open(file).convert("RGB").quantize(256).save(file, optimize=True)


def pictures(section):
    shown = "figure.result:not(.input, .past *, [hidden])"
    return section.locator(f"{shown} figcaption button", has_text="Download")


def switch(page, name, value="on"):
    """Turns on or off what is remembered: "expert" for all options under technical names, "pixels" for sharp ones."""
    page.locator(f'[data-switch="{name}"]:visible').first.click()
    expect(page.locator("html")).to_have_attribute(f"data-{name}", value)


def photograph(path):
    Image.fromarray(load_sample_image("flower.jpg")[60:300, 150:470]).save(path)
    return path


def test_generate(page, address):
    began = time.monotonic()
    section = visit(page, address, "generate")
    expect(pictures(section)).to_have_count(4, timeout=SLOW)
    print(f"first pictures after {time.monotonic() - began:.2f} s")
    expect(section.locator(".status")).to_have_text(re.compile(r"\d+ evaluations · [\d.]+ s"))
    look = "getComputedStyle(document.querySelector('#generate .result img')).imageRendering"
    assert page.evaluate(look) == "auto"

    switch(page, "expert")
    section.get_by_text("Options").click()
    section.get_by_label("solver").select_option("ddim")
    section.get_by_label("steps").fill("10")
    section.get_by_label("pictures").fill("1")
    section.get_by_label("seed", exact=True).and_(section.locator("input[type=number]")).fill("7")
    section.get_by_label("model").select_option("digits")
    section.get_by_role("button", name="Generate").click()
    expect(pictures(section)).to_have_count(1, timeout=SLOW)
    newest = section.locator(".stage > .grid")
    expect(newest.locator(".label")).to_have_text("seed 7")
    expect(section.locator(".status")).to_contain_text("11 evaluations")
    shot(page, "options")

    shown = newest.locator(".result img")
    final = shown.get_attribute("src")
    slider = section.get_by_label("The way from noise to the picture")
    slider.fill("0")
    expect(shown).not_to_have_attribute("src", final)
    early = shown.get_attribute("src")
    section.get_by_label("What the slider shows").select_option("states")
    expect(shown).not_to_have_attribute("src", early)
    assert shown.get_attribute("src") != final
    slider.fill(slider.get_attribute("max"))
    expect(shown).to_have_attribute("src", final)
    for pixels, size in ((False, 512), (True, 8)):
        if pixels:
            switch(page, "pixels")
            assert page.evaluate(look) == "pixelated"
        with page.expect_download() as download:
            newest.get_by_role("button", name="Download seed 7").click()
        with Image.open(download.value.path()) as kept:
            assert kept.size == (size, size) and not kept.info
    made_again(page, section, newest.locator("figure.result"), f"a digit ({page.size})")


def test_a_drawing_can_be_cancelled_and_a_mistake_is_one_sentence(page, address):
    section = visit(page, address, "generate")
    expect(pictures(section)).to_have_count(4, timeout=SLOW)
    section.get_by_text("Options").click()
    section.get_by_label("method").select_option("em")
    section.get_by_role("button", name="Generate").click()
    expect(section.locator("progress")).to_be_visible()
    section.get_by_role("button", name="Cancel").click()
    expect(section.locator(".status")).to_have_text("Cancelled.")
    section.get_by_label("steps").fill("0")
    with page.expect_response(lambda r: "generate" in r.url) as refused:
        section.get_by_role("button", name="Generate").click()
    assert refused.value.status == 400
    expect(section.locator(".status")).to_contain_text("Steps must be at least 1, got 0")
    (said,) = page.wrong
    assert "400" in said
    section.get_by_label("Pictures", exact=True).fill("0")
    section.get_by_role("button", name="Generate").click()
    expect(section.locator(".status")).to_contain_text("Pictures must be at least 1, got 0")  # as the form calls them
    page.wrong.clear()


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def made_again(page, section, first, caption):
    """Keeps a picture, and draws it again from what the catalogue knows."""
    with page.expect_download() as download:
        first.get_by_role("button", name="Download").click()
    kept = np.asarray(Image.open(download.value.path())).astype(int)
    first.get_by_role("button", name="Keep").click()
    page.get_by_label("Caption").fill(caption)
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    page.get_by_role("tab", name="Catalogue").click()
    figure = page.locator("#catalogue figure", has_text=caption)
    task = section.get_attribute("id")
    with page.expect_response(lambda response: response.url.endswith(f"/api/{task}"), timeout=SLOW):
        figure.get_by_role("button", name="Again").click()
    expect(section.locator(".controls > .primary")).not_to_have_text("Cancel", timeout=SLOW)  # the earlier one is gone
    expect(pictures(section)).to_have_count(1)
    with page.expect_download() as download:
        pictures(section).click()
    assert abs(np.asarray(Image.open(download.value.path())) - kept).max() <= 1  # drawn alone, not among others


def test_inpaint(page, address, tmp_path):
    section = visit(page, address, "inpaint")
    section.locator("input[type=file]").first.set_input_files(photograph(tmp_path / "flower.png"))
    expect(section.locator(".source .status")).to_contain_text("320×240 pixels: the results have this size")
    paper = section.locator("canvas")
    fill = section.get_by_role("button", name="Fill the hole")
    expect(fill).to_be_disabled()
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()

    def stroke(*points):
        page.mouse.move(box["x"] + points[0][0] * box["width"], box["y"] + points[0][1] * box["height"])
        page.mouse.down()
        for x, y in points[1:]:
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
        page.mouse.up()

    stroke((0.3, 0.3), (0.7, 0.6))
    expect(fill).to_be_enabled()
    section.get_by_role("button", name="Clear").click()
    expect(fill).to_be_disabled()
    section.get_by_role("button", name="Undo").click()
    expect(fill).to_be_enabled()
    section.get_by_role("button", name="Eraser").click()
    section.get_by_label("brush").fill("100")
    assert section.get_by_label("brush").get_attribute("aria-valuetext") == "80 pixels"
    stroke((0.2, 0.2), (0.8, 0.7))
    expect(fill).to_be_disabled()
    section.get_by_role("button", name="Eraser").click()
    section.get_by_label("brush").fill("45")
    stroke((0.3, 0.3), (0.7, 0.6))
    section.get_by_label("pictures").fill("3")
    fill.click()
    expect(pictures(section)).to_have_count(3, timeout=SLOW)
    expect(section.locator("figure.input")).to_have_count(1)
    first = section.locator("figure.result:not(.input) img").first.get_attribute("src")
    shot(page, "inpaint")
    fill.click()  # the same hole, other seeds
    expect(section.locator(".label").nth(1)).to_have_text("seed 3", timeout=SLOW)
    assert section.locator("figure.result:not(.input) img").first.get_attribute("src") != first
    made_again(page, section, section.locator("figure.result:not(.input)").first, f"a filling ({page.size})")


def test_a_hole_is_painted_by_keys_in_a_picture_that_was_pasted_or_dropped(page, address):
    section = visit(page, address, "inpaint")
    expect(section.locator(".source")).to_be_visible()
    page.evaluate(
        """async (how) => {
            const canvas = new OffscreenCanvas(40, 40);
            canvas.getContext("2d").fillRect(0, 0, 40, 20);
            const items = new DataTransfer();
            items.items.add(new File([await canvas.convertToBlob()], "a.png", { type: "image/png" }));
            const event = how === "paste" ? new ClipboardEvent("paste", { clipboardData: items, bubbles: true })
                                          : new DragEvent("drop", { dataTransfer: items, bubbles: true });
            document.querySelector("#inpaint .source").dispatchEvent(event);
        }""",
        "paste" if page.size == "desk" else "drop",
    )
    expect(section.locator(".source .status")).to_contain_text("40×40 pixels: the results have this size")
    section.locator("canvas").focus()
    for key in ("ArrowLeft", "ArrowUp", " "):
        page.keyboard.press(key)
    expect(section.get_by_role("button", name="Fill the hole")).to_be_enabled()
    page.keyboard.press("z")
    expect(section.get_by_role("button", name="Fill the hole")).to_be_disabled()


def test_colourise(page, address, tmp_path):
    section = visit(page, address, "colourise")
    section.locator("input[type=file]").first.set_input_files(photograph(tmp_path / "flower.png"))
    expect(section.locator("figure.input")).to_have_count(2)
    switch(page, "expert")
    section.get_by_label("Conditioner", exact=True).select_option("projection")
    section.get_by_label("pictures").fill("2")
    section.get_by_role("button", name="Colourise").click()
    expect(pictures(section)).to_have_count(2, timeout=SLOW)
    section.get_by_label("Conditioner", exact=True).select_option("covariance")
    section.get_by_label("pictures").fill("4")
    with page.expect_request(lambda r: r.url.endswith("/colourise")) as asked:
        section.get_by_role("button", name="Temple").click()
    assert asked.value.post_data_json["conditioner"]["name"] == "covariance"
    expect(section.get_by_role("button", name="Colourise", exact=True)).to_be_visible(timeout=SLOW)
    expect(pictures(section)).to_have_count(4, timeout=SLOW)
    switch(page, "expert", "off")
    shot(page, "colourise")
    made_again(page, section, section.locator("figure.result:not(.input)").last, f"a colouring ({page.size})")


def test_a_picture_from_the_camera(page, address):
    section = visit(page, address, "colourise")
    section.get_by_role("button", name="Camera").click()
    expect(page.locator("video")).to_have_js_property("videoWidth", 640)
    page.get_by_role("button", name="Take it").click()
    expect(section.locator(".source .status")).to_contain_text("640×480 pixels: the results have this size")


def test_race(page, address):
    section = visit(page, address, "race")
    section.get_by_label("model").select_option("digits")
    section.get_by_role("button", name="Add a solver").click()
    expect(section.locator(".racer")).to_have_count(4)
    expect(section.get_by_role("button", name="Add a solver")).to_be_disabled()
    section.get_by_role("button", name="Three ways").click()
    expect(section.locator(".lane")).to_have_count(4)
    expect(section.locator(".racer")).to_have_count(3)
    expect(section.locator(".behind img")).to_have_count(3, timeout=2 * SLOW)
    for lane in section.locator(".facts").all():
        expect(lane).to_have_text(re.compile(r"\d+ evaluations · [\d.]+ s"))
    expect(section.get_by_role("button", name="Race", exact=True)).to_be_visible(timeout=2 * SLOW)
    expect(section.locator(".status")).to_contain_text("Within one of 255 levels: adams after")
    section.locator(".curve").scroll_into_view_if_needed()
    shot(page, "race")
    final = section.locator(".lane img").nth(1).get_attribute("src")
    section.get_by_role("button", name="Replay").click()
    expect(section.locator(".facts", has_text="starts").first).to_be_visible()
    expect(section.get_by_role("button", name="Replay")).to_be_enabled(timeout=SLOW)
    assert section.locator(".lane img").nth(1).get_attribute("src") == final
    for lane in section.locator(".facts").all():
        expect(lane).to_have_text(re.compile(r"\d+ evaluations · [\d.]+ s"))


def test_catalogue(page, address):
    section = visit(page, address, "generate")
    expect(pictures(section)).to_have_count(4, timeout=SLOW)
    for number, caption in enumerate((f"a running horse ({page.size})", f"Évening <b>sky</b> ({page.size})")):
        section.get_by_role("button", name="Keep seed").nth(number).click()
        page.get_by_label("Caption").fill(caption)
        if not number:
            shot(page, "keep")
        page.get_by_role("dialog").get_by_role("button", name="Keep").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
    section.get_by_role("button", name="Keep seed").nth(2).click()
    page.get_by_role("button", name="Discard").click()
    expect(pictures(section)).to_have_count(3)

    page.get_by_role("tab", name="Catalogue").click()
    section = page.locator("#catalogue")
    expect(section.locator(".label").first).to_have_text(f"Évening <b>sky</b> ({page.size})")
    for _ in range(page.get_by_role("button", name="Close").count()):
        page.get_by_role("button", name="Close").first.click()
    shot(page, "catalogue")
    for words in ("runs", "hors", "hrose"):
        section.get_by_label("Search").fill(f"{words} {page.size}")
        expect(section.locator(".label").first).to_have_text(f"a running horse ({page.size})")
    section.get_by_label("Search").fill("")
    section.get_by_label("order").select_option("oldest")
    expect(section.locator(".label").first).to_contain_text(re.compile("horse|dog"))
    section.get_by_label("order").select_option("name")
    horse = section.locator("figure", has_text=f"a running horse ({page.size})")
    horse.get_by_role("button", name="Rename").click()
    page.get_by_label("New caption").fill(f"a walking dog ({page.size})")
    page.keyboard.press("Enter")
    dog = section.locator("figure", has_text=f"a walking dog ({page.size})")
    expect(dog).to_have_count(1)
    expect(dog.get_by_role("button", name="Rename")).to_be_focused()
    dog.get_by_role("button", name="Delete").click()
    expect(dog).to_have_count(0)
    page.get_by_role("button", name="Undo").last.click()
    expect(dog).to_have_count(1)
    dog.get_by_role("button", name="Again").click()
    section = page.locator("#generate")
    expect(pictures(section)).to_have_count(1, timeout=SLOW)
    expect(section.locator(".past figure").filter(visible=True)).to_have_count(3)  # and not the one that was discarded


def test_a_long_catalogue_has_pages(page, address):
    section = visit(page, address, "catalogue")
    expect(section.locator(".status")).not_to_be_empty()
    dot = base64.b64encode(png(np.zeros((1, 1), np.uint8))).decode()
    page.evaluate(
        """async ([picture, caption]) => {
            for (let i = 0; i < 55; i += 1) {
                await fetch("api/catalogue", { method: "POST", headers: { "content-type": "application/json" },
                    body: JSON.stringify({ caption: `${caption} ${i}`, picture, parameters: {} }) });
            }
        }""",
        [dot, f"zebra {page.size}"],
    )
    with page.expect_response(lambda response: "query=zebra" in response.url):
        section.get_by_label("Search").fill(f"zebra {page.size}")
    expect(section.locator(".label").first).to_contain_text(f"zebra {page.size}")
    expect(section.locator(".status")).to_have_text(re.compile(r"^1 to 50 of \d+$"))
    expect(section.locator("figure")).to_have_count(50)
    expect(section.get_by_role("button", name="Again")).to_have_count(0)  # nothing is known of how these were made
    section.get_by_role("button", name="Next page").click()
    expect(section.locator(".status")).to_have_text(re.compile(r"^51 to \d+ of"))
    section.get_by_role("button", name="Earlier page").click()
    expect(section.locator(".status")).to_have_text(re.compile(r"^1 to 50"))
    expect(section.get_by_role("button", name="Earlier page")).to_be_hidden()


def test_a_class_is_offered_where_the_model_knows_it(page, address):
    section = visit(page, address, "generate")
    expect(pictures(section)).to_have_count(4, timeout=SLOW)
    section.get_by_text("Options").click()
    expect(section.get_by_label("class")).to_be_hidden()
    section.get_by_label("model").select_option("labelled")
    section.get_by_label("class").fill("2, 0")
    section.get_by_label("guidance").fill("2")
    section.get_by_label("method").select_option("euler")
    with page.expect_request(lambda r: r.url.endswith("/generate")) as asked:
        section.get_by_role("button", name="Generate").click()
    sent = asked.value.post_data_json
    assert (sent["model"], sent["classes"], sent["guidance"]) == ("labelled", [2, 0], 2)
    expect(section.locator(".status")).to_contain_text("evaluations", timeout=SLOW)
    expect(section.get_by_role("button", name="Generate")).to_be_visible(timeout=2 * SLOW)


def test_a_large_photograph_is_reduced_before_it_is_sent(page, address, tmp_path):
    Image.new("RGB", (3000, 2000), "navy").save(tmp_path / "large.png")
    section = visit(page, address, "colourise")
    section.locator("input[type=file]").first.set_input_files(tmp_path / "large.png")
    expect(section.locator(".source .status")).to_contain_text("3000×2000 pixels, reduced here to 1224×816")


def test_what_is_transparent_in_a_large_picture_is_white_as_in_a_small_one(page, address, tmp_path):
    clear = Image.new("RGBA", (1600, 1000), (0, 0, 0, 0))
    clear.paste("navy", (0, 0, 800, 1000))
    section = visit(page, address, "colourise")
    for size in (clear.size, (160, 100)):
        clear.resize(size).save(tmp_path / "clear.png")
        section.locator("input[type=file]").first.set_input_files(tmp_path / "clear.png")
        note = "1600×1000 pixels, reduced here" if size == clear.size else "160×100 pixels"
        expect(section.locator(".source .status")).to_contain_text(note)
        shown = section.locator("figure.input img").last.get_attribute("src").partition(",")[2]
        seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown))).convert("RGB")).astype(int)
        assert abs(seen[:, -50:] - 255).max() <= 2 and abs(seen[:, :50] - (0, 0, 128)).max() <= 4


def test_a_file_that_misses_its_place_does_not_take_the_place_of_the_page(page, address):
    expect(visit(page, address, "catalogue")).to_be_visible()
    dropped = """([tab, text]) => {
        const items = new DataTransfer();
        if (text) items.setData("text/plain", "a caption");
        else items.items.add(new File(["x"], "a.png", { type: "image/png" }));
        const event = (name) => new DragEvent(name, { dataTransfer: items, bubbles: true, cancelable: true });
        return ["dragover", "drop"].map((name) => !document.getElementById(tab).dispatchEvent(event(name)));
    }"""
    assert page.evaluate(dropped, ["catalogue", False]) == [True, True]
    assert page.evaluate(dropped, ["catalogue", True]) == [False, False]  # words still go into a field


def test_a_file_that_is_no_picture_is_one_sentence(page, address, tmp_path):
    (tmp_path / "false.png").write_bytes(b"%PDF-1.4")
    section = visit(page, address, "inpaint")
    section.locator("input[type=file]").first.set_input_files(tmp_path / "false.png")
    expect(section.locator(".source .error")).to_be_visible()
    assert len(page.wrong) == 1 and "415" in page.wrong.pop()


def test_the_link_is_what_opens_the_page_from_elsewhere(chromium, tmp_path):
    with serving(tmp_path, "--host", "0.0.0.0", "--model", "digits") as link:
        bare, _, token = link.partition("?token=")
        stranger, friend = chromium.new_page(), chromium.new_page()
        stranger.goto(bare)
        expect(stranger.locator("main")).to_contain_text("Open the page by the link")
        friend.goto(link)
        assert token and token not in friend.url
        expect(pictures(friend.locator("#generate"))).to_have_count(4, timeout=SLOW)
        stranger.close()
        friend.close()


def test_the_two_files_of_the_docs_are_a_tab(chromium, tmp_path):
    shutil.copytree(ROOT / "scoresde", tmp_path / "scoresde", ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "docs" / "web.md").read_text(encoding="utf-8")
    shown = re.findall(r"<!-- (scoresde/web/\S+) -->\n```\w+\n(.*?)```", text, re.DOTALL)
    assert [name for name, _ in shown] == ["scoresde/web/tabs/temper.py", "scoresde/web/static/temper.js"]
    for name, code in shown:
        (tmp_path / name).write_text(code, encoding="utf-8")
    with serving(tmp_path, "--model", "digits", PYTHONPATH=str(tmp_path)) as address:
        page, wrong = chromium.new_page(), []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        names = ["Generate", "Inpaint", "Colourise", "Race", "Temper", "Catalogue"]
        expect(page.get_by_role("tab")).to_have_text(names)
        page.get_by_role("tab", name="Temper").click()
        section = page.locator("#temper")  # by its role it is not found while another tab is shown
        section.get_by_text("Options").click()
        expect(section.get_by_label("temperature")).to_have_value("0.8")
        section.get_by_role("button", name="Temper").click()
        expect(pictures(section)).to_have_count(4, timeout=SLOW)
        made_again(page, section, section.locator("figure.result").nth(2), "a typical digit")
        assert wrong == []
        page.close()


@pytest.mark.parametrize("width", [320, 360, 768, 1440])
def test_every_tab_fits_the_screen(chromium, address, width):
    context = chromium.new_context(viewport={"width": width, "height": 740}, has_touch=width < 400)
    page = context.new_page()
    page.set_default_timeout(SLOW)
    for tab in ("generate", "inpaint", "colourise", "race", "catalogue"):
        section = visit(page, address, tab)
        page.reload()
        expect(section).to_be_visible()
        for summary in section.locator("summary:visible").all():
            summary.click()
        if tab in ("inpaint", "colourise"):
            section.get_by_role("button", name="Flower").click()
            expect(section.locator("canvas, .input img").first).to_be_visible(timeout=SLOW)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
    context.close()


def test_a_page_goes_on_after_its_server_was_started_again(chromium, tmp_path):
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(SLOW)
    with serving(tmp_path, "--model", "digits") as found:
        page.goto(found)
        expect(page.locator("#generate .acts").first).to_be_visible(timeout=SLOW)
    expect(page.locator("#generate").get_by_role("button", name="Generate", exact=True)).to_be_visible()
    with serving(tmp_path, "--model", "digits", "--port", found.rsplit(":", 1)[1].strip("/")):
        page.locator("#generate").get_by_role("button", name="Generate", exact=True).click()
        expect(page.locator("#generate .status")).to_contain_text("evaluations", timeout=SLOW)
    context.close()


def test_a_page_without_its_server_says_so(chromium, address):
    page = chromium.new_page()
    page.route("**/api/about", lambda route: route.abort())
    page.goto(address)
    expect(page.locator("main")).to_contain_text("The server cannot be reached")
    expect(page.get_by_role("tab")).to_have_count(0)
    page.close()


def test_themes_and_keyboard(page, address):
    expect(visit(page, address, "catalogue")).to_be_visible()
    page.get_by_role("link", name="To the pictures").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    expect(page.locator("#catalogue")).to_be_visible()
    page.get_by_role("tab", name="Catalogue").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#generate")).to_be_visible()
    expect(page.get_by_role("tab", name="Generate")).to_be_focused()
    colour = "getComputedStyle(document.body).backgroundColor"
    seen = set()
    for name in ("light", "dark", "system"):
        page.locator("#theme").click()
        expect(page.locator("#theme")).to_have_attribute("aria-label", f"Theme: {name}")
        if name == "dark":
            expect(pictures(page.locator("#generate"))).to_have_count(4, timeout=SLOW)
            shot(page, "dark")
        seen.add(page.evaluate(colour))
    assert len(seen) == 2
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(colour) in seen
    unnamed = """[...document.querySelectorAll("input:not([hidden]), select, button")].filter((each) =>
        !each.labels?.length && !each.getAttribute("aria-label") && !each.textContent.trim()).length"""
    assert page.evaluate(unnamed) == 0
