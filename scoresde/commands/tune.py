"""`scoresde tune`: finds the time grids on which a solver needs the fewest evaluations, for one model."""

from pathlib import Path
from typing import Any

import click

from .. import models
from ..bench.tune import search, store
from ..bench.tune.run import SEED, tune_budgets
from ..core.devices import device
from ..core.errors import UsageError
from ..core.folders import claimed
from ..models.record import home, place
from ..solvers import GridSolver, solvers
from .options import SAMPLING, build, device_option, field_options, json_option, print_table

OUT = "Model folder for the grids; a new one gets a copy of the model. [default: the model's, or models/NAME]"


def budgets(text: str) -> list[int]:
    """The numbers of evaluations in a text such as "5,8,10".

    Raises:
        UsageError: It is something else.
    """
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise UsageError(f"--nfe must be whole numbers above 0, such as 5,8,10, got {text!r}")
    return found


def run(
    model: str,
    solver: str,
    nfe: str,
    seed: int,
    trajectories: int,
    held_out: int,
    out: Path | None,
    device_name: str,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Find the time grid on which a solver ends nearest to the exact probability flow of MODEL, and keep it.

    The number of evaluations is that of the solver itself: `scoresde sample` adds one for the final denoising. Errors
    are root mean squares over the values of a sample, before it, on noise of other seeds than the search has seen.
    """
    folder = models.locate(model)
    network = models.load(folder, device(device_name))
    chosen = search.tunable(build(solvers, solver, options))
    tasks = [search.with_budget(chosen, budget, network.sde) for budget in budgets(nfe)]
    with claimed(place(folder, out)):
        target = home(folder, out)
        found = tune_budgets(
            network,
            folder,
            tasks,
            target,
            seed=seed,
            trajectories=trajectories,
            held_out=held_out,
            progress=False if quiet else None,
        )
    print_table([summary(entry) for entry in found], as_json)
    if not as_json:
        given_as = store.flags(store.essential(tasks[-1]))
        click.echo(f"Use with: scoresde sample --model {target} {given_as} --grid tuned")


def summary(entry: store.TunedGrid) -> dict[str, object]:
    """A row of the table: median errors on the held-out seeds."""
    default, known, tuned = (entry.errors[name]["median"] for name in ("default", "best known", "tuned"))
    return {
        "solver": store.words(entry.solver),
        "nfe": entry.nfe,
        "default": float(f"{default:.3g}"),
        "best known": float(f"{known:.3g}"),
        "its grid": entry.best_known,
        "tuned": float(f"{tuned:.3g}"),
        "change": f"{100 * (tuned / default - 1):+.0f} %" if default else "",
    }


def tune() -> click.Command:
    """The command, with one option per field of the solvers that have a grid to tune."""
    classes = {n: cls for n, cls in solvers.all().items() if issubclass(cls, GridSolver)}
    fields = [option for option in field_options(classes) if option.name not in ("grid", "steps", *SAMPLING)]
    own = [
        click.Argument(["model"]),
        click.Option(["--solver"], default="eab", show_default=True, metavar="NAME", help="See `scoresde solvers`."),
        click.Option(["--nfe"], default="5,8,10", show_default=True, help="Numbers of evaluations, each for a grid."),
        click.Option(["--seed"], type=click.IntRange(0), default=SEED, show_default=True, help="First training seed."),
        click.Option(["--trajectories"], type=click.IntRange(1), default=64, show_default=True, help="To search with."),
        click.Option(["--held-out"], type=click.IntRange(1), default=256, show_default=True, help="To judge with."),
        click.Option(["--out"], type=click.Path(path_type=Path), help=OUT),
        click.Option(["--quiet"], is_flag=True, help="No progress bar or lines."),
    ]
    command = click.Command("tune", callback=run, params=[*own, *fields], help=run.__doc__)
    command.epilog = """\b
The grids go into grids.json beside the weights, and belong to these weights, this solver, its options and its
number of steps. A bundled model is left as it is: its copy in models/NAME, or --out, gets the grids.
\b
Examples:
  scoresde tune digits --solver unipc --nfe 5,8,10
  scoresde sample --model models/digits --solver unipc --steps 5 --grid tuned
  scoresde tune runs/digits --solver dpm++ --order 3 --exact true --nfe 8"""
    device_option(command)
    json_option(command)
    return command
