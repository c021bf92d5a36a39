"""The `scoresde` command. Each subcommand is imported when it is used, so that --help does not wait for torch."""

import contextlib
import difflib
import errno
import importlib
import logging
import os
import signal
import sys
import warnings
from types import FrameType

import click

from . import __version__
from .commands.written import written
from .core.errors import ResourceError, ScoreSDEError, UsageError, out_of_memory
from .core.signals import ended_at_once, handled
from .core.streams import silence, spell
from .core.threads import share_threads, take_free, times

COMMANDS = {
    "train": ("train:train", "Train a score network."),
    "average": ("average:average", "Average the weights of a training, by a width chosen afterwards."),
    "plot": ("plot:plot", "Draw the curves of a training."),
    "sample": ("sample:sample", "Draw samples from a model with any solver."),
    "noise": ("noise:noise", "Show pictures on their way to noise, by several processes."),
    "colourise": ("photos:colourise", "Draw colours for grey pictures."),
    "colorize": ("photos:colourise", "The same as colourise."),
    "inpaint": ("photos:inpaint", "Fill a hole in pictures."),
    "restore": ("photos:restore", "Restore pictures that were made smaller, blurred or cut."),
    "likelihood": ("likelihood:likelihood", "Compute the bits per dimension of images under a model."),
    "encode": ("latent:encode_images", "Carry images to latent codes and back."),
    "interpolate": ("latent:interpolate_images", "Draw the way from one image to another."),
    "solvers": ("lists:solvers", "List the solvers, or explain one."),
    "conditioners": ("lists:conditioners", "List what conditional sampling is made of, or explain one."),
    "check-solver": ("check:check_solver", "Measure whether a solver keeps its promises."),
    "bench": ("bench:bench", "Measure what every solver costs and what its samples are worth."),
    "tune": ("tune:tune", "Learn the solver that needs the fewest evaluations."),
    "import": ("importing:run_import", "Make a model of a checkpoint of another project, and check it."),
    "export": ("export:export", "Write a model as a folder of diffusers, and check it."),
    "push": ("export:push", "Send an exported folder to the Hugging Face hub."),
    "stats": ("stats:statistics", "Estimate the covariance of a model's data, for conditioning."),
    "prune": ("prune:prune", "Take weights away from a model, and say what that costs."),
    "describe": ("describe:describe", "Show every feature map, the size and the cost of a network."),
    "metrics": ("metrics:metrics", "Measure how far samples are from a data set."),
    "classifier": ("classifier:classifier", "Train a classifier of a model's noisy data, which guides its samples."),
    "features": ("features:features", "Make a feature extractor for the metrics from a data set."),
    "configs": ("configs:configs", "List the configurations of trainings, or explain one."),
    "datasets": ("lists:datasets", "List the image sets, or explain one."),
    "models": ("lists:models", "List the models that come with the package."),
    "web": ("web:web", "Serve a page on which pictures are drawn, painted, coloured, compared and kept."),
    "doctor": ("doctor:doctor", "Check the installation and say what is wrong with it."),
}


class Failure(click.ClickException):
    """One of our errors as click shows it: its text, and its exit code."""

    def __init__(self, error: ScoreSDEError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]  # click declares it on the class


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        if ctx and ctx.resilient_parsing and (known := written(name)):  # of completion, which runs nothing
            return known
        module, attribute = COMMANDS[name][0].split(":")
        with ended_at_once():
            command: click.Command = getattr(importlib.import_module(f"scoresde.commands.{module}"), attribute)
        if ctx and (few := take_free(ctx.find_root().obj, times())):
            click.echo(
                f"Other programs keep the processors busy: threads = {few}. OMP_NUM_THREADS=N takes N.", err=True
            )
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            advice = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(COMMANDS)}."
            ctx.fail(f"no command is called {args[0]!r}. {advice}")
        asked = args[-1] in ctx.help_option_names and not any(word.startswith("-") for word in args[:-1])
        if asked and (known := written(args[0])):
            return args[0], known, args[1:]
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ScoreSDEError as error:
            raise Failure(error) from error
        except OSError as error:
            if error.filename is None:  # what is printed was not taken
                raise
            raise Failure(UsageError(f"cannot use the path {error.filename}: {error.strerror}")) from error
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise Failure(ResourceError("the memory does not hold what this takes: ask for less at a time")) from error
        except (KeyboardInterrupt, click.Abort):
            click.echo("\nInterrupted.", err=True)
            ctx.exit(130)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  scoresde sample --solver dpm --tol 1e-2
  scoresde train digits --out runs/digits
  scoresde sample --model runs/digits --solver rk45 -n 16 --seed 7""",
)
@click.version_option(__version__, prog_name="scoresde")
def scoresde() -> None:
    """Score-based generative models with interchangeable solvers."""


def _terminate(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)


def _warn(message: Warning | str, *place: object) -> None:
    """One line for a warning, without its place in the code."""
    click.echo(f"Warning: {message}", err=True)


class Once(logging.Filter):
    """Lets a warning pass once, and of the first process alone: a command may read its data several times."""

    def __init__(self) -> None:
        super().__init__()
        self.said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        from .core.parallel import leads  # imports torch

        text = record.getMessage()
        new = text not in self.said
        self.said.add(text)
        return new and leads()


def main() -> None:
    """Entry point: runs the command with the exit codes of errors.py, 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP.

    Where what is printed is not taken, it is 6 with a sentence on standard error, or 141 without one after `| head`.
    """
    begun = share_threads(os.environ)
    for name in ("SIGTERM", "SIGHUP"):
        if number := handled(name):
            signal.signal(number, _terminate)
    warnings.showwarning = _warn  # type: ignore[assignment]  # of what it is given, the place is not wanted
    if logging.lastResort:
        logging.lastResort.addFilter(Once())
    output = sys.stdout
    spell(output, sys.stderr)
    try:
        try:
            scoresde(prog_name="scoresde", obj=begun)
        finally:
            if sys.stdout is not output:  # click takes it away when nobody reads it any more
                raise BrokenPipeError
            if output:
                output.flush()
    except BrokenPipeError:
        code = 141
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO) or error.filename:
            raise
        with contextlib.suppress(OSError):
            click.echo(f"Error: cannot write the output: {error.strerror}", err=True)
        code = ResourceError.exit_code
    silence(output, sys.stderr)
    sys.exit(code)
