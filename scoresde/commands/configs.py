"""`scoresde configs`: the configurations that come with the package, and what every key means."""

import re
import textwrap
from typing import Literal, get_origin

import click

from ..core.options import Options, describe_type
from ..training import config as configuration
from ..training.config import to_toml
from .options import json_option, print_table


@click.command(
    epilog="""\b
Examples:
  scoresde configs
  scoresde configs digits
  scoresde configs digits > mine.toml && scoresde train mine.toml"""
)
@click.argument("name", required=False)
@json_option
def configs(name: str | None, as_json: bool) -> None:
    """List the configurations, or explain every key of one (NAME or a TOML file)."""
    if name is None:
        rows = [{"name": each, "what": summary(each)} for each in configuration.names()]
        print_table(rows, as_json)
        return
    config = configuration.load(name)
    if as_json:
        print_table([config.tables()], as_json)
        return
    click.echo("\n".join(explained(kind, getattr(config, kind)) for kind in configuration.KINDS))


def summary(name: str) -> str:
    """The first sentence of the comment at the head of a configuration."""
    lines = (configuration.folder() / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    head = " ".join(line.lstrip("# ") for line in lines[: next(i for i, line in enumerate(lines) if line[:1] != "#")])
    return textwrap.shorten(re.split(r"(?<!et al)\. ", head)[0], 100, placeholder=" ...")


def explained(kind: str, options: Options) -> str:
    """The table of a configuration as TOML, each key below its meaning."""
    values = options.model_dump(mode="json")
    lines = [f"[{kind}]"] + ([] if kind == "train" else [to_toml({"": {"name": options.name}}).splitlines()[1]])
    for key, field in type(options).model_fields.items():
        choices = f" {describe_type(field.annotation)}." if get_origin(field.annotation) is Literal else ""
        text = f"{field.description or ''}{choices}"
        lines += textwrap.wrap(text, 110, initial_indent="# ", subsequent_indent="# ")
        written = to_toml({"": {key: values[key]}}).splitlines()[1:]
        lines += [line for line in written if line] or [f"# {key} ="]
    return "\n".join([*lines, ""])
