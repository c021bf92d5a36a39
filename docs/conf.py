"""Configuration of the documentation. Its pages about the API and its table of solvers are made from the package."""

import importlib
import pkgutil
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

import rooms  # noqa: E402

import scoresde  # noqa: E402
from scoresde.commands.options import flag  # noqa: E402
from scoresde.core.options import Options, describe_type  # noqa: E402
from scoresde.solvers import solvers  # noqa: E402

project = "scoresde"
author = copyright = "The scoresde developers"
version = release = scoresde.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
html_theme = "furo"
html_title = "scoresde"
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath", "amsmath", "substitution"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True

PRIVATE = {"__main__", "cli", "commands", "web"}
"""Modules that have no page of this kind: the command line and the web page have their own."""


def solver_table() -> str:
    """The registered solvers as a Markdown table."""
    lines = ["| solver | equation | order | steps | a sample depends on | options |", "|---|---|---|---|---|---|"]
    for name, cls in solvers.all().items():
        equation = "reverse SDE" if cls.stochastic else "probability flow"
        steps = "adaptive" if cls.adaptive else "fixed grid"
        depends = "its seed" if cls.batch_independent else "its batch"
        options = " ".join(f"`{flag(field)}`" for field in cls.model_fields)
        lines.append(f"| `{name}` | {equation} | {cls().claimed_order:g} | {steps} | {depends} | {options} |")
    return "\n".join(lines)


myst_substitutions = {"solver_table": solver_table(), "room_table": rooms.table()}


def write_pages() -> None:
    """Writes one page per module or subpackage of the package, so that a new module has a page by existing."""
    folder = HERE / "api" / "modules"
    folder.mkdir(exist_ok=True)
    wanted = {}
    for top in pkgutil.iter_modules(scoresde.__path__):
        if top.name in PRIVATE:
            continue
        names = [f"scoresde.{top.name}"]
        if top.ispkg:
            parts = pkgutil.iter_modules(importlib.import_module(names[0]).__path__)
            names += [f"{names[0]}.{part.name}" for part in parts]
        page = [f"# scoresde.{top.name}", ""]
        for name in names:
            page += [f"## {name}", ""] if len(names) > 1 and name != names[0] else []
            members = "" if top.ispkg and name == names[0] else "   :members:\n   :show-inheritance:\n"
            page += [f"```{{eval-rst}}\n.. automodule:: {name}\n{members}```", ""]
        wanted[f"{top.name}.md"] = "\n".join(page)
    for stale in {path.name for path in folder.glob("*.md")} - set(wanted):
        (folder / stale).unlink()
    for file, text in wanted.items():
        if not (folder / file).exists() or (folder / file).read_text(encoding="utf-8") != text:
            (folder / file).write_text(text, encoding="utf-8")


write_pages()


def to_rst(app, what, name, obj, options, lines):
    """Docstrings hold plain text with `code`: keeps *, | and _ from meaning something, and appends the options."""

    def escaped(line: str) -> str:
        parts = line.split("`")
        parts[0::2] = [re.sub(r"[*|]|_(?!\w)", r"\\\g<0>", part) for part in parts[0::2]]
        return "``".join(parts)

    lines[:] = [escaped(line) for line in lines]
    if isinstance(obj, type) and issubclass(obj, Options) and obj.model_fields:
        lines += ["", "Options:", ""]
        for field, info in obj.model_fields.items():
            default = "required" if info.is_required() else f"default ``{info.default!r}``"
            kind = escaped(describe_type(info.annotation))
            lines.append(f"* ``{field}``, {kind}, {default}. {escaped(info.description or '')}")
        lines.append("")


def signature(app, what, name, obj, options, arguments, returns):
    """Option classes take their options as keywords, which are listed below anyway."""
    if isinstance(obj, type) and issubclass(obj, Options):
        return ("(**options)" if obj.model_fields else "()", None)
    return None


def skip(app, what, name, obj, skipped, options):
    """Leaves out what pydantic puts into a class, and the fields, which are listed as options."""
    return True if name in {"model_config", "model_post_init", "model_fields"} else None


def setup(app):
    """Connects the hooks, before napoleon reads the sections of the docstrings."""
    app.connect("autodoc-process-docstring", to_rst, priority=400)
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-skip-member", skip)
