"""`scoresde bench`: what samples cost and what they are worth, for every solver on every model."""

import os
from pathlib import Path
from typing import Any, get_args

import click
import torch

from ..bench.cells import left
from ..bench.compare import compare as differences
from ..bench.compare import read_rows
from ..bench.publish import publish
from ..bench.run import run as measure
from ..bench.spec import Spec
from ..bench.store import Store
from ..bench.suites import SUITES, load, plan
from ..bench.tables import WIDTH, Layout, markdown
from ..bench.texts import title
from ..core.devices import device
from ..core.errors import NumericalError, UsageError
from ..core.folders import only_writer, writable
from ..core.parallel import share
from ..core.sentences import many
from ..sampling.precision import Asked
from ..sampling.progress import progress_bar
from .options import device_option, json_option, print_table


class BenchGroup(click.Group):
    """A group whose first command need not be named; its help is that of the first with the list of the commands."""

    first = "run"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = args and args[0] in self.commands
        asked = not named and {"-h", "--help"} & set(args)
        return super().parse_args(ctx, ["--help"] if asked else args if named else [self.first, *args])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[COMMAND] [OPTIONS] [SPEC]"]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        run = self.commands[self.first]
        with formatter.section("Options of run"):
            options = [each for each in run.get_params(ctx) if isinstance(each, click.Option)]
            formatter.write_dl([found for each in options if (found := each.get_help_record(ctx))])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.commands[self.first].format_epilog(ctx, formatter)


@click.group(cls=BenchGroup)
def bench() -> None:
    """Measure cost and sample quality of every solver, and compare two such measurements.

    Without the name of a command, `run` is meant.
    """


def fallback(field: str) -> str:
    """What a field of a benchmark is if neither an option nor its file says so, for the help."""
    return f"[default: as SPEC says, or {Spec.model_fields[field].default}]"


