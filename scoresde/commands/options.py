"""Command-line options made from the fields of option classes, and what the commands share."""

import functools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

import click
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ..core.aligned import aligned, terminal
from ..core.errors import UsageError
from ..core.options import Options, Registry
from ..observations.holes import Hole
from ..observations.masks import masks
from ..sampling.precision import Asked

if TYPE_CHECKING:
    from ..metrics import Estimate

T = TypeVar("T", bound=Options)

MOST = 10_000_000
"""Samples of one command, at most: of more, the list of their seeds alone fills the memory."""
SAMPLING = ("final_corrector",)
"""Fields of all solvers that only samples are drawn with: not the flow to latent codes, nor a likelihood."""
ONE_HOLE = "give the hole by one of --mask FILE, --box x0,y0,x1,y1 and --random-mask freeform"


def flag(field: str) -> str:
    """The option's spelling on the command line: corrector_steps -> --corrector-steps.

    Args:
        field: Name of the field.
    """
    return "--" + field.replace("_", "-")


def click_type(field: FieldInfo) -> "click.ParamType[Any] | type":
    """How the command line reads a field. Bounds are left to the class, so that every way in gives one message.

    Args:
        field: The field.
    """
    kinds = [k for k in (get_args(field.annotation) or (field.annotation,)) if k is not NoneType]
    if get_origin(field.annotation) is Literal:
        choices = get_args(field.annotation)
        return click.Choice([str(c) for c in choices]) if isinstance(choices[0], str) else type(choices[0])
    listed = get_origin(field.annotation) is tuple  # written as 0.5/0.1
    return kinds[0] if len(kinds) == 1 and kinds[0] in (bool, int, float, str) and not listed else str


def field_options(
    classes: Mapping[str, type[T]],
    changed: Mapping[str, Mapping[str, Any]] | None = None,
    without: Collection[str] = (),
) -> Callable[[Any], Any]:
    """Adds one option per field over all classes; its help names the classes that take it, with their defaults.

    Args:
        classes: Option classes by their names.
        changed: Defaults of a command that are not those of a class, by the name of the class.
        without: Fields that the command does not take.
    """
    owners: dict[str, dict[str, list[str]]] = {}
    fields: dict[str, FieldInfo] = {}
    named = {name: cls for name, cls in classes.items() if name != "given"}  # that is in Python, and nowhere else
    for name, cls in named.items():
        own = (changed or {}).get(name, {})
        for field, info in cls.model_fields.items():
            fields.setdefault(field, info)
            owners.setdefault(field, {}).setdefault(_written(own.get(field, default(info))), []).append(name)

    return together(
        *(
            click.option(
                flag(name), name, type=click_type(info), help=f"{info.description} {_taken(owners[name], len(named))}"
            )
            for name, info in fields.items()
            if name not in without
        )
    )


def _written(value: Any) -> str:
    """A default as the command line would be given it; empty if there is none."""
    if value is None or value is PydanticUndefined or value == ():
        return ""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _taken(owners: Mapping[str, Sequence[str]], classes: int) -> str:
    """Who takes an option with which default, as "[dpm: 0.05; rk23, rk45: 0.01; scipy]", or "[any: 0]" of several."""
    named = {value: "any" if len(names) == classes > 1 else ", ".join(names) for value, names in owners.items()}
    return f"[{'; '.join(names + ': ' * bool(value) + value for value, names in named.items())}]"


