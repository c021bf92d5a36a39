"""What --help and completion say of each command, written down in help.json, so that they need not wait for torch.

`make commands` writes the file, and a test compares it with the commands. It is not used where it may be old: after an
edit of the package, where other distributions bring plug-ins, and where torch is loaded anyway.
"""

import functools
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

FILE = Path(__file__).parent / "help.json"
SLACK = 10.0
"""Seconds between the first and the last file of the package when it is installed or cloned."""
CALLS = ("write_usage", "write_heading", "write_paragraph", "write_text", "write_dl", "indent", "dedent")


class _Recorder(click.HelpFormatter):
    """Notes what a command writes into its help, before it is broken into lines."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[Any]] = []
        for name in CALLS:
            setattr(self, name, functools.partial(self._note, name))

    def _note(self, name: str, *given: Any) -> None:
        self.calls.append([name, *given])


def record(command: click.Command, ctx: click.Context) -> dict[str, Any]:
    """What help.json has of a command: what its help writes, what completion knows, and the commands inside it.

    Args:
        command: The command.
        ctx: Its context.
    """
    recorder = _Recorder()
    command.format_help(ctx, recorder)
    params = [_parameter(each) for each in command.params]
    found: dict[str, Any] = {"short": command.get_short_help_str(), "help": recorder.calls, "params": params}
    if isinstance(command, click.Group):
        inner = {name: command.get_command(ctx, name) for name in command.list_commands(ctx)}
        found["first"] = getattr(command, "first", None)
        found["commands"] = {n: record(each, click.Context(each, ctx, n)) for n, each in inner.items() if each}
    return found


def _parameter(param: click.Parameter) -> dict[str, Any]:
    choices = list(param.type.choices) if isinstance(param.type, click.Choice) else None
    return {
        "words": [*param.opts, *param.secondary_opts] if isinstance(param, click.Option) else [],
        "name": param.name,
        "flag": getattr(param, "is_flag", False),
        "nargs": param.nargs,
        "multiple": param.multiple,
        "values": "file" if isinstance(param.type, click.Path) else choices,
    }


class _Written(click.Command):
    """A command that can say what it is, and nothing more."""

    calls: list[list[Any]]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for name, *given in self.calls:
            if name == "write_dl":
                given[0] = [tuple(row) for row in given[0]]
            getattr(formatter, name)(*given)


class _WrittenGroup(_Written, click.Group):
    """A group of such commands; `first` is the one that is meant where none is named."""

    first: str | None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if self.first and not (args and args[0] in self.commands):
            args = ["--help"] if set(ctx.help_option_names) & set(args) else [self.first, *args]
        return super().parse_args(ctx, args)


def restored(name: str, content: Mapping[str, Any]) -> click.Command:
    """The command of which `record` has made the content: its help and completion are the same.

    Args:
        name: Its name.
        content: What help.json has of it.
    """
    rows = [row for call, *given in content["help"] if call == "write_dl" for row in given[0]]
    said = {word: text for left, text in rows for word in left.replace(",", " ").split() if word.startswith("-")}
    made = _WrittenGroup(name) if "commands" in content else _Written(name)
    made.calls, made.short_help = content["help"], content["short"]
    made.params = [_restored(each, said) for each in content["params"]]
    if isinstance(made, _WrittenGroup):
        made.first = content["first"]
        made.commands = {each: restored(each, inner) for each, inner in content["commands"].items()}
    return made


def _restored(content: Mapping[str, Any], said: Mapping[str, str]) -> click.Parameter:
    values, words = content["values"], content["words"]
    kind = click.Path() if values == "file" else click.Choice(values) if values else click.STRING
    shared: dict[str, Any] = {"nargs": content["nargs"], "multiple": content["multiple"]}
    if not words:
        return click.Argument([content["name"]], type=kind, required=False, nargs=content["nargs"])
    if content["flag"]:
        return click.Option([*words, content["name"]], is_flag=True, help=said.get(words[0]))
    return click.Option([*words, content["name"]], type=kind, help=said.get(words[0]), **shared)


def written(name: str) -> click.Command | None:
    """What help.json has of a command, or None where only the command itself can say what it is.

    Args:
        name: Of the command.
    """
    if "torch" in sys.modules or not _current():
        return None
    content = json.loads(FILE.read_text(encoding="utf-8")).get(name)
    return restored(name, content) if content else None


@functools.cache
def _current() -> bool:
    """Whether the file says what the commands would say."""
    try:
        latest = FILE.stat().st_mtime + SLACK
    except OSError:
        return False
    package = FILE.parents[1]
    for folder, _, files in os.walk(package):
        for file in files:
            if file.endswith(".py") and os.stat(os.path.join(folder, file)).st_mtime > latest:
                return False
    import importlib.metadata  # slow to import: not for `scoresde --help`

    return not any(group.startswith("scoresde.") for group in importlib.metadata.entry_points().groups)
