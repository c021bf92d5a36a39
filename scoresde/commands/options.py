"""Command-line options made from the fields of option classes, and what the commands share."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
import torch
from pydantic.fields import FieldInfo

from ..core.errors import ResourceError, UsageError
from ..core.options import Options, Registry, describe_type, hint

T = TypeVar("T", bound=Options)


def flag(field: str) -> str:
    """The option's spelling on the command line: corrector_steps -> --corrector-steps."""
    return "--" + field.replace("_", "-")


def click_type(field: FieldInfo) -> click.ParamType[Any] | type:
    """How the command line reads a field. Bounds are left to the class, so that every way in gives one message."""
    kinds = [k for k in (get_args(field.annotation) or (field.annotation,)) if k is not NoneType]
    if get_origin(field.annotation) is Literal:
        choices = get_args(field.annotation)
        return click.Choice([str(c) for c in choices]) if isinstance(choices[0], str) else type(choices[0])
    return kinds[0] if kinds and kinds[0] in (bool, int, float, str) else str


def field_options(classes: Mapping[str, type[T]]) -> list[click.Option]:
    """One option per field over all classes; its help names the classes that take it."""
    owners: dict[str, list[str]] = {}
    fields: dict[str, FieldInfo] = {}
    for name, cls in classes.items():
        for field, info in cls.model_fields.items():
            owners.setdefault(field, []).append(name)
            fields.setdefault(field, info)
    return [
        click.Option([flag(name), name], type=click_type(info), help=f"{info.description} [{', '.join(owners[name])}]")
        for name, info in fields.items()
    ]


def build(registry: Registry[T], name: str, values: Mapping[str, Any]) -> T:
    """The named object from the options that were given.

    Raises:
        UsageError: The name does not exist, does not take one of the options, or refuses its value.
    """
    cls = registry[name]
    given = {field: value for field, value in values.items() if value is not None}
    for field in given:
        if field not in cls.model_fields:
            takes = ", ".join(flag(f) for f in sorted(cls.model_fields))
            raise UsageError(f"{flag(field)} is not an option of {name}, which takes {takes}")
    return cls(**given)


def output_folder(path: Path) -> Path:
    """The folder, made if need be, after checking that files can be written there.

    Raises:
        UsageError: They cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".scoresde-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"cannot write into {path}: {error.strerror or error}; choose another --out") from None
    return path


def drawable(name: str, shape: tuple[int, ...]) -> None:
    """Looks whether the samples of a model, of the given shape, can be pictures.

    Raises:
        UsageError: They cannot.
    """
    if shape[0] not in (1, 3):
        raise UsageError(f"{name} makes images of {shape[0]} channels; only 1 or 3 can be drawn")


def device(name: str) -> torch.device:
    """The device of that name; "auto" is the first GPU, or the CPU.

    Raises:
        UsageError: There is no such kind of device.
        ResourceError: The machine has none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
    except RuntimeError:
        raise UsageError(f"no device is called {name!r}. {hint(name, ['auto', 'cpu', 'cuda'])}") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ResourceError(f"this machine has no device {name!r} that torch can use; use --device cpu")
    return chosen


device_option: Callable[[Any], Any] = click.option(
    "--device", "device_name", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ..."
)
json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_table(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Rows as aligned text, or as JSON."""
    if as_json:
        click.echo(json.dumps(list(rows), indent=2))
        return
    if not rows:
        return
    cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def default(info: FieldInfo) -> Any:
    """A field's default as the command line would be given it."""
    return str(info.default) if isinstance(info.default, Options) else info.default


def explain(cls: type[Options], as_json: bool, spelling: Callable[[str], str] = flag) -> None:
    """A class's documentation and its options with their spelling, kinds and defaults."""
    fields = [
        {
            "option": spelling(name),
            "kind": describe_type(info.annotation),
            "default": "required" if info.is_required() else default(info),
            "meaning": info.description or "",
        }
        for name, info in cls.model_fields.items()
    ]
    documentation = " ".join((cls.__doc__ or "").split("Reference")[0].split())
    if as_json:
        click.echo(json.dumps({"name": cls.name, "documentation": documentation, "options": fields}, indent=2))
        return
    click.echo(f"{cls.name}: {inspect.cleandoc(cls.__doc__ or '')}")
    click.echo("\nOptions:" if fields else "\nNo options.")
    for row in fields:
        click.echo(f"  {row['option']}  {row['kind']}, default {row['default']}\n      {row['meaning']}")
