"""Writes what --help and completion say of each command, for scoresde/commands/help.json: `make commands`."""

import json

import click

from scoresde import cli
from scoresde.commands import written


def main() -> None:
    """Asks every command, and writes the file again even if nothing changed: then it is newer than all edits."""
    ctx = click.Context(cli.scoresde, info_name="scoresde", **cli.scoresde.context_settings)
    content = written.record(cli.scoresde, ctx)["commands"]
    written.FILE.write_text(json.dumps(content, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
