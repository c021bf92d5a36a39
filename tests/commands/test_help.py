"""What --help says of defaults and of commands in groups: the truth is what the classes and the callbacks do."""

import inspect
import re

import click
import pytest

from scoresde import cli
from scoresde.bench.spec import Spec
from scoresde.commands.latent import SOLVER as FLOW
from scoresde.commands.latent import TOL
from scoresde.commands.likelihood import DEFAULTS, PAIRS
from scoresde.commands.options import SAMPLING
from scoresde.data import data
from scoresde.metrics.extractors import FitOptions
from scoresde.posterior.tasks import SOLVER, STEPS
from scoresde.solvers import solvers


def options(command, *path):
    """Every option by its name."""
    found = cli.scoresde.get_command(None, command)
    for name in path:
        found = found.commands[name]
    return {param.name: param for param in found.params if isinstance(param, click.Option)}


def said(text):
    """The default of each owner as a help says it at its end, "" where it says none."""
    (inside,) = re.findall(r" \[([^][]*)\]$", text)
    found = {}
    for group in inside.split("; "):
        names, _, value = group.partition(": ")
        found |= dict.fromkeys(names.split(", "), value)
    return found


@pytest.mark.parametrize(
    ("command", "classes", "changed"),
    [
        (("sample",), solvers.all(), {}),
        (("colourise",), solvers.all(), {SOLVER: {"steps": STEPS}}),
        (("inpaint",), solvers.all(), {SOLVER: {"steps": STEPS}}),
        (("encode",), {n: c for n, c in solvers.all().items() if not c.stochastic}, {FLOW: {"tol": TOL}}),
        (("likelihood",), {n: solvers[n] for n in PAIRS}, dict.fromkeys(PAIRS, DEFAULTS)),
        (("features", "fit"), {"training": FitOptions, **data.all()}, {}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_the_help_has_the_default_of_each_class(command, classes, changed):
    """Each value is given back to the class, which makes of it what it makes of nothing, or of what is changed."""
    params, seen = options(*command), 0
    for name, cls in classes.items():
        if name == "given":
            continue
        for field, info in cls.model_fields.items():
            if field in SAMPLING and command[0] in ("encode", "likelihood"):
                assert field not in params
                continue
            own = said(params[field].help)
            own = dict.fromkeys(classes, own["any"]) if "any" in own else own
            assert name in own, f"{name} is missing in the help of {field}"
            default = changed.get(name, {}).get(field, info.default)
            if own[name] and not info.is_required():
                needed = {f: "x" for f, other in cls.model_fields.items() if other.is_required()}
                there = getattr(cls(**needed, **{field: params[field].type(own[name])}), field)
                wanted = getattr(cls(**needed, **({} if default == info.default else {field: default})), field)
                assert there == wanted and type(there) is type(wanted)
                seen += 1
            else:
                assert default in (None, ()) or info.is_required(), (
                    f"the help of {field} does not say {default!r} of {name}"
                )
    assert seen > len(classes)


def test_an_option_with_a_default_says_so():
    """Of every command: what click would pass to the callback, a flag aside, is in the help."""

    def walk(command, path):
        if isinstance(command, click.Group):
            for name in command.list_commands(None):
                yield from walk(command.get_command(None, name), [*path, name])
            return
        for param in command.params:
            if isinstance(param, click.Option) and not param.is_flag and isinstance(param.default, str | int | float):
                yield " ".join(path), param

    silent = [
        f"{path} {param.opts[0]} is {param.default!r}"
        for path, param in walk(cli.scoresde, [])
        if not param.show_default and "[default:" not in (param.help or "")
    ]
    assert not silent


def test_the_help_of_bench_shows_its_commands_and_the_options_of_run(run):
    text = run("bench --help")
    assert re.search(r"Commands:\n\s+compare +Show what differs between two benchmarks\.\n\s+run +Measure", text)
    assert "Options of run:" in text and "--suite" in text and "Examples:" in text and text == run("bench -h")
    assert text == run("bench --model gm2 --help")
    assert "--all" in run("bench compare --help") and "--all" not in text
    for field, option in (("count", "-n"), ("batch", "--batch"), ("seed", "--seed"), ("likelihood", "--likelihood")):
        default = Spec.model_fields[field].default
        (own,) = re.findall(rf"^  {option} INTEGER(.*?)^  --", text, re.DOTALL | re.MULTILINE)
        assert f"as SPEC says, or {default}]" in " ".join(own.split())
    keys = " ".join(text.split("SPEC is a TOML file with the keys ")[1].split(";")[0].replace(" and ", ", ").split())
    assert set(keys.split(", ")) == set(Spec.model_fields)
    assert "short_help" not in text and "..." not in text.split("Options of run:")[0]


def test_groups_show_whole_sentences(run):
    assert "Train an extractor on a data set.\n" in run("features --help")
    assert inspect.cleandoc(cli.COMMANDS["bench"][1]) in run("--help")
