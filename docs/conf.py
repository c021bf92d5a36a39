"""Configuration of the documentation. Its pages about the API and its table of solvers are made from the package."""

import importlib
import pkgutil
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

import rooms  # noqa: E402
from sphinx.ext.napoleon import GoogleDocstring  # noqa: E402

import scoresde  # noqa: E402
from scoresde.commands.options import flag  # noqa: E402
from scoresde.core.options import Options, Registry, describe_type  # noqa: E402
from scoresde.solvers import solvers  # noqa: E402
from scoresde.solvers.few_steps import CHOSEN  # noqa: E402

project = "scoresde"
author = copyright = "The scoresde developers"
version = release = scoresde.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
extensions += ["sphinx.ext.mathjax"]
html_theme = "furo"
html_title = "scoresde"
exclude_patterns = ["_build", "images/README.md"]

# The notebooks of tutorials/ are run whenever they are read, in a folder that is thrown away.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # seconds for a cell; a machine may be busy
nb_output_stderr = "remove"  # bars
nb_render_markdown_format = "myst"  # which has tables

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


def few_steps_table() -> str:
    """Which solver takes a number of steps where none is named, for each kind of model."""
    lines = ["| steps | " + " | ".join(CHOSEN) + " |", "|---" * (1 + len(CHOSEN)) + "|"]
    firsts = sorted({first for table in CHOSEN.values() for first in table})
    for first, after in zip(firsts, [*firsts[1:], None], strict=True):
        steps = f"{first}" if after == first + 1 else f"from {first}" if after is None else f"{first} to {after - 1}"
        cells = [f"`{table[max(n for n in table if n <= first)]}`" for table in CHOSEN.values()]
        lines.append(f"| {steps} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


myst_substitutions = {
    "solver_table": solver_table(),
    "few_steps_table": few_steps_table(),
    "room_table": rooms.table(),
}


def modules(package: str) -> list[str]:
    """A module and all that are inside it, outer ones first."""
    found, module = [package], importlib.import_module(package)
    for part in pkgutil.iter_modules(getattr(module, "__path__", [])):
        found += modules(f"{package}.{part.name}")
    return found


PLACES = [name for room in rooms.RANK if room not in PRIVATE for name in modules(f"scoresde.{room}")]
REGISTRIES = {
    name: value
    for place in PLACES
    for name, value in vars(importlib.import_module(place)).items()
    if isinstance(value, Registry)
}
"""All registries, by the names of their variables."""


def front() -> str:
    """The page of `import scoresde`: its functions, then its classes."""
    page = ["# scoresde", "", "All names of `import scoresde`.", ""]
    for kind, wanted in (("autofunction", False), ("autoclass", True)):
        names = [name for name in scoresde.__all__ if isinstance(getattr(scoresde, name), type) is wanted]
        for name in names:
            page += [f"```{{eval-rst}}\n.. {kind}:: scoresde.{name}\n   :no-index:\n```", ""]
    return "\n".join(page)


def write_pages() -> None:
    """Writes a page per room, from the docstrings of its modules, so that a new module is documented by existing."""
    folder = HERE / "api" / "modules"
    folder.mkdir(exist_ok=True)
    wanted = {"scoresde.md": front()}
    for room, (text, _) in ((room, entry) for row in rooms.ROOMS for room, entry in row.items()):
        if room in PRIVATE:
            continue
        top, *rest = modules(f"scoresde.{room}")
        page = [f"# {top}", "", text, "", f"```{{eval-rst}}\n.. automodule:: {top}\n```", ""]
        for name in rest:
            page += [f"## {name}", "", f"```{{eval-rst}}\n.. automodule:: {name}", "   :members:"]
            page += ["   :show-inheritance:\n```", ""]
        wanted[f"{room}.md"] = "\n".join(page)
    for stale in {path.name for path in folder.glob("*.md")} - set(wanted):
        (folder / stale).unlink()
    for file, text in wanted.items():
        if not (folder / file).exists() or (folder / file).read_text(encoding="utf-8") != text:
            (folder / file).write_text(text, encoding="utf-8")


write_pages()


ATTRIBUTES: dict[str, list[str]] = {}
"""Docstrings of attributes as they were before napoleon, which takes what stands before a colon for a type."""


def restore(app, what, name, obj, options, lines):
    """Undoes what napoleon does to the docstring of an attribute; sections of a property are read as a method's."""
    if name in ATTRIBUTES and what in ("attribute", "data", "property"):
        lines[:] = GoogleDocstring(ATTRIBUTES[name], app.config, app, "method", name, obj, options).lines()


def example(cls: type) -> str:
    """How an object of a registered class is made, as Python."""
    for name, registry in REGISTRIES.items():
        if cls in registry.all().values() and not any(info.is_required() for info in cls.model_fields.values()):
            plain = (
                (k, i.default) for k, i in cls.model_fields.items() if isinstance(i.default, bool | int | float | str)
            )
            option, value = next(plain, ("", None))
            return f"{name}[{cls.name!r}]({f'{option}={value!r}' if option else ''})"
    return ""


def to_rst(app, what, name, obj, options, lines):
    """Docstrings hold plain text with `code`: keeps *, | and _ from meaning something, and appends the options."""

    def escaped(line: str) -> str:
        if line.lstrip().startswith((">>>", "...")):  # an example is shown as it stands
            return line
        parts = line.split("`")
        parts[0::2] = [re.sub(r"[*|]|_(?!\w)", r"\\\g<0>", part) for part in parts[0::2]]
        return "``".join(parts)

    lines[:] = [escaped(line) for line in lines]
    if what in ("attribute", "data", "property"):
        ATTRIBUTES[name] = list(lines)
    if isinstance(obj, type) and issubclass(obj, Options) and (made := example(obj)):
        lines += ["", f"Made by ``{made}``.", ""]
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
    app.connect("autodoc-process-docstring", restore, priority=600)
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-skip-member", skip)
