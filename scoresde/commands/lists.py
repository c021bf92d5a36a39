"""`scoresde solvers | datasets | models`: what there is, and what each is."""

import re

import click

from .. import checkpoint
from ..data import data
from ..solvers import Solver
from ..solvers import solvers as registry
from .options import explain, flag, json_option, print_table


def summary(cls: type) -> str:
    """The first sentence of a class's documentation."""
    return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())


def reference(cls: type[Solver]) -> str:
    """Where a solver was published: what its documentation says after "Reference:"."""
    found = re.search(r"References?:\s*(.*)", cls.__doc__ or "", re.DOTALL)
    return " ".join(found.group(1).split()).rstrip(".") if found else ""


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
    for name in checkpoint.bundled():
        config = checkpoint.read_json(checkpoint.locate(name) / checkpoint.CONFIG)
        parameters = sum(p.numel() for p in checkpoint.load(name).parameters())
        rows.append(
            {
                "model": name,
                "shape": "x".join(map(str, config["shape"])),
                "sde": config["sde"]["name"],
                "parameters": f"{parameters:,}",
                "made by": config.get("recipe", {}).get("command", ""),
            }
        )
    print_table(rows, as_json)