@bench.command(
    short_help="Measure every solver on every model.",
    epilog="""\b
SPEC is a TOML file with the keys model, solver, metric, count, batch, seed, dtype, denoise, data, reference, paths,
likelihood, likelihood_tol, precision and compile; options replace its keys. Without SPEC the default benchmark runs, on
the digits model.
\b
A model is a run, a model folder, a bundled name, or one of gaussian, gm2 and gm192, with known distributions.
A solver is written NAME:KEY=VALUE,KEY=VALUE; values separated by / give several runs.
\b
Measured cells are kept in the folder: the same command continues after an interruption. Under torchrun or in a
SLURM array, each process measures a part of the cells.
\b
Examples:
  scoresde bench
  scoresde bench benchmarks/specs/analytic.toml --device cpu
  scoresde bench --model runs/a --metric fid --weights inception.pth -n 10000
  scoresde bench --model gm2 --solver dpm:tol=1e-1/1e-2 --solver "unipc:steps=10/20,order=3" -n 256
  torchrun --nproc-per-node 4 -m scoresde bench benchmarks/specs/analytic.toml --out bench/analytic
  scoresde bench compare bench/before bench/after""",
)
@click.argument("spec", required=False)
@click.option("--suite", type=click.Choice(list(SUITES)), help="What is compared. [default: as SPEC says, or solvers]")
@click.option("--model", multiple=True, help="A model. Can be repeated.")
@click.option("--solver", multiple=True, help="Solvers, such as dpm:tol=1e-1/1e-2. Can be repeated.")
@click.option("--problem", multiple=True, help="posterior: a problem, such as colour16:task=luma/inpaint.")
@click.option("--method", multiple=True, help='posterior: such as "covariance:kind=full dpm++:steps=10/20".')
@click.option("--metric", multiple=True, help="A metric, such as fd:extractor=digits. Can be repeated.")
@click.option("--weights", type=click.Path(path_type=Path), help="File of the Inception weights of fid, kid, is, prc.")
@click.option("-n", "count", type=int, help=f"Samples per solver, or per measurement. {fallback('count')}")
@click.option("--batch", type=int, help=f"Samples at a time. {fallback('batch')}")
@click.option("--seed", type=int, help=f"Sample i uses seed + i. {fallback('seed')}")
@click.option(
    "--likelihood",
    type=int,
    help=f"Real images whose likelihood is computed; 0 leaves it out. {fallback('likelihood')}",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder. [default: bench/SPEC, or bench/MODEL]")
@click.option("--layout", type=click.Choice(["table", "tolerance"]), default="table", show_default=True,
              help="Shape of the table that is printed and of table.md.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Check everything, print the cells and stop.")
@click.option("--quiet", is_flag=True, help="No progress bar or lines, and no table.")
@click.option("--precision", type=click.Choice(get_args(Asked)),
              help=f"Of the networks that samples are drawn from. {fallback('precision')}")  # fmt: skip
@click.option("--compile/--no-compile", default=None, help="Compile them. [default: as SPEC says, or not]")
@device_option
def run(
    spec: str | None,
    suite: str | None,
    out: Path | None,
    layout: Layout,
    dry_run: bool,
    weights: Path | None,
    quiet: bool,
    device_name: str,
    **changes: Any,
) -> None:
    """Measure NFE, time, sample quality and likelihood of every solver on every model."""
    given = {key: value for key, value in changes.items() if value not in (None, ())}
    chosen = load(spec, given, suite)
    if weights is not None:
        if not isinstance(chosen, Spec):
            raise UsageError("--weights are those of fid, kid, is and prc, which the suite posterior does not measure")
        chosen = chosen.with_weights(weights)
    if device_name == "auto" and torch.cuda.is_available() and "LOCAL_RANK" in os.environ:
        device_name = f"cuda:{int(os.environ['LOCAL_RANK']) % torch.cuda.device_count()}"
    todo = plan(chosen, device(device_name))
    if dry_run:
        for cell in todo:
            click.echo(f"{cell.key[:16]}  {cell.title}")
        return
    rank, world = share()
    models = dict.fromkeys(Path(cell.subject.name).name for cell in todo) if given else ()
    named = Path(spec).stem if spec else "-".join(models) or suite or "default"
    store = Store(writable(out or Path("bench") / named), rank)
    effort = sum(cell.effort for cell in left(todo, store, world))
    with only_writer(store.folder, f".lock-{rank}"):
        form = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
        shown = False if quiet else None
        with progress_bar(effort, shown, desc="bench", unit="evaluation", bar_format=form) as bar:
            for _ in measure(todo, store, world=world, progress=bar.update, begin=bar.set_postfix_str):
                pass
        report = publish(todo, store, chosen, layout)
    if not quiet and rank == 0:
        click.echo(markdown(report, layout, WIDTH))
    click.echo(f"{len(report.rows) - report.missing} of {len(report.rows)} cells in {store.folder}: open index.html")
    if report.failed and not report.missing:  # while others still measure: torchrun would end them at an error
        names = ", ".join(f"{row['model']} {title(row) if 'solver' in row else 'likelihood'}" for row in report.failed)
        raise NumericalError(f"{len(report.failed)} of {len(report.rows)} cells failed, the others stand: {names}")


@bench.command(
    short_help="Show what differs between two benchmarks.",
    epilog="""\b
A difference counts if it exceeds the root of the sum of the squares of both half-widths. Rows are compared if they
have model, solver, samples, batch, seeds, dtype and device in common; versions and weights may differ.
\b
Examples:
  scoresde bench compare bench/before bench/after
  scoresde bench compare bench/before bench/after --all --json""",
)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Also what does not differ.")
@json_option
def compare(a: Path, b: Path, everything: bool, as_json: bool) -> None:
    """Show what differs between the benchmarks of two folders, A and B, beyond its interval."""
    ours, theirs = read_rows(a), read_rows(b)
    found = differences(ours, theirs)
    if not found:
        raise UsageError(f"{a} and {b} have no row in common; `scoresde bench compare --help` says when rows are")
    shown = [row for row in found if everything or row["differs"]]
    print_table(shown, as_json)
    if not as_json:
        rows = len({(row["model"], row["solver"]) for row in found})
        beyond = sum(row["differs"] for row in found)
        common = f"{many(rows, 'row')} that both have, of {len(ours)} and {len(theirs)}"
        click.echo(f"{beyond} of {len(found)} quantities differ, in {common}")
