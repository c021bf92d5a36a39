"""`scoresde tune`: finds the time grids on which a solver needs the fewest evaluations, for one model."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import click
from torch import Tensor
from tqdm.auto import tqdm

from .. import models
from ..bench.tune import search, store
from ..core import files
from ..core.errors import UsageError
from ..core.options import table
from ..core.provenance import versions
from ..solvers import GridSolver, solvers
from .options import build, device, device_option, field_options, json_option, output_folder, print_table

SEED, HELD_OUT = 1_000_000, 1_000_000
"""The first training seed, far from those that one samples with, and how far after it come those that judge."""
STARTS, EVALUATIONS = 3, 150
"""Known grids from which the search begins, and grids tried from each."""
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


def home(folder: Path, out: Path | None) -> Path:
    """The model's folder that gets the grids: its own, or a copy, as of a bundled model, which is left as it is.

    Raises:
        UsageError: It cannot be written to, or holds another model.
    """
    bundled = folder.parent == models.BUNDLED
    target = output_folder(out or (Path("models") / folder.name if bundled else folder))
    config = files.read_json(folder / models.CONFIG)
    if not (target / models.CONFIG).exists():
        for name in (models.WEIGHTS, models.CONFIG):
            files.write(target / name, partial(shutil.copyfile, folder / name))
    elif files.read_json(target / models.CONFIG) != config:
        raise UsageError(f"{target} holds another model than {folder}: choose another --out")
    return target


def centre(errors: Tensor) -> dict[str, float]:
    """Median and mean of the samples' errors."""
    return {"median": float(errors.median()), "mean": float(errors.mean())}


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
    target = home(folder, out)
    training = range(seed, seed + trajectories)
    judging = range(seed + HELD_OUT, seed + HELD_OUT + held_out)
    rows = []
    with tqdm(total=len(tasks) * STARTS * EVALUATIONS, unit="grid", disable=quiet or None, smoothing=0) as bar:
        bar.set_description("reference")
        given, judge = search.paths(network, training), search.paths(network, judging)
        for i, task in enumerate(tasks):
            bar.set_description(f"{solver}, {task.steps} steps")
            best = search.ranked(task, given)[0]
            found = search.tune(task, given, starts=STARTS, evaluations=EVALUATIONS, progress=bar.update)
            bar.update((i + 1) * STARTS * EVALUATIONS - bar.n)  # the search may end before its limit
            entry = describe(task, best, found, given, judge, folder, (training, judging))
            store.save(target, entry)
            rows.append(summary(entry))
    print_table(rows, as_json)
    if not as_json:
        given_as = store.flags(store.essential(tasks[-1]))
        click.echo(f"Use with: scoresde sample --model {target} {given_as} --grid tuned")


def describe(
    task: GridSolver,
    best: GridSolver,
    found: GridSolver,
    given: search.Paths,
    judge: search.Paths,
    folder: Path,
    seeds: tuple[range, range],
) -> store.TunedGrid:
    """What grids.json holds of a tuned grid."""
    training, judging = seeds
    return store.TunedGrid(
        solver=store.essential(task),
        nfe=search.spent(task, given.model.sde),
        stop=given.stop,
        sha256=files.read_json(folder / models.CONFIG)["sha256"],
        grid=str(found.grid),
        errors={
            "default": centre(judge.errors(task)),
            "best known": centre(judge.errors(best)),
            "tuned": centre(judge.errors(found)),
        },
        best_known=str(best.grid),
        seeds=(training[0], training[-1]),
        held_out=(judging[0], judging[-1]),
        reference=table(search.reference()),
        environment={"device": str(given.noise.device), "dtype": str(given.noise.dtype), **versions()},
    )


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
    fields = [option for option in field_options(classes) if option.name not in ("grid", "steps")]
    own = [
        click.Argument(["model"]),
        click.Option(["--solver"], default="eab", show_default=True, metavar="NAME", help="See `scoresde solvers`."),
        click.Option(["--nfe"], default="5,8,10", show_default=True, help="Numbers of evaluations, each for a grid."),
        click.Option(["--seed"], type=click.IntRange(0), default=SEED, show_default=True, help="First training seed."),
        click.Option(["--trajectories"], type=click.IntRange(1), default=64, show_default=True, help="To search with."),
        click.Option(["--held-out"], type=click.IntRange(1), default=256, show_default=True, help="To judge with."),
        click.Option(["--out"], type=click.Path(path_type=Path), help=OUT),
        click.Option(["--quiet"], is_flag=True, help="No progress bar."),
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
