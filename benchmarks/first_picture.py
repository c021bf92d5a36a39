"""How soon the page shows pictures: seconds from the navigation, in a Chromium on the same machine.

    python benchmarks/first_picture.py --chromium /usr/bin/chromium --out benchmarks/results/first-picture.md

Of each visit three moments are taken inside the page, since its navigation began. *Shown*: four pictures, each at least
130 CSS pixels wide, are decoded and on the screen; they are the first state of the film that the page brings. *Whole*:
the film has played to its end. *Drawn*: the server has drawn the same four pictures anew. A visit has no cache.
"""

import re
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from playwright.sync_api import Browser, sync_playwright

from scoresde.core import files
from scoresde.core.provenance import versions

WATCH = """
window.moments = {};
const mark = (name) => { window.moments[name] ??= performance.now() / 1000; };
const look = () => {
  const pictures = [...document.querySelectorAll("#generate .stage > .grid .result img")];
  const there = (img) => img.complete && img.naturalWidth && img.getBoundingClientRect().width >= 130;
  if (pictures.length >= 4 && pictures.every(there)) mark("shown");
  const slider = document.querySelector("#generate .way input[type=range]");
  window.playing ||= Boolean(slider) && slider.value !== slider.max;
  if (window.playing && slider?.value === slider?.max) mark("whole");
  if (/^\\d+ evaluations · [\\d.]+ s$/.test(document.querySelector("#generate .status")?.textContent)) mark("drawn");
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
MOMENTS = ("shown", "whole", "drawn")


def visit(browser: Browser, address: str) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(address)
    while len(found := page.evaluate("window.moments")) < len(MOMENTS):
        page.wait_for_timeout(100)
    context.close()
    return {name: float(found[name]) for name in MOMENTS}


def served(browser: Browser, visits: int, catalogue: Path) -> list[dict[str, float]]:
    """Some visits of a server that is started for them."""
    command = [sys.executable, "-m", "scoresde", "web", "--port", "0", "--catalogue", str(catalogue)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        address = re.search(r"http://\S+", server.stdout.readline() if server.stdout else "")
        if not address:
            raise click.ClickException("scoresde web did not print its address: run it by hand to see why")
        return [visit(browser, address.group()) for _ in range(visits)]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)


@click.command(help=__doc__)
@click.option("--chromium", default="/usr/bin/chromium", show_default=True, help="The browser's program.")
@click.option("--visits", default=9, show_default=True, help="Visits of a server that runs, and fresh servers.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there.")
def main(chromium: str, visits: int, out: Path | None) -> None:
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        first, *later = served(browser, visits + 1, Path(folder) / "c.sqlite")
        first_ones = [first, *(served(browser, 1, Path(folder) / f"{n}.sqlite")[0] for n in range(visits - 1))]
        program = browser.version
    environment = ", ".join(f"{key} {value}" for key, value in versions()["versions"].items())
    lines = ["# How soon the page shows pictures", "", " ".join(str(__doc__).split("\n\n")[2].split()), ""]
    lines += [f"Chromium {program}, {environment}. Medians in seconds, with the least and the greatest.", ""]
    lines += ["| visit | shown | whole | drawn | visits |", "|---|---|---|---|---|"]
    for name, found in (("the first of a server", first_ones), ("of a server that runs", later)):
        each = {moment: sorted(v[moment] for v in found) for moment in MOMENTS}
        cells = [f"{statistics.median(v):.2f} [{v[0]:.2f}, {v[-1]:.2f}]" for v in each.values()]
        lines.append(f"| {name} | {' | '.join(cells)} | {len(found)} |")
    text = "\n".join(lines) + "\n"
    click.echo(text)
    if out:
        files.write_text(out, text)


if __name__ == "__main__":
    main()
