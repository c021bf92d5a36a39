"""Text files as other programs write them: byte order marks, UTF-16, line ends; and names that are no UTF-8."""

import codecs
import json
import os
import tomllib

import pytest

from scoresde import models
from scoresde.bench.suites import load
from scoresde.core.errors import CheckpointError, UsageError
from scoresde.core.files import read_json, read_text, write_json
from scoresde.training import config as configuration

ENCODED = {
    "plain": lambda text: text.encode(),
    "mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "windows": lambda text: codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode(),
    "powershell": lambda text: codecs.BOM_UTF16_LE + text.replace("\n", "\r\n").encode("utf-16-le"),
    "big-endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
}


@pytest.mark.parametrize("kind", ENCODED)
def test_files_that_users_give_are_read_as_other_programs_write_them(tmp_path, kind):
    spec = 'model = "gm2"  # λ 😀\nsolver = ["euler:steps=2"]\ncount = 8\n'
    file = tmp_path / "spec.toml"
    file.write_bytes(ENCODED[kind](spec))
    assert tomllib.loads(read_text(file)) == tomllib.loads(spec)
    assert load(str(file)).count == 8
    whole = configuration.load("digits", [])
    text = configuration.to_toml(whole.tables()) + "# λ 😀\n"
    (tmp_path / "own.toml").write_bytes(ENCODED[kind](text))
    assert configuration.load(str(tmp_path / "own.toml"), []) == whole
    (tmp_path / "a.json").write_bytes(ENCODED[kind](json.dumps({"λ": "😀"}, ensure_ascii=False, indent=2)))
    assert read_json(tmp_path / "a.json") == {"λ": "😀"}


def test_a_model_whose_configuration_was_opened_in_an_editor_is_loaded(tmp_path):
    folder = models.locate("digits")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    text = (folder / "config.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_bytes(ENCODED["powershell"](text))
    assert models.load(tmp_path).shape == (1, 8, 8)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\xe9 = 1", b"\x00", b"PK\x03\x04\xff"])
def test_what_is_no_text_is_one_sentence(tmp_path, content):
    file = tmp_path / "a"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="is not a benchmark"):
        load(str(file))
    with pytest.raises(UsageError, match=r"is not a configuration: .*; data to train on are a folder or zip of images"):
        configuration.load(str(file), [])
    with pytest.raises(CheckpointError, match="is unreadable"):
        read_json(file)


def test_names_of_any_bytes_come_back_from_json(tmp_path):
    names = [os.fsdecode(b"caf\xe9.png"), "two\nlines", "😀", "λ", "\x7f\x00"]
    write_json(tmp_path / "a.json", {"names": names})
    assert (tmp_path / "a.json").read_bytes().isascii()
    found = read_json(tmp_path / "a.json")["names"]
    assert found == names and os.fsencode(found[0]) == b"caf\xe9.png"
