"""`scoresde solvers | conditioners | datasets | models`: what there is, and what each is."""

import inspect
import json
import re
from collections.abc import Callable, Mapping

import click

from ..conditioners import conditioners as by_model
from ..core import files
from ..core.errors import UsageError
from ..core.options import Options, describe_type, hint
from ..data import data
from ..models.folder import CONFIG
from ..models.names import bundled, load, locate
from ..observations import observations
from ..observations.masks import masks
from ..posterior import posteriors
from ..posterior.store import RECORD
from ..solvers import solvers as registry
from .options import default, flag, json_option, print_table


def summary(cls: type) -> str:
    """The first sentence of a class's documentation."""
    return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())


def reference(cls: type[Options]) -> str:
    """Where a method was published: what its documentation says after "Reference:"."""
    found = re.search(r"References?:\s*(.*?)(?:\n\s*\n|\Z)", cls.__doc__ or "", re.DOTALL)
    return " ".join(found.group(1).split()).rstrip(".") if found else ""


def explain(cls: type[Options], as_json: bool, spelling: Callable[[str], str] = flag) -> None:
    """A class's documentation and its options with their spelling, kinds and defaults.

    Args:
        cls: An option class.
        as_json: Whether JSON is printed.
        spelling: Maps the name of a field to its spelling; by default as a flag.
    """
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


@click.command(epilog="\b\nExamples:\n  scoresde solvers\n  scoresde solvers dpm\n  scoresde solvers --json")
@click.argument("name", required=False)
@json_option
def solvers(name: str | None, as_json: bool) -> None:
    """List the solvers, or explain the one called NAME with its options and reference."""
    if name:
        return explain(registry[name], as_json)
    rows = [
        {
            "solver": solver,
            "kind": "SDE" if cls.stochastic else "ODE",
            "order": f"{cls().claimed_order:g}",
            "adaptive": "yes" if cls.adaptive else "no",
            "options": " ".join(flag(field) for field in cls.model_fields),
            "reference": reference(cls) if as_json else re.split(r"(?<=\d{4}),", reference(cls))[0],
        }
        for solver, cls in registry.all().items()
    ]
    print_table(rows, as_json)
    return None


@click.command(epilog="\b\nExamples:\n  scoresde conditioners\n  scoresde conditioners covariance")
@click.argument("name", required=False)
@json_option
def conditioners(name: str | None, as_json: bool) -> None:
    """List observations, conditioners and samplers for conditional sampling, or explain the one called NAME."""
    kinds: dict[str, Mapping[str, type[Options]]] = {
        "conditioner": by_model.all(),
        "posterior sampler": posteriors.all(),
        "observation": observations.all(),
        "mask": masks.all(),
    }
    if name:
        known = {each: cls for classes in kinds.values() for each, cls in classes.items()}
        if name not in known:
            raise UsageError(f"nothing for conditional sampling is called {name!r}. {hint(name, known)}")
        return explain(known[name], as_json, "{}=".format)  # written as name:option=value
    rows = [
        {"kind": kind, "name": each, "options": " ".join(cls.model_fields), "reference": reference(cls)}
        for kind, classes in kinds.items()
        for each, cls in classes.items()
    ]
    if not as_json:
        rows = [{**row, "reference": re.split(r"(?<=\d{4}),", row["reference"])[0]} for row in rows]
    print_table(rows, as_json)
    return None


@click.command(epilog="\b\nExamples:\n  scoresde datasets\n  scoresde datasets folder")
@click.argument("name", required=False)
@json_option
def datasets(name: str | None, as_json: bool) -> None:
    """List the image sets, or explain the one called NAME with its options."""
    if name:
        return explain(data[name], as_json)
    print_table([{"name": n, "what it is": summary(cls)} for n, cls in data.all().items()], as_json)
    return None


@click.command(epilog="\b\nExamples:\n  scoresde models\n  scoresde sample --model digits")
@json_option
def models(as_json: bool) -> None:
    """List the models that come with the package; each can be given to --model by its name."""
    rows = []
    for name in bundled():
        config = files.read_json(locate(name) / CONFIG)
        parameters = sum(p.numel() for p in load(name).parameters())
        seen = files.read_json(locate(name) / RECORD)
        rows.append(
            {
                "model": name,
                "shape": "x".join(map(str, config["shape"])),
                "sde": config["sde"]["name"],
                "parameters": f"{parameters:,}",
                "trained on": f"{seen['data']}, {seen['images']:,} images",
                "made by": config.get("recipe", {}).get("command", ""),
            }
        )
    print_table(rows, as_json)
