"""`scoresde tune`: learns the solver that needs the fewest evaluations, for one model."""

from pathlib import Path

import click

from .. import models
from ..api.models import load
from ..bench.tune import store
from ..bench.tune.run import SEED, tune_budgets
from ..core.errors import UsageError
from ..core.folders import claimed
from ..models.record import home, place
from ..sampling.precision import Asked
from .options import MOST, json_option, network_options, print_table, quiet_option

OUT = "Model folder for the solvers; a new one gets a copy of the model. [default: the model's, or models/NAME]"


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


@click.command(
    epilog=f"""\b
The solvers are stored in {store.FILE} of the model folder, for these weights and these numbers of evaluations.
`scoresde sample --steps N` and `scoresde.sample(model, steps=N)` use them if no solver is named. A bundled model is not
changed: they go into its copy in models/NAME, or in --out.
\b
Examples:
  scoresde tune digits --nfe 5,8
  scoresde sample --model models/digits --steps 5
  scoresde tune runs/digits --nfe 6 --trajectories 512"""
)
@click.argument("model")
@click.option("--nfe", default="5,8,10", show_default=True, help="Numbers of evaluations; one solver for each.")
@click.option("--seed", type=click.IntRange(0), default=SEED, show_default=True, help="First training seed.")
@click.option("--trajectories", type=click.IntRange(1, MOST), default=256, show_default=True,
              help="Number to learn from.")  # fmt: skip
@click.option("--held-out", type=click.IntRange(1, MOST), default=256, show_default=True, help="Number to validate on.")
@click.option("--out", type=click.Path(path_type=Path), help=OUT)
@quiet_option
@network_options
@json_option
def tune(
    model: str,
    nfe: str,
    seed: int,
    trajectories: int,
    held_out: int,
    out: Path | None,
    device_name: str,
    precision: Asked,
    compile: bool,
    progress: bool | None,
    as_json: bool,
) -> None:
    """Learn a solver for MODEL that comes near to its exact probability flow in a few evaluations, and store it.

    The command learns the times of the evaluations and their weights. --nfe counts the evaluations of the solver
    itself; `scoresde sample` adds one for the final denoising. Errors are root mean squares over the values of a
    sample, before the denoising, on noise that was not used for learning.
    """
    folder, wanted = models.locate(model), budgets(nfe)
    network = load(folder, device_name, precision=precision, compile=compile)
    if network.condition != "none":
        raise UsageError(f"{model} is trained for {network.condition}: solvers are tuned for samples of noise alone")
    with claimed(place(folder, out)):
        target = home(folder, out)
        found = tune_budgets(
            network,
            folder,
            wanted,
            target,
            seed=seed,
            trajectories=trajectories,
            held_out=held_out,
            progress=progress,
        )
    print_table([summary(entry) for entry in found], as_json)
    if not as_json:
        click.echo(f"Use with: scoresde sample --model {target} --steps {wanted[-1]}")


def summary(entry: store.TunedSolver) -> dict[str, object]:
    """A row of the table: median errors on the held-out seeds."""
    default, tuned = (entry.errors[name]["median"] for name in ("default", "tuned"))
    return {
        "nfe": entry.steps,
        "default solver": entry.default,
        "its error": float(f"{default:.3g}"),
        "tuned": float(f"{tuned:.3g}"),
        "change": f"{100 * (tuned / default - 1):+.0f} %" if default else "",
    }
