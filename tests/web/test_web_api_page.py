"""The examples of `docs/web-api.md`, against a server."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from test_web import events, serving

PAGE = Path(__file__).parents[2] / "docs" / "web-api.md"
BLOCKS = re.findall(r"^```(\w+)[^\n]*\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    with serving({1: "digits", 2: "photos"}, tmp_path_factory.mktemp("kept") / "catalogue.sqlite") as client:
        yield os.environ | {
            "PAGE": f"{client.base_url}".rstrip("/") + "/",
            "KEY": client.settings.token,
            "NO_PROXY": "*",
        }


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_what_is_written_for_the_shell_works(environment):
    drawn, about = (text for language, text in BLOCKS if language == "sh")
    said = subprocess.run(["bash", "-euc", drawn], env=environment, capture_output=True, text=True, timeout=120).stdout
    name, data = events(said)[-1]
    assert name == "done" and len(data["pictures"]) == 2 and data["nfe"] == 16
    table = PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in table for name, _ in events(said))
    said = subprocess.run(["bash", "-euc", about], env=environment, capture_output=True, text=True, timeout=120).stdout
    assert '"digits"' in said and '"unipc"' in said


def test_what_is_written_in_python_works(environment, tmp_path):
    code = "\n".join(text for language, text in BLOCKS if language == "python")
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "its colours drawn at" in done.stdout
    for name, size in (("digit-1.png", (8, 8)), ("filled.png", (320, 240))):
        with Image.open(tmp_path / name) as picture:
            assert picture.size == size
