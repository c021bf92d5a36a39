"""Output that is not UTF-8, a full disk and a closed pipe behind standard output: no traceback, and text to be read."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tqdm import tqdm

import scoresde
from scoresde import cli
from scoresde.core.streams import one_line, spell, spelling

ENCODINGS = ["cp1252", "ascii", "latin-1", "cp437", "shift_jis"]


def shown(line, encoding, monkeypatch, code=0):
    """The bytes that a command line prints, both streams together, and its exit code."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        spell(stream)
        with pytest.raises(SystemExit) as end:
            cli.scoresde(line.split(), prog_name="scoresde")
    assert end.value.code == code
    return raw.getvalue()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("λ = log α/σ, ε, Σ, ς", "lambda = log alpha/sigma, eps, Sigma, sigma"),
        ("x₀ ± ½ √(x² - 1)⁻¹ ᾱ x̂", "x0 +- 1/2 sqrt(x^2 - 1)^-1 alpha x"),
        ("eʰ – “naïve” ≤ ∞ →", 'e^h - "naive" <= inf ->'),
        ("Å ß é ≠ 画 😀", "A ss e != ? ?"),
        (os.fsdecode(b"caf\xe9.png"), "caf\\xe9.png"),
    ],
)
def test_what_cannot_be_shown_is_spelt(text, found):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    spell(stream)
    stream.write(text)
    assert raw.getvalue().decode("ascii") == found


def test_a_name_of_any_bytes_is_one_line():
    name = os.fsdecode(b"caf\xe9\n\x1b[2J 1.png") + "é😀"
    assert one_line(name) == "caf\\udce9\\n\\x1b[2J 1.png" + "é😀"


def test_every_letter_of_the_package_has_a_spelling():
    """But for one, the sign for what cannot be shown; and what is shown in a code page is left as it is."""
    letters = {letter for file in Path(scoresde.__file__).parent.rglob("*.py") for letter in file.read_text("utf-8")}
    assert {letter for letter in letters if not spelling(letter).isascii()} == set()
    assert {letter for letter in letters if spelling(letter) == "?"} <= {"?", "\ufffd"}
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1252", write_through=True)
    spell(stream)
    stream.write("± é λ")
    assert raw.getvalue().decode("cp1252") == "± é lambda"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_help_and_list_can_be_shown(encoding, monkeypatch):
    """Each is, letter by letter, what a UTF-8 stream shows, with the spelling of what the encoding lacks."""
    lines = [f"{name} --help" for name in cli.COMMANDS]
    lines += ["bench run --help", "bench compare --help", "features fit --help"]
    lines += [
        "solvers",
        "solvers dpm",
        "solvers unipc --json",
        "conditioners",
        "conditioners moment",
        "datasets",
        "models",
    ]
    for line in lines:
        whole = shown(line, "utf-8", monkeypatch).decode("utf-8")

        def can(letter):
            try:
                return letter.encode(encoding)
            except UnicodeEncodeError:
                return None

        found = shown(line, encoding, monkeypatch).decode(encoding)
        bare = "".join(letter if can(letter) else spelling(letter) for letter in whole)
        assert found.replace("^", "") == bare.replace("^", "")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_errors_and_bars_can_be_shown(encoding, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = shown("sample --model 画/λ", encoding, monkeypatch, 2).decode(encoding)
    assert text.count("\n") == 1 and "no model folder or bundled model is called" in text
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    spell(stream)
    with tqdm(total=3, desc="λ", file=stream, mininterval=0) as bar:
        bar.update(2)
        bar.set_postfix_str("ε 😀")
    assert b"67%" in raw.getvalue()


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "cp1252"}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}])
def test_a_process_with_another_encoding(variables):
    line = [sys.executable, "-c", "import sys\nfrom scoresde import cli\ncli.COMMANDS['λ'] = ('x', 'ε ±')\ncli.main()"]
    done = subprocess.run([*line, "--help"], capture_output=True, env={**os.environ, **variables})
    assert done.returncode == 0 and not done.stderr
    found = done.stdout.decode(variables.get("PYTHONIOENCODING", "utf-8"))
    assert ("lambda" in found and "eps" in found) or ("λ" in found and variables == {"LC_ALL": "C"})


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_disk_behind_the_output_is_one_sentence():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "scoresde", "--help"], stdout=full, stderr=subprocess.PIPE, text=True
        )
        assert done.returncode == 6
        assert done.stderr == "Error: cannot write the output: No space left on device\n"
        done = subprocess.run([sys.executable, "-m", "scoresde", "smaple"], stdout=full, stderr=full)
        assert done.returncode == 6


@pytest.mark.parametrize("size", [1, 10**6])
def test_a_reader_who_leaves_is_no_error(size):
    """As after `| head -1`: whether what is printed is noticed to go nowhere at once, or at the end."""
    code = f"from scoresde import cli\ncli.COMMANDS['x'] = ('x', 'y ' * {size})\ncli.main()"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", code, "--help"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_streams_that_are_closed_or_not_of_the_system_are_left_alone():
    spell(None, io.StringIO())
    done = subprocess.run(
        [sys.executable, "-c", "import sys\nsys.stdout = None\nfrom scoresde import cli\ncli.main()", "--help"],
        capture_output=True,
    )
    assert done.returncode == 0 and not done.stderr
