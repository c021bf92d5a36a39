"""The guides and the help are in short sentences and in words that the field has."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("docs/tutorials/*.md")])
LONGEST = 40
"""Words of a sentence. Code, a formula and a link count as one word, and tables are not read."""
NO_PROSE = re.compile(r"^( *)```.*?^\1```|^---\n.*?^---\n|<!--.*?-->|^\|.*?$|\$\$.*?\$\$", re.M | re.S)
ONE_WORD = re.compile(r"`[^`]*`|\$[^$]*\$|!?\[[^\]]*\]\([^)]*\)|https?://\S+")
PART = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*]|\d\.) )")
END = re.compile(r"(?<=[.:;?!])[\s*)]+(?=[A-Z`*\[(\"x])")
RARE = re.compile(r"\b(manieth|thereof|whereof|wherein|hitherto|that which|such a one|anew|whither|save for)\b", re.I)


def sentences(text: str) -> list[str]:
    """The sentences of a page of Markdown."""
    prose = ONE_WORD.sub("x", NO_PROSE.sub("", text))
    return [" ".join(s.split()) for part in PART.split(prose) for s in END.split(part)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_sentences_are_short(page):
    text = page.read_text(encoding="utf-8")
    assert [s for s in sentences(text) if len(s.split()) > LONGEST] == []
    assert RARE.findall(text) == []


def test_the_help_has_no_rare_words():
    commands = json.loads((ROOT / "scoresde/commands/help.json").read_text(encoding="utf-8"))
    assert RARE.findall(json.dumps(commands)) == []


def test_a_long_sentence_and_a_rare_word_are_found():
    page = "One.\n\n- " + "word " * 41 + f"`{'code ' * 9}`. Two.\n\n| {'cell ' * 50} |\n"
    assert [len(s.split()) for s in sentences(page)] == [1, 43, 1, 0]
    assert RARE.findall("Each draws every so manieth batch, anew.") == ["manieth", "anew"]
