"""What is written down of the commands is what they say themselves, without torch, and never old."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete

from scoresde import cli
from scoresde.commands import written

ROOT = Path(__file__).parents[2]
ASK = """
import sys
from click import formatting
from scoresde.cli import scoresde
formatting.FORCED_WIDTH = 80  # as of click's CliRunner
for line in {lines}:
    scoresde(line.split(), prog_name="scoresde", standalone_mode=False)
    print("-----")
print("torch" in sys.modules, "pydantic" in sys.modules)
"""
KNOWN = "from scoresde.commands.written import written\nprint(written('sample') is not None)"


def above():
    return click.Context(cli.scoresde, info_name="scoresde", **cli.scoresde.context_settings)


@pytest.fixture(scope="module")
def content():
    return json.loads(json.dumps(written.record(cli.scoresde, above())["commands"]))


@pytest.fixture(scope="module")
def package(tmp_path_factory, content):
    """A copy of the package, with its times, whose help has just been written."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "scoresde", folder / "scoresde", ignore=shutil.ignore_patterns("__pycache__", "bundled"))
    (folder / "scoresde" / "commands" / "help.json").write_text(json.dumps(content))
    return folder


def python(code, *paths, **environment):
    """What a new process prints whose packages are first looked for in some folders."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), **environment}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=paths[0], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def commands(command, ctx, path=()):
    """Every command below one, with its context and its words."""
    for name in command.list_commands(ctx):
        inner = command.get_command(ctx, name)
        below = click.Context(inner, ctx, name)
        yield inner, below, (*path, name)
        if isinstance(inner, click.Group):
            yield from commands(inner, below, (*path, name))


def test_the_file_is_what_the_commands_say(content):
    assert json.loads(written.FILE.read_text(encoding="utf-8")) == content, "run `make commands` to write it again"


@pytest.mark.parametrize("width", [50, 80])
def test_the_help_is_the_same_in_any_window(content, width):
    seen = 0
    for command, ctx, path in commands(cli.scoresde, above()):
        known, ctx.terminal_width = written.restored(path[0], content[path[0]]), width
        for name in path[1:]:
            known = known.commands[name]
        other = click.Context(known, ctx.parent, ctx.info_name, terminal_width=width)
        assert command.get_help(ctx) == known.get_help(other), path
        seen += 1
    assert seen > len(cli.COMMANDS)


def test_every_command_has_help_without_torch(package, content, run):
    lines = [f"{name} --help" for name in cli.COMMANDS]
    lines += ["bench run -h", "bench compare --help", "bench spec.toml -h", "features fit -h", "solvers dpm --help"]
    *texts, loaded = python(ASK.format(lines=lines), package).split("-----\n")
    assert loaded.split() == ["False", "False"]
    assert dict(zip(lines, texts, strict=True)) == {line: run(line) for line in lines}


def test_completion_is_the_same(content, monkeypatch):
    """Of the names of commands and of options, and of the values of every option that has a choice."""
    lines = [([], ""), ([], "co"), (["bench"], "--su"), (["bench"], "")]
    lines += [(["train", "digits", "--resume", "auto"], "--o"), (["train", "--resume"], "")]
    for command, _, path in commands(cli.scoresde, above()):
        lines += [([*path], "-"), ([*path], ""), ([*path, "--quiet"], "--"), ([*path, "a"], "")]
        lines += [([*path, param.opts[0]], "") for param in command.params if isinstance(param, click.Option)]

    def found(args, incomplete):
        items = BashComplete(cli.scoresde, {}, "scoresde", "_SCORESDE_COMPLETE").get_completions(args, incomplete)
        return [(item.type, item.value) for item in items]

    real = [found(*line) for line in lines]
    monkeypatch.setattr(cli, "written", lambda name: written.restored(name, content[name]))
    assert [found(*line) for line in lines] == real
    assert sum(map(bool, real)) > 100


def test_completion_needs_no_torch(package):
    code = "import sys\nfrom scoresde.cli import main\ntry:\n    main()\nfinally:\n    print('torch' in sys.modules)"
    said = python(
        code, package, _SCORESDE_COMPLETE="bash_complete", COMP_WORDS="scoresde sample --solver-x --tol", COMP_CWORD="3"
    )
    assert said.split() == ["plain,--tol", "False"]


def test_what_may_be_old_is_not_used(package, tmp_path):
    """After an edit, with a new file, and where a plug-in is installed."""
    assert python(KNOWN, package) == "True\n"
    later = (package / "scoresde" / "commands" / "help.json").stat().st_mtime + 60
    edited = package / "scoresde" / "solvers" / "unipc.py"
    before = edited.stat().st_mtime
    os.utime(edited, (later, later))
    assert python(KNOWN, package) == "False\n"
    os.utime(edited, (before, before))
    added = package / "scoresde" / "data" / "added.py"
    added.touch()
    os.utime(added, (later, later))
    assert python(KNOWN, package) == "False\n"
    added.unlink()
    (tmp_path / "more-1.0.dist-info").mkdir()
    (tmp_path / "more-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1.0\n")
    points = tmp_path / "more-1.0.dist-info" / "entry_points.txt"
    points.write_text("[scoresde.solvers]\nmore = more\n")
    assert python(KNOWN, package, tmp_path) == "False\n"
    points.write_text("[other.solvers]\nmore = more\n")
    assert python(KNOWN, package, tmp_path) == "True\n"


def test_what_is_missing_is_asked_of_the_command(package):
    path = package / "scoresde" / "commands" / "help.json"
    kept = path.read_text(), path.stat()
    path.unlink()
    assert python(KNOWN, package) == "False\n"
    path.write_text(kept[0])
    os.utime(path, (kept[1].st_mtime, kept[1].st_mtime))