def build(registry: Registry[T], name: str, values: Mapping[str, Any]) -> T:
    """The named object from the options that were given.

    Args:
        registry: Where the name is looked up.
        name: A registered name.
        values: Values by the names of the fields; those that are None were not given.

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


def _corners(text: str) -> tuple[int, int, int, int]:
    """The box in a text such as "8,8,24,24"."""
    try:
        x0, y0, x1, y1 = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--box must be four whole numbers x0,y0,x1,y1, such as 8,8,24,24, got {text!r}") from None
    return x0, y0, x1, y1


def hole_of(mask: Path | None, box: str | None, random_mask: str | None, invert: bool) -> Hole | None:
    """The hole that the options say, or None where none does.

    Args:
        mask: A picture in which the hole is white.
        box: The corners of a box, x0,y0,x1,y1, in pixels.
        random_mask: A mask as text, NAME[:KEY=VALUE,...].
        invert: Whether the hole is black in the picture.

    Raises:
        UsageError: Several do, or one of them cannot be read.
    """
    where = [mask, _corners(box) if box else None, masks.parse(random_mask) if random_mask else None]
    given = [each for each in where if each is not None]
    if len(given) > 1:
        raise UsageError(ONE_HOLE)
    if invert and mask is None:
        raise UsageError("--invert changes the meaning of a --mask, and there is none")
    return Hole(given[0], invert) if given else None


def hole_options(random: str) -> Callable[[Any], Any]:
    """Adds the options --mask, --box, --random-mask and --invert.

    Args:
        random: What a random hole is drawn from.
    """
    return together(
        click.option("--mask", type=click.Path(path_type=Path), metavar="FILE",
                     help="Image of the same size: white is the hole to be filled, black is kept."),
        click.option("--box", metavar="X0,Y0,X1,Y1", help="The hole: columns X0 to X1 - 1 of rows Y0 to Y1 - 1."),
        click.option("--random-mask", metavar="NAME[:KEY=VALUE,...]",
                     help=f"A hole drawn from --seed and {random}: freeform or rectangle."),
        click.option("--invert", is_flag=True, help="Black is the hole in --mask, and white is kept."),
    )  # fmt: skip


def together(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator, in their order.

    Args:
        options: What `click.option` returns, or `together`.
    """
    return lambda command: functools.reduce(lambda made, add: add(made), reversed(options), command)


device_option: Callable[[Any], Any] = click.option(
    "--device", "device_name", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ..."
)
json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
quiet_option: Callable[[Any], Any] = click.option(
    "--quiet", "progress", is_flag=True, help="No progress bar or lines.",
    callback=lambda ctx, option, quiet: False if quiet else None,
)  # fmt: skip
"""Its value is what `progress_bar` takes: False shows nothing, None a bar or lines."""


def network_options(command: Any) -> Any:
    """Adds where and how a network is evaluated.

    Args:
        command: The command.
    """
    return together(
        device_option,
        click.option("--precision", type=click.Choice(get_args(Asked)), default="float32", show_default=True,
                     help="Precision of the network; auto: the fastest that keeps samples the same to a grey level."),
        click.option("--compile/--no-compile", default=False, show_default=True,
                     help="Compile the network with torch.compile, which takes minutes at the start."),
    )(command)  # fmt: skip


def distance_options(samples: int) -> Callable[[Any], Any]:
    """Adds the options --metric and --samples of a command that measures a model's samples.

    Args:
        samples: The default number of samples.
    """
    return together(
        click.option("--metric", default="pixel-frechet", show_default=True, metavar="NAME[:KEY=VALUE,...]",
                     help="Distance of samples from held-out images."),
        click.option("--samples", type=click.IntRange(0, MOST), default=samples, show_default=True,
                     help="Number of samples to measure; 0 for none."),
    )  # fmt: skip


def print_table(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Rows as aligned text that fits the terminal, or as JSON.

    Args:
        rows: The rows, all with the keys of the first.
        as_json: Whether JSON is printed.
    """
    if as_json:
        click.echo(json.dumps(list(rows), indent=2))
        return
    if not rows:
        return
    cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    click.echo("\n".join(aligned(cells, terminal())))


def compared(found: "Estimate") -> dict[str, str]:
    """A distance of samples under the metric's name, with its floor, as a cell of a table.

    Args:
        found: The distance.
    """
    floor = "" if found.floor is None else f" (real images {found.floor:.4g})"
    return {found.name: f"{found.value:.4g}{floor}"}


def default(info: FieldInfo) -> Any:
    """A field's default as the command line would be given it.

    Args:
        info: The field.
    """
    return str(info.default) if isinstance(info.default, Options) else info.default
