"""Tuned grids beside a model's weights, in grids.json, and the solvers that use them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ... import models
from ...core import files
from ...core.errors import CheckpointError, UsageError
from ...core.options import table
from ...sde import sdes
from ...solvers import GridSolver, Solver
from .search import changed, spent, tunable

FILE = "grids.json"
FORMAT = 1
"""Version of the file's layout. A reader refuses any other."""


class TunedGrid(BaseModel):
    """A tuned grid, what it is for, and how it was found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    solver: dict[str, Any]
    """Name, steps and the other options that are not the default."""
    nfe: int
    stop: float
    sha256: str
    """Of the weights."""
    grid: str
    errors: dict[str, dict[str, float]]
    """On held-out seeds: median and mean of the samples' errors on the default, best known and tuned grids."""
    best_known: str
    """The registered grid with the lowest median error on the training seeds."""
    seeds: tuple[int, int]
    """First and last seed of the noise it was tuned on."""
    held_out: tuple[int, int]
    """First and last seed of the noise behind `errors`."""
    reference: dict[str, Any]
    """The solver that stands for the exact flow."""
    environment: dict[str, Any]


class Grids(BaseModel):
    """What grids.json holds."""

    format: int = Field(FORMAT, ge=FORMAT, le=FORMAT)
    grids: list[TunedGrid] = []


def essential(solver: GridSolver) -> dict[str, Any]:
    """The key of a tuned grid: the solver's name, its steps, and its other options that are not the default.

    Args:
        solver: The solver.
    """
    default = table(type(solver)())
    own = {key: value for key, value in table(solver).items() if value != default[key]}
    own = {key: value for key, value in own.items() if key not in ("grid", "steps")}
    return {"name": solver.name, **own, "steps": solver.steps}


def read_grids(folder: Path) -> Sequence[TunedGrid]:
    """The tuned grids in a model's folder.

    Args:
        folder: The model's folder.

    Raises:
        CheckpointError: The file is damaged.
    """
    if not (folder / FILE).exists():
        return []
    try:
        return Grids.model_validate(files.read_json(folder / FILE)).grids
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{folder / FILE} is not a list of tuned grids: {where}: {first['msg']}") from None


def save(folder: Path, entry: TunedGrid) -> None:
    """Adds a tuned grid to a model's folder. It replaces an earlier one for the same solver.

    Args:
        folder: The model's folder.
        entry: The tuned grid.
    """

    def purpose(e: TunedGrid) -> tuple[object, ...]:
        return e.solver, e.stop

    kept = [old for old in read_grids(folder) if purpose(old) != purpose(entry)]
    files.write_text(folder / FILE, json.dumps(Grids(grids=[*kept, entry]).model_dump(), indent=2) + "\n")


def tuned(solver: Solver, folder: Path, *, stop: float | None = None) -> GridSolver:
    """The solver on the grid that was tuned for it and for a model.

    Args:
        solver: The solver.
        folder: The model's folder.
        stop: Time at which it ends; by default the process's `t_min`.

    Raises:
        UsageError: There is no such grid.
        CheckpointError: It was tuned for other weights, or its file is damaged.
    """
    wanted = tunable(solver)
    config = files.read_json(folder / models.CONFIG)
    sde = sdes.build(config["sde"])
    end, name = sde.t_min if stop is None else stop, essential(wanted)
    known = [entry for entry in read_grids(folder) if entry.stop == end]
    given = flags({key: value for key, value in name.items() if key != "steps"})
    model = folder.name if folder.parent == models.BUNDLED else folder
    command = f"`scoresde tune {model} {given} --nfe {spent(wanted, sde)}`, which ends with how to use it"
    for entry in known:
        if entry.solver == name:
            if entry.sha256 != config["sha256"]:
                where = f"the grid of {words(name)} in {folder / FILE}"
                raise CheckpointError(f"{where} is for other weights; make it anew with: {command}")
            return changed(wanted, grid=entry.grid)
    there = "; ".join(words(entry.solver) for entry in known) or "none"
    raise UsageError(f"no tuned grid for {words(name)} in {folder} (there: {there}); make it with: {command}")


def words(solver: dict[str, Any]) -> str:
    """A solver's essential options as text.

    Args:
        solver: The options, as `essential` returns them.
    """
    return " ".join(str(value) if key == "name" else f"{key}={value}" for key, value in solver.items())


def flags(solver: dict[str, Any]) -> str:
    """A solver's essential options as flags of the command line.

    Args:
        solver: The options, as `essential` returns them.
    """
    spelt = {"--solver" if key == "name" else "--" + key.replace("_", "-"): value for key, value in solver.items()}
    return " ".join(f"{key} {value}" for key, value in spelt.items())
