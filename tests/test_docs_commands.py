"""The commands in README.md and docs/ have options that exist, with values that are allowed."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.core import ParameterSource

from scoresde import cli, models
from scoresde.commands import configs
from scoresde.commands.options import build
from scoresde.commands.train import asked
from scoresde.conditioners import conditioners
from scoresde.posterior import posteriors, reading
from scoresde.solvers import solvers
from scoresde.training import config

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("docs/tutorials/*.md")])
BLOCK = re.compile(r"^```(?:sh|console|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^(?:\$ |.* -m |\S*/)?scoresde (.+)$", re.MULTILINE)
REFUSED = ["sample --solver em --tol 1e-3"]
"""What a page shows with its error."""


def commands(page: Path) -> list[str]:
    """What is typed after `scoresde` in the blocks of a page."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [line for block in blocks for line in LINE.findall(block.replace("\\\n", " ")) if line not in REFUSED]


def parsed(line: str) -> click.Context:
    """A command and its options, as click sees them."""
    name, *words = (word for word in shlex.split(line, comments=True) if word != "&")
    command = cli.scoresde.get_command(None, name)
    assert command is not None, f"there is no command {name}"
    if isinstance(command, click.Group):
        command = command.commands[words.pop(0) if words[:1] and words[0] in command.commands else "run"]
    return command.make_context(name, words)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_the_commands_of_a_page_are_accepted(page, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    fields = {field for cls in solvers.all().values() for field in cls.model_fields}
    for line in commands(page):
        if "--help" in line:
            continue
        context = parsed(line)
        given = context.params
        if isinstance(given.get("solver"), str):
            typed = {name for name in given if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
            own = (
                {"exact", "variance", "steps"} if context.info_name == "likelihood" else set()
            )  # and not of its solver
            build(solvers, given["solver"], {field: given[field] for field in fields & typed - own})
        for registry, option in ((conditioners, "conditioner"), (posteriors, "posterior")):
            if given.get(option):
                registry.parse(given[option])
        if given.get("task_names"):
            reading.done_to(given["task_names"], given["noise"])
        if "changes" in given:  # of `train`
            what, changes = asked(given["words"], given["resume"])
            if not re.search("[./]", what):  # which is a name then, and no path
                config.load(what, [*changes, *given["changes"]])
        for model in [given["model"]] if isinstance(given.get("model"), str) else given.get("model") or ():
            assert model in [*models.bundled(), "gm2", "gm192", "gaussian"] or re.search("[/:]", model), line


def test_a_configuration_is_listed_with_its_whole_sentence():
    """As at its head; "et al." does not end it."""
    assert configs.summary("cifar10-edm").startswith("CIFAR-10 as in EDM (Karras et al. 2022, table 1) by the network")
    assert [name for name in config.names() if configs.summary(name).endswith(" al")] == []


def test_every_command_is_listed():
    """In README.md, and in the table of the page about them all."""
    readme, page = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/command-line.md"))
    (short,) = re.findall(r"^## Commands\n\n`scoresde (.*?)`\n\n", readme, re.MULTILINE | re.DOTALL)
    table = re.findall(r"^\| `scoresde ([\w-]+)", page, re.MULTILINE)
    names = set(cli.COMMANDS) - {"colorize"}  # which is said beside `colourise`
    assert set(short.split()) - {"|"} == names and set(table) == names
